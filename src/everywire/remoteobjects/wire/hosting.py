"""Our objects on Qt Remote Objects: doors, frames and class definitions of one published object, for all its links.

Everything is made once, when the object is published: routes that lead a frame's head to a door, and encoders that turn
a change into the bytes that every link gets. It knows links only as something with an outbox.
"""

from __future__ import annotations

import logging
from typing import Any, Final, Protocol

from everywire.errors import Code, Fault, ModelError
from everywire.model import Contract, Kind, Member
from everywire.model.properties import Readable
from everywire.model.signals import Signal
from everywire.model.state import Disconnect
from everywire.remoteobjects.codec import (
    QTRO_2_0,
    CallKind,
    Dialect,
    Init,
    InitDynamic,
    ObjectInfo,
    UserTypes,
    encode_packet,
)
from everywire.remoteobjects.engine import change_head, invoke_head
from everywire.remoteobjects.rep.signature import signature_of
from everywire.remoteobjects.wire.coders import change_encoder, signal_encoder
from everywire.remoteobjects.wire.doors import looks_of, slot_door, stream_door, write_door
from everywire.remoteobjects.wire.layout import Layout, definition_of, layout_of
from everywire.remoteobjects.wire.looks import Wired, typed, types_in, user_types, variant, wired
from everywire.remoteobjects.wire.qttypes import lower
from everywire.runtime.gate import Door
from everywire.runtime.hosted import refuse_handles
from everywire.runtime.node import Publication
from everywire.runtime.outbox import Outbox

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


class Form:
    """The object as one kind of listener sees it: with QtCore's types, or with exactly those that C++ declares.

    What its observers send is encoded once for all its links; results have the types that the caller expects.
    """

    def __init__(self, hosted: HostedObject, *, exact: bool) -> None:
        self.links: dict[Listening, None] = {}  # in order of attachment
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

    def values(self) -> tuple[Any, ...]:
        """Return the present values of the properties, as the codec writes them."""
        return tuple(self._value(member) for member in self._hosted.contract.of_kind(Kind.PROPERTY))

    def close(self) -> None:
        """Stop listening to the object."""
        for disconnect in self._disconnects:
            disconnect()
        self._disconnects.clear()

    def _add_property(self, member: Member) -> None:
        hosted = self._hosted
        layout, name, dialect = hosted.layout, hosted.name, hosted.dialect
        index, place = layout.properties[member.name], layout.notifies.get(member.name)
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

    def _value(self, member: Member) -> Any:
        hosted, look = self._hosted, self._look(member)
        source = hosted.publication.object
        handle: Readable[Any] = type(source).__everywire_declared__[member.name]
        value = getattr(source, handle.name)
        try:
            variant(look, value, hosted.dialect, types_in(look.node))
        except ModelError as error:  # a time with a zone, for example; one value must not hide the others
            log.warning("%s.%s cannot be sent over Qt Remote Objects: %s", hosted.name, member.name, error)
            return None
        return typed(look, lower(look.node, value, exact=look.exact))


class HostedObject:
    """One published object as Qt Remote Objects sees it, in one dialect."""

    def __init__(self, publication: Publication, dialect: Dialect = QTRO_2_0) -> None:
        self.publication, self.dialect = publication, dialect
        self.name, self.contract = publication.name, publication.contract
        refuse_handles(self.contract, "Qt Remote Objects")
        self.layout: Layout = layout_of(self.contract)
        self._definition = definition_of(self.contract)
        self._types = user_types(self.contract)
        self._signature = signature_of(self.contract, qt5=dialect.is_qt5)
        self._streams: dict[str, Door] = {}
        self._forms = {True: Form(self, exact=False)}
        """By whether listeners are dynamic; the other is made for the first that is not."""

    @property
    def info(self) -> ObjectInfo:
        """The entry in the list of objects."""
        return ObjectInfo(self.name, self.contract.name, self._signature)

    @property
    def user_types(self) -> UserTypes:
        """The structs and enums that callers may send by their C++ names."""
        return self._types

    @property
    def links(self) -> tuple[Listening, ...]:
        """Who listens."""
        return tuple(link for form in self._forms.values() for link in form.links)

    def join(self, link: Listening, *, dynamic: bool, anew: bool) -> bytes:
        """Make *link* a listener; see `Hosted.join`."""
        self.leave(link)
        form = self._form(dynamic=dynamic)
        values = form.values()
        packet = InitDynamic(self.name, self._definition, values) if anew else Init(self.name, values)
        frame = encode_packet(packet, self.dialect, self._types)
        form.links[link] = None
        return frame

    def leave(self, link: Listening) -> None:
        """Tell *link* no more."""
        for form in self._forms.values():
            form.links.pop(link, None)

    def routes(self, *, dynamic: bool) -> dict[bytes, Door]:
        """Return what leads a call's frame head to a door; see `Hosted.routes`."""
        return self._form(dynamic=dynamic).routes

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
        for form in self._forms.values():
            form.close()
        for door in self.doors:
            door.shut()

    def _form(self, *, dynamic: bool) -> Form:
        form = self._forms.get(dynamic)
        if form is None:
            form = self._forms[dynamic] = Form(self, exact=not dynamic)
        return form
