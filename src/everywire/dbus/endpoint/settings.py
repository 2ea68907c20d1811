"""`DBus`: the settings of the wire, its URLs, and how a node serves and opens it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from everywire.dbus.codec import check_bus_name, check_interface, check_path
from everywire.dbus.session.addresses import parse_places
from everywire.errors import AddressError, ModelError
from everywire.transport.address import Address, parse_address

if TYPE_CHECKING:
    from everywire.runtime.node import Node
    from everywire.runtime.wires import ClientSession, Server

LOOKS: Final = (
    "it looks like dbus:session?service=org.acme.Climate, dbus:system?service=…, dbus:unix:path=/run/bus?service=…, "
    "or between two peers dbus+local:/run/plant, dbus+tcp://127.0.0.1:7000"
)
TRANSPORTS: Final = ("local", "localabstract", "tcp")
"""Between peers."""
_NAMES: Final = ("service", "path", "interface")
_SWITCHES: Final = ("replace", "queue", "allow_replacement")
_SAID: Final[Mapping[str, bool]] = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a URL and the settings say together: where, and how objects are called there."""

    bus: str = ""
    """``session``, ``system`` or a D-Bus address; empty between peers."""
    peer: Address | None = None
    """Where peers meet."""
    service: str = ""
    path: str = ""
    """The base path that was given."""
    interface: str = ""
    """The interface that was given."""
    replace: bool = False
    queue: bool = False
    allow_replacement: bool = False
    insecure: bool = False

    @property
    def base(self) -> str:
        """The path below which the objects are."""
        return self.path or (f"/{self.service.replace('.', '/').replace('-', '_')}" if self._named else "/")

    @property
    def prefix(self) -> str:
        """What the names of interfaces begin with."""
        return self.service.replace("-", "_") if self._named else "local"

    @property
    def url(self) -> str:
        """The address that `connect` takes."""
        given = {"service": self.service, "path": self.path}
        pairs = "&".join(f"{name}={quote(value, safe='/.:-_')}" for name, value in given.items() if value)
        where = f"dbus:{self.bus}" if self.peer is None else f"dbus+{self.peer.transport}:{self.peer.rest}"
        return f"{where}{'?' if pairs else ''}{pairs}"

    @property
    def _named(self) -> bool:
        return bool(self.service) and not self.service.startswith(":")


@dataclass(frozen=True, slots=True, kw_only=True)
class DBus:
    """D-Bus at a URL such as ``dbus:session?service=org.acme.Climate``, or between peers ``dbus+local:/run/plant``.

    *service* is the name on the bus, *path* the object path below which objects are (default: the name with slashes),
    *interface* the whole name of their interface (default: *service*, the class and ``1``). A host may *replace* who
    has the name already, *queue* for it, and *allow_replacement* by others; *insecure* lets it listen for peers where
    other machines reach it without encryption and authentication. All but *insecure* may stand in the URL.
    """

    url: str
    service: str = ""
    path: str = ""
    interface: str = ""
    replace: bool = False
    queue: bool = False
    allow_replacement: bool = False
    insecure: bool = False

    def __post_init__(self) -> None:
        """Put back into the URL what told everywire that it is one of D-Bus: messages show it."""
        if self.url.partition(":")[0] in TRANSPORTS:
            object.__setattr__(self, "url", f"dbus+{self.url}")

    def place(self) -> Place:
        """Return what the URL and the settings say together; raise AddressError."""
        where, given = _separated(self.url)
        for name in _NAMES:
            own: str = getattr(self, name)
            if own and given.get(name, own) != own:
                raise AddressError(f"{self.url!r} says another {name} than {name}={own!r}: give it once")
        bus, peer = _where(self.url, where)
        place = Place(
            bus=bus,
            peer=peer,
            service=self.service or given.get("service", ""),
            path=self.path or given.get("path", ""),
            interface=self.interface or given.get("interface", ""),
            replace=self.replace or _switch(self.url, given, "replace"),
            queue=self.queue or _switch(self.url, given, "queue"),
            allow_replacement=self.allow_replacement or _switch(self.url, given, "allow_replacement"),
            insecure=self.insecure,
        )
        _check(self.url, place)
        return place

    async def serve(self, node: Node) -> Server:
        """Start serving the objects of *node*."""
        place = self.place()
        if place.peer is not None:
            from everywire.dbus.endpoint.peers import PeersServer

            return await PeersServer.listen(node, place)
        from everywire.dbus.endpoint.serving import BusServer

        return await BusServer.join(node, place)

    async def open(self, node: Node) -> ClientSession:
        """Connect to a bus or a peer."""
        from everywire.dbus.endpoint.replicas import open_session

        place = self.place()
        if wrong := [name for name in _SWITCHES if getattr(place, name)]:
            raise AddressError(f"{self.url!r}: {wrong[0]} is for who serves")
        return await open_session(node, place)


def _separated(url: str) -> tuple[str, dict[str, str]]:
    """Return where *url* leads, and its settings."""
    where, _, settings = url.partition("?")
    given: dict[str, str] = {}
    for part in settings.split("&") if settings else ():
        name, equals, value = part.partition("=")
        if not equals or name in given:
            raise AddressError(f"{url!r}: settings look like name=value&name=value, not {part!r}; {LOOKS}")
        if name not in (*_NAMES, *_SWITCHES):
            raise AddressError(f"{url!r}: D-Bus does not know the setting {name}; it knows {', '.join(_KNOWN)}")
        given[name] = unquote(value)
    return where, given


_KNOWN: Final = (*_NAMES, *_SWITCHES)


def _where(url: str, where: str) -> tuple[str, Address | None]:
    """Return the bus, or where the peer is."""
    scheme, _, rest = where.partition(":")
    transport = scheme.removeprefix("dbus+")
    if scheme != transport and transport in TRANSPORTS:
        if not rest:
            raise AddressError(f"{url!r} does not say where the peer is; {LOOKS}")
        address = parse_address(f"{transport}:{rest}")
        if transport == "tcp":
            _ = address.port  # or AddressError
        return "", address
    if scheme != "dbus" or not rest:
        raise AddressError(f"{url!r} is no address of D-Bus; {LOOKS}")
    if rest not in ("session", "system"):
        first, colon, more = rest.partition(":")
        if not colon:
            raise AddressError(f"{url!r}: there is no bus {first!r} but session and system; {LOOKS}")
        if first in TRANSPORTS and (first != "tcp" or more.startswith("//")):
            raise AddressError(f"{url!r}: between two peers, without a bus, it is written dbus+{rest}")
        parse_places(rest)
    return rest, None


def _switch(url: str, given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "no")
    if text not in _SAID:
        raise AddressError(f"{url!r}: {name}={text} should be {name}=yes or {name}=no")
    return _SAID[text]


def _check(url: str, place: Place) -> None:
    try:
        for text, check in (
            (place.service, check_bus_name),
            (place.path, check_path),
            (place.interface, check_interface),
        ):
            if text:
                check(text)
        check_path(place.base)
    except ModelError as error:
        raise AddressError(f"{url!r}: {error}") from None
