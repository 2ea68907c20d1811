"""The message bus of the demo: that of the session, or one of its own where there is none."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Final

from everywire.cli.demo.crew import Crew, Worker
from everywire.errors import LinkError, MissingExtra

SERVICE: Final = "org.acme.Plant"
PATH: Final = "/org/acme/Plant"
NO_DBUS: Final = "The dbus wire is not installed: {}"
NO_DAEMON: Final = (
    "There is no session bus, and dbus-daemon, which makes one, is not installed, so D-Bus is used without a bus only: "
    "apt install dbus-daemon"
)
CONFIGURATION: Final = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <keep_umask/>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
"""As the bus of a session, but that it starts nothing."""


@dataclass(frozen=True, slots=True)
class Bus:
    """A bus with room for the plant."""

    url: str
    """What URLs of everywire begin with."""
    address: str
    """What other programs call it."""
    daemon: Worker | None = None
    """Who must live as long as it is used; None: it is not ours."""

    @property
    def service_url(self) -> str:
        """The URL of the plant on it."""
        return f"{self.url}?service={SERVICE}"


async def find_bus(people: Crew) -> Bus | None:
    """Return the session's bus, or a new one; None, and a line that says why, where there can be none."""
    try:
        if await _session_has_room():
            from everywire.dbus.session import bus_address

            return Bus("dbus:session", bus_address("session"))
    except MissingExtra as missing:
        print(NO_DBUS.format(missing), end="\n\n")
        return None
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        print(NO_DAEMON, end="\n\n")
        return None
    return await _new_bus(people, daemon)


async def _session_has_room() -> bool:
    """Return whether there is a session bus, on which nobody has the name of the plant."""
    from everywire.cli.dbus.addresses import parse
    from everywire.cli.dbus.services import on_bus

    try:
        async with on_bus(parse("dbus:session"), 0) as connection:
            return not await connection.owner(SERVICE)
    except LinkError:
        return False


async def _new_bus(people: Crew, daemon: str) -> Bus:
    place, file = people.directory / "bus", people.directory / "bus.conf"
    file.write_text(CONFIGURATION.format(path=place), encoding="utf-8")
    options = (f"--config-file={file}", "--nofork", "--nopidfile", "--nosyslog", "--print-address=1")
    worker = await people.start("the message bus", *options, program=daemon, obeys=False)
    await worker.line()  # its address: it listens
    return Bus(f"dbus:unix:path={place}", f"unix:path={place}", worker)
