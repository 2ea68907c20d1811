"""The table of engines under the laws, each ready to receive and with streams that it may receive. No tests.

A new engine adds its rig to `RIGS`. A rig is made anew for each run: `engine`, and `show`, which turns an event into
something that can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from hypothesis import strategies as st

from everywire import Code, Fault, ModelError
from everywire.model.types import Type
from everywire.remoteobjects.codec import (
    QTRO_2_0,
    AddObject,
    CallKind,
    ClassDefinition,
    Handshake,
    Init,
    InitDynamic,
    Invoke,
    InvokeReply,
    ObjectInfo,
    ObjectList,
    Packet,
    Ping,
    Pong,
    PropertyChange,
    RemoveObject,
    Typed,
    TypeId,
    UserTyped,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.codec.faults import encode_fault_reply
from everywire.remoteobjects.engine import Engine, Odd, change_head, invoke_head, reply_head
from everywire.remoteobjects.wire.coders import call_frame, change_encoder, reply_encoder, signal_encoder
from everywire.remoteobjects.wire.doors import Refused, careful_invoke, looks_of
from everywire.remoteobjects.wire.hosting import HostedObject
from everywire.remoteobjects.wire.layout import layout_of
from everywire.remoteobjects.wire.looks import wired
from everywire.remoteobjects.wire.replicating import NOTIFY, Channel, Route, careful_news
from everywire.runtime.gate import Invoked, invalid
from everywire.runtime.node import Publication
from everywire.runtime.policy import Policy
from everywire.runtime.replica import ReplicaLink
from tests.laws.values import CONTRACT, KINDS, TYPES, VALUES, Everything

NAME: Final = "it"
LAYOUT: Final = layout_of(CONTRACT)
MAX_FRAME: Final = 64 * 1024
SERIALS: Final = range(1, 2 * len(KINDS) + 1)
"""Serials of the calls that wait at a node, two for each kind of value."""


class Rig(Protocol):
    """An engine and how to look at its events."""

    engine: Any

    def show(self, event: Any) -> object:
        """Return something comparable for *event*."""
        ...


# ------------------------------------------------------------------------------------------------- Qt Remote Objects
class BareRig:
    """An engine without routes: packets are its events."""

    def __init__(self, *, host: bool) -> None:
        self.engine = Engine(host=host, max_frame=MAX_FRAME)
        self.engine.data_to_send()

    def show(self, event: Any) -> object:
        return shown(event)


class HostRig:
    """An engine with the doors of a published object; not *fast*: all of it on the general path."""

    def __init__(self, *, fast: bool) -> None:
        self.hosted = HOSTED if fast else HOSTED_SLOWLY
        routes = dict(self.hosted.routes(dynamic=True))
        self.engine = Engine(host=True, max_frame=MAX_FRAME, routes=routes, careful=self._careful)
        self.engine.data_to_send()

    def _careful(self, packet: Packet) -> Any:
        if not isinstance(packet, Invoke):
            return packet
        return careful_invoke(packet, self.engine.routes.get(invoke_head(packet.name, packet.call, packet.index)))

    def show(self, event: Any) -> object:
        """Show a call with its arguments as the gate lets them through, or the code with which they are refused."""
        if isinstance(event, Refused):
            return ("refused", event.fault.code, event.token)
        if not isinstance(event, Invoked):
            return shown(event)
        try:
            return (event.door.member.name, shown(event.door.check(event.arguments)), event.token)
        except ModelError as error:
            return ("refused", invalid(error).code, event.token)


def hosted(*, fast: bool = True) -> HostedObject:
    """Return an object on the wire; not *fast*: its doors leave every call to the general path."""
    made = HostedObject(Publication(NAME, Everything(), CONTRACT, Policy()))
    if not fast:
        for door in made.routes(dynamic=True).values():
            door.decode = lambda *_: None
    return made


class Call:
    """Stands for a pending call."""

    link: Any

    def __init__(self, loop: object = None) -> None:
        self.serial = 0
        self.outcome: Any = None

    def done(self) -> bool:
        return self.outcome is not None

    def set_result(self, value: Any) -> None:
        self.outcome = ("result", value)

    def set_exception(self, error: BaseException) -> None:
        self.outcome = ("error", error)


class NoHome:
    """A replica's node that runs nothing."""

    def spawn(self, coroutine: Coroutine[Any, Any, object]) -> object:
        coroutine.close()
        return None


class _Nobody:
    """Listens to an object and never hears of it."""


class Attached:
    """A replica with calls that wait, and the link that it believes to have; not *fast*: on the general path."""

    def __init__(self, *, fast: bool = True, calls: int = 2) -> None:
        self.engine = greeted_node()
        self.extended, self.frames, self.loop = True, [], None
        self.sent: list[bytes] = []
        self.channel = Channel(ReplicaLink("memory:laws", NAME, Everything, NoHome()), lambda fault: fault, Call)
        values = decode_packet(HOSTED.join(_Nobody(), dynamic=True, anew=False)[4:], from_host=True).values  # type: ignore[union-attr]
        self.replica: Any = self.channel.attach(self, CONTRACT, LAYOUT, values)  # type: ignore[arg-type]
        for _ in range(calls):
            for kind in KINDS:
                getattr(self.replica, f"echo_{kind}")(VALUES_AT_START[kind])
        self.sent.clear()
        if not fast:
            self._slow_down()

    def _slow_down(self) -> None:
        for route in self.engine.routes.values():
            if isinstance(route, Route) and route is not NOTIFY:
                route.decode = lambda *_: None
        for waiting, _ in self.channel.waiting.values():
            waiting.decode = lambda *_: Odd

    # What a channel calls.

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    join = write

    def pending(self) -> Call:
        return Call()

    def sweep(self, channel: Channel) -> None: ...

    def cancel(self, name: str, serial: int) -> None: ...

    def open_stream(self, channel: Channel, member: Any, arguments: tuple[Any, ...]) -> Any: ...


def greeted_node(routes: dict[bytes, Any] | None = None) -> Engine:
    """Return a node's engine that has heard the host's handshake."""
    engine = Engine(host=False, max_frame=MAX_FRAME, routes=routes, careful=lambda packet: careful_news(engine, packet))
    engine.receive_data(HANDSHAKE)
    return engine


class NodeRig:
    """An engine with the routes of an attached replica and calls that wait; not *fast*: on the general path."""

    def __init__(self, *, fast: bool) -> None:
        attached = ATTACHED if fast else ATTACHED_SLOWLY
        waiting = attached.channel.waiting
        self._serials = {id(call): serial for serial, (_, call) in waiting.items()}
        self.engine = greeted_node({**attached.engine.routes, reply_head(NAME): dict(waiting)})

    def show(self, event: Any) -> object:
        return shown(event, self._serials)


def shown(event: Any, calls: dict[int, int] | None = None) -> object:
    """Return an event as names and text: identities of routes, calls and errors do not matter, NaN equals itself."""
    if isinstance(event, Fault):
        return ("fault", event.code, event.message, event.may_have_run)
    if isinstance(event, Exception):
        return (type(event).__name__, str(event))
    if isinstance(event, Call):
        return ("call", (calls or {}).get(id(event)))
    if isinstance(event, Route):
        return ("route", getattr(event.tell, "__qualname__", ""))
    if hasattr(event, "owner"):
        return ("door", event.member.kind, event.member.name)
    if isinstance(event, msgspec.Struct):
        fields = [shown(getattr(event, field), calls) for field in event.__struct_fields__]
        return (type(event).__name__, *fields)
    if isinstance(event, tuple):
        return tuple(shown(item, calls) for item in event)
    return repr(event)


# ---------------------------------------------------------------------------------------------------------- streams
def encoders() -> tuple[dict[str, Callable[[Any], bytes]], dict[str, Callable[..., bytes]], dict[str, Any]]:
    """Return the compiled encoders of a host by kind of value: changes, signals, replies."""
    changes, signals, replies = {}, {}, {}
    for kind, node in TYPES.items():
        index = LAYOUT.properties[f"value_{kind}"]
        notify = invoke_head(NAME, 0, LAYOUT.notifies[f"value_{kind}"])
        changes[kind] = change_encoder(wired(node), change_head(NAME, index), notify, index, QTRO_2_0)
        types = looks_of(CONTRACT.members[f"said_{kind}"].parameters)
        signals[kind] = signal_encoder(types, invoke_head(NAME, 0, LAYOUT.signals[f"said_{kind}"]), QTRO_2_0)
        replies[kind] = reply_encoder(wired(node), reply_head(NAME), kind, QTRO_2_0)
    return changes, signals, replies


HANDSHAKE: Final = encode_packet(Handshake("QtRO 2.0"))
HOSTED: Final = hosted()
HOSTED_SLOWLY: Final = hosted(fast=False)
VALUES_AT_START: Final = {kind: getattr(HOSTED.publication.object, f"value_{kind}") for kind in KINDS}
ATTACHED: Final = Attached()
ATTACHED_SLOWLY: Final = Attached(fast=False)
CHANGES, SIGNALS, REPLIES = encoders()

_NAMES: Final = st.sampled_from(["", NAME, "other", "ü\U0001f321"])
_INDICES: Final = st.integers(-1, 3 * len(KINDS))
_RAW: Final = st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text(max_size=8) | st.binary(max_size=8)
_FOREIGN: Final = st.builds(UserTyped, st.sampled_from(["Pod", "everywire::Fault"]), st.binary(max_size=30))
_ODD: Final = _RAW | st.lists(_RAW, max_size=2) | _FOREIGN
_ARGUMENTS: Final = st.lists(_ODD, max_size=3).map(tuple)


def call_of_kind(kind: str, value: Any, serial: int, *, write: bool) -> bytes:
    """Return the frame of a call of the slot, or a write of the property, of *kind*."""
    node: Type = TYPES[kind]
    if write:
        head = invoke_head(NAME, CallKind.WRITE_PROPERTY, LAYOUT.properties[f"value_{kind}"])
    else:
        head = invoke_head(NAME, CallKind.METHOD, LAYOUT.slots[f"echo_{kind}"])
    return call_frame((wired(node),), head, serial, (value,), QTRO_2_0)


def fault_reply(serial: int, fault: Fault) -> bytes:
    """Return the frame that refuses a call."""
    return encode_fault_reply(NAME, serial, fault)


def _for_each_kind(make: Callable[[str], st.SearchStrategy[bytes]]) -> st.SearchStrategy[bytes]:
    return st.sampled_from(KINDS).flatmap(make)


def _serials_of(kind: str) -> st.SearchStrategy[int]:
    first = KINDS.index(kind) + 1
    return st.sampled_from([first, first + len(KINDS)])


CALLS: Final = _for_each_kind(
    lambda kind: st.builds(
        lambda value, serial, write: call_of_kind(kind, value, serial, write=write),
        VALUES[kind],
        st.integers(-1, 2**31 - 1),
        st.booleans(),
    )
)
NEWS: Final = _for_each_kind(
    lambda kind: (
        st.builds(CHANGES[kind], VALUES[kind])
        | st.builds(SIGNALS[kind], VALUES[kind], st.integers(-5, 5))
        | st.builds(lambda value, serial: REPLIES[kind](serial, value), VALUES[kind], _serials_of(kind))
    )
)
FAULTS: Final = st.builds(
    lambda serial, code, text: fault_reply(serial, Fault(code, text)),
    st.sampled_from(SERIALS),
    st.sampled_from(Code),
    st.text(max_size=10),
)
FROM_NODE: Final = st.builds(
    encode_packet,
    st.one_of(
        st.builds(AddObject, _NAMES, st.booleans()),
        st.builds(RemoveObject, _NAMES),
        st.builds(Ping, _NAMES),
        st.builds(Invoke, _NAMES, st.sampled_from(CallKind), _INDICES, _ARGUMENTS, st.integers(-1, 5)),
    ),
)
FROM_HOST: Final = st.builds(
    encode_packet,
    st.one_of(
        st.builds(Init, _NAMES, _ARGUMENTS),
        st.builds(InitDynamic, _NAMES, st.just(ClassDefinition("T")), _ARGUMENTS),
        st.builds(RemoveObject, _NAMES),
        st.builds(Pong, _NAMES),
        st.builds(ObjectList, st.lists(st.builds(ObjectInfo, _NAMES, _NAMES | st.none()), max_size=3).map(tuple)),
        st.builds(Invoke, _NAMES, st.sampled_from(CallKind), _INDICES, _ARGUMENTS),
        st.builds(InvokeReply, _NAMES, st.sampled_from(SERIALS), _ODD),
        st.builds(PropertyChange, _NAMES, _INDICES, _ODD | st.builds(Typed, st.just(TypeId.INT), st.integers(0, 9))),
    ),
)


def _stream(*frames: st.SearchStrategy[bytes], head: bytes = b"") -> st.SearchStrategy[bytes]:
    return st.lists(st.one_of(*frames), max_size=8).map(lambda some: head + b"".join(some))


# --------------------------------------------------------------------------------------------------------- the table
@dataclass(frozen=True, repr=False)
class Subject:
    """One engine: how to make it, and streams that a well-behaved peer may send to it."""

    name: str
    make: Callable[[], Rig]
    streams: st.SearchStrategy[bytes]

    def __repr__(self) -> str:
        return self.name


SUBJECTS: Final = (
    Subject("qtro_host", lambda: BareRig(host=True), _stream(FROM_NODE, CALLS)),
    Subject("qtro_node", lambda: BareRig(host=False), _stream(FROM_HOST, NEWS, head=HANDSHAKE)),
    Subject("qtro_host_of_an_object", lambda: HostRig(fast=True), _stream(FROM_NODE, CALLS)),
    Subject("qtro_node_with_a_replica", lambda: NodeRig(fast=True), _stream(FROM_HOST, NEWS, FAULTS)),
)
"""Every engine, by its own."""

TWINS: Final = (
    (Subject("qtro_host", lambda: HostRig(fast=True), SUBJECTS[2].streams), lambda: HostRig(fast=False)),
    (Subject("qtro_node", lambda: NodeRig(fast=True), SUBJECTS[3].streams), lambda: NodeRig(fast=False)),
)
"""Engines with a fast path, and the same without it."""
