"""Message buses of a test's own: on a socket in a temporary folder, started and ended by pid.

Never the bus of the machine or of the user: a daemon here reads one configuration, which names no folder of the
system, starts no service but those a test put into its folder, and lives exactly as long as the test wants.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import pytest

from tests import building
from tests.dbus.broker import Broker

needs = building.needs

DTD: Final = (
    '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"'
    ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">'
)
STARTUP: Final = 15.0
"""Seconds within which a daemon listens, on a busy machine."""

OPEN: Final = """
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
"""
"""What session.conf of D-Bus says: the user's programs may do everything."""

RESTRICTED: Final = """
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Peer"/>
    <deny send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"
          send_member="UpdateActivationEnvironment"/>
  </policy>
  <policy user="root">
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Monitoring"/>
  </policy>
"""
"""What system.conf of D-Bus says: every user may connect; only root owns names; calls need a rule of their own."""

INFINITE: Final = {
    "max_incoming_bytes": 1000000000,
    "max_incoming_unix_fds": 250000000,
    "max_outgoing_bytes": 1000000000,
    "max_outgoing_unix_fds": 250000000,
    "max_message_size": 1000000000,
    "service_start_timeout": 120000,
    "auth_timeout": 240000,
    "pending_fd_timeout": 150000,
    "max_completed_connections": 100000,
    "max_incomplete_connections": 10000,
    "max_connections_per_user": 100000,
    "max_pending_service_starts": 10000,
    "max_names_per_connection": 50000,
    "max_match_rules_per_connection": 50000,
    "max_replies_per_connection": 50000,
}
"""The limits of session.conf."""

NOBODY: Final = 65534


def environment(address: str | None = None) -> dict[str, str]:
    """Our environment without any bus in it but *address* as that of the session."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DBUS_")}
    return kept if address is None else {**kept, "DBUS_SESSION_BUS_ADDRESS": address}


def as_nobody(*command: str) -> list[str]:
    """The command run as a user who is not us; only root can, so another's test is skipped."""
    if os.getuid() != 0:
        pytest.skip("only root can start a program of another user")
    return [needs("setpriv", "util-linux"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]


def ends_with_us(*command: str) -> list[str]:
    """The command as one that is terminated when the thread that started it ends, even if the tests are killed."""
    return [needs("setpriv", "util-linux"), "--pdeathsig", "TERM", *command]


class Bus:
    """A dbus-daemon. Its address stays the same when it is started again; its guid does not."""

    def __init__(
        self,
        folder: Path,
        kind: Literal["session", "system"] = "session",
        *,
        limits: dict[str, int] | None = None,
    ) -> None:
        self.folder, self.kind = folder, kind
        self.socket = folder / "bus"
        self.address = f"unix:path={self.socket}"
        self.services = folder / "services"
        """`.service` files, for programs that the bus starts when somebody calls their name."""
        self.rules = folder / "rules"
        """`.conf` files with further policy, as in /etc/dbus-1/system.d."""
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._limits = {**(INFINITE if kind == "session" else {}), **(limits or {})}

    # ------------------------------------------------------------------------------------------------------- life
    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self._process is not None, "the bus is not running"
        return self._process.pid

    @property
    def memory(self) -> int:
        """Bytes of RAM the daemon occupies."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def start(self) -> None:
        """Listen; returns as soon as programs can connect."""
        assert self._process is None, "the bus is running already"
        daemon = needs("dbus-daemon", "dbus-daemon")
        for place in (self.services, self.rules):
            place.mkdir(exist_ok=True)
        config = self.folder / "bus.conf"
        config.write_text(self._config())
        reading, writing = os.pipe()
        with self.log.open("ab") as log, os.fdopen(reading) as told:
            try:
                self._process = subprocess.Popen(
                    ends_with_us(daemon, f"--config-file={config}", "--nofork", "--nopidfile", "--nosyslog",
                                 f"--print-address={writing}"),
                    pass_fds=[writing], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(),
                )  # fmt: skip
            finally:
                os.close(writing)
            listens = select.select([told], [], [], STARTUP)[0] and told.readline()
        if not listens:
            self.kill()
            pytest.fail(f"dbus-daemon did not start: {self.log.read_text()}")

    def stop(self) -> None:
        """End it in order: it closes all connections and removes its socket."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would: the socket's file stays behind."""
        self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Crash, and listen at the same address again."""
        self.kill()
        await asyncio.to_thread(self.start)

    async def resurrect(self) -> None:
        """Listen again after `stop` or `kill`."""
        await asyncio.to_thread(self.start)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within the block the daemon lives and does nothing."""
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

    # ------------------------------------------------------------------------------------------------------ content
    def offer(self, name: str, *command: str | Path) -> None:
        """Have the bus start *command* when somebody calls *name* and nobody owns it."""
        quoted = " ".join(f'"{word}"' for word in command)
        (self.services / f"{name}.service").write_text(f"[D-BUS Service]\nName={name}\nExec={quoted}\n")
        self.reload()

    def rule(self, name: str, policies: str) -> None:
        """Add `<policy>` elements, or a whole `<busconfig>`, as a file of that name; valid when this returns."""
        whole = policies if "<busconfig>" in policies else f"{DTD}\n<busconfig>{policies}</busconfig>\n"
        (self.rules / f"{name}.conf").write_text(whole)
        self.reload()

    def reload(self) -> None:
        """Have the daemon read its files again; returns when it has."""
        sender = needs("dbus-send", "dbus-bin")
        call = ("--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.ReloadConfig")
        done = subprocess.run([sender, f"--bus={self.address}", *call], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"the daemon did not accept its configuration: {done.stderr}"

    def _config(self) -> str:
        limits = "".join(f'  <limit name="{name}">{value}</limit>\n' for name, value in self._limits.items())
        return (
            f"{DTD}\n<busconfig>\n  <type>{self.kind}</type>\n  <keep_umask/>\n  <listen>{self.address}</listen>\n"
            f"  <auth>EXTERNAL</auth>\n  <servicedir>{self.services}</servicedir>\n"
            f"{OPEN if self.kind == 'session' else RESTRICTED}  <includedir>{self.rules}</includedir>\n"
            f"{limits}</busconfig>\n"
        )


@contextmanager
def folder() -> Iterator[Path]:
    """A folder with a short name, which other users may pass through: a socket path has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ew-bus-") as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


@contextmanager
def running(kind: Literal["session", "system"] = "session", *, limits: dict[str, int] | None = None) -> Iterator[Bus]:
    """A dbus-daemon for the block."""
    with folder() as place:
        bus = Bus(place, kind, limits=limits)
        bus.start()
        try:
            yield bus
        finally:
            bus.stop()


@contextmanager
def running_broker() -> Iterator[Broker]:
    """A dbus-broker for the block."""
    with folder() as place:
        broker = Broker(place, ends_with_us(needs("dbus-broker", "dbus-broker")))
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()


def system_python(package: str, debian: str) -> str:
    """The interpreter of the system, for a Python *package* that only Debian has; skips the test without it."""
    if not Path(f"/usr/lib/python3/dist-packages/{package}").exists():
        pytest.skip(f"no {package} here; `make test` as root installs the Debian package {debian}")
    return needs("/usr/bin/python3", "python3")
