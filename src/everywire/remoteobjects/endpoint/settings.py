"""`RemoteObjects`: the settings of the wire, and how a node serves and opens it."""

from __future__ import annotations

from dataclasses import dataclass

from everywire.remoteobjects.endpoint.replicas import ReplicaSession
from everywire.remoteobjects.endpoint.serving import HostServer
from everywire.runtime.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteObjects:
    """Qt Remote Objects at a URL such as ``local:climate``, ``tcp://127.0.0.1:65213`` or ``tls://host:65214?ca=…``.

    *insecure* lets a host listen where other machines reach it without encryption and authentication.
    """

    url: str
    insecure: bool = False

    async def serve(self, node: Node) -> HostServer:
        """Start serving the objects of *node*."""
        server = HostServer(node, insecure=self.insecure)
        try:
            await server.listen(self.url)
        except BaseException:
            await server.close()
            raise
        return server

    async def open(self, node: Node) -> ReplicaSession:
        """Connect to the host."""
        session = ReplicaSession(node)
        await session.open(self.url)
        return session
