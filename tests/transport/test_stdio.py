from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from everywire.errors import UnsupportedPlatform
from everywire.transport import dial
from tests.transport.programs import STDIO, STDIO_ACCEPT, command
from tests.transport.receivers import ONE_MIB, RecordingReceiver

both_loops = pytest.mark.parametrize("kind", ["asyncio", "uvloop"])


@both_loops
def test_pipes_carry_a_stream_and_stray_prints_go_to_standard_error(kind: str) -> None:
    text = b"ping " * ONE_MIB
    done = subprocess.run(command(STDIO, kind), input=text, capture_output=True, check=True, timeout=20)
    assert done.stdout == text.upper() + b"'stdio'"
    assert done.stderr == b"a stray line\n"


@both_loops
def test_files_and_dev_null_can_be_standard_input_and_output(kind: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * ONE_MIB)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target:
        subprocess.run(command(STDIO, kind), stdin=source, stdout=target, check=True, timeout=20)
    assert (tmp_path / "out").read_bytes() == b"X" * ONE_MIB + b"'stdio'"
    done = subprocess.run(command(STDIO, kind), stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=20)
    assert done.stdout == b"'stdio'"


def test_a_shared_terminal_or_pipe_is_left_blocking() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as output:
        subprocess.run(command(STDIO, "asyncio"), input=b"x", stdout=writer, check=True, timeout=20)
        assert os.get_blocking(writer)
        os.close(writer)
        assert output.read() == b"X'stdio'"


def test_standard_input_and_output_serve_one_connection() -> None:
    done = subprocess.run(command(STDIO_ACCEPT), input=b"abc", capture_output=True, check=True, timeout=20)
    assert done.stdout == b"abc"
    assert b"belong to a stdio: link already" in done.stderr


async def test_systems_without_posix_descriptors_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(UnsupportedPlatform, match="needs POSIX descriptors"):
        await dial("stdio:", RecordingReceiver())
