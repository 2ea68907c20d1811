"""`RemoteObjects`: the settings of the wire, and how a node serves and opens it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from everywire.errors import AddressError
from everywire.remoteobjects.codec.dialect import DIALECTS, QTRO_2_0, Dialect
from everywire.runtime.credentials import Credential, separated

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint.blocking import BlockingSession
    from everywire.remoteobjects.endpoint.registering import AnnouncingServer
    from everywire.remoteobjects.endpoint.registry import Registry
    from everywire.remoteobjects.endpoint.replicas import ReplicaSession
    from everywire.remoteobjects.endpoint.serving import HostServer
    from everywire.runtime.blocking import PumpedReplica
    from everywire.runtime.limits import Limits
    from everywire.runtime.node import Node
    from everywire.transport.address import Address

_OWN: Final = ("protocol", "dynamic_only", "registry", "advertised")
"""What the URL may say beside what its transport knows."""
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
    """

    url: str
    token: str = field(default="", repr=False)
    insecure: bool = False
    protocol: str = ""
    dynamic_only: bool = False
    registry: str | Registry | tuple[str | Registry, ...] = ()
    advertised_url: str = ""

    def place(self) -> Place:
        """Return what the URL and the settings say together; raise AddressError."""
        address, credential = separated(self.url, self.token, settings=_OWN)
        given = dict(address.settings)
        own: dict[str, str] = {name: given.pop(name) for name in _OWN if name in given}
        return Place(
            replace(address, settings=MappingProxyType(given)),
            credential,
            dialect=self._dialect(own.get("protocol", self.protocol)),
            dynamic_only=self.dynamic_only or _switch(self.url, own, "dynamic_only"),
            registries=self._registries(own.get("registry", "")),
            advertised=own.get("advertised", self.advertised_url),
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
            await server.listen(place.address)
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
        if place.address.transport == "stdio" or not AVAILABLE:
            return None
        return BlockingSession(place.address, place.credential, replica, limits, patient=patient)

    async def open(self, node: Node) -> ReplicaSession:
        """Connect to the host, and log in where it demands that."""
        from everywire.remoteobjects.endpoint.replicas import ReplicaSession

        place = self.place()
        session = ReplicaSession(node, place.credential)
        await session.open(place.address)
        return session


def _switch(url: str, given: Mapping[str, str], name: str) -> bool:
    said = given.get(name, "no")
    if said not in _SAID:
        raise AddressError(f"{url!r}: {name} is yes or no, not {said!r}")
    return _SAID[said]
