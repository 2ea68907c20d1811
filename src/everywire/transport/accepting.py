"""`accept`: listeners on every transport, with bounded connections and survival of exhausted descriptors.

What is done with a connection is its receiver's business; who may do what is the gate's.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, final

from everywire.errors import AddressInUse, LinkError, UnsupportedPlatform
from everywire.transport.address import TLS, Address, parse_address
from everywire.transport.failures import refused_certificate
from everywire.transport.linking import Handshake, link_socket, websockets_adapter
from everywire.transport.local_names import claim, listen_abstract, socket_path
from everywire.transport.loops import loop_with_sockets
from everywire.transport.memory import MemoryLink, memory_pair, this_process
from everywire.transport.shapes import DEFAULT_WRITE_LIMIT, Listener, Peer, Receiver
from everywire.transport.sockets import bind_tcp, peer_of
from everywire.transport.stdio import link_stdio
from everywire.transport.tls import listening_context
from everywire.transport.tuning import tune

_LOG: Final = logging.getLogger("everywire.transport")
_OF_ONE_PEER: Final = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM})  # gone, or a firewall's: accept(2)
_AT_ONCE: Final = 64  # accepts per turn of the loop, so that a flood does not stop everything else
_REST: Final = 1.0  # seconds without accepting when descriptors are exhausted, unless a connection ends before


@dataclass(slots=True)
class Admission:
    """Counts a listener's connections, in all and for each peer that the link can tell apart.

    A peer is a uid, or a remote address that is not loopback; connections of nobody in particular count in all only.
    """

    max_connections: int = 1024
    max_per_uid: int = 256
    max_per_address: int = 64
    refused: int = 0
    _total: int = 0
    _by_peer: Counter[object] = field(default_factory=Counter[object])

    def admit(self, peer: Peer) -> bool:
        """Count one more connection, or refuse it."""
        key = self._key(peer)
        most = self.max_per_address if isinstance(key, str) else self.max_per_uid
        if self._total >= self.max_connections or (key is not None and self._by_peer[key] >= most):
            self.refused += 1
            return False
        self._total += 1
        self._by_peer[key] += 1
        return True

    def release(self, peer: Peer) -> None:
        """Forget a connection that was admitted."""
        self._total -= 1
        key = self._key(peer)
        self._by_peer[key] -= 1
        if not self._by_peer[key]:
            del self._by_peer[key]

    @staticmethod
    def _key(peer: Peer) -> int | str | None:
        if peer.uid is not None:
            return peer.uid
        return None if peer.loopback else peer.address.rpartition(":")[0]


Establish = Callable[[socket.socket, Peer, Handshake | None, Callable[[], None]], Awaitable[None]]
"""Owns an accepted socket from now on; calls the last argument once when the connection is gone. May raise OSError."""


async def accept(
    address: Address | str,
    make_receiver: Callable[[], Receiver],
    *,
    write_limit: int = DEFAULT_WRITE_LIMIT,
    max_connections: int = 1024,
    max_per_peer: int | None = None,
    max_per_uid: int = 256,
    max_per_address: int = 64,
    authenticated: bool = False,
    insecure: bool = False,
    on_refused: Callable[[Peer, str], None] | None = None,
) -> Listener:
    """Listen, and run a fresh receiver on every connection until the listener is closed.

    `max_per_peer` stands for both `max_per_uid` and `max_per_address`. A connection beyond a limit is
    closed at once and counted in `refused`. `insecure` allows a bind that other machines reach without encryption and
    authentication; `authenticated` says that the receivers authenticate their peers, so that TLS is enough for one.
    `on_refused` hears of each peer that showed no certificate, or one that is not trusted, and why. Raises
    AddressInUse, InsecureBind, LinkError, AddressError or UnsupportedPlatform.
    """
    loop_with_sockets()
    address = parse_address(address) if isinstance(address, str) else address
    admission = Admission(max_connections, max_per_uid, max_per_address)
    if max_per_peer is not None:
        admission.max_per_uid = admission.max_per_address = max_per_peer
    match address.transport:
        case "stdio":
            stdio = StdioListener()
            link_stdio(make_receiver(), write_limit=write_limit, released=stdio.ended)
            return stdio
        case "memory":
            return MemoryListener(address, make_receiver, admission)
        case _:
            make = make_receiver
            if address.transport in ("ws", "wss"):
                make = _web_ends(address, make_receiver, admission)
            bound = await _bind(address, authenticated=authenticated, insecure=insecure)
            return SocketListener(bound, links(make, write_limit), admission, on_refused)


async def accept_sockets(
    address: Address,
    establish: Establish,
    admission: Admission,
    *,
    authenticated: bool = False,
    insecure: bool = False,
    on_refused: Callable[[Peer, str], None] | None = None,
) -> SocketListener:
    """Listen as `accept` does, for who has a use of its own for each accepted socket: a library's protocol."""
    bound = await _bind(address, authenticated=authenticated, insecure=insecure)
    return SocketListener(bound, establish, admission, on_refused)


def links(make_receiver: Callable[[], Receiver], write_limit: int) -> Establish:
    """Return what runs a fresh receiver on each accepted socket."""

    async def establish(
        sock: socket.socket, peer: Peer, handshake: Handshake | None, released: Callable[[], None]
    ) -> None:
        await link_socket(sock, make_receiver, peer, handshake, write_limit=write_limit, released=released)

    return establish


def _web_ends(address: Address, make_receiver: Callable[[], Receiver], admission: Admission) -> Callable[[], Receiver]:
    """Return what makes a WebSocket's end for each socket, and a receiver for each that was let in."""
    adapter = websockets_adapter()

    def refused() -> None:
        admission.refused += 1

    door = adapter.Door(address, refused)
    return lambda: adapter.ListeningEnd(make_receiver, door)


@dataclass(frozen=True, slots=True)
class _Bound:
    """A listening socket, what to say before it is used, and how to give its name back."""

    address: Address
    socket: socket.socket
    release: Callable[[], None]
    handshake: Handshake | None = None


async def _bind(address: Address, *, authenticated: bool, insecure: bool) -> _Bound:
    if address.transport == "local":
        name = await claim(socket_path(address.rest))
        return _Bound(address, name.socket, name.release)
    if address.transport == "localabstract":
        sock = listen_abstract(address.rest)
        return _Bound(address, sock, sock.close)
    handshake = None
    if address.transport in TLS:
        handshake = Handshake(await asyncio.to_thread(listening_context, address))
    safe = handshake is not None and (authenticated or "ca" in address.settings)
    sock = await bind_tcp(address, authenticated=safe, insecure=insecure)
    host, port = sock.getsockname()[:2]
    named = address.at(address.host or host, port)
    return _Bound(named, sock, sock.close, handshake)


@final
class SocketListener:
    """Accepts on a listening socket; it owns a task for each connection being established and ends them in `close`.

    Accepting is a callback of the loop and not a task: a task that is cancelled in the moment in which its accept is
    done loses the accepted socket.
    """

    def __init__(
        self,
        bound: _Bound,
        establish: Establish,
        admission: Admission,
        on_refused: Callable[[Peer, str], None] | None = None,
    ) -> None:
        self.url: Final = str(bound.address)
        self._bound: Final = bound
        self._own: Final = establish
        self._admission: Final = admission
        self._on_refused: Final = on_refused
        self._loop: Final = asyncio.get_running_loop()
        self._establishing: Final[set[asyncio.Task[None]]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._closed = False
        try:
            self._loop.add_reader(bound.socket, self._acceptable)
        except NotImplementedError as error:
            bound.release()
            text = "this event loop has no add_reader; run asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)"
            raise UnsupportedPlatform(text) from error

    @property
    def refused(self) -> int:
        return self._admission.refused

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._bound.socket)
        if self._resting is not None:
            self._resting.cancel()
        self._bound.release()
        for task in self._establishing:
            task.cancel()
        if self._establishing:
            await asyncio.wait(self._establishing)

    def _acceptable(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, _ = self._bound.socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _OF_ONE_PEER:
                    continue
                self._rest(error)
                return
            self._admit(sock)

    def _admit(self, sock: socket.socket) -> None:
        try:
            sock.setblocking(False)
            peer = peer_of(self._bound.address.transport, sock)
            if peer.address:
                tune(sock)
        except OSError:  # gone already
            sock.close()
            return
        if not self._admission.admit(peer):
            _LOG.debug("%s: refused %s, limits reached", self.url, peer)
            sock.close()
            return
        released = _Released(self, peer)
        task = self._loop.create_task(self._establish(sock, peer, released))
        self._establishing.add(task)
        task.add_done_callback(partial(self._established, sock, released))

    async def _establish(self, sock: socket.socket, peer: Peer, released: Callable[[], None]) -> None:
        try:
            await self._own(sock, peer, self._bound.handshake, released)
        except OSError as error:
            self._admission.refused += 1
            _LOG.debug("%s: handshake with %s failed: %s", self.url, peer.address, error)
            released()
            reason = refused_certificate(error)
            if reason and self._on_refused is not None:
                self._on_refused(peer, reason)
        except Exception as error:  # noqa: BLE001  # a receiver's bug costs its own connection, not the listener
            self._loop.call_exception_handler({"message": "a receiver failed to connect", "exception": error})
            sock.close()
            released()

    def _established(self, sock: socket.socket, released: Callable[[], None], task: asyncio.Task[None]) -> None:
        self._establishing.discard(task)
        if task.cancelled():  # perhaps before its first step
            sock.close()
            released()

    def _rest(self, error: OSError) -> None:
        """Do not spin on a connection that cannot be accepted (EMFILE): wait until a descriptor may be free."""
        _LOG.warning("%s: cannot accept: %s; is the limit of descriptors (ulimit -n) too low?", self.url, error)
        self._loop.remove_reader(self._bound.socket)
        self._resting = self._loop.call_later(_REST, self._rested)

    def _rested(self) -> None:
        if self._resting is not None and not self._closed:
            self._resting.cancel()
            self._resting = None
            self._loop.add_reader(self._bound.socket, self._acceptable)

    def release(self, peer: Peer) -> None:
        """Forget a connection; there may be a descriptor for another one now."""
        self._admission.release(peer)
        self._rested()


class _Released:
    """Gives back the place of a connection, the first time only: a link may fail while being made and be lost too."""

    __slots__ = ("_listener", "_peer")

    def __init__(self, listener: SocketListener, peer: Peer) -> None:
        self._listener: SocketListener | None = listener
        self._peer = peer

    def __call__(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.release(self._peer)


@final
class StdioListener:
    """The listener of standard input and output: its one connection was there from the start."""

    def __init__(self) -> None:
        self.url = "stdio:"
        self.refused: Final = 0

    def ended(self) -> None:
        """The connection is gone, and nobody can come back."""
        self.url = ""

    async def close(self) -> None:
        """There is nothing to stop accepting."""


_MEETING_POINTS: Final[dict[str, MemoryListener]] = {}


@final
class MemoryListener:
    """A name within this process at which `dial` meets `accept`; both must run in one loop."""

    def __init__(self, address: Address, make_receiver: Callable[[], Receiver], admission: Admission) -> None:
        before = _MEETING_POINTS.get(address.rest)
        if before is not None and not before.loop.is_closed():
            raise AddressInUse(f"somebody listens at {address} already; choose another name")
        self.url: Final = str(address)
        self._name: Final = address.rest
        self._make_receiver: Final = make_receiver
        self._admission: Final = admission
        self.loop: Final[asyncio.AbstractEventLoop] = asyncio.get_running_loop()
        _MEETING_POINTS[address.rest] = self

    @property
    def refused(self) -> int:
        return self._admission.refused

    async def close(self) -> None:
        if _MEETING_POINTS.get(self._name) is self:
            del _MEETING_POINTS[self._name]

    def meet(self, receiver: Receiver, write_limit: int) -> MemoryLink:
        """Join a dialler's receiver to a fresh one of ours."""
        peer = this_process()
        if not self._admission.admit(peer):
            raise LinkError(f"no connection to {self.url}: it has as many connections as it allows")
        one, two = memory_pair(receiver, self._make_receiver(), write_limit=write_limit)
        two.when_released(partial(self._admission.release, peer))
        return one


def meet_in_memory(address: Address, receiver: Receiver, write_limit: int) -> MemoryLink:
    """Dial a memory name."""
    listener = _MEETING_POINTS.get(address.rest)
    if listener is None or listener.loop.is_closed():
        raise LinkError(f"no connection to {address}: nobody listens there in this process")
    if listener.loop is not asyncio.get_running_loop():
        raise LinkError(f"no connection to {address}: it listens in another event loop; use local:{address.rest}")
    return listener.meet(receiver, write_limit)
