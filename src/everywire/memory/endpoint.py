"""`Memory`: the settings of the memory wire, and how a node serves and opens it."""

from __future__ import annotations

from dataclasses import dataclass

from everywire.errors import LinkError
from everywire.memory.session import MemoryServer, NodeSession, find_server
from everywire.runtime.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Objects of this process at a URL such as ``memory:plant``; for tests, and for parts that may move apart later."""

    url: str

    async def serve(self, node: Node) -> MemoryServer:
        """Start serving the objects of *node*."""
        return MemoryServer(node, self.url)

    async def open(self, node: Node) -> NodeSession:
        """Connect to the node in this process that serves the URL."""
        del node
        return NodeSession(find_server(self.url))


@dataclass(frozen=True, slots=True)
class Within:
    """The objects of *source*, a node of this loop, for `connect(node, …)`: the same gate, and no address."""

    source: Node
    url: str = "memory:"

    async def serve(self, node: Node) -> MemoryServer:
        """Let those connect who hold *node*."""
        return MemoryServer(node)

    async def open(self, node: Node) -> NodeSession:
        """Connect to the node; LinkError when it does not run, or in another loop."""
        del node
        if not self.source.running_here:
            raise LinkError("that node does not run in this loop: connect inside 'async with Node() as node:'")
        if (server := self._server()) is None:
            await self.source.serve(self)
            server = self._server()
        if server is None:
            raise LinkError("that node is closed")
        return NodeSession(server)

    def _server(self) -> MemoryServer | None:
        servers = (server for server in self.source.servers if isinstance(server, MemoryServer))
        return next((server for server in servers if not server.url), None)
