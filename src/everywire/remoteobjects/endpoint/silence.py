"""When a host has a reason to answer no heartbeat, so that its silence does not count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from everywire.model.contract import DEFAULT_TIMEOUT
from everywire.runtime.channel import GRACE
from everywire.runtime.limits import Limits

USUAL: Final = DEFAULT_TIMEOUT + GRACE
"""Seconds that a call waits unless its slot says otherwise."""


class Waits(Protocol):
    """A call that waits for its result."""

    @property
    def timeout(self) -> float | None:
        """Seconds that it may wait; None is for ever."""
        ...


def excuses(waiting: Sequence[Waits], limits: Limits, *, extended: bool) -> bool:
    """Return whether the calls that are *waiting* excuse a silent host.

    A host like ours does not read while too many calls of a link run. One of Qt runs slots in the thread that answers:
    where a slot's own timeout says that it may take long, its deadline decides. An *extended* host is everywire.
    """
    if len(waiting) >= limits.pending_calls:
        return True
    return not extended and any(call.timeout is None or call.timeout > USUAL for call in waiting)
