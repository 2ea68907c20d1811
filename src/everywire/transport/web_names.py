"""Names of hosts and origins as HTTP and WebSocket peers send them, and which of them are ours. Decides nothing else.

A browser sends requests to this machine for any page that it shows. What stops those pages is that the name in the
header Host must be ours (else an attacker's name that resolves to us would do: DNS rebinding), and that Origin, which
only browsers send, was allowed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from everywire.errors import AddressError
from everywire.transport.address import is_loopback, unmapped

_HOST: Final = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9_.-]{1,253}))(?::(?P<port>[0-9]{1,5}))?"
)
_ORIGIN: Final = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@]+)", re.IGNORECASE)
_PORTS: Final = {"http": 80, "https": 443}


class OwnNames:
    """The names under which a listener is reached.

    *hosts* are those besides the address it listens at. *bound* is the host that it listens at: None for a Unix socket,
    where any name will do, and empty, ``0.0.0.0`` or ``::`` for every interface, where every literal address is ours.
    """

    def __init__(self, hosts: Iterable[str] = (), bound: str | None = "") -> None:
        self._names = {compared(host) for host in hosts}
        self._any = bound is None
        self._literals = bound is not None and _is_wildcard(bound)
        if bound and not self._literals:
            self._names.add(compared(bound))
        if self._literals or (bound and (is_loopback(bound) or bound == "localhost")):
            self._names |= {"localhost", "127.0.0.1", "::1"}

    def __contains__(self, name: object) -> bool:
        return self._any or name in self._names or (self._literals and isinstance(name, str) and _is_literal(name))


def host_name(header: str) -> str | None:
    """Return the host that a Host header names, as names are compared; None when it names none."""
    match = _HOST.fullmatch(header)
    if match is None or (match["port"] and not 0 < int(match["port"]) < 1 << 16):
        return None
    try:
        return compared(match["six"] or match["name"])
    except AddressError:
        return None


def compared(host: str) -> str:
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


def origin_of(text: str) -> str:
    """Return an origin as it is compared: ``http://host:port``; raise AddressError."""
    match = _ORIGIN.fullmatch(text.rstrip("/"))
    name = None if match is None else host_name(match["host"])
    if match is None or name is None:
        raise AddressError(f"{text!r} is no origin; one looks like https://panel.example:8443")
    port = _HOST.fullmatch(match["host"])
    scheme = match["scheme"].lower()
    return f"{scheme}://{name}:{(port and port['port']) or _PORTS[scheme]}"


def listed(text: str) -> tuple[str, ...]:
    """Return the values of a setting that takes several, with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


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
