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
    """A frame, message or head of whoever has not logged in or sees nothing; a larger one cuts the link."""
    frame: int = 4 * MIB
    """A frame, message or body; a larger one cuts the link as soon as it is declared. It is never reserved."""
    unsent_soft: int = 1 * MIB
    """Bytes that a link's peer has not taken; above it properties conflate and the link is not read."""
    unsent_hard: int = 16 * MIB
    """The same at the most, then `slow_peer` decides; a call of ours is refused. Answers wait for the peer to read."""
    write_deadline: float = 10.0
    """How long a peer may take nothing before `SlowPeer.DISCONNECT` cuts it; over HTTP always."""
    slow_peer: SlowPeer = SlowPeer.DROP_OLDEST
    """What happens at `unsent_hard`: the oldest signals are dropped and counted, or the link is cut."""
    handshake: float = 10.0
    """For connecting, for the other end's first words, and for a login from its beginning to its end."""
    connections: int = 1024
    """Of one listener; the oldest link that has attached to nothing makes room for one more, else that is refused."""
    connections_per_user: int = 256
    """Of one user of this machine, by the kernel's word."""
    connections_per_address: int = 64
    """Of one address of another machine."""
    strangers: int = 64
    """Links that have not begun to log in a second after they came, where a login is demanded; the oldest are cut."""
    pending_calls: int = 128
    """Running slots of one link; above it the link is not read. As many streams may be open besides."""
    objects_per_link: int = 512
    """Objects that one link uses; more are not given."""
    children: int = 1024
    """Child objects of one object, all the way down: of ours that is published, and of a host's that we use."""
    depth: int = 64
    """Values inside of values over HTTP; a deeper one is refused before it is followed. On other wires it is 64."""
    calls_per_second: float | None = 1000.0
    """Of one remote peer; beyond it the link is not read for a while. Links on this machine have no rate limit."""
    calls_burst: int = 2000
    """Calls that a remote peer may make at once after a pause."""
    drain: float = 10.0
    """How long a closing node lets running slots finish."""


MOST_NESTED = 16
"""Objects one inside the other: each level makes names longer, and code that follows them goes deeper."""


class Refusals(Counter[str]):
    """How often each limit or check refused something, by its name."""


DEFAULT_LIMITS = Limits()
