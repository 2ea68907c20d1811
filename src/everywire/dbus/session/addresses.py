"""D-Bus addresses (D-Bus Specification, "Server Addresses"), such as ``unix:path=/run/bus,guid=…;tcp:host=…``."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from everywire.errors import AddressError, LinkError
from everywire.transport import Address
from everywire.transport.failures import dial_failed

SYSTEM: Final = "unix:path=/var/run/dbus/system_bus_socket"
_LOOKS: Final = "a D-Bus address looks like unix:path=/run/user/1000/bus or tcp:host=127.0.0.1,port=55556"
_DIAL_ADVICE: Final = {
    errno.ENOENT: "there is no such socket; start the bus, or the program that listens there, first",
    errno.ECONNREFUSED: "nobody listens there; start the bus, or the program that listens there, first",
}
_KNOWN: Final = {
    "unix": frozenset({"path", "abstract", "guid", "dir", "tmpdir", "runtime"}),
    "tcp": frozenset({"host", "port", "family", "bind", "guid"}),
}


@dataclass(frozen=True, slots=True)
class Place:
    """One place of an address: where to connect to, and the GUID that the server must have (empty: any)."""

    transport: str
    settings: Mapping[str, str]

    def __str__(self) -> str:
        pairs = ",".join(f"{key}={quote(value, safe='/._-:')}" for key, value in self.settings.items())
        return f"{self.transport}:{pairs}"

    @property
    def guid(self) -> str:
        """What the server must call itself."""
        return self.settings.get("guid", "")

    def address(self) -> Address:
        """Return the transport's address of it; raise AddressError when it says too little."""
        found = self.settings
        if self.transport == "tcp":
            host = found.get("bind") or found.get("host") or "127.0.0.1"
            return Address(None, "tcp", f"//{f'[{host}]' if ':' in host else host}:{found.get('port', '0')}")
        if "path" in found:
            return Address(None, "local", found["path"])
        if "abstract" in found:
            return Address(None, "localabstract", found["abstract"])
        raise AddressError(f"{str(self)!r} does not say where: {_LOOKS}")


def parse_places(text: str) -> tuple[Place, ...]:
    """Return the places in a D-Bus address, to be tried in turn; raise AddressError."""
    places = tuple(_parse_place(part) for part in text.split(";") if part)
    if not places:
        raise AddressError(f"{text!r} is no D-Bus address: {_LOOKS}")
    return places


def bus_address(name: str) -> str:
    """Return the address of the bus *name*: ``session``, ``system``, or an address itself.

    Raises LinkError when this login has no session bus.
    """
    if name == "system":
        return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or SYSTEM
    if name != "session":
        return name
    address = os.environ.get("DBUS_SESSION_BUS_ADDRESS")
    if address:
        return address
    socket = os.path.join(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}", "bus")  # noqa: PTH118
    if os.path.exists(socket):  # noqa: PTH110
        return f"unix:path={quote(socket, safe='/')}"
    advice = "start the program with 'dbus-run-session -- PROGRAM', or set DBUS_SESSION_BUS_ADDRESS"
    raise LinkError(f"this login has no session bus: {advice}")


def places_of(name: str) -> tuple[Place, ...]:
    """Return where the bus *name* may be, to be tried in turn; raise AddressError, LinkError."""
    try:
        return parse_places(bus_address(name))
    except AddressError as error:
        if name in ("session", "system"):
            raise AddressError(f"DBUS_{name.upper()}_BUS_ADDRESS: {error}") from None
        raise


def no_connection(place: Place, error: OSError, timeout: float) -> LinkError:
    """Return why nobody was reached at *place*."""
    advice = _DIAL_ADVICE.get(error.errno or 0)
    return LinkError(f"no connection to {place}: {advice}") if advice else dial_failed(place, error, timeout)


def is_session(name: str) -> bool:
    """Return whether *name* is the bus of this login: the word ``session``, or an address that leads there too."""
    if name in ("session", "system"):
        return name == "session"
    try:
        own = parse_places(bus_address("session"))
    except (AddressError, LinkError):
        return False
    known = [_without_guid(place) for place in own]
    return all(_without_guid(place) in known for place in parse_places(name))


def _without_guid(place: Place) -> tuple[str, dict[str, str]]:
    return place.transport, {key: value for key, value in place.settings.items() if key != "guid"}


def _parse_place(text: str) -> Place:
    transport, colon, rest = text.partition(":")
    if not colon or transport not in _KNOWN:
        known = ", ".join(_KNOWN)
        raise AddressError(f"{text!r} is of no transport that is known here ({known}); {_LOOKS}")
    settings: dict[str, str] = {}
    for pair in rest.split(",") if rest else ():
        key, equals, value = pair.partition("=")
        if not equals or key in settings:
            raise AddressError(f"{text!r}: settings look like key=value,key=value, not {pair!r}; {_LOOKS}")
        if key not in _KNOWN[transport]:
            raise AddressError(f"{text!r}: {transport} does not know {key}; {_LOOKS}")
        settings[key] = os.fsdecode(unquote_to_bytes(value))
    port = settings.get("port", "0")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise AddressError(f"{text!r}: {port!r} is no port; {_LOOKS}")
    return Place(transport, settings)
