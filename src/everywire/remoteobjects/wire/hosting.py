"""Our objects on Qt Remote Objects: doors, frames and class definitions of one published object, for all its links.

Everything is made once, when the object is published: routes that lead a frame's head to a door, and encoders that turn
a change into the bytes that every link gets. It knows links only as something with an outbox.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from everywire.errors import Code, Fault, ModelError
from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.model.properties import Readable
from everywire.model.reading import child_members, with_children
from everywire.model.signals import Signal
from everywire.model.state import Disconnect
from everywire.model.types import child_type
from everywire.remoteobjects.codec import (
    ADAPTER,
    QTRO_2_0,
    CallKind,
    Dialect,
    Init,
    InitDynamic,
    Invoke,
    ObjectInfo,
    ObjectReference,
    Packet,
    PropertyChange,
    UserTypes,
    encode_packet,
)
from everywire.remoteobjects.codec.references import ReferenceKind, child_name, encode_class, encode_values
from everywire.remoteobjects.engine import change_head, invoke_head
from everywire.remoteobjects.rep.names import wire_name
from everywire.remoteobjects.rep.signature import signature_of
from everywire.remoteobjects.wire.coders import change_encoder, signal_encoder
from everywire.remoteobjects.wire.doors import looks_of, slot_door, stream_door, write_door
from everywire.remoteobjects.wire.layout import Layout, definition_of, holds_table, is_table_class, layout_of
from everywire.remoteobjects.wire.looks import Wired, typed, types_in, user_types, variant, wired
from everywire.remoteobjects.wire.memos import PROPERTY, memo_of, reference
from everywire.remoteobjects.wire.qttypes import lower
from everywire.runtime.children import Nest
from everywire.runtime.gate import Door
from everywire.runtime.hosted import refuse_handles
from everywire.runtime.node import Publication
from everywire.runtime.outbox import Outbox

if TYPE_CHECKING:
    from everywire.remoteobjects.wire.tables import HostedTable

log: Final = logging.getLogger("everywire.remoteobjects")


class Listening(Protocol):
    """A link that has attached to objects."""

    @property
    def outbox(self) -> Outbox:
        """What waits to be written to it."""
        ...


class Hosted(Protocol):
    """What a server needs of a published object, whatever it is to Qt."""

    name: str
    publication: Publication
    contract: Contract

    @property
    def info(self) -> ObjectInfo:
        """The entry in the list of objects."""
        ...

    @property
    def memo(self) -> str:
        """The name of what dynamic listeners are given to keep, see `memos`; empty for none."""
        ...

    @property
    def user_types(self) -> UserTypes:
        """The structs and enums that callers may send by their C++ names."""
        ...

    @property
    def doors(self) -> tuple[Door, ...]:
        """Every door that leads to the object."""
        ...

    def join(self, link: Listening, *, dynamic: bool, anew: bool) -> bytes:
        """Make *link* a listener; return what answers AddObject: the present values, to who asks *anew* with the class.

        A *dynamic* listener knows the object by the definition that it was sent, now or before.
        """
        ...

    def leave(self, link: Listening) -> None:
        """Tell *link* no more."""
        ...

    def routes(self, *, dynamic: bool) -> dict[bytes, Door]:
        """Return what leads a call's frame head to a door, for one kind of listener."""
        ...

    def stream(self, name: str) -> Door:
        """Return the door of the stream *name*; raise Fault(NOT_FOUND)."""
        ...

    def close(self) -> None:
        """Stop listening to the object, and let no call through that has arrived already."""
        ...


class Room(Protocol):
    """What an object needs of its server for its children, which are in no list of objects."""

    def child_name(self, parent: str, prop: str, dialect: Dialect, kind: ReferenceKind) -> str:
        """Return a name for the child that the property *prop* of *parent* holds, which no other object has."""
        ...

    def child_shown(self, child: Hosted, root: HostedObject) -> None:
        """A child object of the published *root* can be called from now on."""
        ...

    def child_gone(self, child: Hosted) -> None:
        """A child object is closed."""
        ...


class Form:
    """The object as one kind of listener sees it: with QtCore's types, or with exactly those that C++ declares.

    What its observers send is encoded once for all its links; results have the types that the caller expects.
    """

    def __init__(self, hosted: HostedObject, *, exact: bool) -> None:
        above = hosted.above
        self.links: dict[Listening, None] = {} if above is None else above.form(dynamic=not exact).links
        """In order of attachment; those of a child are its parent's."""
        self.routes: dict[bytes, Door] = {}
        self._hosted, self._exact = hosted, exact
        self._disconnects: list[Disconnect] = []
        for member in hosted.contract.members.values():
            if member.kind is Kind.PROPERTY:
                self._add_property(member)
            elif member.kind is Kind.SIGNAL:
                self._add_signal(member)
            elif not member.stream:
                door = slot_door(hosted.publication, member, hosted.dialect, exact=exact)
                self._route(CallKind.METHOD, hosted.layout.slots[member.name], door)

    def values(self, *, define: bool) -> tuple[Any, ...]:
        """Return the present values of the properties, as the codec writes them; of children the class if *define*."""
        return tuple(self._value(member, define=define) for member in self._hosted.contract.of_kind(Kind.PROPERTY))

    def close(self) -> None:
        """Stop listening to the object."""
        for disconnect in self._disconnects:
            disconnect()
        self._disconnects.clear()

    def _add_property(self, member: Member) -> None:
        hosted = self._hosted
        layout, name, dialect = hosted.layout, hosted.name, hosted.dialect
        index, place = layout.properties[member.name], layout.notifies.get(member.name)
        if child_type(member.type) is not None:
            self._add_child(member, index, place)
            return
        notify = None if place is None else invoke_head(name, 0, place, dialect)
        encode = change_encoder(self._look(member), change_head(name, index, dialect), notify, index, dialect)
        key, links = (self, member), self.links

        def tell(value: Any) -> None:
            if links:
                frame, alone = encode(value), len(links) == 1
                for link in links:
                    link.outbox.put_change(key, frame, alone=alone)

        state = hosted.publication.object._everywire
        self._disconnects.append(state.listen(member.name, tell, first=True))
        if member.writable:
            door = write_door(hosted.publication, member, dialect, exact=self._exact)
            self._route(CallKind.WRITE_PROPERTY, index, door)
            if member.name in layout.pushes:
                self._route(CallKind.METHOD, layout.pushes[member.name], door)

    def _add_child(self, member: Member, index: int, notify: int | None) -> None:
        hosted, links, before = self._hosted, self.links, hosted_value(self._hosted, member)

        def tell(child: Object | None) -> None:
            nonlocal before
            replaced, before = before is not None and child is not None, child
            if not links:
                return
            shown = hosted.child(member, child)
            if self._exact and replaced and isinstance(shown, HostedObject):
                frame = shown.form(dynamic=False).all_changes()
            else:
                change: Packet = PropertyChange(hosted.name, index, self._reference(member, child, define=True))
                frame = encode_packet(change, hosted.dialect)
            if notify is not None:  # Qt takes the object from the change before
                frame += encode_packet(Invoke(hosted.name, CallKind.METHOD, notify, (), -1, index), hosted.dialect)
            tables = tuple(tables_in(shown))
            for link in tuple(links):  # one that is too slow may be cut, and leave, meanwhile
                told = b"".join((frame, *(table.current_for(link) for table in tables)))
                link.outbox.put_notice(told)  # in its place among the changes of both children

        self._disconnects.append(hosted.publication.object._everywire.listen(member.name, tell, first=True))

    def all_changes(self) -> bytes:
        """Return frames that tell every value as new: another object stands for the name from now on.

        Replicas of Qt that were generated from a .rep have their children for ever, and lose those that are replaced.
        """
        hosted, frames = self._hosted, b""
        properties = hosted.contract.of_kind(Kind.PROPERTY)
        for index, (member, value) in enumerate(zip(properties, self.values(define=True), strict=True)):
            packets: list[Packet] = [PropertyChange(hosted.name, index, value)]
            if (notify := hosted.layout.notifies.get(member.name)) is not None:
                arguments = () if child_type(member.type) is not None else (value,)
                packets.append(Invoke(hosted.name, CallKind.METHOD, notify, arguments, -1, index))
            frames += b"".join(encode_packet(packet, hosted.dialect, hosted.user_types) for packet in packets)
        return frames

    def _reference(self, member: Member, child: Object | None, *, define: bool) -> ObjectReference:
        """Return what stands for a *child*, all of it; its class too where the listener needs it."""
        hosted = self._hosted
        dialect, shown = hosted.dialect, hosted.child(member, child)
        contract = contract_of_child(member, child)
        if shown is None:
            kind = kind_of(member, None)
            type_name = contract.name if kind is ReferenceKind.CLASS else ADAPTER
            return ObjectReference(hosted.last_name(member), type_name, kind, b"", None)
        if not isinstance(shown, HostedObject):
            values = encode_values(shown.values_as_child(), dialect)
            return ObjectReference(shown.name, ADAPTER, ReferenceKind.MODEL, b"", values)
        form = shown.form(dynamic=not self._exact)
        definition = encode_class(definition_of(contract), dialect) if define else b""
        values = encode_values(form.values(define=define), dialect, shown.user_types)
        return ObjectReference(shown.name, contract.name, ReferenceKind.CLASS, definition, values)

    def _route(self, call: CallKind, index: int, door: Door) -> None:
        self.routes[invoke_head(self._hosted.name, call, index, self._hosted.dialect)] = door

    def _add_signal(self, member: Member) -> None:
        hosted = self._hosted
        head = invoke_head(hosted.name, 0, hosted.layout.signals[member.name], hosted.dialect)
        encode = signal_encoder(looks_of(member.parameters, exact=self._exact), head, hosted.dialect)
        links = self.links

        def tell(*arguments: Any) -> None:
            if links:
                frame, alone = encode(*arguments), len(links) == 1
                for link in links:
                    link.outbox.put_signal(frame, alone=alone)

        source = hosted.publication.object
        handle: Signal[*tuple[Any, ...]] = type(source).__everywire_declared__[member.name]
        self._disconnects.append(handle.bound(source).attach(tell, first=True))

    def _look(self, member: Member) -> Wired:
        return wired(member.type, member.parameters[0].marks, exact=self._exact)

    def _value(self, member: Member, *, define: bool) -> Any:
        hosted, value = self._hosted, hosted_value(self._hosted, member)
        if child_type(member.type) is not None:
            return self._reference(member, value, define=define)
        look = self._look(member)
        try:
            variant(look, value, hosted.dialect, types_in(look.node))
        except ModelError as error:  # a time with a zone, for example; one value must not hide the others
            log.warning("%s.%s cannot be sent over Qt Remote Objects: %s", hosted.name, member.name, error)
            return typed(look, lower(look.node, look.node.zero, exact=True)) if self._exact else None
        return typed(look, lower(look.node, value, exact=look.exact))


class HostedObject:
    """One published object as Qt Remote Objects sees it, in one dialect."""

    def __init__(
        self,
        publication: Publication,
        dialect: Dialect = QTRO_2_0,
        *,
        room: Room | None = None,
        above: HostedObject | None = None,
        turn: int = 1,
    ) -> None:
        self.publication, self.dialect, self.above, self._room = publication, dialect, above, room
        self.name, self.contract = publication.name, publication.contract
        for contract in with_children([self.contract]):
            refuse_handles(contract, "Qt Remote Objects")
        self.layout: Layout = layout_of(self.contract)
        self._definition = definition_of(self.contract)
        self.memo = memo_of(self.name, self.contract) if above is None else ""
        """The name of what dynamic listeners are given to keep, see `memos`; empty for none."""
        if self.memo:
            self._definition = msgspec.structs.replace(
                self._definition, properties=(*self._definition.properties, PROPERTY)
            )
        self._types = user_types(self.contract)
        self._signature = signature_of(self.contract, qt5=dialect.is_qt5)
        self._streams: dict[str, Door] = {}
        self._forms: dict[bool, Form] = {}
        """By whether listeners are dynamic; that of replicas generated from a .rep is made for the first of them."""
        self._nest: Nest[HostedObject | HostedTable] = Nest(publication.object, self._host, depth=self.depth)
        self._turn = turn
        """The how many-eth object it is under its name, or child in its place."""
        self._turns: Counter[str] = Counter()
        self._names: dict[str, str] = {}
        """What the present or last child of each property is called."""
        self.form(dynamic=True)
        for member in child_members(self.contract):
            self._nest.follow(member)

    @property
    def info(self) -> ObjectInfo:
        """The entry in the list of objects."""
        return ObjectInfo(self.name, self.contract.name, self._signature)

    @property
    def user_types(self) -> UserTypes:
        """The structs and enums that callers may send by their C++ names."""
        return self._types

    @property
    def depth(self) -> int:
        """Of how many objects it is the innermost."""
        return 1 if self.above is None else self.above.depth + 1

    @property
    def root(self) -> HostedObject:
        """The published object whose child, or child's child, it is; itself if it is one."""
        return self if self.above is None else self.above.root

    def child(self, member: Member, child: Object | None) -> HostedObject | HostedTable | None:
        """Return what is shown of *child*, which the property holds now."""
        return self._nest.show(member, child)

    @property
    def links(self) -> tuple[Listening, ...]:
        """Who listens."""
        return tuple(link for form in self._forms.values() for link in form.links)

    def join(self, link: Listening, *, dynamic: bool, anew: bool) -> bytes:
        """Make *link* a listener; see `Hosted.join`."""
        self.leave(link)
        form = self.form(dynamic=dynamic)
        values = form.values(define=dynamic)
        if dynamic and self.memo:
            values = (*values, reference(self.memo, self.dialect))
        packet = InitDynamic(self.name, self._definition, values) if anew else Init(self.name, values)
        frame = encode_packet(packet, self.dialect, self._types)
        form.links[link] = None
        for table in self.tables():
            table.join(link, dynamic=dynamic, anew=False)
            frame += table.current_for(link)
        return frame

    def leave(self, link: Listening) -> None:
        """Tell *link* no more."""
        for form in self._forms.values():
            form.links.pop(link, None)
        for table in self.tables():
            table.leave(link)

    def routes(self, *, dynamic: bool) -> dict[bytes, Door]:
        """Return what leads a call's frame head to a door; see `Hosted.routes`."""
        found = dict(self.form(dynamic=dynamic).routes)
        for child in self._nest:
            found.update(child.routes(dynamic=dynamic))
        return found

    def stream(self, name: str) -> Door:
        """Return the door of the stream *name*; raise Fault(NOT_FOUND)."""
        member = self.contract.members.get(name)
        if member is None or not member.stream:
            raise Fault(Code.NOT_FOUND, f"{self.name} has no stream {name!r}", may_have_run=False)
        if name not in self._streams:
            self._streams[name] = stream_door(self.publication, member)
        return self._streams[name]

    @property
    def doors(self) -> tuple[Door, ...]:
        """Every door that leads to the object."""
        routed = (door for form in self._forms.values() for door in form.routes.values())
        return (*routed, *self._streams.values())

    def close(self) -> None:
        """Stop listening to the object, and let no call through that has arrived already."""
        self._nest.close()
        for form in self._forms.values():
            form.close()
        for door in self.doors:
            door.shut()
        if self.above is not None and self._room is not None:
            self._room.child_gone(self)

    def form(self, *, dynamic: bool) -> Form:
        """Return the object as one kind of listener sees it."""
        form = self._forms.get(dynamic)
        if form is None:
            form = self._forms[dynamic] = Form(self, exact=not dynamic)
            for child in self._nest:
                if isinstance(child, HostedObject):
                    child.form(dynamic=dynamic)
        return form

    def tables(self) -> Iterator[HostedTable]:
        """Yield the tables among its children, all the way down: they know their listeners by themselves."""
        for child in self._nest:
            yield from tables_in(child)

    def _host(self, member: Member, child: Object) -> HostedObject | HostedTable:
        room, contract = self._room, contract_of_child(member, child)
        name = self._names[member.name] = self._child_name(member, child)
        publication = replace(self.publication, name=name, object=child, contract=contract)
        self._turns[member.name] += 1
        hosted: HostedObject | HostedTable
        if is_table(child):
            hosted = self._host_table(publication)
        else:
            hosted = HostedObject(publication, self.dialect, room=room, above=self, turn=self._turns[member.name])
            for dynamic in self._forms:
                hosted.form(dynamic=dynamic)
        if room is not None:
            room.child_shown(hosted, self.root)
        return hosted

    def _host_table(self, publication: Publication) -> HostedTable:
        from everywire.remoteobjects.wire.tables import HostedTable

        table = HostedTable(publication, self.dialect, closed=None if self._room is None else self._room.child_gone)
        for link in self.links:
            table.join(link, dynamic=True, anew=False)
        return table


    def last_name(self, member: Member) -> str:
        """Return what the child that a property has held is called, or would have been."""
        return self._names.get(member.name) or self._child_name(member, None)

    def _child_name(self, member: Member, child: Object | None) -> str:
        """Return what the child in a property is called.

        Qt makes a new replica of a child when its parent's values come again, or when it takes the place of another,
        but looks for those of its own children under their names, finds remains of the old ones, and crashes. So those
        get names that nobody has heard before.
        """
        parent, dialect, again = self.name, self.dialect, f"~{self.root._turn}~{self._turn}"
        if self.above is not None and again != "~1~1":
            parent, dialect = parent + again, QTRO_2_0
        name_of = child_name if self._room is None else self._room.child_name
        return name_of(parent, wire_name(member), dialect, kind_of(member, child))


def kind_of(member: Member, child: Object | None) -> ReferenceKind:
    """Return what the child in a property is to Qt."""
    is_model = holds_table(member.parameters[0]) if child is None else is_table(child)
    return ReferenceKind.MODEL if is_model else ReferenceKind.CLASS


def contract_of_child(member: Member, child: Object | None) -> Contract:
    """Return what a child shows: the class that the property declares, or its own where that says nothing."""
    node = child_type(member.type)
    declared = Object if node is None else node.cls
    return contract_of(type(child) if child is not None and (declared is Object or is_table(child)) else declared)


def tables_in(shown: HostedObject | HostedTable | None) -> Iterator[HostedTable]:
    """Yield the tables of which *shown* consists, or that it has."""
    if isinstance(shown, HostedObject):
        yield from shown.tables()
    elif shown is not None:
        yield shown


def hosted_value(hosted: HostedObject, member: Member) -> Any:
    """Return the present value of a property."""
    source = hosted.publication.object
    handle: Readable[Any] = type(source).__everywire_declared__[member.name]
    return getattr(source, handle.name)


def host(publication: Publication, dialect: Dialect, room: Room | None = None, turn: int = 1) -> Hosted:
    """Return how *publication* looks in *dialect*: tables are models of Qt. *turn* counts those of its name."""
    if not is_table(publication.object):
        return HostedObject(publication, dialect, room=room, turn=turn)
    from everywire.remoteobjects.wire.tables import HostedTable

    return HostedTable(publication, dialect)


def is_table(source: Object) -> bool:
    """Return whether *source* is a table."""
    return is_table_class(type(source))
