"""One request and its answer on ASGI: headers read once, an answer sent once. Knows no objects and no rules."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from everywire.errors import Code
from everywire.http.problems import MEDIA, Header, Problem
from everywire.model import Caller
from everywire.runtime.tokens import Login
from everywire.transport import Peer

log: Final = logging.getLogger("everywire.http")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PLACE: Final = "everywire.exchange"
"""Where a scope keeps its exchange on the way through the router."""

_READ: Final = frozenset({
    b"accept", b"access-control-request-method", b"authorization", b"content-length", b"content-type", b"forwarded",
    b"host", b"idempotency-key", b"origin", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto",
    b"x-real-ip",
})  # fmt: skip
_ONCE: Final = frozenset({
    b"authorization", b"content-length", b"content-type", b"host", b"idempotency-key", b"origin",
})  # fmt: skip

# Nothing here is for caches, frames of foreign pages, or readers that guess types. A page has its own policy.
SAFETY: Final[tuple[Header, ...]] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
LOCKED: Final[Header] = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
JSON: Final = b"application/json"


class Line(msgspec.Struct):
    """What our own server knows of the connection on which a request came."""

    peer: Peer
    abort: Callable[[], None]
    """Cuts the connection."""
    patient: bool = False
    """Whether an answer may wait for its reader for ever: it is bounded in another way."""


class Answer(msgspec.Struct, frozen=True):
    """A whole answer."""

    body: bytes = b""
    status: int = 200
    media: bytes = JSON
    headers: tuple[Header, ...] = ()


class Gone(Exception):
    """The client left before it could be answered."""


class Exchange:
    """A request: `headers` has those that matter; who asks, `caller`, and by which `login`, once that is known."""

    __slots__ = ("caller", "extra", "headers", "line", "login", "receive", "scope", "send", "started", "twice")

    caller: Caller
    login: Login

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.headers: dict[bytes, bytes] = {}
        self.twice: bytes | None = None
        """A header that came twice although it has one value."""
        self.extra: tuple[Header, ...] = ()
        """Headers of every answer to this request."""
        self.started = False
        extensions: Mapping[str, Any] = scope.get("extensions") or {}
        line = extensions.get("everywire")
        self.line: Line | None = line if isinstance(line, Line) else None
        for name, value in scope["headers"]:
            if name in _READ:
                if name in self.headers and name in _ONCE:
                    self.twice = name
                self.headers[name] = value

    @property
    def websocket(self) -> bool:
        """Whether the client wants a WebSocket."""
        return bool(self.scope["type"] == "websocket")

    @property
    def encrypted(self) -> bool:
        """Whether nobody between us and the client can read along."""
        return self.scope.get("scheme") in ("https", "wss")

    @property
    def root(self) -> str:
        """The path under which our own paths begin, encoded as in a URL."""
        return quote(str(self.scope.get("root_path", "")).rstrip("/"), safe="/")

    def text(self, name: bytes) -> str:
        """Return a header; an empty text when there is none."""
        return self.headers.get(name, b"").decode("latin-1")

    def accepts(self, media: bytes) -> bool:
        """Return whether the client names *media* as what it wants."""
        return media in self.headers.get(b"accept", b"").lower()

    async def start(self, status: int, media: bytes | None, headers: tuple[Header, ...] = ()) -> None:
        """Send the head of an answer."""
        self.started = True
        typed = () if media is None else ((b"content-type", media),)
        await self.send({
            "type": "http.response.start",
            "status": status,
            "headers": [*typed, *headers, *SAFETY, *self.extra],
        })  # fmt: skip

    async def answer(self, answer: Answer) -> None:
        """Send a whole answer."""
        body, status = answer.body, answer.status
        empty = status in (204, 304)
        own: tuple[Header, ...] = answer.headers
        if not empty:
            own = (*own, (b"content-length", b"%d" % len(body)))
            if not any(name == LOCKED[0] for name, _ in answer.headers):
                own = (*own, LOCKED)
        await self.start(status, None if empty else answer.media, own)
        await self.send({"type": "http.response.body", "body": body})

    async def refuse(self, problem: Problem) -> None:
        """Send a problem, in place of an answer or of a WebSocket."""
        if self.started:
            log.error("a request failed after its answer had begun: %s", problem.detail)
            return
        if self.websocket:
            await self._reject(problem)
            return
        await self.answer(Answer(problem.body(), problem.status, MEDIA, problem.headers))

    async def _reject(self, problem: Problem) -> None:
        if "websocket.http.response" not in (self.scope.get("extensions") or {}):
            await self.send({"type": "websocket.close", "code": 1008, "reason": problem.detail[:120]})
            return
        body = problem.body()
        headers = [(b"content-type", MEDIA), (b"content-length", b"%d" % len(body)), *problem.headers, *SAFETY]
        await self.send({"type": "websocket.http.response.start", "status": problem.status, "headers": headers})
        await self.send({"type": "websocket.http.response.body", "body": body})


def bad_request(detail: str) -> Problem:
    """Return the problem of a request that makes no sense."""
    return Problem(400, detail, Code.INVALID_ARGUMENT)
