"""A replica over Qt Remote Objects in a thread without a loop: the same wire and engine on a socket of its own.

`BlockingSession` is the replica's pump (see `runtime.blocking`). It connects, logs in, attaches, notices the loss and
comes back for ever, a step whenever its thread gives it the occasion. One attempt to be valid is a generator that
yields what it waits for; so an occasion that may wait, and one that may not, take the same steps.
"""

from __future__ import annotations

import logging
import secrets
import selectors
import time
from collections.abc import Generator
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from everywire.errors import Code, EverywireError, Fault, LinkError, RemoteProtocolError, SignatureMismatch
from everywire.remoteobjects.codec.extension import Method
from everywire.remoteobjects.endpoint.attaching import described
from everywire.remoteobjects.endpoint.blocking_link import BlockingLink
from everywire.remoteobjects.wire.replicating import Channel, channel_class
from everywire.runtime.blocking import (
    LONGEST_WAIT,
    BlockingCall,
    Clock,
    Interest,
    PumpedReplica,
    check_thread,
    turn,
    workplace,
)
from everywire.runtime.credentials import wanted
from everywire.runtime.replica import ReplicaState
from everywire.runtime.rhythm import LOCKED_OUT, is_locked_out, is_near, pause
from everywire.transport.blocking import CLOSED, TICK, Dialer, Wish
from everywire.transport.heartbeat import IDLE

if TYPE_CHECKING:
    from everywire.runtime.credentials import Credential
    from everywire.runtime.limits import Limits
    from everywire.transport import Address

log: Final = logging.getLogger("everywire.link")

MENDING: Final = 1.0
"""Longest time in seconds that a call on a lost link, or a run of code, gives to an attempt to come back."""
FAREWELL: Final = 1.0
"""Longest time in seconds that closing waits for the host to take the last bytes."""
MOST_AT_ONCE: Final = 16
"""Chunks that are taken without waiting before whoever looked goes on: a host may send without end."""

_HUNG_UP: Final = "the host hung up without a word of Qt Remote Objects; another wire or TLS may be spoken there"

Steps = Generator[Wish, None, None]


class BlockingSession:
    """One replica's pump."""

    def __init__(
        self,
        address: Address,
        credential: Credential,
        replica: PumpedReplica,
        limits: Limits,
        *,
        patient: bool,
        heartbeat: float = IDLE,
    ) -> None:
        self.owner = get_ident()
        self.replica = replica
        self.channel = replica.channel = Channel(replica, self._failed, BlockingCall)
        self.closed = False
        self.failures = 0
        """Attempts in a row that did not make the replica valid."""
        self._address, self._credential, self._limits, self._patient = address, credential, limits, patient
        self._dialer = Dialer(address, limits.handshake)
        self._heartbeat = heartbeat
        self._near = is_near(str(address))
        self._clock = Clock()
        self._tasks = workplace.tasks
        self._link: BlockingLink | None = None
        self._attempt: Steps | None = None
        self._wish: Wish = (-1, 0, 0.0)
        self._may_wait = True
        self._try_at = 0.0
        self._was_valid = False

    @property
    def settled(self) -> bool:
        """Whether the replica is valid with its tables, or can never be as things stand, or the only attempt failed."""
        if self.replica.state is ReplicaState.VALID:
            return self._attempt is None
        if self.replica.state is ReplicaState.SIGNATURE_MISMATCH:
            return True
        refused = not self._was_valid and is_locked_out(self.replica.error)  # a token does not mend by waiting
        return self.failures > 0 and (refused or not self._patient)

    @property
    def offered(self) -> tuple[str, ...] | None:
        """The names that the host shows; None while it has not said."""
        shown = None if self._link is None else self._link.objects
        return None if shown is None else tuple(shown)

    # What the thread's `sync` functions call; see `Pump`.

    def wait(self, call: BlockingCall) -> None:
        """Work until *call* is finished; an interrupt cancels it."""
        check_thread(self.owner)
        while not call.finished:
            try:
                self._wait_on(call)
            except (LinkError, RemoteProtocolError) as error:
                self._lost(error)
            except BaseException:
                call.cancel()
                self._interrupted()
                self.flush()
                raise
        if self._tasks.waiting:
            self._tasks.step()

    def work(self, *, may_wait: bool = True) -> bool:
        """Do what can be done without waiting; return whether there was anything.

        *may_wait* allows what takes a while: a look at the name service and at files, and the proof of a login.
        """
        check_thread(self.owner)
        if self.closed:
            return False
        before = self.replica.state
        self._may_wait = may_wait
        try:
            worked = self._work()
        except (LinkError, RemoteProtocolError, Fault) as error:
            self._lost(error)
        except EverywireError as error:
            if not self._was_valid:
                raise
            self._lost(error)
        except BaseException:
            self._interrupted()
            raise
        else:
            return worked or self.replica.state is not before
        return True

    def refresh(self) -> None:
        """Take what has arrived; never waits."""
        link = self._link
        if link is None or not link.handling:
            self.work(may_wait=False)
        else:
            check_thread(self.owner)  # within a callback: values are those that it was called with

    def flush(self) -> None:
        """Write what was collected, as far as the host takes it now."""
        try:
            if self._link is not None:
                self._link.flush()
        except LinkError as error:
            self._lost(error)

    def mend(self) -> None:
        """Where the link is lost, let one attempt to come back take its time, within bounds."""
        end, failures = time.monotonic() + MENDING, self.failures
        while not self.settled and self.failures == failures and not self.closed:
            remaining = end - time.monotonic()
            offered = self.offered
            if offered is not None and self.replica.name not in offered:
                remaining = 0.0  # the host has withdrawn the object, which may last
            turn((self,), remaining)
            if remaining <= 0:
                return

    def interest(self) -> Interest:
        """Return what to wait for before `work` is worth its while."""
        link = self._link
        if self.closed:
            return Interest(-1, 0, LONGEST_WAIT)
        if self._attempt is None and link is None:
            return Interest(-1, 0, max(0.0, self._try_at - time.monotonic()))
        if link is None:
            return Interest(*self._wish)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.unsaid else 0)
        seconds = self._clock.remaining if self._attempt is None else min(self._clock.remaining, self._wish[2])
        return Interest(link.stream.fileno(), events, seconds)

    # What the link calls.

    def shown(self) -> None:
        """The host shows the object: attach again where it had withdrawn it."""
        link = self._link
        if link is not None and self._attempt is None and self.channel.link is None:
            self._attempt = self._attach(link)

    def withdrawn(self) -> None:
        """The source is gone, the connection stays: the replica is suspect until the host shows it again."""
        error = LinkError(f"the host withdrew {self.replica.name}")
        self._suspect(error, Fault(Code.UNAVAILABLE, str(error)))

    # The end.

    def close(self) -> None:
        """Write what was asked for, and let go of the replica; calls that wait fail."""
        if self.closed:
            return
        end = time.monotonic() + FAREWELL
        try:
            self.flush()
            while self._link is not None and self._link.stream.rest and (left := end - time.monotonic()) > 0:
                turn((self,), left)
        finally:
            self.closed = True
            self._cut(Fault(Code.UNAVAILABLE, f"the block of '{self.replica.block}' has ended"))
            self.replica.close()

    def abandoned(self) -> None:
        """In a forked child: let go of the connection, which belongs to the parent."""
        self.closed = True
        link, self._link, self._attempt = self._link, None, None
        if link is not None:
            link.ended = True
            link.stream.drop()

    # Private: one occasion.

    def _wait_on(self, call: BlockingCall) -> None:
        link = self._link
        if link is None or link.ended:
            call.set_exception(self.replica.unavailable())
        elif self._attempt is not None or link.stream.rest:
            turn((self,), TICK)
        else:
            self._pump(link, call)

    def _pump(self, link: BlockingLink, call: BlockingCall) -> None:
        """Work the link as fast as can be until *call* is finished, or something else than reading is to be done."""
        stream, frames, clock, tasks = link.stream, link.frames, self._clock, self._tasks
        if link.handling:
            link.catch_up()
        while not call.finished:
            if frames or link.unsaid:
                link.flush()
                if stream.rest:
                    return
            data = stream.receive()
            if data is not None:
                link.receive(data)
                if call.finished:
                    return
                if tasks.waiting:
                    tasks.step()
            clock.tick()
            if self._attempt is not None or link.ended:
                return

    def _work(self) -> bool:
        worked = False
        link = self._link
        if link is None and self._attempt is None:
            if time.monotonic() < self._try_at:
                return False
            self._attempt = self._live()
        if link is not None:
            try:
                link.catch_up()
                link.flush()
                worked = self._take(link)
            except LinkError:
                if self._attempt is not None:
                    self._step()  # what was heard before the end may say why
                raise
        if self._attempt is not None:
            self._step()
        self._clock.tick()
        if self._link is not None:
            self._link.flush()
        if self._tasks.waiting:
            self._tasks.step()
        return worked

    def _take(self, link: BlockingLink) -> bool:
        for number in range(MOST_AT_ONCE):
            data = link.stream.receive_now()
            if data is None:
                return number > 0
            link.receive(data)
            if link.ended:
                break
        return True

    def _step(self) -> None:
        assert self._attempt is not None
        try:
            self._wish = next(self._attempt)
        except StopIteration:
            self._attempt = None
        except SignatureMismatch as error:
            self._attempt = None
            self.replica.become(ReplicaState.SIGNATURE_MISMATCH, error)  # a host that changes its mind is started again

    # Private: one attempt.

    def _live(self) -> Steps:
        stream = yield from self._dialer.dial(fresh=self._may_wait)
        link = self._link = BlockingLink(self, stream, self._limits, self._clock, heartbeat=self._heartbeat)
        end = time.monotonic() + self._limits.handshake
        yield from self._until(lambda: link.heard_hello and (link.objects is not None or link.login_first), end)
        if link.login_first:
            yield from self._log_in(link, end)
        yield from self._attach(link)

    def _until(self, condition: Any, end: float = float("inf")) -> Steps:
        link = self._link
        assert link is not None
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                said = "did not finish the login" if link.login_first else "said nothing of Qt Remote Objects"
                raise LinkError(f"{self.replica.url} accepted the connection but {said}")
            yield link.stream.fileno(), selectors.EVENT_READ, min(left, LONGEST_WAIT)

    def _log_in(self, link: BlockingLink, end: float) -> Steps:
        """Prove that we know the secret without sending it, and that the host does, too; see `session.login`."""
        from everywire.runtime.scram import MECHANISM, Client  # it needs hashes that others do not

        url = self.replica.url
        if not self._credential:
            raise Fault(Code.UNAUTHENTICATED, wanted(url, self._address, "RemoteObjects"), may_have_run=False)
        client = Client(*self._credential.read(), secrets.token_urlsafe(24))
        try:
            first = yield from self._answer(link, Method.AUTHENTICATE, MECHANISM, client.first(), end=end)
            while not self._may_wait:
                yield -1, 0, 0.0
            final = client.final(first)
            proof = yield from self._answer(link, Method.AUTHENTICATE, MECHANISM, final, end=end)
            client.check(proof)
        except RemoteProtocolError as error:
            raise Fault(Code.UNAUTHENTICATED, f"{url}: {error}", may_have_run=False) from None
        except Fault as fault:
            raise Fault(fault.code, f"{url}: {fault.message}", may_have_run=False) from None
        yield from self._until(lambda: link.objects is not None, end)

    def _answer(
        self, link: BlockingLink, method: Method, *arguments: Any, end: float = float("inf")
    ) -> Generator[Wish, None, bytes]:
        call = link.request(method, *arguments)
        link.flush()
        yield from self._until(call.done, end)
        answer = call.result()
        if not isinstance(answer, bytes):
            raise RemoteProtocolError("the host answered with something else than bytes")
        return answer

    def _attach(self, link: BlockingLink) -> Steps:
        name = self.replica.name
        while True:
            while name not in (link.objects or ()):
                if not self._patient:
                    raise self.replica.not_offered(link.objects or ())
                yield from self._until(lambda: name in (link.objects or ()))
            contract = None
            if link.extended and not link.shows_model(name):
                contract = described(name, (yield from self._answer(link, Method.CONTRACT, name)))
            attaching = link.attach(contract)
            link.flush()
            while not attaching.done and attaching.error is None and name in (link.objects or ()):
                yield link.stream.fileno(), selectors.EVENT_READ, LONGEST_WAIT
            if attaching.error is not None:
                raise attaching.error
            if attaching.done:
                link.heart.start()
                self._patient = self._was_valid = True
                self.failures = 0
                return

    def channel_for(self, *, is_model: bool) -> Channel:
        """Return the channel for what the host shows under the replica's name."""
        if self.channel.is_model != is_model:
            kind = channel_class(is_model=is_model)
            self.channel = self.replica.channel = kind(self.replica, self._failed, BlockingCall)
        return self.channel

    # Private: losses.

    def _failed(self, fault: Fault) -> BlockingCall:
        call = BlockingCall(self)
        call.set_exception(fault)
        return call

    def _lost(self, error: Exception) -> None:
        link = self._link
        reason = (link.over if link is not None else None) or error
        if link is not None and link.objects is None and not isinstance(reason, Fault):
            reason = self._before_greeting(reason)
        log.debug("%s: %s", self.replica.name, reason)
        self.failures += 1
        refused = self.failures > 1 and is_locked_out(reason)  # the first attempt after a loss is made at once
        self._try_at = time.monotonic() + (LOCKED_OUT if refused else pause(self.failures, near=self._near))
        self._cut(Fault(Code.UNAVAILABLE, f"the link was lost: {reason}"))
        self.replica.become_lost(reason)

    def _before_greeting(self, reason: Exception) -> Exception:
        """Return why a link ended whose host never got as far as to show its objects."""
        text, url = str(reason), self.replica.url
        if text == CLOSED or isinstance(reason.__cause__, ConnectionResetError):
            text = _HUNG_UP
        return type(reason)(text if url in text else f"{url}: {text}")

    def _interrupted(self) -> None:
        """After Ctrl-C: where bytes may be lost only a new connection helps, which is made at the next occasion."""
        attempt = self._attempt
        if attempt is not None or (self._link is not None and self._link.stream.torn):
            self._lost(LinkError("interrupted in the midst of what the host sent"))
            self._try_at = 0.0

    def _cut(self, fault: Fault) -> None:
        """Close the connection, if there is one."""
        attempt, self._attempt = self._attempt, None
        link, self._link = self._link, None
        if attempt is not None:
            attempt.close()
        self._suspect(LinkError(fault.message), fault)
        if link is not None:
            link.end(fault)
            link.stream.close()

    def _suspect(self, reason: Exception, fault: Fault) -> None:
        self.replica.remote = None
        if self.replica.state is ReplicaState.VALID:
            self.replica.become(ReplicaState.SUSPECT, reason)
        self.channel.detach(fault)
