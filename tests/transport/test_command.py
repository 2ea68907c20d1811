"""The input and output of a child process as a connection."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

import pytest

from everywire.errors import LinkError
from everywire.transport import command as command_module
from everywire.transport.command import Command, start
from tests.transport.receivers import ONE_MIB, HalfOpenReceiver, RecordingReceiver

pytestmark = pytest.mark.loops("asyncio", "uvloop")

ECHO: Final = "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"
DEAF: Final = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[1] == "stubborn" else signal.SIG_DFL)
sys.stdout.write("ready"); sys.stdout.flush()
signal.pause()
signal.pause()
"""


def python(code: str, *arguments: str) -> Command:
    return Command((sys.executable, "-c", code, *arguments))


async def test_bytes_cross_both_ways_and_the_child_ends_with_its_input() -> None:
    ours = HalfOpenReceiver()
    link, child = start(python(ECHO), ours, write_limit=ONE_MIB)
    data = os.urandom(3 * ONE_MIB)
    link.write(data)
    assert link.end()
    await ours.until_called("ended")
    assert ours.data == data
    assert (link.peer.transport, link.peer.loopback, link.peer.pid) == ("stdio", True, child.pid)
    link.close()
    await ours.until_called("lost")
    assert await child.ended() == 0


async def test_standard_error_is_ours_and_the_environment_is_given(capfd: pytest.CaptureFixture[str]) -> None:
    ours = RecordingReceiver()
    code = "import os, sys; print(os.environ['WHO'], os.getcwd(), file=sys.stderr)"
    command = Command((sys.executable, "-c", code), env={"WHO": "a child"}, cwd="/")
    _, child = start(command, ours, write_limit=ONE_MIB)
    await ours.until_called("lost")
    assert await child.ended() == 0
    assert capfd.readouterr().err == "a child /\n"


@pytest.mark.parametrize("temper", ["deaf", "stubborn"])
async def test_a_child_that_does_not_end_is_ended(temper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_module, "GRACE", 0.05)
    ours = RecordingReceiver()
    link, child = start(python(DEAF, temper), ours, write_limit=ONE_MIB)
    await ours.until_size(5)
    link.close()
    assert await child.ended() == -(signal.SIGKILL if temper == "stubborn" else signal.SIGTERM)
    await ours.until_called("lost")


async def test_who_is_cancelled_while_waiting_leaves_no_child() -> None:
    ours = RecordingReceiver()
    link, child = start(python(DEAF, "stubborn"), ours, write_limit=ONE_MIB)
    await ours.until_size(5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await child.ended()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    link.abort()
    await ours.until_called("lost")


async def test_a_child_that_dies_is_a_loss_with_its_signal() -> None:
    ours = RecordingReceiver()
    _, child = start(python(DEAF, "deaf"), ours, write_limit=ONE_MIB)
    await ours.until_size(5)
    os.kill(child.pid, signal.SIGKILL)
    await ours.until_called("lost")
    assert await child.ended() == -signal.SIGKILL


async def test_where_the_system_has_no_descriptor_for_a_process_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    ours = RecordingReceiver()
    link, child = start(python(ECHO), ours, write_limit=ONE_MIB)
    link.close()
    assert await child.ended() == 0
    await ours.until_called("lost")


@pytest.mark.parametrize("arguments", [("/nowhere/at-all",), (), (str(Path(__file__)),)])
async def test_what_cannot_be_started_is_named(arguments: tuple[str, ...]) -> None:
    named = "a command needs at least" if not arguments else f"cannot start {arguments[0]}: "
    with pytest.raises(LinkError, match=named):
        start(Command(arguments), RecordingReceiver(), write_limit=ONE_MIB)


async def test_a_receiver_that_fails_at_once_leaves_no_child() -> None:
    pids: list[int | None] = []

    class Failing(RecordingReceiver):
        def connected(self, connection: object) -> None:
            super().connected(connection)  # type: ignore[arg-type]
            pids.append(self.connection.peer.pid)
            raise ZeroDivisionError

    failing = Failing()
    with pytest.raises(ZeroDivisionError):
        start(python(ECHO), failing, write_limit=ONE_MIB)
    await failing.until_called("lost")
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0] or 0, 0)
