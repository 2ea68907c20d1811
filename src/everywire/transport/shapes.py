"""The shapes every byte transport has: who talks (`Receiver`), over what (`Connection`), with whom (`Peer`).

Not an implementation. A session implements `Receiver` and is given a `Connection`; it cannot tell a socket from a TLS
connection, a pipe or memory. Everything is called in the loop's thread and nothing here waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from everywire.errors import LinkError

DEFAULT_WRITE_LIMIT: Final = 1024 * 1024
"""Unsent bytes above which `Receiver.paused` is called (the soft limit of `Limits`)."""

CLOSE_TIMEOUT: Final = 10.0
"""Seconds a closing connection waits for a peer to take the last bytes; then it is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What the link itself establishes about the other end; no message can claim any of it.

    `address` is `host:port` over TCP and TLS, empty where an end has no name. `uid`, `gid` and `pid` are the kernel's
    word (SO_PEERCRED), taken when the peer connected. `subject` is the subject of the peer's *verified* certificate as
    RFC 4514 text. `loopback` means that the peer runs on this machine.
    """

    transport: str
    address: str = ""
    uid: int | None = None
    gid: int | None = None
    pid: int | None = None
    subject: str | None = None
    loopback: bool = False
    encrypted: bool = False


class Connection(Protocol):
    """One end of a byte stream. All methods return at once and none of them raises for a lost peer."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        ...

    @property
    def unsent(self) -> int:
        """Bytes given to `write` that the kernel has not taken yet."""
        ...

    def write(self, data: bytes, /) -> None:
        """Send `data`, at once when nothing waits before it; silently ignored after loss or `close`.

        `Receiver.paused` may be called from within.
        """
        ...

    def close(self) -> None:
        """Send what is unsent (for at most `CLOSE_TIMEOUT` seconds), then close; `lost` follows."""
        ...

    def abort(self) -> None:
        """Close at once; unsent bytes are dropped and `lost` follows."""
        ...

    def pause_reading(self) -> None:
        """Leave arriving bytes in the kernel, so that the peer is stopped; also an end is not noticed until resumed."""
        ...

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        ...


class HalfOpenConnection(Connection, Protocol):
    """A connection whose two directions can end apart; what `dial` returns, but not needed by protocol sessions."""

    def end(self) -> bool:
        """Tell the peer that nothing more is written; True if this transport can say so (TLS cannot)."""
        ...


class Receiver(Protocol):
    """What a session implements to use a connection.

    A receiver may also have a method `ended() -> None`: then the end of the peer's bytes calls it once and the
    connection stays open for writing until `close`. Without it the end flushes, closes and calls `lost(None)`.
    TLS has no such half-open state: there `ended` is followed by `lost`.
    """

    def connected(self, connection: Connection) -> None:
        """The first call: the connection is up, TLS included."""
        ...

    def received(self, data: bytes) -> None:
        """One chunk of bytes, never empty, cut anywhere."""
        ...

    def paused(self) -> None:
        """Unsent bytes passed the write limit: write no more than must be."""
        ...

    def resumed(self) -> None:
        """Unsent bytes fell to a quarter of the write limit after `paused`."""
        ...

    def lost(self, error: LinkError | None) -> None:
        """The last call, made exactly once; None after an orderly end or one's own `close` or `abort`."""
        ...


class Listener(Protocol):
    """An address at which connections are accepted."""

    @property
    def url(self) -> str:
        """The address a peer can dial: the real port, no settings."""
        ...

    @property
    def refused(self) -> int:
        """How many connections were turned away: limits reached or a failed TLS handshake."""
        ...

    async def close(self) -> None:
        """Stop accepting and give the address back; connections that were accepted stay."""
        ...
