"""What a D-Bus URL says to the verbs. Loads nothing of D-Bus before it is one: every verb asks here."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from everywire.errors import AddressError


@dataclass(frozen=True, slots=True)
class BusUrl:
    """A URL taken apart."""

    url: str
    """As it was given, without its settings."""
    address: str
    """``session``, ``system``, or a D-Bus address."""
    is_bus: bool
    """Whether a bus is there, and not a program that listens by itself."""
    service: str = ""
    path: str = ""
    """The path that names of objects are relative to, if it was given."""
    base: str = "/"
    """The path that they are relative to."""

    @property
    def place(self) -> str:
        """What to call it in a sentence."""
        if not self.is_bus:
            return self.url
        return f"the {self.address} bus" if self.address in ("session", "system") else f"the bus at {self.address}"

    def of_service(self, name: str) -> str:
        """Return the URL of a service here."""
        return f"{self.url}?service={name}"


def is_dbus(url: str) -> bool:
    """Return whether the verbs of this package are meant."""
    return url.partition(":")[0].partition("+")[0] == "dbus"


def is_path(name: str) -> bool:
    """Return whether an OBJECT says a place and not the name of an object: then any service will do."""
    return name.startswith("/") or name == "."


def need_dbus(verb: str, url: str, instead: str) -> None:
    """Raise AddressError where *verb* has no meaning."""
    if not is_dbus(url):
        raise AddressError(f"'everywire {verb}' is for D-Bus, as in dbus:session; at {url} use '{instead}'")


def parse(url: str) -> BusUrl:
    """Return what *url* says; raise AddressError, or MissingExtra where D-Bus is not installed."""
    from everywire.dbus.endpoint.settings import DBus  # or MissingExtra

    place = DBus(url=url).place()
    shown = url.partition("?")[0]
    if place.peer is None:
        return BusUrl(shown, place.bus, True, place.service, place.path, place.base)
    if place.service:
        raise AddressError(f"{url!r}: there are no services without a bus; leave service= away")
    return BusUrl(shown, _peer_address(place.peer.transport, place.peer.rest), False, "", place.path, place.base)


def _peer_address(transport: str, rest: str) -> str:
    """Return the D-Bus address of a program that listens by itself."""
    from everywire.transport.local_names import socket_path

    match transport:
        case "tcp":
            host, _, port = rest.removeprefix("//").rpartition(":")
            return f"tcp:host={host.strip('[]')},port={port}"
        case "localabstract":
            return f"unix:abstract={quote(rest, safe='/._-')}"
        case _:
            return f"unix:path={quote(socket_path(rest), safe='/._-')}"
