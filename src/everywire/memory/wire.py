"""Both projections of the memory wire: what a source tells becomes a tuple, what a replica calls an event of the gate.

Values that could be changed in place are copied on the way, so the two sides share nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Protocol

from everywire.errors import Code, Fault, ModelError, SignatureMismatch
from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.model.compile import compile_check
from everywire.model.signals import BoundSignal
from everywire.model.slots import may_suspend
from everywire.model.state import Disconnect
from everywire.model.types import Type
from everywire.runtime.gate import Door, Invoked
from everywire.runtime.matching import differences
from everywire.runtime.node import Publication
from everywire.runtime.outbox import Outbox
from everywire.runtime.replica import ReplicaLink, ReplicaState, members, shape

Frame = tuple[str, Any, Any]
"""A word, what it is about, and its value: changed, emitted, answered, failed."""


class Listening(Protocol):
    """A link that has attached to objects."""

    @property
    def outbox(self) -> Outbox:
        """What waits to be given to it."""
        ...


class HostedObject:
    """One published object as the memory wire sees it."""

    def __init__(self, publication: Publication) -> None:
        self.publication = publication
        self.links: dict[Listening, None] = {}
        self.doors: dict[str, Door] = {}
        self._disconnects: list[Disconnect] = []
        for member in publication.contract.members.values():
            self._add(member)

    @property
    def contract(self) -> Contract:
        """What the object shows."""
        return self.publication.contract

    def values(self) -> dict[str, Any]:
        """Return copies of the present values."""
        found = members(self.publication.object)
        return {m.name: m.type.convert(found[m.name].value) for m in self.contract.of_kind(Kind.PROPERTY)}

    def close(self) -> None:
        """Stop listening to the object, and let no call through that has arrived already."""
        for disconnect in self._disconnects:
            disconnect()
        for door in self.doors.values():
            door.shut()

    def _add(self, member: Member) -> None:
        source = self.publication.object
        if member.kind is Kind.PROPERTY:
            self._disconnects.append(source._everywire.listen(member.name, self._tell_change(member), first=True))
            if member.writable:
                suspends = may_suspend(type(source)._write)
                self.doors[member.name] = self._door(member, self._writer(member), suspends=suspends)
        elif member.kind is Kind.SIGNAL:
            signal: BoundSignal[*tuple[Any, ...]] = members(source)[member.name]
            self._disconnects.append(signal.attach(self._tell_signal(member), first=True))
        else:
            method = members(source)[member.name]
            suspends = member.stream or may_suspend(getattr(method, "__func__", method))
            self.doors[member.name] = self._door(member, method, suspends=suspends)

    def _door(self, member: Member, method: Callable[..., Any], *, suspends: bool) -> Door:
        result, publication = member.result, self.publication

        def reply(token: int, value: Any) -> Any:
            try:
                return ("answered", (publication.name, token), None if result is None else result.convert(value))
            except ModelError as error:
                what = f"{publication.name}.{member.name}"
                raise Fault(Code.INTERNAL, f"the result of {what} does not fit its type: {error}") from error

        return Door(
            publication.name,
            member,
            owner=publication.object,
            method=method,
            check=compile_check(member),
            reply=reply,
            policy=publication.policy,
            suspends=suspends,
        )

    def _writer(self, member: Member) -> Callable[[Any], Any]:
        source = self.publication.object

        async def write(value: Any) -> None:
            await source._write(member.name, value)

        return write

    def _tell_change(self, member: Member) -> Callable[[Any], None]:
        key = (self, member)

        def tell(value: Any) -> None:
            for link in self.links:
                link.outbox.put_change(
                    key, ("changed", (self.publication.name, member.name), member.type.convert(value))
                )

        return tell

    def _tell_signal(self, member: Member) -> Callable[..., None]:
        copied = compile_check(member)

        def tell(*arguments: Any) -> None:
            for link in self.links:
                link.outbox.put_signal(("emitted", (self.publication.name, member.name), copied(arguments)))

        return tell


class Channel:
    """One replica's calls and news, over all reconnects."""

    def __init__(
        self,
        replica: ReplicaLink,
        call_of: Callable[[], Any],
    ) -> None:
        self.replica = replica
        self.hosted: HostedObject | None = None
        self.waiting: dict[int, tuple[Any, Type | None]] = {}
        self._call_of = call_of
        self._send: Callable[[Any], None] | None = None
        self._open_stream: Callable[[Door, tuple[Any, ...]], Any] | None = None
        self._tokens = itertools.count(1)

    def attach(
        self,
        hosted: HostedObject,
        send: Callable[[Any], None],
        open_stream: Callable[[Door, tuple[Any, ...]], Any],
    ) -> None:
        """Bind to a link: check what is offered, take the values, let slots call."""
        replica = self.replica
        wanted = contract_of(replica.cls) if replica.cls is not None else hosted.contract
        if found := differences(wanted, hosted.contract):
            raise SignatureMismatch(f"{replica.name} at {replica.url} is not a {wanted.name}:", found)
        self.hosted, self._send, self._open_stream = hosted, send, open_stream
        instance: Object = replica.create(wanted, lambda _: type(hosted.publication.object))
        for member in wanted.of_kind(Kind.SLOT):
            vars(instance)[member.name] = self._slot(member)
        replica.remote = self
        self._take(instance, {name: value for name, value in hosted.values().items() if name in wanted.members})

    def detach(self, fault: Fault) -> None:
        """Unbind; waiting calls fail with *fault*."""
        self.hosted = self._send = self._open_stream = None
        waiting = tuple(self.waiting.values())
        self.waiting.clear()
        for call, _ in waiting:
            if not call.done():
                call.set_exception(fault)

    def hear(self, word: str, name: str, value: Any) -> None:
        """Take a change or a signal."""
        instance: Object = self.replica.instance
        handle: Any = type(instance).__everywire_declared__.get(name)
        if handle is None:
            return  # the host has more members than the class of the replica
        if word == "changed":
            handle.receive(instance._everywire, value)
        else:
            handle.bound(instance).deliver(value)

    def settle(self, word: str, token: int, value: Any) -> None:
        """Take an answer."""
        call, node = self.waiting.pop(token, (None, None))
        if call is None or call.done():
            return
        if word == "failed":
            call.set_exception(value)
            return
        try:
            call.set_result(None if node is None else node.convert(value))
        except ModelError as error:
            call.set_exception(Fault(Code.INTERNAL, f"the result does not fit its type: {error}"))

    def cancelled(self, call: Any) -> None:
        """Forget *call* and stop it."""
        if self.waiting.pop(call.token, None) is not None and self._send is not None:
            self._send(("cancel", self.replica.name, call.token))

    async def push(self, member: Member, value: Any) -> None:
        """Ask the source to take *value*."""
        await self._call(member, (value,))

    def _slot(self, member: Member) -> Callable[..., Any]:
        check = compile_check(member)
        if member.stream:
            return shape(member, lambda *arguments: self._stream(member.name, check(arguments)))
        return shape(member, lambda *arguments: self._call(member, check(arguments)))

    def _call(self, member: Member, arguments: tuple[Any, ...]) -> Any:
        call = self._call_of()
        if self.hosted is None or self._send is None:
            call.set_exception(self.replica.unavailable())
            return call
        token = next(self._tokens)
        call.link, call.token = self, token
        self.waiting[token] = (call, member.result)
        self._send(Invoked(self.hosted.doors[member.name], arguments, token))
        return call

    def _stream(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if self.hosted is None or self._open_stream is None:
            raise self.replica.unavailable()
        return self._open_stream(self.hosted.doors[name], arguments)

    def _take(self, instance: Object, values: dict[str, Any]) -> None:
        state = instance._everywire
        first = not state.values
        if first:
            state.values.update(values)
        self.replica.become(ReplicaState.VALID)
        if not first:
            for name, value in values.items():
                handle: Any = type(instance).__everywire_declared__[name]
                handle.receive(state, value)
