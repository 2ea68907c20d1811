"""One replica's calls and news over all reconnects, for wires that know members by name.

A wire's client session is the `Carrier`: it takes calls, and gives the channel what it hears. Qt Remote Objects, which
knows members by number and is measured in microseconds, has its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from everywire.errors import Code, Fault, ModelError, SignatureMismatch
from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.model.compile import checked_result, compile_check
from everywire.runtime.children import childless
from everywire.runtime.matching import differences
from everywire.runtime.replica import ReplicaLink, shape

GRACE: Final = 2.0
"""Seconds that a caller waits longer than the host may take, so that the host's answer wins."""


class Carrier(Protocol):
    """What a channel needs of the connection that it is bound to."""

    def call(self, channel: Channel, member: Member, arguments: tuple[Any, ...], token: int) -> None:
        """Send a call of a slot, or the write of a property; raises Fault when it cannot be sent."""
        ...

    def cancel(self, channel: Channel, token: int) -> None:
        """Ask the host to stop a call."""
        ...

    def open_stream(self, channel: Channel, member: Member, arguments: tuple[Any, ...]) -> Any:
        """Start a stream of the host and return its iterator; raises Fault."""
        ...

    def sweep(self, channel: Channel) -> None:
        """Look after the deadlines of *channel* from now on; see `deadlines`."""
        ...


def too_large(size: int) -> Fault:
    """Return the Fault of a call whose frame of *size* bytes would make a host like us hang up."""
    text = f"a call of {size} bytes is larger than Limits.frame allows; raise it at both ends"
    return Fault(Code.RESOURCE_EXHAUSTED, text, may_have_run=False)


class Expected:
    """What a waiting call expects: its member, and for how long it waits (None: for ever)."""

    __slots__ = ("member", "timeout")

    def __init__(self, member: Member, grace: float) -> None:
        self.member = member
        self.timeout = None if member.timeout is None else member.timeout + grace


class Channel:
    """What outlives connections: `replica.channel`."""

    def __init__(self, replica: ReplicaLink, call_of: Callable[[], Any], *, children: bool = False) -> None:
        self.replica = replica
        self.carries_children = children
        self.carrier: Carrier | None = None
        self.waiting: dict[int, tuple[Expected, Any]] = {}
        """Calls without an answer by token, oldest first."""
        self.sweeping = False
        self.grace = GRACE
        """See `GRACE`; nothing with a host that does not know how long its slots may run."""
        self.takers: dict[str, Callable[[Any, Any], object]] = {}
        """By slot: who takes a call and its result the moment it is heard, before what is heard next."""
        self._call_of = call_of
        self._bound = False
        self._tokens = itertools.count(1)

    # What a session calls.

    def attach(
        self,
        carrier: Carrier,
        offered: Contract,
        values: Mapping[str, Any],
        build: Callable[[Contract], type[Object]],
    ) -> None:
        """Bind to a connection: check what is offered, take the values, let slots call.

        Raises SignatureMismatch. Observers hear one change for each property that really differs.
        """
        replica = self.replica
        wanted = contract_of(replica.cls) if replica.cls is not None else offered
        if not self.carries_children:
            wanted = childless(wanted)
        if found := differences(wanted, offered):
            raise SignatureMismatch(f"{replica.name} at {replica.url} is not a {wanted.name}:", found)
        instance: Object = replica.create(wanted, build)
        self.carrier = carrier
        if not self._bound:
            self._bound = True
            for member in wanted.of_kind(Kind.SLOT):
                vars(instance)[member.name] = self._slot(member)
        replica.remote = self
        replica.take({name: value for name, value in values.items() if name in wanted.members})

    def detach(self, fault: Fault) -> None:
        """Unbind; waiting calls fail with *fault*."""
        self.carrier = None
        self.replica.detach_children(fault)
        waiting = tuple(self.waiting.values())
        self.waiting.clear()
        for _, call in waiting:
            if not call.done():
                call.set_exception(fault)

    def changed(self, name: str, value: Any) -> None:
        """Take the new value of a property."""
        handle = self._handle(name)
        if handle is not None:
            handle.receive(self.replica.instance._everywire, value)

    def emitted(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Take a signal."""
        handle = self._handle(name)
        if handle is not None:
            handle.bound(self.replica.instance).deliver(arguments)

    def expected(self, token: int) -> Member | None:
        """Return the member that the call *token* waits for; None when nobody waits any more."""
        waiting = self.waiting.get(token)
        return None if waiting is None else waiting[0].member

    def answered(self, token: int, value: Any) -> None:
        """Take the result of a call."""
        entry = self.waiting.pop(token, None)
        if entry is None or entry[1].done():
            return
        expected, call = entry
        try:
            result = checked_result(expected.member.result, value)
        except ModelError as error:
            call.set_exception(Fault(Code.INTERNAL, f"the result does not fit its type: {error}"))
            return
        if (taker := self.takers.get(expected.member.name)) is not None:
            taker(call, result)
        call.set_result(result)

    def failed(self, token: int, fault: Fault) -> None:
        """Take the failure of a call."""
        entry = self.waiting.pop(token, None)
        if entry is not None and not entry[1].done():
            entry[1].set_exception(fault)

    # What pending calls and deadlines call.

    def cancelled(self, call: Any) -> None:
        """Forget *call* and ask the host to stop it."""
        self.give_up(call.token)

    def give_up(self, token: int) -> None:
        """Forget the call *token* and ask the host to stop it."""
        if self.waiting.pop(token, None) is not None and self.carrier is not None:
            self.carrier.cancel(self, token)

    # What replicas call.

    async def push(self, member: Member, value: Any) -> None:
        """Ask the source to take *value*."""
        await self._call(member, (value,))

    # Private.

    def _handle(self, name: str) -> Any:
        """Return the handle of a member; None when the host has more members than the class of the replica."""
        instance: Object = self.replica.instance
        return type(instance).__everywire_declared__.get(name)

    def _slot(self, member: Member) -> Callable[..., Any]:
        check = compile_check(member)
        if member.stream:
            return shape(member, lambda *arguments: self._stream(member, check(arguments)))
        return shape(member, lambda *arguments: self._call(member, check(arguments)))

    def _call(self, member: Member, arguments: tuple[Any, ...]) -> Any:
        call = self._call_of()
        if self.carrier is None:
            call.set_exception(self.replica.unavailable())
            return call
        call.link, call.token = self, (token := next(self._tokens))
        self.waiting[token] = (Expected(member, self.grace), call)
        try:
            self.carrier.call(self, member, arguments, token)
        except Fault as fault:
            self.failed(token, fault)
            return call
        if not self.sweeping:
            self.sweeping = True
            self.carrier.sweep(self)
        return call

    def _stream(self, member: Member, arguments: tuple[Any, ...]) -> Any:
        if self.carrier is None:
            raise self.replica.unavailable()
        return self.carrier.open_stream(self, member, arguments)
