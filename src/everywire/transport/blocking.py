"""Byte streams for threads without an event loop: a socket that waits in the kernel, with TLS on top where asked for.

Reading waits for at most `TICK` seconds, so that deadlines can be kept; nothing else waits. Dialing is a generator
that yields what it waits for: the same steps serve a program that waits and one that only looks.
"""

from __future__ import annotations

import errno
import os
import select
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

from everywire.errors import AddressError, EverywireError, LinkError
from everywire.transport.address import Address
from everywire.transport.failures import dial_failed, link_lost, refused_after_handshake
from everywire.transport.local_names import abstract_address, socket_path, unix_family
from everywire.transport.reading import READ_SIZE, read_buffer
from everywire.transport.tls import HANDSHAKE_TIMEOUT, dialing_context, was_refused
from everywire.transport.tuning import tune

TICK: Final = 0.25
"""Longest time in seconds that `receive` waits."""

CLOSED: Final = "the host closed the connection"

AVAILABLE: Final = hasattr(socket, "MSG_DONTWAIT") and hasattr(select, "poll")
"""Whether this system has what these streams need: reads that wait and reads that do not, on one socket."""

_AT_ONCE: Final = getattr(socket, "MSG_DONTWAIT", 0)
_UNIX_RETRY: Final = 0.005  # seconds between attempts while a Unix listener's backlog is full
_BEGUN: Final = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK, errno.EINTR})

Wish = tuple[int, int, float]
"""A descriptor or -1, events of `selectors`, and the seconds after which to go on in any case."""
Steps = Generator[Wish, None, "BlockingStream"]


class BlockingStream:
    """One connection, owned by one thread.

    Ctrl-C may interrupt between any two calls. Nothing that was read or written is lost by that as long as `torn` is
    false: what the kernel did is found in a list, for the interpreter looks for signals only after such a call is over.
    """

    def __init__(self, sock: socket.socket, transport: str) -> None:
        self.taken: list[int] = []
        """The size of what was read, until its receiver has handled it and clears the list."""
        self.going = b""
        """What is to be written next: set it, then call `push`."""
        self.rest = bytearray()
        """What the kernel has not taken yet."""
        self._sent: list[int] = []
        self._writing_rest = False
        self._sock, self._transport = sock, transport
        self._send = sock.send
        view = read_buffer()
        self._view = view
        self._receive = sock.recv_into
        self._wait = ((view,),)
        self._at_once = ((view,), (0,), (_AT_ONCE,))
        sock.setblocking(True)
        seconds = struct.pack("@ll", 0, int(TICK * 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self._sock.fileno()

    @property
    def torn(self) -> bool:
        """Whether an interrupt now would lose bytes, or has: then only a new connection helps."""
        return self._writing_rest or bool(self.taken)

    def receive(self) -> bytes | None:
        """Wait for bytes, at most `TICK` seconds; None when none came. Raises LinkError at the end."""
        return self._take(self._wait)

    def receive_now(self) -> bytes | None:
        """Return the bytes that are there, None when there are none. Raises LinkError at the end."""
        return self._take(self._at_once)

    def push(self) -> None:
        """Give `going` to the kernel, as far as it takes it now; the rest is for `flush`. Raises LinkError at the end.

        After an interrupt it finishes what was begun; so it is called before `going` is set anew, unless that is empty.
        """
        sent = self._sent
        if not (sent or self.rest):
            try:
                sent.extend(map(self._send, (self.going,), (_AT_ONCE,)))
            except BlockingIOError:
                pass
            except OSError as error:
                raise link_lost(self._transport, error) from error
        left = self.going[sent[0] if sent else 0 :]
        if left:
            self.rest += left
        self.going = b""  # without a call in between: it is in one of the two
        del sent[:]
        if left:
            self.flush()

    def flush(self) -> None:
        """Write on, as far as the kernel takes it now."""
        while self.rest:
            self._writing_rest = True
            try:
                with memoryview(self.rest) as view:
                    sent = self._send(view, _AT_ONCE)
                del self.rest[:sent]
            except BlockingIOError:
                self._writing_rest = False
                return
            except OSError as error:
                raise link_lost(self._transport, error) from error
            self._writing_rest = False

    def close(self) -> None:
        """Close at once; what is unsent is dropped."""
        self.drop()

    def drop(self) -> None:
        """Give the descriptor back without a word, for it is another process that speaks here."""
        self._sock.close()

    def _take(self, arguments: tuple[tuple[object, ...], ...]) -> bytes | None:
        taken = self.taken
        try:
            taken.extend(map(self._receive, *arguments))
        except BlockingIOError:
            return None
        except OSError as error:
            raise link_lost(self._transport, error) from error
        size = taken[-1]
        if not size:
            raise LinkError(CLOSED)
        return bytes(self._view[:size])


class TlsStream(BlockingStream):
    """The same behind TLS, whose handshake is over."""

    def __init__(self, sock: socket.socket, layer: _Layer) -> None:
        super().__init__(sock, "tls")
        self._layer = layer
        self._heard = False
        self._early = b""
        with self._named():
            self._early = layer.decrypt()  # what came behind the handshake

    def receive(self) -> bytes | None:
        """Wait for bytes, at most `TICK` seconds; None when none came. Raises LinkError at the end."""
        return self._take_early() or self._decrypted(self._wait)

    def receive_now(self) -> bytes | None:
        """Return the bytes that are there, None when there are none. Raises LinkError at the end."""
        return self._take_early() or self._decrypted(self._at_once)

    def push(self) -> None:
        """Encrypt `going` and give it to the kernel, as far as it takes it now."""
        self._writing_rest = True
        self.rest += self._layer.encrypt(self.going)
        self.going = b""
        self.flush()

    def close(self) -> None:
        """Say so to the peer as far as that goes without waiting, and close."""
        with suppress(LinkError, ssl.SSLError):
            self.rest += self._layer.farewell()
            self.flush()
        super().close()

    def _take_early(self) -> bytes:
        early, self._early = self._early, b""
        if early:
            self.taken.append(len(early))
        return early

    def _decrypted(self, how: tuple[tuple[object, ...], ...]) -> bytes | None:
        with self._named():
            raw = self._take(how)
            data = b"" if raw is None else self._layer.receive(raw)
            if self._layer.outgoing.pending:  # TLS has to say something itself
                self.rest += self._layer.outgoing.read()
                self.flush()
        if not data:
            self.taken.clear()  # a part of a record, which the layer keeps
            return None
        self._heard = True
        return data

    @contextmanager
    def _named(self) -> Generator[None]:
        try:
            yield
        except ssl.SSLError as error:
            raise link_lost("tls", error) from error
        except LinkError:
            if not self._heard and was_refused(self._layer.tls):
                raise refused_after_handshake() from None
            raise


class _Layer:
    """TLS in memory: the wire's bytes on one side, the session's on the other."""

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=server_name)

    def receive(self, raw: bytes) -> bytes:
        self.incoming.write(raw)
        return self.decrypt()

    def decrypt(self) -> bytes:
        parts: list[bytes] = []
        try:
            while part := self.tls.read(READ_SIZE):
                parts.append(part)
        except ssl.SSLWantReadError:
            return b"".join(parts)
        except ssl.SSLZeroReturnError:
            pass
        if not parts:
            raise LinkError(CLOSED)
        return b"".join(parts)  # the end is found again by the next read

    def encrypt(self, data: bytes) -> bytes:
        with memoryview(data) as view:
            written = 0
            while written < len(data):
                written += self.tls.write(view[written:])
        return self.outgoing.read()

    def farewell(self) -> bytes:
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()


class Dialer:
    """Connects to one address as often as it must; remembers what costs waiting to find out.

    `dial(fresh=False)` uses the addresses of the host and the certificates that the last `fresh` attempt has found.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        if address.transport in ("tcp", "tls") and not (address.host and address.port):
            raise AddressError(f"{address} names no host and port to connect to; those are for listening only")
        self._address, self._timeout = address, timeout
        self._places: list[tuple[int, tuple[object, ...]]] = []
        self._context: ssl.SSLContext | None = None

    def dial(self, *, fresh: bool) -> Steps:
        """Connect; raises LinkError saying why and what to do, also when *timeout* is over."""
        try:
            return (yield from self._dial(time.monotonic() + self._timeout, fresh=fresh))
        except EverywireError:
            raise
        except (OSError, UnicodeError) as error:
            raise dial_failed(self._address, error, self._timeout) from error

    def _dial(self, deadline: float, *, fresh: bool) -> Steps:
        if self._address.transport in ("local", "localabstract"):
            return (yield from self._unix(deadline))
        self._look_up(fresh=fresh)
        sock = yield from self._tcp(deadline)
        if self._context is None:
            return BlockingStream(sock, "tcp")
        try:
            layer = yield from self._shake_hands(sock, min(deadline, time.monotonic() + HANDSHAKE_TIMEOUT))
            return TlsStream(sock, layer)
        except BaseException:
            sock.close()
            raise

    def _look_up(self, *, fresh: bool) -> None:
        if not self._places or fresh:
            found = socket.getaddrinfo(self._address.host, self._address.port, type=socket.SOCK_STREAM)
            self._places = [(family, place) for family, _, _, _, place in found]
        if self._address.transport == "tls" and (self._context is None or fresh):
            self._context = dialing_context(self._address)

    def _unix(self, deadline: float) -> Steps:
        name = self._address.rest
        place = socket_path(name) if self._address.transport == "local" else abstract_address(name)
        sock = socket.socket(unix_family(), socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            while True:
                try:
                    sock.connect(place)
                except BlockingIOError:
                    # Not "in progress": unix(7) means that the backlog is full, and nothing tells when it no longer is.
                    _check(deadline)
                    yield -1, 0, _UNIX_RETRY
                else:
                    return BlockingStream(sock, self._address.transport)
        except BaseException:
            sock.close()
            raise

    def _tcp(self, deadline: float) -> Generator[Wish, None, socket.socket]:
        """Try the host's addresses in turn, each for its share of the time."""
        failure: OSError = TimeoutError()
        for tried, (family, place) in enumerate(self._places):
            now = time.monotonic()
            share = now + (deadline - now) / (len(self._places) - tried)
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                while (number := sock.connect_ex(place)) in _BEGUN:
                    _check(share)
                    yield sock.fileno(), selectors.EVENT_WRITE, max(0.0, share - time.monotonic())
                if number not in (0, errno.EISCONN):
                    raise OSError(number, os.strerror(number))
                tune(sock)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise failure

    def _shake_hands(self, sock: socket.socket, deadline: float) -> Generator[Wish, None, _Layer]:
        assert self._context is not None
        layer = _Layer(self._context, self._address.host)
        unsent = b""
        while True:
            try:
                layer.tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            finally:
                unsent += layer.outgoing.read()  # also the alert that says why not
                unsent = unsent[_sent(sock, unsent) :]
            if done and not unsent:
                return layer
            _check(deadline)
            events = selectors.EVENT_WRITE if unsent else selectors.EVENT_READ
            yield sock.fileno(), events, max(0.0, deadline - time.monotonic())
            if not done:
                _hear(sock, layer.incoming)


def _sent(sock: socket.socket, data: bytes) -> int:
    try:
        return sock.send(data) if data else 0
    except BlockingIOError:
        return 0


def _hear(sock: socket.socket, incoming: ssl.MemoryBIO) -> None:
    try:
        data = sock.recv(READ_SIZE)
    except BlockingIOError:
        return
    if data:
        incoming.write(data)
    else:
        incoming.write_eof()  # do_handshake says what that means


def _check(deadline: float) -> None:
    if time.monotonic() >= deadline:
        raise TimeoutError
