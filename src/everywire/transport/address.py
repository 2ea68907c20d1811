"""Addresses as text: `[wire+]transport:rest[?settings]`, parsed and written back; nothing is resolved or opened here.

`local:NAME`, `localabstract:NAME`, `memory:NAME` name a meeting point on this machine, `tcp://HOST:PORT`,
`tls://HOST:PORT`, `ws://HOST:PORT/PATH` and `wss://…` one on a network, `stdio:` is this process's own standard input
and output.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote

from everywire.errors import AddressError

SETTINGS: Final[Mapping[str, frozenset[str]]] = MappingProxyType({
    "local": frozenset(),
    "localabstract": frozenset(),
    "tcp": frozenset(),
    "tls": frozenset({"cert", "key", "ca"}),
    "ws": frozenset({"host", "origin"}),
    "wss": frozenset({"cert", "key", "ca", "host", "origin"}),
    "stdio": frozenset(),
    "memory": frozenset(),
})  # fmt: skip
"""The transports and the settings each of them knows."""

LOOKS: Final = (
    "an address looks like local:NAME, localabstract:NAME, tcp://HOST:PORT, tls://HOST:PORT?ca=FILE, "
    "ws://HOST:PORT/PATH, stdio: or memory:NAME, with WIRE+ before it to choose a protocol"
)
_SHAPE: Final = re.compile(
    r"(?:(?P<wire>[a-z][a-z0-9.]*)\+)?(?P<transport>[a-z][a-z0-9]*):(?P<rest>[^?]*)(?P<settings>\?.*)?", re.DOTALL
)
_HOST_AND_PORT: Final = re.compile(r"//(?:\[(?P<six>[^\[\]/@]*)\]|(?P<host>[^:\[\]/@]*)):(?P<port>[0-9]{1,5})")
_WEB_PLACE: Final = re.compile(
    r"//(?:\[(?P<six>[^\[\]/@]*)\]|(?P<host>[^:\[\]/@]*))(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!\"$-~]*)?"
)
_WEB_PORTS: Final[Mapping[str, int]] = MappingProxyType({"ws": 80, "wss": 443})
TLS: Final = frozenset({"tls", "wss"})
"""The transports that speak TLS."""
_NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address; `str()` gives the text back.

    `rest` is everything between the transport's colon and the question mark, so `//host:port` over TCP and TLS.
    """

    wire: str | None
    transport: str
    rest: str
    settings: Mapping[str, str] = field(default_factory=lambda: _NO_SETTINGS, hash=False)

    def __str__(self) -> str:
        wire = f"{self.wire}+" if self.wire else ""
        pairs = "&".join(f"{name}={quote(value, safe='/:@,~+')}" for name, value in self.settings.items())
        return f"{wire}{self.transport}:{self.rest}{'?' if pairs else ''}{pairs}"

    @property
    def host(self) -> str:
        """The host of a tcp, tls, ws or wss address, without brackets; empty means every interface."""
        return self._host_and_port()[0]

    @property
    def port(self) -> int:
        """The port of a tcp, tls, ws or wss address; 0 lets the system choose when listening."""
        return self._host_and_port()[1]

    @property
    def path(self) -> str:
        """The path of a ws or wss address, ``/`` without one."""
        match = _WEB_PLACE.fullmatch(self.rest)
        return (match and match["path"]) or "/"

    def at(self, host: str, port: int) -> Address:
        """The same wire and transport at a real host and port, without settings: what a peer may dial."""
        path = self.path if self.transport in _WEB_PORTS else "/"
        return replace(self, rest=f"//{bracketed(host)}:{port}{'' if path == '/' else path}", settings=_NO_SETTINGS)

    def _host_and_port(self) -> tuple[str, int]:
        default = _WEB_PORTS.get(self.transport)
        match = (_HOST_AND_PORT if default is None else _WEB_PLACE).fullmatch(self.rest)
        if match is None or int(match["port"] or default or 0) > 0xFFFF:
            advice = "; an IPv6 address needs brackets: [::1]" if self.rest.count(":") > 1 else ""
            raise AddressError(
                f"{str(self)!r} needs a host and a port, as in {self.transport}://127.0.0.1:65213{advice}"
            )
        host = match["six"] if match["host"] is None else match["host"]
        return host, int(match["port"] or default or 0)


def bracketed(host: str) -> str:
    """The host as it stands before a colon and a port."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """True only for a literal address that no other machine can reach, also when it is mapped into IPv6."""
    try:
        return ipaddress.ip_address(unmapped(host)).is_loopback
    except ValueError:
        return False


def unmapped(host: str) -> str:
    """The IPv4 address within ::ffff:0:0/96 (RFC 4291 section 2.5.5.2); anything else as it is."""
    try:
        mapped = ipaddress.IPv6Address(host).ipv4_mapped
    except ValueError:
        return host
    return host if mapped is None else str(mapped)


def parse_address(text: str, *, settings: Collection[str] = ()) -> Address:
    """Read an address; AddressError says what is wrong and what an address looks like.

    `settings` are names that the caller's wire knows beside those of the transport.
    """
    match = _SHAPE.fullmatch(text)
    if match is None or match["transport"] not in SETTINGS:
        foreign = text.startswith(("http:", "https:", "dbus:"))
        raise AddressError(f"{text!r} {'belongs to another wire' if foreign else 'is not an address'}: {LOOKS}")
    address = Address(match["wire"], match["transport"], match["rest"], _parse_settings(text, match["settings"] or ""))
    _check_settings(text, address, SETTINGS[address.transport].union(settings))
    _check_rest(text, address)
    return address


def _parse_settings(text: str, query: str) -> Mapping[str, str]:
    pairs: dict[str, str] = {}
    for part in query[1:].split("&") if len(query) > 1 else ():
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise AddressError(f"{text!r}: settings look like ?name=value&name=value, not {part!r}")
        if name in pairs:
            raise AddressError(f"{text!r}: {name} is given twice")
        pairs[name] = unquote(value)
    return MappingProxyType(pairs) if pairs else _NO_SETTINGS


def _check_settings(text: str, address: Address, known: Collection[str]) -> None:
    unknown = sorted(set(address.settings).difference(known))
    if unknown:
        choice = f"it knows {', '.join(sorted(known))}" if known else "it has none"
        raise AddressError(f"{text!r}: {address.transport} does not know the setting {', '.join(unknown)}; {choice}")


def _check_rest(text: str, address: Address) -> None:
    if address.transport in ("tcp", *TLS, *_WEB_PORTS):
        _ = address.port
    elif address.transport == "stdio":
        if address.rest:
            raise AddressError(f"{text!r}: stdio is this process's own input and output and has no name; write stdio:")
    elif address.transport == "local" and address.rest.startswith("//") and not address.rest.startswith("///"):
        name = text.replace("//", "", 1)
        raise AddressError(f"{text!r}: a local name is no host and has no slashes before it; write {name}")
    elif not address.rest or "\0" in address.rest:
        raise AddressError(f"{text!r} needs a name without NUL, as in {address.transport}:climate")
