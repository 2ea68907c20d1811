"""Links of a host that demands logins: what is said before one, who is let in, and how a login ends.

A peer whom the system or a listed certificate identifies is let in at once. Any other gets the handshake only; of what
it sends in frames of at most `Limits.frame_before_authentication` bytes nothing is answered but `Ping(HELLO)` and
`authenticate`, and `Limits.handshake` seconds after connecting it is cut, whatever it does meanwhile. A link has one
try. Each link that is denied leaves one line in the audit trail.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from everywire.errors import Code, Fault, LinkError
from everywire.model import Role
from everywire.remoteobjects.codec import Invoke, Packet, Ping, Pong
from everywire.remoteobjects.codec.extension import (
    HELLO,
    LOGIN_FIRST,
    NAME,
    Asked,
    Method,
    Told,
    answer,
    read_request,
    tell,
)
from everywire.remoteobjects.codec.faults import encode_fault_reply
from everywire.remoteobjects.endpoint.serving import HostServer
from everywire.remoteobjects.endpoint.visiting import HostSession
from everywire.remoteobjects.engine import Broken
from everywire.remoteobjects.wire.doors import Refused
from everywire.remoteobjects.wire.hosting import Hosted
from everywire.runtime import audit
from everywire.runtime.gate import Invoked
from everywire.runtime.scram import MECHANISM, Server, refused
from everywire.runtime.tokens import Grant, Tokens

_BEFORE: Final[dict[bytes, Any]] = {}
"""The routes of a link before its login: no call is even decoded."""
PATIENCE: Final = 1.0
"""Seconds that every link has for the beginning of its login, however many wait."""
_CHANGED: Final = "was changed"


class GuardedSession(HostSession):
    """One link of a host with `Tokens`."""

    def __init__(self, server: HostServer) -> None:
        super().__init__(server)
        tokens = server.node.tokens
        assert tokens is not None
        self._tokens: Final[Tokens] = tokens
        self._grant: Grant | None = None
        """What the peer logged in with, by token or certificate."""
        self._entered = False
        self._over = False
        """Whether it was denied: it is about to be closed, and nothing more is heard or said."""
        self._exchange: Server | None = None
        self._name = ""
        self._reason = ""
        """Why it counts as denied should it end now."""
        self._revoked: Fault | None = None
        """What calls are told since the login does not hold any more."""
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_stranger(self) -> bool:
        """Whether it still has to log in."""
        return not self._entered

    @property
    def is_idle(self) -> bool:
        """Whether it has not even begun to log in."""
        return not self._entered and self._exchange is None

    def greet(self) -> None:
        """Let the peer in, or wait for its login."""
        peer = self._connection.peer
        if peer.subject is not None:
            self._grant = self._tokens.of_certificate(peer.subject)
            self._reason = "the certificate is not listed"
        if peer.uid is not None:
            self._entered = True
        elif self._grant is not None:
            self._enter(self._grant)
        if self._entered:
            super().greet()
            return
        self.caller = msgspec.structs.replace(self.caller, role=Role.STRANGER)
        self._engine.routes = _BEFORE
        self._engine.max_frame = min(self.limits.frame, self.limits.frame_before_authentication)
        if self.limits.handshake > PATIENCE:
            self._deadline = self._loop.call_later(PATIENCE, self._look)
        else:
            self._deadline = self._loop.call_later(self.limits.handshake, self._too_late)
        self._connection.write(self._engine.data_to_send())

    def _look(self) -> None:
        """After `PATIENCE`: leave the peer the rest of its time, unless too many keep it waiting as it does."""
        self._deadline = self._loop.call_later(self.limits.handshake - PATIENCE, self._too_late)
        sessions = self._server.sessions
        idle = [session for session in sessions if isinstance(session, GuardedSession) and session.is_idle]
        if self in idle[: -self.limits.strangers or None]:
            self.refusals["strangers"] += 1
            self.abort()

    def receive(self, events: list[Any]) -> None:
        """Take the events of one chunk through the gate, unless the login is over."""
        if self._grant is not None and not self._tokens.holds(self._grant):
            self._revoke(events)
        elif not self._over:
            super().receive(events)

    def stalled(self) -> bool:
        """Say whether to stop: nothing is heard any more once the login is over, which a slot may have seen to."""
        return self._revoked is not None or super().stalled()

    def exhausted(self) -> bool:
        """Say whether to stop; see `stalled`."""
        if self._grant is not None and not self._tokens.holds(self._grant):
            self._revoke([])
        return self._revoked is not None or super().exhausted()

    def keep(self, rest: Iterable[Any]) -> None:
        """Keep the *rest* of a chunk, or refuse it when the login is over."""
        if self._revoked is not None:
            self._refuse_all(rest, self._revoked)
        else:
            super().keep(rest)

    def recheck(self) -> None:
        """Look whether the login still holds; apply changed policies."""
        if self._grant is not None and not self._tokens.holds(self._grant):
            self._revoke([])
        elif self._entered:
            super().recheck()

    def other(self, event: Any) -> None:
        """Handle what is not a call; before a login hardly anything is."""
        if self._entered or self._over:
            if self._entered:
                super().other(event)
            return
        self._reason = self._reason or "it did not log in"
        if isinstance(event, Ping) and event.name == HELLO:
            self.extended = True
            self.put(Pong(LOGIN_FIRST))
        elif isinstance(event, Asked) and self.extended:
            self._authenticate(event)
        elif isinstance(event, Broken):
            self._deny(f"it broke the protocol: {event.error}")
            super().other(event)

    def lost(self, error: LinkError | None) -> None:
        """The link is gone."""
        if self._deadline is not None:
            self._deadline.cancel()
        if self._reason and not self._entered and not self._over:
            self._deny(self._reason)
        super().lost(error)

    # The login.

    def _authenticate(self, asked: Asked) -> None:
        try:
            self._tokens.attempts.check(self.caller.address)
        except Fault as fault:
            self._refuse_login(asked.serial, fault, "too many failed logins from its address")
            return
        try:
            told, grant = self._step(asked.arguments)
        except Fault as fault:
            self._tokens.attempts.failed(self.caller.address)
            why = self._tokens.why_not(self._name) if self._exchange is not None else "malformed"
            self._refuse_login(asked.serial, fault, why)
            return
        self.outbox.put(answer(asked.serial, told, self.dialect))
        if grant is not None:
            self._enter(grant)
            self._engine.routes, self._engine.max_frame = self._server.routes, self.limits.frame
            for part in self.first_list():
                self.put(part)

    def _step(self, arguments: tuple[Any, ...]) -> tuple[bytes, Grant | None]:
        """Answer one of the client's two messages; the second gives what it was granted. Raises Fault."""
        match arguments:
            case (str(mechanism), bytes(message)) if mechanism == MECHANISM:
                pass
            case _:
                raise Fault(Code.UNIMPLEMENTED, f"this host knows the mechanism {MECHANISM} only", may_have_run=False)
        if self._exchange is None:
            name = Server.name_in(message)
            self._name, self._exchange = name, Server(secrets.token_urlsafe(24))
            return self._exchange.first(message, self._tokens.verifier(name)), None
        proof, grant = self._exchange.final(message), self._tokens.grant(self._name)
        if grant is None or grant.verifier != self._exchange.verifier:  # expired, or changed within the exchange
            raise refused()
        return proof, grant

    def _enter(self, grant: Grant) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._grant, self._entered, self._exchange = grant, True, None
        self.caller = msgspec.structs.replace(self.caller, identity=grant.identity, role=grant.role)

    def _refuse_login(self, serial: int, fault: Fault, reason: str) -> None:
        self._deny(reason)
        self.outbox.put(encode_fault_reply(NAME, serial, fault, self.dialect))
        self._loop.call_soon(self.end)

    def _too_late(self) -> None:
        unlisted = self._connection.peer.subject is not None
        self._deny(self._reason if unlisted else f"no login within {self.limits.handshake:g} s")
        self.abort()

    def _revoke(self, arrived: list[Any]) -> None:
        """The login does not hold any more: say so to whoever waits for an answer, and close the link."""
        assert self._grant is not None
        why = self._why_revoked(self._grant)
        self._grant, self._entered = None, False
        unanswered, self._backlog = [*self._backlog, *arrived], []
        fault = Fault(Code.UNAUTHENTICATED, f"the login is over: the token or certificate {why}", may_have_run=False)
        self._revoked, self.credit = fault, 0
        self._refuse_all(unanswered, fault)
        self._extension.fail(fault)
        for name in tuple(self.attached):
            self._detach(name)
        if self.extended and why != _CHANGED:  # then it may log in again at once
            self.outbox.put(tell(Told.OVER, fault.code.value, fault.message, dialect=self.dialect))
        self._deny(why)
        self._loop.call_soon(self.end)

    def _refuse_all(self, events: Iterable[Any], fault: Fault) -> None:
        for event in events:
            if isinstance(event, Invoked):
                self.refused(event.door, event.token, fault)
            elif isinstance(event, Refused):
                self.refuse(event.name, event.token, fault)
            elif isinstance(event, Asked):
                self.refuse(NAME, event.serial, fault)

    def _why_revoked(self, grant: Grant) -> str:
        present = self._tokens.grants.get(grant.name)
        return "was revoked" if present is None else "has expired" if present == grant else _CHANGED

    def _deny(self, reason: str) -> None:
        self._over = True
        self.refusals["logins"] += 1
        audit.denied("login", self.caller, reason=reason, **({"name": self._name} if self._name else {}))

    # What is different before a login.

    def _careful(self, packet: Packet) -> Any:
        if self._entered:
            return super()._careful(packet)
        asked = read_request(packet) if isinstance(packet, Invoke) else None
        return asked if asked is not None and asked.method is Method.AUTHENTICATE else packet

    def _sees(self, hosted: Hosted) -> bool:
        return self._entered and super()._sees(hosted)
