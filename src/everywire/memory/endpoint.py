"""`Memory`: the settings of the memory wire, and how a node serves and opens it."""

from __future__ import annotations

from dataclasses import dataclass

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
