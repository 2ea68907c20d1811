"""When a lost link tries again: soon on this machine, after growing and scattered pauses towards others."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

from everywire.errors import Code, Fault, TokenError
from everywire.transport.address import is_loopback

NEAR: Final = 0.1
"""Seconds between attempts on this machine, and the first pause towards other hosts."""
FAR: Final = 5.0
"""Longest pause towards other hosts."""
LOCKED_OUT: Final = 10.0
"""Seconds between attempts while the host refuses our login: it mends only when somebody changes something."""

_HOST: Final = re.compile(r"//(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:/?#]*))")


def is_locked_out(error: BaseException | None) -> bool:
    """Return whether *error* says that we were not let in: no token, a wrong one, or too many of those."""
    if isinstance(error, Fault):
        return error.code in (Code.UNAUTHENTICATED, Code.RESOURCE_EXHAUSTED)
    return isinstance(error, TokenError)


def is_near(url: str) -> bool:
    """Return whether *url* leads to this machine."""
    scheme, _, rest = url.partition(":")
    if scheme.rpartition("+")[2] in {"local", "localabstract", "memory", "stdio"}:
        return True
    if scheme == "dbus":  # a bus is known by its name, or by its address
        return not rest.startswith("tcp:") or "host=127." in rest or "host=localhost" in rest
    found = _HOST.match(rest)
    host = "" if found is None else found["six"] or found["name"]
    return host.lower() == "localhost" or is_loopback(host)


def pause(
    failures: int,
    *,
    near: bool,
    first: float = NEAR,
    longest: float = FAR,
    scatter: Callable[[float, float], float] = random.uniform,  # jitter, not a secret
) -> float:
    """Return the seconds to wait after so many *failures* in a row."""
    if near or failures <= 1:
        return first
    return scatter(0, min(longest, first * 2.0 ** min(failures - 1, 10)))
