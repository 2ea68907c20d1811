"""The table of wires: where a host listens on each and how it is reached. A new wire adds one line."""

from __future__ import annotations

import itertools
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
    """One wire: `listen` is a URL in which {folder}, {cert}, {ca}, {bus} and {name} are replaced.

    `dial` is added to the address that a host then has.
    """

    name: str
    listen: str
    dial: str = ""
    between_processes: bool = True
    caller: str = "qtro"
    """What a slot hears of the wire on which it is called."""
    carries_nul: bool = True
    """Whether a text may hold NUL; where it may not, the suite leaves such samples out."""
    relayed: bool = False
    """Whether something between host and replica keeps what a replica does not read, and no end learns of that."""

    @property
    def carries_children(self) -> bool:
        """Whether an object may have child objects."""
        return self.caller in ("memory", "qtro")

    def carried(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return those of *values* that the wire carries."""
        return values if self.carries_nul else tuple(value for value in values if not holds_nul(value))


def holds_nul(value: Any) -> bool:
    """Whether there is a text with NUL in a value."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(holds_nul, (*value, *value.values())))
    return isinstance(value, (list, tuple)) and any(map(holds_nul, value))


WIRES: Final = (
    Wire("memory", "memory:{folder}/plant", between_processes=False, caller="memory"),
    Wire("local", "local:{folder}/plant"),
    Wire("local_qt5", "local:{folder}/plant?protocol=1.3"),
    Wire("localabstract", "localabstract:{folder}/plant"),
    Wire("tcp", "tcp://127.0.0.1:0"),
    Wire("tls", "tls://127.0.0.1:0?cert={cert}", "?ca={ca}"),
    Wire("registry", "registry+local:{folder}/plant"),
    Wire("ws", "qtro+ws://127.0.0.1:0"),
    Wire("http", "http://127.0.0.1:0", caller="http"),
    Wire("https", "https://127.0.0.1:0?cert={cert}", "?ca={ca}", caller="http"),
    Wire("http_local", "http+local:{folder}/plant", caller="http"),
    Wire("dbus", "dbus:{bus}?service=org.acme.{name}", caller="dbus", carries_nul=False, relayed=True),
    Wire("dbus_local", "dbus+local:{folder}/plant", caller="dbus", carries_nul=False),
)

_NUMBERS: Final = itertools.count(1)


class Place:
    """One address on one wire, kept over restarts of its host."""

    def __init__(self, wire: Wire, folder: Path, certificate: Path, authority: Path, bus: str = "") -> None:
        self.wire = wire
        name = f"Place{next(_NUMBERS)}"
        names = {"folder": folder, "cert": certificate, "ca": authority, "bus": bus, "name": name}
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
        self.listen = f"{address}?{settings}" if settings and "?" not in address else address
        self.url = address + self._dial

    def attached(self, node: Node) -> bool:
        """Whether a replica has attached to an object of *node*."""
        (server,) = node._servers
        server = getattr(server, "server", server)  # of a registry, whose own links are not meant
        if self.wire.caller == "dbus":  # where a peer hears of all objects before it attaches to one
            return any(any(link.attached.values()) for link in server.links())  # type: ignore[attr-defined]
        hosts = [hosted for name, hosted in server.hosted.items() if name != "Registry"]  # type: ignore[attr-defined]
        return any(hosted.links for hosted in hosts)  # type: ignore[attr-defined]

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
