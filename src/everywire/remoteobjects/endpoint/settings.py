"""`RemoteObjects`: the settings of the wire, and how a node serves and opens it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from everywire.errors import AddressError
from everywire.runtime.credentials import separated

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint.blocking import BlockingSession
    from everywire.remoteobjects.endpoint.replicas import ReplicaSession
    from everywire.remoteobjects.endpoint.serving import HostServer
    from everywire.runtime.blocking import PumpedReplica
    from everywire.runtime.limits import Limits
    from everywire.runtime.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteObjects:
    """Qt Remote Objects at a URL such as ``local:climate``, ``tcp://127.0.0.1:65213`` or ``tls://host:65214?ca=…``.

    *insecure* lets a host listen where other machines reach it without encryption and authentication. With *token*,
    ``NAME.SECRET``, a client logs in where the host demands it; better keep it in a file of mode 0600, ``?token=FILE``.
    """

    url: str
    token: str = field(default="", repr=False)
    insecure: bool = False

    async def serve(self, node: Node) -> HostServer:
        """Start serving the objects of *node*."""
        from everywire.remoteobjects.endpoint.serving import HostServer

        address, credential = separated(self.url, self.token)
        if credential:
            raise AddressError(f"{address}: a token is for who connects; a host demands logins by Node(tokens=…)")
        server = HostServer(node, insecure=self.insecure)
        try:
            await server.listen(address)
        except BaseException:
            await server.close()
            raise
        return server

    def blocking(self, replica: PumpedReplica, limits: Limits, *, patient: bool) -> BlockingSession | None:
        """Return what links *replica* without a loop; None where only a loop can: on this transport, or this system."""
        from everywire.remoteobjects.endpoint.blocking import BlockingSession
        from everywire.transport.blocking import AVAILABLE

        address, credential = separated(self.url, self.token)
        if address.transport == "stdio" or not AVAILABLE:
            return None
        return BlockingSession(address, credential, replica, limits, patient=patient)

    async def open(self, node: Node) -> ReplicaSession:
        """Connect to the host, and log in where it demands that."""
        from everywire.remoteobjects.endpoint.replicas import ReplicaSession

        address, credential = separated(self.url, self.token)
        session = ReplicaSession(node, credential)
        await session.open(address)
        return session
