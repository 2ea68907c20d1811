"""`HttpHost`: the objects of a node on HTTP, for one server or one mounted application. Knows no requests."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from everywire.errors import ModelError
from everywire.http.guarding import Rules
from everywire.http.wire import HttpObject
from everywire.runtime.hosted import refuse_handles
from everywire.runtime.node import Node, Publication
from everywire.runtime.outbox import Turn
from everywire.runtime.repeats import Repeats
from everywire.runtime.requests import Requests


class Listens(Protocol):
    """A WebSocket or an event stream."""

    def recheck(self) -> None:
        """Leave when the caller may no longer listen."""
        ...

    def withdrawn(self, hosted: HttpObject) -> None:
        """An object is gone."""
        ...

    def running(self) -> list[asyncio.Task[Any]]:
        """Return the tasks of slots that run for it."""
        ...

    async def close(self) -> None:
        """Send what waits, then end."""
        ...


class HttpHost:
    """What a node knows as its server on HTTP; `url` is empty where somebody else listens."""

    url = ""
    certificates = False
    """Whether clients show certificates."""

    def __init__(self, node: Node, rules: Rules) -> None:
        self.node, self.rules = node, rules
        self.hosted: dict[str, HttpObject] = {}
        self.links: set[Any] = set()
        """Everything that listens: see `Listens`."""
        self.turn = Turn(asyncio.get_running_loop().call_soon)
        self.requests = Requests(node.limits, node.tasks, node.refusals)
        self.repeats = Repeats(node.tasks)
        self.closing = False
        for publication in node.published.values():
            self.added(publication)

    def added(self, publication: Publication) -> None:
        """Show a newly published object."""
        if publication.name in (".", ".."):
            raise ModelError(f"HTTP cannot carry an object called {publication.name!r}: clients drop it from paths")
        refuse_handles(publication.contract, "HTTP")
        self.hosted[publication.name] = HttpObject(publication)

    def removed(self, publication: Publication) -> None:
        """Take an object back; who listens to it is told."""
        hosted = self.hosted.pop(publication.name, None)
        if hosted is None:
            return
        hosted.close()
        for link in tuple(self.links):
            link.withdrawn(hosted)

    def recheck(self) -> None:
        """Look again at everybody's login, and at what each may see."""
        for link in tuple(self.links):
            link.recheck()

    def running(self) -> list[asyncio.Task[Any]]:
        """Return the tasks of slots that run for remote callers."""
        return [*self.requests.running(), *(task for link in self.links for task in link.running())]

    async def stop_accepting(self) -> None:
        """Take no new requests."""
        self.closing = True

    async def close(self) -> None:
        """Answer who waits, and end what listens."""
        self.closing = True
        self.requests.close()
        if self.links:
            await asyncio.gather(*(link.close() for link in tuple(self.links)))
        for hosted in self.hosted.values():
            hosted.close()

    # What listeners call.

    def listening(self, link: Any) -> None:
        """Remember *link*."""
        self.links.add(link)
