"""Where a registry may send us: which of the URLs that it tells are connected to, and with whose credentials.

Whoever runs a registry chooses where those who ask it connect. So what it tells is believed within bounds: only the
transports of Qt Remote Objects, an address of this machine only from a registry on this machine, and no token,
certificate or authority goes anywhere but where the user's own settings say.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from everywire.errors import AddressError, LinkError
from everywire.remoteobjects.codec.registry import Location
from everywire.transport import Address, parse_address
from everywire.transport.address import is_loopback, unmapped

NETWORK: Final = frozenset({"tcp", "tls", "ws", "wss"})
TRANSPORTS: Final = NETWORK | {"local", "localabstract"}

_ODD_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.IGNORECASE)


class TrustedHost(NamedTuple):
    """A host that a user trusts: what its URL looks like, and the settings to connect with."""

    pattern: re.Pattern[str]
    settings: str


def trusted_hosts(texts: Iterable[str]) -> tuple[TrustedHost, ...]:
    """Read URLs such as ``tls://*.plant.example:*?ca=ca.pem&token=FILE``, where * stands for a part of host or port.

    Raises AddressError for a transport that objects are not found on, or settings that it has not.
    """
    return tuple(map(_trusted, texts))


def place_of(location: Location, registry: Address, trusted: tuple[TrustedHost, ...]) -> str:
    """Return the URL to connect to for *location*, which *registry* told; with *trusted* hosts it must be one of them.

    Raises LinkError, which says why not and what to do.
    """
    address = _told(location, registry)
    if trusted:
        text = str(address)
        host = next((host for host in trusted if host.pattern.fullmatch(text)), None)
        if host is None:
            raise LinkError(f"{registry} says that {location.name} is at {text}, which is none of the trusted hosts")
        return f"{text}?{host.settings}" if host.settings else text
    if leads_here(address) and not leads_here(registry):
        raise LinkError(
            f"{registry} says that {location.name} is at {address}, an address of the registry's machine that leads to "
            "this one from here: have its host advertise another, or name it in hosts= if it is meant so"
        )
    return str(address)


def _told(location: Location, registry: Address) -> Address:
    said = f"{registry} says that {location.name} is at {location.url[:200]!r}"
    try:
        address = parse_address(location.url)
    except AddressError:
        raise LinkError(f"{said}, which is no address of Qt Remote Objects that everywire knows") from None
    if address.transport not in TRANSPORTS or address.wire not in (None, "qtro") or address.settings:
        raise LinkError(f"{said}; only {', '.join(sorted(TRANSPORTS))} are believed, and without settings")
    if not can_be_dialed(address):
        raise LinkError(f"{said}, where one can listen but not connect: have its host advertise its own name")
    return Address(None, address.transport, address.rest)


def can_be_dialed(address: Address) -> bool:
    """Return whether somebody can connect to *address*: it has a port, and its host is not every interface.

    Numbers that are no plain IPv4 address, such as 127.1 and 0x7f000001, are none either: only some resolvers know
    them, and nobody has another reason to write them than to look like something else.
    """
    if address.transport not in NETWORK:
        return True
    try:
        plain = ipaddress.ip_address(unmapped(address.host))
    except ValueError:
        return bool(address.port and address.host) and not _ODD_NUMBER.fullmatch(address.host)
    return bool(address.port) and not plain.is_unspecified


def leads_here(address: Address) -> bool:
    """Return whether *address* means whichever machine it is used on."""
    if address.transport not in NETWORK:
        return True
    name = address.host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or is_loopback(address.host)


def _trusted(text: str) -> TrustedHost:
    place, _, settings = text.removeprefix("qtro+").partition("?")
    transport, colon, rest = place.partition(":")
    if not colon or transport not in TRANSPORTS or not rest:
        raise AddressError(f"{text!r} is no trusted host; one looks like tls://*.plant.example:*?ca=ca.pem")
    example = f"{transport}://host:1" if transport in NETWORK else f"{transport}:name"
    parse_address(f"{example}?{settings}" if settings else example, settings=("token",))
    # In a pattern of a network address * ends with the host or the port; in a path it ends with the directory.
    part, flags = ("[^:/]*", re.IGNORECASE) if transport in NETWORK else ("[^/]*", re.NOFLAG)
    return TrustedHost(re.compile(part.join(map(re.escape, place.split("*"))), flags), settings)
