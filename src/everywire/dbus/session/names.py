"""Names on a bus (D-Bus Specification, "Message Bus Names"): what a bus answers to who wants one."""

from __future__ import annotations

import enum

ALLOW_REPLACEMENT = 1
REPLACE_EXISTING = 2
DO_NOT_QUEUE = 4


class NameReply(enum.IntEnum):
    """What became of a request for a name."""

    PRIMARY_OWNER = 1
    """It is ours."""
    IN_QUEUE = 2
    """It is somebody else's; ours when everybody before us has given it back."""
    EXISTS = 3
    """It is somebody else's, and we did not want to queue."""
    ALREADY_OWNER = 4
    """It was ours before."""

    @property
    def owned(self) -> bool:
        """Whether the name is ours now."""
        return self in (NameReply.PRIMARY_OWNER, NameReply.ALREADY_OWNER)


def name_flags(*, replace: bool, allow_replacement: bool, queue: bool) -> int:
    """Return the flags of RequestName."""
    return (
        (REPLACE_EXISTING if replace else 0)
        | (ALLOW_REPLACEMENT if allow_replacement else 0)
        | (0 if queue else DO_NOT_QUEUE)
    )
