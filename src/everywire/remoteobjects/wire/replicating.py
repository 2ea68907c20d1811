"""Objects of others on Qt Remote Objects: one replica's routes, slots and values on one link. Knows no sockets.

A `Channel` lives as long as its replica, over all reconnects; each new link binds it anew, because a host that was
started again may count its members differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from everywire.codec.qdatastream import TypeId
from everywire.errors import Code, Fault, ModelError, SignatureMismatch
from everywire.model import MISSING, Contract, Kind, Member, Object, Parameter, contract_of
from everywire.model.building import build_class
from everywire.model.compile import compile_check
from everywire.model.contract import DEFAULT_TIMEOUT
from everywire.model.marks import Mark
from everywire.model.properties import Readable
from everywire.model.reading import child_members
from everywire.model.signals import Signal
from everywire.model.types import AnyType, ObjectOf, OptionalOf, Type, child_type
from everywire.remoteobjects.codec import CallKind, Invoke, Packet, PropertyChange, UserTypes
from everywire.remoteobjects.engine import (
    IGNORED,
    Engine,
    Heard,
    Waiting,
    change_head,
    invoke_head,
    reply_head,
    serials,
)
from everywire.remoteobjects.rep.marks import CppType
from everywire.remoteobjects.wire.childlinks import Brood
from everywire.remoteobjects.wire.coders import (
    call_frame,
    change_decoder,
    invoke_decoder,
    invoke_start,
    reply_decoder,
    slot_maker,
)
from everywire.remoteobjects.wire.layout import Layout, adapt, loosened
from everywire.remoteobjects.wire.looks import Wired, wired
from everywire.remoteobjects.wire.qttypes import VARIANT, lift, qt_type
from everywire.remoteobjects.wire.typenames import Foreign, Sent
from everywire.runtime.channel import GRACE, too_large
from everywire.runtime.limits import Limits
from everywire.runtime.matching import differences
from everywire.runtime.replica import ReplicaLink, link_of, named, shape


class Link(Protocol):
    """What a channel needs of the connection it is bound to; asyncio's and a blocking one offer the same."""

    engine: Engine
    extended: bool
    frames: list[bytes]
    limits: Limits
    loop: Any

    @property
    def objects(self) -> Mapping[str, Any] | None:
        """What the host shows, by name."""
        ...

    def write(self, frame: bytes, /) -> None:
        """Write at once."""
        ...

    def join(self, frame: bytes, /) -> None:
        """Write with the others of this turn."""
        ...

    def pending(self) -> Any:
        """Return a new pending call."""
        ...

    def sweep(self, channel: Channel) -> None:
        """Look after the deadlines of *channel* from now on."""
        ...

    def cancel(self, name: str, serial: int) -> None:
        """Ask the host to stop a call, if it understands that."""
        ...

    def open_stream(self, channel: Channel, member: Member, arguments: tuple[Any, ...]) -> Any:
        """Start a stream of the host."""
        ...

    def remote(self, channel: Channel) -> Any:
        """Return what pushes to the source of *channel*; see `ReplicaLink.remote`."""
        ...

    def learn(self, name: str, types: UserTypes) -> None:
        """Take what the object *name* says about types by C++ name."""
        ...

    def misfit(self, name: str, problem: str) -> None:
        """Take note of a value of the object *name* that does not fit."""
        ...


class Route:
    """Where a signal or property change goes."""

    __slots__ = ("decode", "echo", "echo_size", "lift", "rebinds", "tell")

    def __init__(
        self,
        decode: Callable[[Route, bytes, int, int], Any],
        lift_: Callable[[tuple[Any, ...]], tuple[Any, ...]],
        tell: Callable[..., None],
        *,
        rebinds: bool = False,
    ) -> None:
        self.decode, self.lift, self.tell, self.rebinds = decode, lift_, tell, rebinds
        self.echo, self.echo_size = b"", 0
        """How the frame begins that follows each change and repeats it, and its size; nothing when that varies."""


PUSH_TIMEOUT: Final = DEFAULT_TIMEOUT + GRACE
"""Seconds that a push waits for its answer, or for the Pong that stands for it."""


class Misfit(msgspec.Struct, frozen=True, gc=False):
    """A value arrived that does not fit the type of our class: the replica keeps what it has."""

    name: str
    problem: str


NOTIFY: Final = Route(lambda _route, _data, _start, _end: IGNORED, lambda arguments: arguments, lambda: None)
"""A property's notify signal: the change before it has said everything."""


def _leave(_route: Route, _data: bytes, _start: int, _end: int) -> None:
    """Leave a frame to the general path."""


class Channel:
    """One replica's calls and news, over all reconnects."""

    is_model = False
    """Whether the source is one of Qt's item models, which is a table here."""

    def __init__(
        self,
        replica: ReplicaLink,
        failed: Callable[[Fault], Any],
        call_of: Callable[..., Any],
        above: Brood | None = None,
    ) -> None:
        self.replica = replica
        self.brood = Brood(self, above)
        """The channels of child objects."""
        self.link: Link | None = None
        self.wanted = None if replica.cls is None else contract_of(replica.cls)
        """What the user's class says; None when the class is built from the host's."""
        self.waiting: dict[int, tuple[Waiting, Any]] = {}
        """Calls without a reply, oldest first."""
        self.sweeping = False
        self._failed, self._call_of = failed, call_of
        self._next_serial = serials().__next__
        self._binds: dict[str, tuple[Any, Any]] = {}
        """By name of the slot: as what its arguments are sent and its result comes, and what binds it to a link."""
        self._known: dict[str, Any] = {}
        """The types by C++ name that the present host has announced."""
        self.exact = False
        """Whether the values on the present link have the types that the class declares for C++."""
        self._heads: list[bytes] = []
        self._layout = Layout()
        self._offered = Contract("")

    # What slots of the replica call.

    def unavailable(self) -> Any:
        """Return a call that has failed because there is no link."""
        return self._failed(self.replica.unavailable())

    def too_large(self, size: int) -> Any:
        """Return a call that has failed because its frame of *size* bytes would make a host like us hang up."""
        return self._failed(too_large(size))

    def bounded(self, frame: bytes) -> bytes:
        """Return *frame*, which is no call; raise Fault when it would make a host like us hang up."""
        if self.link is not None and len(frame) - 4 > self.link.engine.max_frame:
            raise too_large(len(frame))
        return frame

    def sweep(self) -> None:
        """See that calls meet their deadlines."""
        if self.link is not None:
            self.sweeping = True
            self.link.sweep(self)

    def cancelled(self, call: Any) -> None:
        """Forget *call* and ask the host to stop it."""
        for serial, (_, candidate) in self.waiting.items():
            if candidate is call:
                self.give_up(serial)
                return

    def all_waiting(self) -> Iterator[Waiting]:
        """Yield what the calls without a reply wait for, those of children too."""
        yield from (waiting for waiting, _ in self.waiting.values())
        for link in self.replica.children.values():
            if link.channel is not None:
                yield from link.channel.all_waiting()

    def give_up(self, token: int) -> None:
        """Forget the call *token*, its serial, and ask the host to stop it."""
        del self.waiting[token]
        if self.link is not None:
            self.link.cancel(self.replica.name, token)

    # What the session calls.

    def attach(
        self, link: Link, offered: Contract, layout: Layout, values: tuple[Any, ...], *, exact: bool = False
    ) -> Object:
        """Bind to *link*: check what the host offers, take its values, and let slots call it.

        *exact* says that its values have the types that the class declares for C++. Raises SignatureMismatch. The
        observers hear one change for each property that really differs.
        """
        self.exact = exact
        self.brood.begin()
        self._known.clear()
        self._known.update(link.engine.types)
        if self.replica.cls is None:
            wanted = offered = loosened(offered, layout, values)
        else:
            wanted = contract_of(self.replica.cls)
        offered, layout = adapt(wanted, offered, layout, exact=link.extended)
        found = differences(wanted, offered, streams=link.extended)
        if found:
            name = self.replica.name
            raise SignatureMismatch(f"{name} at {self.replica.url} is not a {wanted.name}:", found)
        self._offered, self._layout = offered, layout
        decoded = self._decode_values(link, wanted, values)
        if self.replica.cls is None:
            wanted = _told_apart(wanted, decoded)
        instance: Object = self.replica.create(wanted, build_class)
        self.link = link
        for name, member in wanted.members.items():
            self._bind_member(link, instance, name, member)
        self._route(link, reply_head(self.replica.name, link.engine.dialect), self.waiting)
        self.replica.take(decoded)
        return instance

    def unroute(self) -> None:
        """Let news of the old source be for nobody."""
        if self.link is not None:
            for head in self._heads:
                self.link.engine.routes.pop(head, None)
        self._heads.clear()

    def of_child(self, child: ReplicaLink, *, is_model: bool = False) -> Channel:
        """Return a new channel for the replica of a child object."""
        return channel_class(is_model=is_model)(child, self._failed, self._call_of, self.brood)

    def detach(self, fault: Fault) -> None:
        """Unbind from the link: every waiting call fails with *fault*, and news of the old source is for nobody."""
        self.unroute()
        self.link = None
        self.replica.detach_children(fault)
        for _, bind in self._binds.values():
            bind({"head": None})
        waiting = tuple(self.waiting.values())
        self.waiting.clear()
        for _, call in waiting:
            if not call.done():
                call.set_exception(fault)

    def when_valid(self, done: Callable[[Exception | None], object]) -> None:
        """Call *done* when the replica is valid, with that of its children that need more than their first values."""
        waiting = [
            link.channel for link in self.replica.children.values() if not getattr(link.channel, "is_settled", True)
        ]

        def settled(_error: Exception | None, channel: Channel | None = None) -> None:
            waiting[:] = [other for other in waiting if other is not channel]
            if not waiting:
                done(None)  # a child that failed is no more than that

        for channel in tuple(waiting):
            channel.when_valid(partial(settled, channel=channel))
        if not waiting:
            done(None)

    def push(self, member: Member, value: Any) -> Any:
        """Call the push method of *member* and return the pending call; None when the host has no such method."""
        index = self._layout.pushes.get(member.name)
        if index is None:
            return None
        link = self.link
        if link is None:
            return self.unavailable()
        serial, dialect = self._next_serial(), link.engine.dialect
        frame = self._call_frame(link, CallKind.METHOD, index, member, value, serial)  # may raise
        if len(frame) - 4 > link.engine.max_frame:
            return self.too_large(len(frame))
        link.join(frame)  # may raise: only then is there somebody who waits
        pending = link.pending()
        pending.link = self
        self.waiting[serial] = (Waiting(reply_decoder(None, dialect), lambda _: None, PUSH_TIMEOUT), pending)
        self.sweep()
        return pending

    def write_frame(self, member: Member, value: Any) -> bytes:
        """Return the frame of a property write, which Qt does not answer; raise Fault without a link."""
        if self.link is None:
            raise self.replica.unavailable()
        index = self._layout.properties[member.name]
        return self.bounded(self._call_frame(self.link, CallKind.WRITE_PROPERTY, index, member, value, -1))

    # Private.

    def _bind_member(self, link: Link, instance: Object, name: str, member: Member) -> None:
        handle: Any = type(instance).__everywire_declared__[name]
        if member.kind is Kind.PROPERTY:
            self._bind_property(link, instance, handle, member)
        elif member.kind is Kind.SIGNAL:
            self._bind_signal(link, instance, handle, member)
        elif not member.stream:
            self._bind_slot(link, instance, member)
        elif link.extended:
            vars(instance)[name] = self._stream(member)

    def _call_frame(self, link: Link, call: CallKind, index: int, member: Member, value: Any, serial: int) -> bytes:
        look = self._sent(member.parameters[0], self._offered.members[member.name].parameters[0])
        dialect = link.engine.dialect
        head = invoke_head(self.replica.name, call, index, dialect)
        return call_frame((look,), head, serial, (value,), dialect, self._known)

    def _sent(self, ours: Parameter, theirs: Parameter) -> Wired:
        """Return as what an argument is sent: exactly what the host declares, for Qt passes it by pointer."""
        if self.exact:
            return wired(ours.type, ours.marks, exact=True)
        plain = wired(ours.type)
        if isinstance(theirs.type, Foreign):
            return plain._replace(node=Sent(theirs.type), number=VARIANT.number)
        declared = next((mark.name for mark in theirs.marks if isinstance(mark, CppType)), "")
        if "<" in declared:
            return Wired(Sent(theirs.type), TypeId.USER, declared, exact=True)
        same = isinstance(theirs.type, AnyType) or plain.number == qt_type(theirs.type).number
        return plain if same else wired(Sent(theirs.type))

    def _received(self, node: Type, marks: tuple[Mark, ...]) -> Wired:
        return wired(node, marks, exact=True) if self.exact else wired(node)

    def _bind_property(self, link: Link, instance: Object, handle: Readable[Any], member: Member) -> None:
        state, node, dialect = instance._everywire, member.type, link.engine.dialect
        look = self._received(node, member.parameters[0].marks)
        if child_type(node) is not None:
            take = partial(self._take_child, link, handle, member)
            route = Route(_leave, lambda raw: raw[:1], take, rebinds=True)
        else:
            tell = partial(handle.receive, state)
            route = Route(change_decoder(look, Heard, dialect), lambda raw: (lift(node, raw[0]),), tell)
        own = self.replica.name
        self._route(link, change_head(own, self._layout.properties[member.name], dialect), route)
        notify = self._layout.notifies.get(member.name)
        if notify is not None:
            head = invoke_head(own, CallKind.METHOD, notify, dialect)
            self._route(link, head, NOTIFY)
            if child_type(node) is None:
                route.echo, route.echo_size = invoke_start(look, head, dialect)

    def _take_child(self, link: Link, handle: Readable[Any], member: Member, raw: object) -> None:
        """Take the object that a property holds from now on."""
        if self.link is not link:
            return  # an event before has ended what this is about
        try:
            child = self.brood.take(link, member, self._offered.members[member.name], raw)
        except (ModelError, SignatureMismatch) as error:
            link.misfit(self.replica.name, f"{member.name}: {error}")
        else:
            self.replica.child_changed(handle, child)

    def _bind_signal(self, link: Link, instance: Object, handle: Signal[*tuple[Any, ...]], member: Member) -> None:
        types = tuple(parameter.type for parameter in member.parameters)
        looks = tuple(self._received(parameter.type, parameter.marks) for parameter in member.parameters)
        bound, dialect = handle.bound(instance), link.engine.dialect

        def tell(*arguments: Any) -> None:
            bound.deliver(arguments)

        def lift_all(raw: tuple[Any, ...]) -> tuple[Any, ...]:
            if len(raw) < len(types):
                raise ModelError(f"{member.name} carries {len(types)} arguments, got {len(raw)}")
            return tuple(lift(node, value) for node, value in zip(types, raw, strict=False))  # Qt may send surplus ones

        head = invoke_head(self.replica.name, CallKind.METHOD, self._layout.signals[member.name], dialect)
        self._route(link, head, Route(invoke_decoder(looks, Heard, dialect, token=False), lift_all, tell))

    def _bind_slot(self, link: Link, instance: Object, member: Member) -> None:
        offered, dialect = self._offered.members[member.name], link.engine.dialect
        looks = tuple(self._sent(*pair) for pair in zip(member.parameters, offered.parameters, strict=True))
        result = None if member.result is None else self._received(member.result, member.result_marks)
        make, packers = slot_maker(looks, dialect, self._known)
        known = self._binds.get(member.name)
        form = (looks, result, dialect)
        if known is None or known[0] != form:  # a host that was started again may declare other types
            waiting = Waiting(reply_decoder(result, dialect), _result_lifter(member), _caller_timeout(member))
            function, bind = make(self, compile_check(member), waiting, self._call_of)
            defaults = tuple(p.default for p in member.parameters if p.default is not MISSING)
            vars(instance)[member.name] = named(function, member.parameters, member, defaults)
            function.__self__ = instance
            known = self._binds[member.name] = form, bind
        head = invoke_head(self.replica.name, CallKind.METHOD, self._layout.slots[member.name], dialect)
        known[1](
            {
                **packers(head),
                "most": link.engine.max_frame + 4,
                "pending": self.waiting,
                "frames": link.frames,
                "next_serial": self._next_serial,
                "write": link.write,
                "join": link.join,
                "loop": link.loop,
            }
        )

    def _stream(self, member: Member) -> Any:
        check = compile_check(member)

        def stream(*arguments: Any) -> Any:
            checked = check(arguments)
            if self.link is None or not self.link.extended:
                raise self.replica.unavailable()
            return self.link.open_stream(self, member, checked)

        return shape(member, stream)

    def _decode_values(self, link: Link, wanted: Contract, values: tuple[Any, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for member in wanted.of_kind(Kind.PROPERTY):
            index = self._layout.properties[member.name]
            if index >= len(values):
                raise SignatureMismatch(f"{self.replica.name}: the host sent no value for {member.name}")
            try:
                if child_type(member.type) is not None:
                    offered = self._offered.members[member.name]
                    found[member.name] = self.brood.take(link, member, offered, values[index])
                else:
                    found[member.name] = lift(member.type, values[index])
            except ModelError as error:
                problem = f"{member.name}: {error}"
                raise SignatureMismatch(f"{self.replica.name} at {self.replica.url}:", (problem,)) from error
        return found

    def _route(self, link: Link, head: bytes, route: Any) -> None:
        link.engine.routes[head] = route
        self._heads.append(head)


def channel_class(*, is_model: bool) -> type[Channel]:
    """Return the class of channels for one kind of source."""
    if not is_model:
        return Channel
    from everywire.remoteobjects.wire.tablelinks import TableChannel  # few programs use tables

    return TableChannel


def contract_of_models() -> Contract:
    """Return what all models offer."""
    from everywire.tables import Table

    return contract_of(Table)


def careful_news(engine: Engine, packet: Packet) -> Any:
    """Return the event for a signal or change that no fast decoder recognized; the packet when it is for nobody."""
    raw: tuple[object, ...]
    if isinstance(packet, PropertyChange):
        head, raw = change_head(packet.name, packet.index, engine.dialect), (packet.value,)
    elif isinstance(packet, Invoke):
        head, raw = invoke_head(packet.name, packet.call, packet.index, engine.dialect), packet.arguments
    else:
        return packet
    route = engine.routes.get(head)
    if route is None or route is NOTIFY:
        return IGNORED if route is NOTIFY else packet
    try:
        return Heard(route, route.lift(raw))
    except ModelError as error:
        return Misfit(packet.name, str(error))


def _told_apart(contract: Contract, values: Mapping[str, Any]) -> Contract:
    """Return *contract* with the classes of the children that are there: Qt's definitions know only pointers."""
    members = dict(contract.members)
    for member in child_members(contract):
        child, node = values.get(member.name), child_type(member.type)
        if child is not None and node is not None and node.cls is Object:
            found = OptionalOf(ObjectOf(link_of(child).cls or Object))
            members[member.name] = replace(member, parameters=(replace(member.parameters[0], type=found),))
    return replace(contract, members=members)


def _result_lifter(member: Member) -> Callable[[Any], Any]:
    node = member.result

    def lift_result(raw: Any) -> Any:
        if node is None:
            return None
        if raw is None and not isinstance(node, (OptionalOf, AnyType)):
            raise Fault(Code.UNKNOWN, "the Qt source gave no result")
        try:
            return lift(node, raw)
        except ModelError as error:
            raise Fault(Code.INTERNAL, f"the result of {member.name} does not fit its type: {error}") from error

    return lift_result


def _caller_timeout(member: Member) -> float | None:
    """Return how long a caller waits: two seconds more than the slot may take, so that the host's answer wins."""
    return None if member.timeout is None else member.timeout + GRACE
