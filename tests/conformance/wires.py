"""The table of wires: where a host listens on each and how it is reached. A new wire adds one line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from everywire import Limits, Node, Object, connect

QUICK: Final = Limits(drain=0.0)
"""A closing node of the suite does not wait for slots that hold."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire: `listen` is a URL in which {folder}, {cert} and {ca} are replaced; `dial` is added to its address."""

    name: str
    listen: str
    dial: str = ""
    between_processes: bool = True
    caller: str = "qtro"
    """What a slot hears of the wire on which it is called."""


WIRES: Final = (
    Wire("memory", "memory:{folder}/plant", between_processes=False, caller="memory"),
    Wire("local", "local:{folder}/plant"),
    Wire("localabstract", "localabstract:{folder}/plant"),
    Wire("tcp", "tcp://127.0.0.1:0"),
    Wire("tls", "tls://127.0.0.1:0?cert={cert}", "?ca={ca}"),
    Wire("http", "http://127.0.0.1:0", caller="http"),
    Wire("https", "https://127.0.0.1:0?cert={cert}", "?ca={ca}", caller="http"),
    Wire("http_local", "http+local:{folder}/plant", caller="http"),
)


class Place:
    """One address on one wire, kept over restarts of its host."""

    def __init__(self, wire: Wire, folder: Path, certificate: Path, authority: Path) -> None:
        self.wire = wire
        names = {"folder": folder, "cert": certificate, "ca": authority}
        self.listen = wire.listen.format(**names)
        self.url = ""
        self._dial = wire.dial.format(**names)

    async def serve(self, node: Node) -> None:
        """Serve *node* here; from then on `url` leads to it."""
        (address,) = await node.serve(self.listen)
        self.moved(address)

    def moved(self, address: str) -> None:
        """Take down where a host listens: it keeps its port when it is started again."""
        settings = self.listen.partition("?")[2]
        self.listen = f"{address}?{settings}" if settings else address
        self.url = address + self._dial

    @asynccontextmanager
    async def hosting(self, *, limits: Limits = QUICK, **objects: Object) -> AsyncIterator[Node]:
        """Serve *objects* by their names for the time of the block."""
        async with Node(limits=limits) as node:
            for name, source in objects.items():
                node.publish(source, name)
            await self.serve(node)
            yield node

    def connect(
        self, name: str, cls: type[Object] | None = None, *, timeout: float | None = 5.0, limits: Limits = QUICK
    ) -> AbstractAsyncContextManager[Any]:
        """Connect to the object *name*; typed Any, because tests do what a type checker would refuse."""
        return connect(self.url, name, cls, timeout=timeout, limits=limits)
