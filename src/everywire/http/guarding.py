"""Which web pages may use us: rules for Host and Origin, and what allowed origins are told (CORS). Decides only.

A browser sends requests to this machine for any page that it shows. What stops those pages is that the name in Host
must be ours (else an attacker's name that resolves to us would do: DNS rebinding), and that Origin, when there is one,
is ours or was allowed. Both hold for every method, event stream and WebSocket.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from everywire.errors import AddressError, Code
from everywire.http.exchange import Exchange, bad_request
from everywire.http.problems import Header, Problem
from everywire.transport.web_names import OwnNames, host_name, origin_of

MOST_KNOWN: Final = 256
"""Host headers that were found good and are not looked at again."""

METHODS: Final = b"GET, HEAD, PUT, POST, OPTIONS"
_PREFLIGHT: Final[tuple[Header, ...]] = (
    (b"access-control-allow-methods", METHODS),
    (b"access-control-allow-headers", b"Accept, Authorization, Content-Type, Idempotency-Key, Last-Event-ID"),
    (b"access-control-allow-private-network", b"true"),
    (b"access-control-max-age", b"600"),
)


class Rules:
    """The rules of one server or mounted application.

    *hosts* are names under which it is reached besides the address it listens at, *origins* the origins of foreign
    pages that may use it. *bound* is the host that it listens at: None for a Unix socket, where any name will do, and
    empty, ``0.0.0.0`` or ``::`` for every interface, where every literal address is ours.
    """

    def __init__(self, *, hosts: Iterable[str] = (), origins: Iterable[str] = (), bound: str | None = "") -> None:
        self._names = OwnNames(hosts, bound)
        self._origins = frozenset(origin_of(origin) for origin in origins)
        self._unix = bound is None
        self._known: set[bytes] = set()

    def check(self, exchange: Exchange) -> None:
        """Raise Problem unless Host and Origin are good; an allowed origin is told so in every answer."""
        host = exchange.headers.get(b"host")
        if exchange.twice is not None:
            raise bad_request(f"the header {exchange.twice.decode()} was given twice")
        if host is None:
            if not self._unix:
                raise bad_request("a request needs the header Host (RFC 9112 section 3.2)")
        elif host not in self._known:
            self._check_host(host)
        origin = exchange.headers.get(b"origin")
        if origin is not None:
            self._check_origin(exchange, origin.decode("latin-1"), (host or b"").decode("latin-1"))

    def preflight(self, exchange: Exchange) -> tuple[Header, ...] | None:
        """Return what answers the question of a browser whether an allowed page may do more than read; else None."""
        if exchange.scope.get("method") != "OPTIONS" or b"access-control-request-method" not in exchange.headers:
            return None
        return _PREFLIGHT if exchange.extra else ()

    def _check_host(self, header: bytes) -> None:
        name = host_name(header.decode("latin-1"))
        if name is None:
            raise bad_request("the header Host names no host")
        if name not in self._names:
            detail = f"this server is not {name}; if it is, name it: host={name} in the URL it is served on"
            raise Problem(421, detail, Code.PERMISSION_DENIED)
        if len(self._known) < MOST_KNOWN:
            self._known.add(header)

    def _check_origin(self, exchange: Exchange, origin: str, host: str) -> None:
        try:
            asked = origin_of(origin)
        except AddressError:
            asked = ""
        if asked and asked == _own_origin(exchange, host):
            return
        if not asked or asked not in self._origins:
            detail = "pages of another origin may not use this server unless it is served with origin=… for them"
            raise Problem(403, detail, Code.PERMISSION_DENIED)
        exchange.extra = (
            *exchange.extra,
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", b"Allow, Retry-After, WWW-Authenticate"),
            (b"vary", b"Origin"),
        )


def _own_origin(exchange: Exchange, host: str) -> str:
    scheme = "https" if exchange.encrypted else "http"
    try:
        return origin_of(f"{scheme}://{host}")
    except AddressError:
        return "none"
