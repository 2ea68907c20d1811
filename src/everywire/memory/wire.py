"""Both projections of the memory wire: what a source tells becomes a tuple, what a replica calls an event of the gate.

Values that could be changed in place are copied on the way, so the two sides share nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Protocol

from everywire.errors import Fault, SignatureMismatch
from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.model.compile import compile_check
from everywire.model.properties import Property
from everywire.model.signals import Signal
from everywire.model.slots import may_suspend
from everywire.model.state import Disconnect
from everywire.runtime.gate import Door, Invoked
from everywire.runtime.node import Publication
from everywire.runtime.outbox import Outbox
from everywire.runtime.replica import ReplicaLink, ReplicaState, differences, shape

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
        source = self.publication.object
        return {m.name: m.type.convert(getattr(source, m.name)) for m in self.contract.of_kind(Kind.PROPERTY)}

    def close(self) -> None:
        """Stop listening to the object."""
        for disconnect in self._disconnects:
            disconnect()

    def _add(self, member: Member) -> None:
        source = self.publication.object
        if member.kind is Kind.PROPERTY:
            self._disconnects.append(source._everywire.listen(member.name, self._tell_change(member), first=True))
            if member.writable:
                self.doors[member.name] = self._door(member, self._writer(member), suspends=True)
        elif member.kind is Kind.SIGNAL:
            handle: Signal[*tuple[Any, ...]] = type(source).__everywire_declared__[member.name]
            self._disconnects.append(handle.bound(source).attach(self._tell_signal(member), first=True))
        else:
            method = getattr(source, member.name)
            suspends = member.stream or may_suspend(getattr(method, "__func__", method))
            self.doors[member.name] = self._door(member, method, suspends=suspends)

    def _door(self, member: Member, method: Callable[..., Any], *, suspends: bool) -> Door:
        result, publication = member.result, self.publication

        def reply(token: int, value: Any) -> Any:
            return ("answered", (publication.name, token), None if result is None else result.convert(value))

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
        def tell(*arguments: Any) -> None:
            for link in self.links:
                link.outbox.put_signal(("emitted", (self.publication.name, member.name), arguments))

        return tell


class Channel:
    """One replica's calls and news, over all reconnects."""

    def __init__(
        self,
        replica: ReplicaLink,
        call_of: Callable[[], Any],
        open_stream: Callable[[Door, tuple[Any, ...]], Any],
    ) -> None:
        self.replica = replica
        self.hosted: HostedObject | None = None
        self.waiting: dict[int, Any] = {}
        self._call_of, self._open_stream = call_of, open_stream
        self._send: Callable[[Any], None] | None = None
        self._tokens = itertools.count(1)

    def attach(self, hosted: HostedObject, send: Callable[[Any], None]) -> None:
        """Bind to a link: check what is offered, take the values, let slots call."""
        replica = self.replica
        wanted = contract_of(replica.cls) if replica.cls is not None else hosted.contract
        if found := differences(wanted, hosted.contract):
            raise SignatureMismatch(f"{replica.name} at {replica.url} is not a {wanted.name}:", found)
        self.hosted, self._send = hosted, send
        instance: Object = replica.create(wanted, lambda _: type(hosted.publication.object))
        for member in wanted.of_kind(Kind.SLOT):
            vars(instance)[member.name] = self._slot(member)
        self._take(instance, {name: value for name, value in hosted.values().items() if name in wanted.members})
        replica.remote = self

    def detach(self, fault: Fault) -> None:
        """Unbind; waiting calls fail with *fault*."""
        self.hosted = self._send = None
        waiting = tuple(self.waiting.values())
        self.waiting.clear()
        for call in waiting:
            if not call.done():
                call.set_exception(fault)

    def hear(self, word: str, name: str, value: Any) -> None:
        """Take a change or a signal."""
        instance = self.replica.instance
        handle = type(instance).__everywire_declared__.get(name)
        if word == "changed" and handle is not None:
            handle.receive(instance._everywire, value)
        elif handle is not None:
            handle.bound(instance).deliver(value)

    def settle(self, word: str, token: int, value: Any) -> None:
        """Take an answer."""
        call = self.waiting.pop(token, None)
        if call is not None and not call.done():
            if word == "answered":
                call.set_result(value)
            else:
                call.set_exception(value)

    def cancelled(self, call: Any) -> None:
        """Forget *call* and stop it."""
        for token, candidate in self.waiting.items():
            if candidate is call:
                del self.waiting[token]
                if self._send is not None:
                    self._send(("cancel", self.replica.name, token))
                return

    async def push(self, member: Member, value: Any) -> None:
        """Ask the source to take *value*."""
        await self._call(member.name, (value,))

    def _slot(self, member: Member) -> Callable[..., Any]:
        check = compile_check(member)
        if member.stream:
            return shape(member, lambda *arguments: self._stream(member.name, check(arguments)))
        return shape(member, lambda *arguments: self._call(member.name, check(arguments)))

    def _call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        call = self._call_of()
        if self.hosted is None or self._send is None:
            call.set_exception(self.replica.unavailable())
            return call
        token = next(self._tokens)
        call.link = self
        self.waiting[token] = call
        self._send(Invoked(self.hosted.doors[name], arguments, token))
        return call

    def _stream(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if self.hosted is None:
            raise self.replica.unavailable()
        return self._open_stream(self.hosted.doors[name], arguments)

    def _take(self, instance: Object, values: dict[str, Any]) -> None:
        state = instance._everywire
        first = not state.values
        if first:
            state.values.update(values)
        self.replica.become(ReplicaState.VALID)
        if not first:
            declared = type(instance).__everywire_declared__
            for name, value in values.items():
                handle: Property[Any] = declared[name]
                handle.receive(state, value)
