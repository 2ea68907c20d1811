"""`RemoteObjects`: the settings of the wire, and how a node serves and opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from everywire.errors import AddressError
from everywire.remoteobjects.codec.dialect import DIALECTS, QTRO_2_0, Dialect
from everywire.runtime.credentials import Credential, separated
from everywire.transport.address import Address
from everywire.transport.heartbeat import IDLE

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint.blocking import BlockingSession
    from everywire.remoteobjects.endpoint.registering import AnnouncingServer
    from everywire.remoteobjects.endpoint.registry import Registry
    from everywire.remoteobjects.endpoint.replicas import ReplicaSession
    from everywire.remoteobjects.endpoint.serving import HostServer
    from everywire.remoteobjects.endpoint.ways import Streams, Way
    from everywire.runtime.blocking import PumpedReplica
    from everywire.runtime.limits import Limits
    from everywire.runtime.node import Node
    from everywire.transport import Peer
    from everywire.transport.given import Stream

_OWN: Final = ("protocol", "dynamic_only", "registry", "advertised", "heartbeat")
"""What the URL may say beside what its transport knows."""
LONGEST_HEARTBEAT: Final = 86_400.0
_SAID: Final[Mapping[str, bool]] = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL and the settings say together."""

    address: Address
    credential: Credential
    dialect: Dialect = QTRO_2_0
    dynamic_only: bool = False
    registries: tuple[str | Registry, ...] = ()
    advertised: str = ""
    heartbeat: float = IDLE


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteObjects:
    """Qt Remote Objects at a URL such as ``local:climate``, ``tcp://127.0.0.1:65213`` or ``tls://host:65214?ca=…``.

    *insecure* lets a host listen where other machines reach it without encryption and authentication. With *token*,
    ``NAME.SECRET``, a client logs in where the host demands it; better keep it in a file of mode 0600, ``?token=FILE``.

    A host speaks one *protocol*: ``2.0``, that of Qt 6, or ``1.3`` or ``1.2``, those of Qt 5; a client follows its
    host. With *dynamic_only* it sends QtCore's types to every replica: for hosts that no replica generated from a .rep
    uses, and that are started again while dynamic ones of Qt are attached over TCP. Both may stand in the URL.

    A host's objects are put into each *registry*, by URL or `Registry`, as being at *advertised_url*; by default that
    is where it listens. In the URL: ``?registry=tcp://10.0.0.1:65212&advertised=tcp://plant.example:65213``.

    A client that has heard nothing for *heartbeat* seconds (``?heartbeat=2``) asks its host whether it is there, and
    gives the link up after three times as long; 0 waits for ever. `command` and `over` make settings for a child
    process, and for streams of your own; then *url* is only what they are called.
    """

    url: str
    token: str = field(default="", repr=False)
    insecure: bool = False
    protocol: str = ""
    dynamic_only: bool = False
    registry: str | Registry | tuple[str | Registry, ...] = ()
    advertised_url: str = ""
    heartbeat: float = IDLE
    way: Way | None = field(default=None, repr=False)
    """Another way than an address; made by `command` and `over`."""

    @classmethod
    def command(
        cls, *arguments: str, env: Mapping[str, str] | None = None, cwd: str | None = None, **settings: Any
    ) -> Self:
        """Return settings whose peer is a child process, over its standard input and output.

        *arguments* are a program and what it is called with; no shell reads them. Each connection starts the program
        anew, so that a child that has died comes back. A host serves the one child that it starts.
        """
        from everywire.remoteobjects.endpoint.ways import CommandWay
        from everywire.transport.command import Command

        way = CommandWay(Command(arguments, env, cwd))
        return cls(url=way.url, way=way, **settings)

    @classmethod
    def over(cls, stream: Stream | Streams | Callable[[], Any], *, peer: Peer | None = None, **settings: Any) -> Self:
        """Return settings whose peer is at the other end of *stream*, which somebody else has made.

        A stream is a connected socket, an object with a descriptor such as a serial port, or a pair of reader and
        writer as asyncio has them. A function that returns or awaits one is called for each connection. A host takes
        any number by `Streams`. *peer* is who is there, where more is known than the kernel says of a socket.
        """
        from everywire.remoteobjects.endpoint.ways import way_over

        way = way_over(stream, peer)
        return cls(url=way.url, way=way, **settings)

    def place(self) -> Place:
        """Return what the URL and the settings say together; raise AddressError."""
        if self.way is None:
            address, credential = separated(self.url, self.token, settings=_OWN)
        else:
            address, credential = Address(None, "stdio", ""), Credential(token=self.token)
        given = dict(address.settings)
        own: dict[str, str] = {name: given.pop(name) for name in _OWN if name in given}
        return Place(
            replace(address, settings=MappingProxyType(given)),
            credential,
            dialect=self._dialect(own.get("protocol", self.protocol)),
            dynamic_only=self.dynamic_only or _switch(self.url, own, "dynamic_only"),
            registries=self._registries(own.get("registry", "")),
            advertised=own.get("advertised", self.advertised_url),
            heartbeat=_seconds(self.url, own.get("heartbeat", self.heartbeat)),
        )

    def _dialect(self, protocol: str) -> Dialect:
        if self.protocol not in ("", protocol):
            raise AddressError(f"{self.url!r} says another protocol than protocol={self.protocol!r}: give it once")
        found = DIALECTS.get(f"QtRO {protocol}" if protocol else QTRO_2_0.protocol)
        if found is None:
            known = ", ".join(f"{name.removeprefix('QtRO ')}" for name in DIALECTS)
            raise AddressError(f"{self.url!r}: a host speaks one of the protocols {known}, not {protocol!r}")
        return found

    def _registries(self, listed: str) -> tuple[str | Registry, ...]:
        given = self.registry if isinstance(self.registry, tuple) else (self.registry,) if self.registry else ()
        return (*given, *filter(None, listed.split(",")))

    async def serve(self, node: Node) -> HostServer | AnnouncingServer:
        """Start serving the objects of *node*."""
        place = self.place()
        server = self.server(node, place)
        try:
            await server.listen(place.address, self.way)
            if place.registries or place.advertised:
                from everywire.remoteobjects.endpoint.registering import register

                return register(server, place.registries, place.advertised)
        except BaseException:
            await server.close()
            raise
        return server

    def server(self, node: Node, place: Place) -> HostServer:
        """Return a server of the objects of *node* that does not listen yet."""
        from everywire.remoteobjects.endpoint.serving import HostServer

        if place.credential:
            raise AddressError(f"{place.address}: a token is for who connects; a host demands logins by Node(tokens=…)")
        return HostServer(node, insecure=self.insecure, dialect=place.dialect, dynamic_only=place.dynamic_only)

    def blocking(self, replica: PumpedReplica, limits: Limits, *, patient: bool) -> BlockingSession | None:
        """Return what links *replica* without a loop; None where only a loop can: on this transport, or this system."""
        from everywire.remoteobjects.endpoint.blocking import BlockingSession
        from everywire.transport.blocking import AVAILABLE

        place = self.place()
        if place.address.transport in ("stdio", "ws", "wss") or not AVAILABLE:
            return None
        return BlockingSession(
            place.address, place.credential, replica, limits, patient=patient, heartbeat=place.heartbeat
        )

    async def open(self, node: Node) -> ReplicaSession:
        """Connect to the host, and log in where it demands that."""
        from everywire.remoteobjects.endpoint.replicas import ReplicaSession

        place = self.place()
        session = ReplicaSession(node, place.credential, heartbeat=place.heartbeat, way=self.way)
        await session.open(place.address if self.way is None else self.url)
        return session


def _seconds(url: str, said: float | str) -> float:
    try:
        seconds = float(said)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_HEARTBEAT:
        raise AddressError(f"{url!r}: heartbeat is 0 to {LONGEST_HEARTBEAT:g} seconds, not {said!r}; 0 is none")
    return seconds


def _switch(url: str, given: Mapping[str, str], name: str) -> bool:
    said = given.get(name, "no")
    if said not in _SAID:
        raise AddressError(f"{url!r}: {name} is yes or no, not {said!r}")
    return _SAID[said]
