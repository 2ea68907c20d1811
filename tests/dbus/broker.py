"""A dbus-broker of a test's own.

The usual dbus-broker-launch needs systemd's journal and manager. What it does for a bus without started services is
little: it gives the broker a listening socket and the policy, over a D-Bus connection without a bus, and holds that
connection. So does this, and runs wherever the program is installed.
"""

from __future__ import annotations

import array
import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import jeepney

BATCH: Final = "(bta(btbs)a(btssssuutt)a(btssssuutt))"
"""May connect; may own; may send; may receive: each with a verdict, a priority and what it is about."""
POLICY: Final = f"(a(u{BATCH})a(buu{BATCH})a(ss)bs)"
"""Rules by user, by range or group, SELinux names, AppArmor, the kind of bus."""
EVERY_USER: Final = (1 << 32) - 1
ANY: Final = (True, 1, "", "", "", "", 0, 0, 0, (1 << 64) - 1)
"""Every message to or from everybody."""
OPEN: Final = ([(EVERY_USER, (True, 1, [(True, 1, True, "")], [ANY], [ANY]))], [], [], False, "session")

STARTUP: Final = 15.0


class Broker:
    """A dbus-broker; everybody on it may do everything. Its address stays the same when it is started again."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.folder, self._command = folder, command
        self.socket = folder / "broker"
        self.address = f"unix:path={self.socket}"
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._controller: socket.socket | None = None

    @property
    def pid(self) -> int:
        """The broker's process."""
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    def start(self) -> None:
        """Listen; returns as soon as programs can connect."""
        assert self._process is None, "the broker is running already"
        self.socket.unlink(missing_ok=True)
        ours, theirs = socket.socketpair()
        with theirs, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._command, "--controller", str(theirs.fileno()), "--machine-id", "0" * 31 + "1",
                    "--max-bytes", "1000000000", "--max-fds", "100000", "--max-matches", "500000",
                ],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        ours.settimeout(STARTUP)
        self._controller = ours
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(self.socket))
                listener.listen(128)
                listener.setblocking(False)
                _log_in(ours)
                _hand_over(ours, listener)
        except BaseException as error:
            self.kill()
            error.add_note(f"dbus-broker did not start: {self.log.read_text()}")
            raise

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Crash, and listen at the same address again."""
        self.kill()
        await asyncio.to_thread(self.start)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within the block the broker lives and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(STARTUP)
        if self._controller is not None:
            self._controller.close()
            self._controller = None


def _log_in(link: socket.socket) -> None:
    link.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
    answer = b""
    while answer.count(b"\r\n") < 3:
        answer += _some(link)
    assert answer.endswith(b"AGREE_UNIX_FD\r\n"), f"the broker did not let its controller in: {answer!r}"


def _hand_over(link: socket.socket, listener: socket.socket) -> None:
    broker = jeepney.DBusAddress("/org/bus1/DBus/Broker", "nobody.listens", "org.bus1.DBus.Broker")
    call = jeepney.new_method_call(
        broker, "AddListener", "ohv", ("/org/bus1/DBus/Listener/1", listener, (POLICY, OPEN))
    )
    del call.header.fields[jeepney.HeaderFields.destination]  # there are no names without a bus
    fds = array.array("i")
    frame = call.serialise(1, fds=fds)
    link.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    parser = jeepney.Parser()
    answer: Any = None
    while answer is None:
        answer = next(iter(parser.feed(_some(link))), None)
    kind = answer.header.message_type
    assert kind is jeepney.MessageType.method_return, f"the broker refused the listener: {answer.header.fields}"


def _some(link: socket.socket) -> bytes:
    data = link.recv(4096)
    assert data, "the broker ended"
    return data
