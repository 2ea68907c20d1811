"""`Http`: the settings of the wire, its URLs, and how a node serves and opens it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from everywire.errors import AddressError
from everywire.runtime.credentials import Credential, separated
from everywire.transport.address import SETTINGS, Address, parse_address

if TYPE_CHECKING:
    from everywire.http.replicas import HttpSession
    from everywire.http.serving import HttpServer
    from everywire.runtime.node import Node

_NETWORK: Final = re.compile(
    r"(?:http\+)?(?P<scheme>https?|tcp|tls)://(?P<authority>[^/?#@]*)(?P<path>/[^?#]*)?(?P<settings>\?.*)?"
)
_TRANSPORTS: Final = {"http": "tcp", "https": "tls", "tcp": "tcp", "tls": "tls"}
_PORTS: Final = {"tcp": 80, "tls": 443}
_OWN: Final = ("host", "origin", "token")
_LOOKS: Final = "it looks like http://127.0.0.1:8080, https://host:8443?cert=…&key=… or http+local:/run/plant.sock"


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL says: the transport's address, the path below which a host is mounted, and what the wire needs."""

    address: Address
    path: str = ""
    credential: Credential = field(default_factory=Credential)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """HTTP at a URL such as ``http://127.0.0.1:8080``, ``https://host:8443?cert=…&key=…`` or ``local:/run/plant.sock``.

    For a host *hosts* are the names under which it is reached, other than its address, and *origins* the origins of
    foreign web pages that may use it; *insecure* lets it listen where other machines reach it without encryption and
    authentication. With *token*, ``NAME.SECRET``, a client logs in; better keep it in a file of mode 0600,
    ``?token=FILE``. In a URL ``host=`` and ``origin=`` take several values with commas.
    """

    url: str
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    token: str = field(default="", repr=False)
    insecure: bool = False

    def place(self) -> Place:
        """Return what the URL and the settings say together; raise AddressError."""
        text, path = _as_transport(self.url)
        address = parse_address(text, settings=_OWN)
        if address.transport not in ("tcp", "tls", "local", "localabstract"):
            raise AddressError(f"{self.url!r} is no address of HTTP; {_LOOKS}")
        hosts, origins = (_listed(address.settings.get(name, "")) for name in ("host", "origin"))
        kept = {name: value for name, value in address.settings.items() if name not in ("host", "origin")}
        address, credential = separated(str(Address(None, address.transport, address.rest, kept)), self.token)
        return Place(address, path, credential, (*self.hosts, *hosts), (*self.origins, *origins))

    async def serve(self, node: Node) -> HttpServer:
        """Start serving the objects of *node*."""
        from everywire.http.serving import HttpServer

        place = self.place()
        if place.credential:
            raise AddressError(f"{self.url!r}: a token is for who connects; a host demands logins by Node(tokens=…)")
        if place.path:
            advice = f"to serve below {place.path} mount everywire.http.asgi"
            raise AddressError(f"{self.url!r}: a host serves at /; {advice}")
        server = HttpServer(node, place)
        try:
            await server.listen(insecure=self.insecure)
        except BaseException:
            await server.close()
            raise
        return server

    async def open(self, node: Node) -> HttpSession:
        """Connect to the host."""
        from everywire.http.client import Target
        from everywire.http.replicas import HttpSession

        place = self.place()
        if place.hosts or place.origins:
            raise AddressError(f"{self.url!r}: host= and origin= are for who serves")
        target = Target(url=shown(place), address=place.address, prefix=place.path, credential=place.credential)
        session = HttpSession(node, target)
        await session.open()
        return session


def shown(place: Place) -> str:
    """Return the URL of a place as `connect` and people take it, without settings."""
    address = place.address
    if address.transport in _PORTS:
        return f"{'https' if address.transport == 'tls' else 'http'}:{address.rest}{place.path}"
    return f"http+{address.transport}:{address.rest}"


def _as_transport(url: str) -> tuple[str, str]:
    """Return *url* in the words of the transport, and its path."""
    match = _NETWORK.fullmatch(url)
    if match is None:
        text = url.removeprefix("http+")
        if text.partition(":")[0] not in ("local", "localabstract"):
            raise AddressError(f"{url!r} is no address of HTTP; {_LOOKS}")
        return text, ""
    transport, authority = _TRANSPORTS[match["scheme"]], match["authority"]
    unknown = [name for name in _names(match["settings"]) if name not in (*SETTINGS[transport], *_OWN)]
    if unknown:
        known = ", ".join(sorted((*SETTINGS[transport], *_OWN)))
        raise AddressError(f"{url!r}: {match['scheme']} does not know the setting {unknown[0]}; it knows {known}")
    if not authority:
        raise AddressError(f"{url!r} names no host; {_LOOKS}")
    port = re.search(r":(\d+)$", authority)
    if port is not None and int(port[1]) > 65535:
        raise AddressError(f"{url!r}: {port[1]} is no port; {_LOOKS}")
    if port is None:
        authority = f"{authority.removesuffix(':')}:{_PORTS[transport]}"
    return f"{transport}://{authority}{match['settings'] or ''}", (match["path"] or "").rstrip("/")


def _names(settings: str | None) -> list[str]:
    return [part.partition("=")[0] for part in (settings or "?")[1:].split("&") if part]


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
