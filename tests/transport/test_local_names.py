"""Nobody loses a living name, everybody recovers a dead one, and nothing is left behind."""

from __future__ import annotations

import errno
import fcntl
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from everywire.errors import AddressError, AddressInUse, LinkError, UnsupportedPlatform
from everywire.transport import accept, dial, listen, open_stream
from everywire.transport import local_names as local_names_module
from everywire.transport.local_names import LONGEST_PATH, abstract_address, claim, socket_path, unix_family
from tests.harness import soak
from tests.transport.programs import LISTEN, STARTERS, command, started
from tests.transport.receivers import Accepted, RecordingReceiver, echo


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_names_are_where_qt_looks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/var//tmp/")
    assert socket_path("climate") == "/var/tmp/climate"
    assert socket_path("/run/climate") == "/run/climate"
    monkeypatch.delenv("TMPDIR")
    assert socket_path("climate") == "/tmp/climate"


def test_a_path_has_at_most_106_bytes() -> None:
    assert socket_path("/" + "é" * 52 + "x") == "/" + "é" * 52 + "x"
    with pytest.raises(AddressError, match="has 107 bytes, a socket path at most 106"):
        socket_path("/" + "é" * 53)
    with pytest.raises(AddressError, match="at most 106 bytes"):
        abstract_address("x" * 107)


async def test_the_longest_path_can_be_listened_at(folder: Path) -> None:
    parent = folder / ("d" * (LONGEST_PATH - len(str(folder)) - 3))
    parent.mkdir()
    path = f"{parent}/x"
    assert len(path) == LONGEST_PATH
    async with listen(f"local:{path}", echo) as listener, open_stream(listener.url) as stream:
        await stream.write(b"far")
        assert await stream.read_exactly(3) == b"far"
    assert names_in(parent) == []


async def test_a_name_belongs_to_its_user_only_and_nothing_else_is_beside_it(folder: Path) -> None:
    listener = await accept(f"local:{folder}/x", Accepted())
    assert names_in(folder) == ["x"]
    status = (folder / "x").stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    await listener.close()
    await listener.close()
    assert names_in(folder) == []


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_living_name_is_never_taken(folder: Path) -> None:
    address = f"local:{folder}/x"
    async with listen(address, echo):
        for _ in range(3):
            with pytest.raises(AddressInUse, match=r"somebody listens at .*x already; stop that process"):
                await accept(address, Accepted())
        async with open_stream(address) as stream:
            await stream.write(b"alive")
            assert await stream.read_exactly(5) == b"alive"


async def test_a_living_listener_with_a_full_backlog_is_not_dead(folder: Path) -> None:
    path = str(folder / "x")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen(0)
        client.connect(path)
        with pytest.raises(AddressInUse):
            await claim(path)
        with pytest.raises(LinkError, match=r"no answer in 0\.05 s"):
            await dial(f"local:{path}", RecordingReceiver(), timeout=0.05)


async def test_a_datagram_socket_is_not_dead(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(folder / "x"))
        with pytest.raises(AddressInUse):
            await claim(str(folder / "x"))
        with pytest.raises(LinkError, match="something else than a byte stream"):
            await dial(f"local:{folder}/x", RecordingReceiver())


async def test_the_name_of_a_killed_process_is_recovered(
    folder: Path, record_property: Callable[[str, object], None]
) -> None:
    address, kills = f"local:{folder}/x", soak(2, 50)
    record_property("R28: names of killed processes that were recovered", f"{kills} of {kills}")
    for _ in range(kills):
        with started(LISTEN, address) as process:
            process.kill()
            process.wait()
        assert names_in(folder) == ["x"]
        with pytest.raises(LinkError, match="nobody listens there"):
            await dial(address, RecordingReceiver())
        async with listen(address, echo), open_stream(address) as stream:
            await stream.write(b"again")
            assert await stream.read_exactly(5) == b"again"


@pytest.mark.parametrize("stale", [False, True], ids=["free", "stale"])
def test_of_20_starters_exactly_one_wins(
    folder: Path, stale: bool, record_property: Callable[[str, object], None]
) -> None:
    path, races = str(folder / "x"), soak(3, 100)
    record_property("R28: races of 20 starters that exactly one has won", f"{races} of {races}")
    for _ in range(races):
        if stale:
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(path)
        done = subprocess.run(command(STARTERS, path, 20), capture_output=True, text=True, check=True, timeout=20)
        assert sorted(done.stdout.strip()) == ["r"] * 19 + ["w"], done.stderr
        assert names_in(folder) == []


@pytest.mark.parametrize("target", ["nothing", "file", "socket"])
async def test_a_symbolic_link_in_place_of_the_name_is_left_alone(folder: Path, target: str) -> None:
    aim = folder / "aim"
    if target == "file":
        aim.write_text("precious")
    with socket.socket(socket.AF_UNIX) as dead:
        if target == "socket":
            dead.bind(str(aim))
    (folder / "x").symlink_to(aim)
    with pytest.raises(AddressInUse, match="is not a socket and is left alone"):
        await claim(str(folder / "x"))
    assert (folder / "x").is_symlink()
    assert aim.exists() is (target != "nothing")


async def test_a_file_in_place_of_the_name_is_left_alone(folder: Path) -> None:
    (folder / "x").write_text("precious")
    with pytest.raises(AddressInUse, match="is not a socket"):
        await claim(str(folder / "x"))
    assert (folder / "x").read_text() == "precious"


async def test_a_symbolic_link_in_place_of_the_lock_is_not_followed(folder: Path) -> None:
    (folder / "x.lock").symlink_to(folder / "aim")
    with pytest.raises(LinkError, match="cannot listen at"):
        await claim(str(folder / "x"))
    assert not (folder / "aim").exists()


async def test_closing_leaves_a_name_that_is_no_longer_ours(folder: Path) -> None:
    listener = await accept(f"local:{folder}/x", Accepted())
    (folder / "x").unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder / "x"))
        await listener.close()
        assert names_in(folder) == ["x"]


async def test_a_name_taken_in_the_same_moment_is_not_overwritten(folder: Path) -> None:
    """Somebody who does not know our lock binds between the probe and the link."""
    path = str(folder / "x")

    def bind_first(probed: str, family: socket.AddressFamily) -> None:
        (folder / "x").touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_names_module, "_clear_dead", bind_first)
        with pytest.raises(AddressInUse, match="at the same moment"):
            await claim(path)
    assert names_in(folder) == ["x"]


async def test_a_stopped_holder_of_the_lock_does_not_stop_us_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_names_module, "_LOCK_TIMEOUT", 0.02)
    with (folder / "x.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LinkError, match=r"another process has held .*x\.lock"):
            await claim(str(folder / "x"))


def test_a_lock_file_that_was_replaced_while_it_was_locked_does_not_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last holder removes the file; whoever waited with that file open holds a lock that nobody sees."""
    lock = folder / "x.lock"

    def replaced(descriptor: int) -> None:
        lock.unlink()
        lock.touch()

    monkeypatch.setattr(local_names_module, "_flock", replaced)
    assert local_names_module._try_lock(str(lock)) is None


async def test_a_missing_or_forbidden_directory_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LinkError, match="its directory does not exist"):
        await claim(str(folder / "none" / "x"))

    def forbidden(lock: str) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(local_names_module, "_try_lock", forbidden)
    with pytest.raises(LinkError, match="this user may not write in"):
        await claim(str(folder / "x"))


async def test_an_abstract_name_in_use_is_refused(folder: Path) -> None:
    address = f"localabstract:{folder}"
    listener = await accept(address, Accepted())
    with pytest.raises(AddressInUse, match="choose another name"):
        await accept(address, Accepted())
    await listener.close()
    await (await accept(address, Accepted())).close()


async def test_systems_without_unix_sockets_or_flock_say_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fcntl", None)
        with pytest.raises(UnsupportedPlatform, match=r"no fcntl\.flock"):
            await claim(str(folder / "x"))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        with pytest.raises(UnsupportedPlatform, match="exist on Linux only"):
            abstract_address("x")
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(UnsupportedPlatform, match="no Unix sockets"):
        unix_family()
