"""`Registry`: the settings of a registry, where objects are found by name; how a node hosts one and looks into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from everywire.errors import AddressError
from everywire.remoteobjects.codec.registry import Location
from everywire.remoteobjects.endpoint.settings import RemoteObjects
from everywire.remoteobjects.endpoint.trusting import TrustedHost, place_of, trusted_hosts
from everywire.runtime.credentials import Credential
from everywire.transport import Address

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint.lookup import LookupSession
    from everywire.remoteobjects.endpoint.proxying import RegistryProxy
    from everywire.remoteobjects.endpoint.registering import AnnouncingServer
    from everywire.runtime.node import Node
    from everywire.runtime.policy import Policy
    from everywire.runtime.proxying import Accept

PREFIX: Final = "registry+"
_HOSTS: Final = "hosts="


class Reached(NamedTuple):
    """How to come to a registry, and where it may send us."""

    address: Address
    credential: Credential
    trusted: tuple[TrustedHost, ...]
    heartbeat: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A registry of Qt Remote Objects at a URL such as ``registry+tcp://127.0.0.1:65212``.

    A node that serves it hosts the registry, and its own objects are in it. Who connects to it finds objects by name,
    wherever their hosts are. *token* (``?token=FILE``) is for a login at the registry itself; where hosts demand logins
    or have certificates of your own authority, *hosts* says so: URLs with their settings, such as
    ``tls://*.plant.example:*?ca=ca.pem&token=FILE``. With *hosts* objects are looked for on these hosts only.
    """

    url: str
    token: str = field(default="", repr=False)
    hosts: tuple[str, ...] = ()
    advertised_url: str = ""
    """Where others find the objects of the node that hosts the registry; else it is where it listens."""
    insecure: bool = False

    def __post_init__(self) -> None:
        if not self.url.startswith(PREFIX):
            object.__setattr__(self, "url", PREFIX + self.url)

    async def serve(self, node: Node) -> AnnouncingServer:
        """Host the registry, and the objects of *node* beside it."""
        from everywire.remoteobjects.endpoint.registering import host_registry

        plain, hosts = self._parts()
        if hosts:
            raise AddressError(f"{self.url}: hosts= is for who asks a registry, not for who hosts it")
        place = plain.place()
        if place.registries:
            raise AddressError(f"{self.url}: a registry is not put into another; serve its objects a second time")
        server = plain.server(node, place)
        try:
            return await host_registry(server, place.address, place.advertised)
        except BaseException:
            await server.close()
            raise

    async def open(self, node: Node) -> LookupSession:
        """Connect to the registry; raises LinkError, RemoteProtocolError, or Fault(NOT_FOUND) when there is none."""
        from everywire.remoteobjects.endpoint.lookup import LookupSession

        session = LookupSession(self, node)
        await session.open()
        return session

    def proxy(self, node: Node, accept: Accept, policy: Policy | None) -> RegistryProxy:
        """Return what shows the registry's objects on *node*."""
        from everywire.remoteobjects.endpoint.proxying import RegistryProxy

        return RegistryProxy(self, node, accept, policy)

    def reached(self) -> Reached:
        """Return what URL and settings say together; raise AddressError."""
        plain, hosts = self._parts()
        place = plain.place()
        return Reached(place.address, place.credential, trusted_hosts(hosts), place.heartbeat)

    def place_of(self, location: Location) -> str:
        """Return the URL to connect to for an entry; raise LinkError where the user would not want to go."""
        reached = self.reached()
        return place_of(location, reached.address, reached.trusted)

    def _parts(self) -> tuple[RemoteObjects, tuple[str, ...]]:
        """Return the host that the registry is an object of, and the trusted hosts, which the URL may name."""
        address, _, query = self.url.removeprefix(PREFIX).partition("?")
        settings = [part for part in query.split("&") if part]
        listed = [unquote(part.removeprefix(_HOSTS)) for part in settings if part.startswith(_HOSTS)]
        if len(listed) + bool(self.hosts) > 1 or listed == [""]:
            raise AddressError(f"{self.url!r}: trusted hosts are given once, in hosts= or beside the address")
        rest = "&".join(part for part in settings if not part.startswith(_HOSTS))
        plain = RemoteObjects(
            url=f"{address}?{rest}" if rest else address,
            token=self.token,
            insecure=self.insecure,
            advertised_url=self.advertised_url,
        )
        return plain, tuple(listed[0].split(",")) if listed else self.hosts
