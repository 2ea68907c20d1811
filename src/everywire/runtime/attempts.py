"""`Attempts`: counts failed logins by where they came from, and refuses more for a while. Derives and logs nothing.

A token's secret has 256 random bits, so nobody guesses one. What the limit saves is the work of refusing: scrypt's
time and memory for each guess on wires that send the secret itself, and lines of the audit trail.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import Final

from everywire.errors import Code, Fault

MOST_FAILURES: Final = 10
"""Failed logins of one address, above which it is refused."""
FORGIVEN_AFTER: Final = 6.0
"""Seconds after which one failure is forgotten; so an address is let try again after as many."""
MOST_ADDRESSES: Final = 4096
"""Addresses that are remembered; beyond, the one that failed longest ago is forgotten."""


class Attempts:
    """Failed logins by address: a bucket that leaks for each."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, tuple[float, float]] = {}
        """Where from -> how many, and when that was true; the latest failure is the last entry."""

    def __len__(self) -> int:
        return len(self._failures)

    def check(self, address: str) -> None:
        """Raise Fault(RESOURCE_EXHAUSTED) when too many logins from *address* (``host:port``) have failed lately."""
        if self._level(origin_of(address)) > MOST_FAILURES - 1:
            raise Fault(
                Code.RESOURCE_EXHAUSTED,
                "too many logins from this address have failed: wait a minute, then check the token",
                may_have_run=False,
            )

    def failed(self, address: str) -> None:
        """Count a failed login from *address*."""
        origin = origin_of(address)
        level = self._level(origin) + 1.0
        self._failures.pop(origin, None)
        if len(self._failures) >= MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]
        self._failures[origin] = level, self._clock()

    def _level(self, origin: str) -> float:
        count, then = self._failures.get(origin, (0.0, 0.0))
        return max(0.0, count - (self._clock() - then) / FORGIVEN_AFTER)


def origin_of(address: str) -> str:
    """Return what of ``host:port`` one attacker has: an IPv4 address, or the /64 network of an IPv6 one (RFC 6177)."""
    host = address.rpartition(":")[0].strip("[]") or address
    try:
        six = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(ipaddress.IPv6Network((six.packed, 64), strict=False))
