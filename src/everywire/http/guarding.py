"""Which web pages may use us: rules for Host and Origin, and what allowed origins are told (CORS). Decides only.

A browser sends requests to this machine for any page that it shows. What stops those pages is that the name in Host
must be ours (else an attacker's name that resolves to us would do: DNS rebinding), and that Origin, when there is one,
is ours or was allowed. Both hold for every method, event stream and WebSocket.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from everywire.errors import AddressError, Code
from everywire.http.exchange import Exchange, bad_request
from everywire.http.problems import Header, Problem
from everywire.transport.address import is_loopback, unmapped

_HOST: Final = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9_.-]{1,253}))(?::(?P<port>[0-9]{1,5}))?"
)
_ORIGIN: Final = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@]+)", re.IGNORECASE)
_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
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
        self._names = {_name(host) for host in hosts}
        self._origins = frozenset(_origin(origin) for origin in origins)
        self._unix = bound is None
        self._wildcard = bound is not None and _is_wildcard(bound)
        if bound and not self._wildcard:
            self._names.add(_name(bound))
        if self._wildcard or (bound and (is_loopback(bound) or bound == "localhost")):
            self._names |= {"localhost", "127.0.0.1", "::1"}
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
        if not (self._unix or name in self._names or (self._wildcard and _is_literal(name))):
            detail = f"this server is not {name}; if it is, name it: host={name} in the URL it is served on"
            raise Problem(421, detail, Code.PERMISSION_DENIED)
        if len(self._known) < MOST_KNOWN:
            self._known.add(header)

    def _check_origin(self, exchange: Exchange, origin: str, host: str) -> None:
        try:
            asked = _origin(origin)
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


def host_name(header: str) -> str | None:
    """Return the host that a Host header names, as names are compared; None when it names none."""
    match = _HOST.fullmatch(header)
    if match is None or (match["port"] and not 0 < int(match["port"]) < 1 << 16):
        return None
    try:
        return _name(match["six"] or match["name"])
    except AddressError:
        return None


def _name(host: str) -> str:
    """Return *host* as it is compared: lower case, without the root's dot, addresses in their one form."""
    text = host.strip("[]").lower().removesuffix(".")
    if not text:
        raise AddressError(f"{host!r} names no host")
    try:
        return str(ipaddress.ip_address(unmapped(text)))
    except ValueError:
        if ":" in text:
            raise AddressError(f"{host!r} names no host; leave the port out") from None
        return text


def _origin(text: str) -> str:
    """Return an origin as it is compared: ``http://host:port``; raise AddressError."""
    match = _ORIGIN.fullmatch(text.rstrip("/"))
    name = None if match is None else host_name(match["host"])
    if match is None or name is None:
        raise AddressError(f"{text!r} is no origin; one looks like https://panel.example:8443")
    port = _HOST.fullmatch(match["host"])
    scheme = match["scheme"].lower()
    return f"{scheme}://{name}:{(port and port['port']) or _PORTS[scheme]}"


def _own_origin(exchange: Exchange, host: str) -> str:
    scheme = "https" if exchange.encrypted else "http"
    try:
        return _origin(f"{scheme}://{host}")
    except AddressError:
        return "none"


def _is_literal(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_wildcard(host: str) -> bool:
    try:
        return not host or ipaddress.ip_address(unmapped(host)).is_unspecified
    except ValueError:
        return False
