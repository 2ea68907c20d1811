"""`Limits`: every bound of a node on one page, with the reason for its default. Enforced elsewhere, counted here."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


class SlowPeer(enum.Enum):
    """What happens to a link whose peer does not read and whose hard limit is reached."""

    DROP_OLDEST = "drop oldest"
    """The oldest waiting signals are dropped and counted; the replica is told how many."""

    DISCONNECT = "disconnect"
    """The link is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every bound of a node or connection; sizes in bytes, times in seconds.

    The defaults follow NATS, gRPC, D-Bus and sshd where those agree.
    """

    frame_before_authentication: int = 16 * KIB
    frame: int = 4 * MIB
    unsent_soft: int = 1 * MIB
    """Above it properties conflate and the link is not read."""
    unsent_hard: int = 16 * MIB
    write_deadline: float = 10.0
    slow_peer: SlowPeer = SlowPeer.DROP_OLDEST
    handshake: float = 10.0
    connections: int = 1024
    connections_per_user: int = 256
    connections_per_address: int = 64
    strangers: int = 64
    """Links that have not begun to log in a second after they came, where a login is demanded; the oldest are cut."""
    pending_calls: int = 128
    """Running slots of one link; above it the link is not read."""
    objects_per_link: int = 512
    children: int = 1024
    """Child objects of one object, all the way down: of ours that is published, and of a host's that we use."""
    depth: int = 64
    calls_per_second: float | None = 1000.0
    """Of one remote peer; links on this machine have no rate limit."""
    calls_burst: int = 2000
    drain: float = 10.0
    """How long a closing node lets running slots finish."""


MOST_NESTED = 16
"""Objects one inside the other: each level makes names longer, and code that follows them goes deeper."""


class Refusals(Counter[str]):
    """How often each limit or check refused something, by its name."""


DEFAULT_LIMITS = Limits()
