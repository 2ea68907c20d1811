"""Child objects on Qt Remote Objects: the references that a host sends, and what a node makes of a stranger's."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from everywire import (
    Code,
    EverywireError,
    Fault,
    Limits,
    Node,
    Object,
    Property,
    ReplicaState,
    SignatureMismatch,
    connect,
    contract_of,
    i32,
    link_of,
    prop,
    signal,
    slot,
    sync,
)
from everywire.codec.qdatastream import ObjectReference
from everywire.errors import ModelError, RemoteProtocolError
from everywire.model.reading import with_children
from everywire.remoteobjects.codec import (
    QTRO_1_3,
    QTRO_2_0,
    CallKind,
    ClassDefinition,
    Dialect,
    Init,
    InitDynamic,
    Invoke,
    InvokeReply,
    ObjectList,
    PropertyChange,
    PropertyDef,
    RemoveObject,
    decode_packet,
)
from everywire.remoteobjects.codec.references import (
    ReferenceKind,
    child_name,
    class_in,
    encode_class,
    encode_values,
    gadget_in,
    values_in,
)
from everywire.remoteobjects.wire.childlinks import MOST_CLASSES
from everywire.remoteobjects.wire.hosting import HostedObject
from everywire.remoteobjects.wire.layout import definition_of
from everywire.runtime.limits import MOST_NESTED
from tests.remoteobjects.peers import QUICK, RawPeer, greet, hosting, raw_host, raw_node, until_asked_for
from tests.remoteobjects.samples import Listener, published

CLASS, MODEL, GADGET = ReferenceKind


class Valve(Object):
    open: Property[bool] = prop(False, writable=True)

    @signal
    def turned(self, by: i32) -> None: ...

    @slot
    async def turn(self, by: i32) -> i32:
        return by + 1


class Pump(Object):
    speed: Property[i32] = prop(3, writable=True)
    valve: Property[Valve] = prop(factory=Valve)
    spare: Property[Pump | None] = prop(None)

    @slot
    async def add_one(self, number: i32) -> i32:
        return number + 1


class Hall(Object):
    level: Property[float] = prop(0.5)
    pump: Property[Pump | None] = prop(None)

    @slot
    async def settle(self) -> None: ...


def hall_with_pump() -> Hall:
    hall = Hall()
    hall.pump = Pump()
    return hall


# -------------------------------------------------------------------------------------------------------------- hosts
def packets(data: bytes, dialect: Dialect = QTRO_2_0) -> list[Any]:
    """The host's packets in *data*."""
    found: list[Any] = []
    while data:
        end = 4 + int.from_bytes(data[:4], "little" if dialect.order == "<" else "big")
        found.append(decode_packet(data[4:end], from_host=True, dialect=dialect))
        data = data[end:]
    return found


def told(link: Listener, dialect: Dialect = QTRO_2_0) -> list[Any]:
    """What a listener was told, once."""
    data = b"".join(frame for _, frame in link.outbox.sent)
    link.outbox.sent.clear()
    return packets(data, dialect)


def listening(hosted: HostedObject, *, dynamic: bool) -> tuple[Listener, Any]:
    """A listener, and what it is greeted with."""
    link = Listener()
    (init,) = packets(hosted.join(link, dynamic=dynamic, anew=dynamic), hosted.dialect)  # type: ignore[arg-type]
    return link, init


@pytest.mark.parametrize(
    "dialect, names",
    [
        (QTRO_2_0, ("Class::hall::pump", "Class::Class::hall::pump::valve", "Class::Class::hall::pump::spare")),
        (QTRO_1_3, ("Class::pump", "Class::valve", "Class::spare")),
    ],
)
def test_a_dynamic_listener_gets_the_class_and_the_values_of_each_child(
    dialect: Dialect, names: tuple[str, str, str]
) -> None:
    hosted = HostedObject(published(hall_with_pump()), dialect)
    _, init = listening(hosted, dynamic=True)
    assert init.definition.properties[1] == PropertyDef("pump", "QObject*", "pumpChanged(QObject*)")
    pump = init.values[1]
    assert (pump.name, pump.type_name, pump.kind) == (names[0], "Pump", CLASS)
    assert class_in(pump, dialect) == definition_of(contract_of(Pump))
    speed, valve, spare = values_in(pump, dialect, {})
    assert (speed, valve.name, spare.name) == (3, names[1], names[2])
    assert spare.parameters is None
    assert values_in(valve, dialect, {}) == (False,)
    assert hosted.info.name == "hall"


def test_a_static_listener_has_the_classes_already() -> None:
    _, init = listening(HostedObject(published(hall_with_pump())), dynamic=False)
    pump = init.values[1]
    assert pump.definition == b""
    assert values_in(pump, QTRO_2_0, {})[1].definition == b""


def test_a_child_that_comes_goes_or_is_replaced_is_told_by_a_reference_and_the_notify_signal() -> None:
    hall = Hall()
    hosted = HostedObject(published(hall))
    link, init = listening(hosted, dynamic=True)
    assert init.values[1] == ObjectReference("Class::hall::pump", "Pump", CLASS, b"", None)
    hall.pump = Pump()
    change, notify = told(link)
    assert (change.name, change.index, change.value.name) == ("hall", 1, "Class::hall::pump")
    assert class_in(change.value, QTRO_2_0) == definition_of(contract_of(Pump))
    assert notify == Invoke("hall", CallKind.METHOD, 1, (), -1, 1), "Qt takes the object from the change before"
    hall.pump = None
    change, notify = told(link)
    assert change.value == ObjectReference("Class::hall::pump", "Pump", CLASS, b"", None)


def test_a_static_listener_keeps_its_child_and_hears_the_values_of_the_new_one() -> None:
    hall = hall_with_pump()
    link, _ = listening(HostedObject(published(hall)), dynamic=False)
    hall.pump = second = Pump()
    changes = told(link)
    name = "Class::hall::pump"
    assert changes[0] == PropertyChange(name, 0, 3)
    assert changes[1] == Invoke(name, CallKind.METHOD, 0, (3,), -1, 0)
    assert [packet.name for packet in changes] == [name] * 6 + ["hall"]
    second.speed = 9
    assert told(link)[0] == PropertyChange(name, 0, 9)


def test_the_children_of_a_child_that_replaced_another_have_names_that_are_new() -> None:
    """Under the old ones Qt finds remains of the old replicas, and crashes."""
    hall = hall_with_pump()
    hosted = HostedObject(published(hall))
    link, _ = listening(hosted, dynamic=True)
    names: set[str] = set()
    for _ in range(3):
        hall.pump = Pump()
        pump = told(link)[0].value
        assert pump.name == "Class::hall::pump"
        names.add(values_in(pump, QTRO_2_0, {})[1].name)
    assert len(names) == 3
    assert all(name.startswith("Class::Class::hall::pump~1~") for name in names)


def test_children_tell_changes_and_signals_under_their_names_and_no_longer_when_they_are_gone() -> None:
    hall = hall_with_pump()
    hosted = HostedObject(published(hall))
    link, _ = listening(hosted, dynamic=True)
    first: Any = hall.pump
    first.valve.turned.emit(4)
    (emitted,) = told(link)
    assert emitted == Invoke("Class::Class::hall::pump::valve", CallKind.METHOD, 1, (4,), -1, -1)
    routes = set(hosted.routes(dynamic=True))
    hall.pump = None
    told(link)
    first.speed = 100
    first.valve.turned.emit(5)
    assert told(link) == []
    assert len(set(hosted.routes(dynamic=True))) < len(routes)


async def test_a_child_is_called_by_its_name_and_nobody_finds_it_when_it_is_gone(folder: Path) -> None:
    hall = hall_with_pump()
    async with hosting(folder, hall=hall) as (node, url), raw_node(url, extended=True) as peer:
        call = Invoke("Class::hall::pump", CallKind.METHOD, 1, (4,), 7, -1)
        await peer.send(call)
        assert await peer.result(7) == 5, "attached or not, as in Qt"
        hall.pump = None
        assert (await peer.refusal(call)).code is Code.NOT_FOUND
        hall.pump = Pump()
        node.withdraw("hall")
        assert (await peer.refusal(call)).code is Code.NOT_FOUND


async def test_children_are_in_no_list(folder: Path) -> None:
    async with hosting(folder, hall=hall_with_pump()) as (_, url), raw_node(url) as peer:
        (listed,) = [packet for packet in peer.seen if isinstance(packet, ObjectList)]
        assert [entry.name for entry in listed.entries] == ["hall"]


@pytest.mark.parametrize("name", ["Class::hall::pump", "Model::hall::rows", "Class::x"])
async def test_no_object_is_published_under_the_name_of_a_child(name: str, folder: Path) -> None:
    async with hosting(folder, hall=hall_with_pump()) as (node, url):
        with pytest.raises(ModelError, match=f"cannot carry an object called '{name}'"):
            node.publish(Hall(), name)
        async with connect(url, "hall", Hall) as hall:
            assert hall.pump is not None


async def test_two_children_of_one_name_in_qt_5_are_told_apart(tmp_path: Path, caplog: Any) -> None:
    north, south = hall_with_pump(), hall_with_pump()
    assert south.pump is not None
    south.pump.speed = 9
    async with Node(limits=QUICK) as node:
        node.publish(north, "north")
        node.publish(south, "south")
        with caplog.at_level(logging.WARNING):
            (url,) = await node.serve(f"local:{tmp_path}/h?protocol=1.3")
        assert "Qt 5 calls two children Class::pump: one is Class::south::pump" in caplog.text
        async with connect(url, "north", Hall) as one, connect(url, "south", Hall) as other:
            assert one.pump is not None
            assert other.pump is not None
            assert (one.pump.speed, other.pump.speed) == (3, 9)
            assert await Pump.speed.push(other.pump, 4) == 4
            assert (north.pump.speed, south.pump.speed) == (3, 4)  # type: ignore[union-attr]


# ---------------------------------------------------------------------------------------------------------- references
def test_references_know_their_inner_streams() -> None:
    definition = ClassDefinition("Valve", properties=(PropertyDef("open", "bool"),))
    for dialect in (QTRO_2_0, QTRO_1_3):
        reference = ObjectReference(
            "c", "Valve", CLASS, encode_class(definition, dialect), encode_values((True, "x"), dialect)
        )
        assert class_in(reference, dialect) == definition
        assert values_in(reference, dialect, {}) == (True, "x")
    assert child_name("hall", "rows", QTRO_2_0, MODEL) == "Model::hall::rows"
    assert child_name("hall", "rows", QTRO_1_3, MODEL) == "Model::rows"


def test_a_gadget_comes_with_its_own_definition() -> None:
    definition = bytes.fromhex("00000000 00000001 00000002 5074 00000001 00000001 78 00000003 696e74 00000000")
    value = bytes.fromhex("00010000 00 00000003 507400 00000002 00 00000007")
    assert gadget_in(ObjectReference("g", "Pt", GADGET, definition, value), QTRO_2_0) == {"x": 7}


# ------------------------------------------------------------------------------------------------------ hostile hosts
def reference(
    name: str = "Class::hall::pump",
    values: tuple[object, ...] | bytes | None = (3, "valve", None),
    *,
    cls: ClassDefinition | bytes | None = None,
    kind: int = CLASS,
    type_name: str = "Pump",
) -> ObjectReference:
    """A child as a host sends it; by default a pump with a valve and no spare one."""
    if values == (3, "valve", None):
        values = (3, valve(f"Class::{name}::valve"), ObjectReference(f"{name}::spare", "Pump", CLASS, b"", None))
    if cls is None:
        cls = definition_of(contract_of(Pump))
    encoded = cls if isinstance(cls, bytes) else encode_class(cls, QTRO_2_0)
    parameters = values if isinstance(values, bytes) or values is None else encode_values(values, QTRO_2_0)
    return ObjectReference(name, type_name, kind, encoded, parameters)


def valve(name: str) -> ObjectReference:
    """A valve as a host sends it."""
    values = encode_values((False,), QTRO_2_0)
    return ObjectReference(name, "Valve", CLASS, encode_class(definition_of(contract_of(Valve)), QTRO_2_0), values)


def endless(depth: int) -> ObjectReference:
    """A pump with a spare one with a spare one and so on."""
    name = f"p{depth}"
    spare = endless(depth - 1) if depth else ObjectReference("none", "Pump", CLASS, b"", None)
    return reference(name, (depth, valve(f"v{depth}"), spare))


NULL: Final = ObjectReference("Class::hall::pump", "Pump", CLASS, b"", None)
HOSTILE: Final[dict[str, object]] = {
    "no reference": 7,
    "a text": "pump",
    "a gadget": reference(kind=GADGET),
    "a model": reference(kind=MODEL),
    "no name": reference(""),
    "the name of the parent": reference("hall"),
    "the name of another object": reference("other"),
    "a reserved name": reference("everywire"),
    "the name of the registry": reference("Registry"),
    "a name without end": reference("x" * 5000),
    "the child's own name for its child": reference("c", (3, valve("c"), None)),
    "the parent's name for a child's child": reference("c", (3, valve("hall"), None)),
    "one name for two": reference("c", (3, valve("d"), reference("d", (3, valve("e"), None)))),
    "a class that does not parse": reference(cls=b"\xff\xff"),
    "a class with bytes behind it": reference(cls=encode_class(definition_of(contract_of(Pump)), QTRO_2_0) + b"\0"),
    "another class": reference(cls=definition_of(contract_of(Hall))),
    "a class of too many members": reference(
        cls=ClassDefinition("Pump", properties=tuple(PropertyDef(f"p{n}", "int") for n in range(5000)))
    ),
    "nobody knows the class": reference(cls=b"", type_name="Unheard"),
    "values that do not parse": reference(values=b"\0\0\0\7"),
    "values with bytes behind them": reference(values=encode_values((3,), QTRO_2_0) + b"\0"),
    "a count without values": reference(values=b"\xff\xff\xff\xff"),
    "too few values": reference(values=(3,)),
    "no values": reference(values=b""),
    "a value of another type": reference(values=("fast", valve("v"), None)),
    "no child where there must be one": reference(values=(3, None, None)),
    "children without end": endless(MOST_NESTED + 2),
}


def hall_host(
    values: tuple[object, ...], then: Callable[[RawPeer], Awaitable[None]] | None = None
) -> Callable[[RawPeer], Awaitable[None]]:
    """A host of a hall with *values*."""

    async def script(peer: RawPeer) -> None:
        await greet(peer, "hall", "other")
        await until_asked_for(peer, "hall")
        await peer.send(InitDynamic("hall", definition_of(contract_of(Hall)), values))
        if then is not None:
            await then(peer)
        await peer.ended()

    return script


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_child_that_cannot_be_one_is_a_mismatch(what: str, folder: Path) -> None:
    async with raw_host(f"local:{folder}/h", hall_host((0.5, HOSTILE[what]))) as url:
        with pytest.raises(SignatureMismatch):
            async with connect(url, "hall", Hall, timeout=5, limits=QUICK):
                pytest.fail("such a child is none")

        def blocking() -> None:
            with pytest.raises(SignatureMismatch), sync.connect(url, "hall", Hall, timeout=5, limits=QUICK):
                pytest.fail("such a child is none")

        await asyncio.to_thread(blocking)


@pytest.mark.parametrize("what", HOSTILE)
async def test_such_a_child_leaves_a_valid_replica_as_it_is(what: str, folder: Path, caplog: Any) -> None:
    async def then(peer: RawPeer) -> None:
        call = await peer.find(Invoke)
        change = PropertyChange("hall", 1, HOSTILE[what])
        await peer.send(change, PropertyChange("hall", 0, 0.75), InvokeReply("hall", call.serial, None))

    async with (
        raw_host(f"local:{folder}/h", hall_host((0.5, reference()), then)) as url,
        connect(url, "hall", Hall, timeout=5, limits=QUICK) as hall,
    ):
        pump: Any = hall.pump
        with caplog.at_level(logging.WARNING):
            await hall.settle()
        assert "a value that does not fit: pump: " in caplog.text
        assert hall.level == 0.75
        assert id(hall.pump) == id(pump)
        assert link_of(hall).state is ReplicaState.VALID
        assert link_of(pump).state is ReplicaState.SUSPECT
        with pytest.raises(Fault) as caught:
            await pump.add_one(1)
        assert caught.value.code is Code.UNAVAILABLE


async def test_a_child_is_known_by_the_name_that_it_is_given(folder: Path) -> None:
    async def then(peer: RawPeer) -> None:
        call = await peer.find(Invoke)
        assert (call.name, call.arguments) == ("some name", (4,))
        await peer.send(InvokeReply("some name", call.serial, 5))
        call = await peer.find(Invoke)
        await peer.send(
            PropertyChange("hall", 1, NULL),
            PropertyChange("some name", 0, 99),
            PropertyChange("hall", 1, reference("another", cls=b"")),
            PropertyChange("another", 0, 8),
            InvokeReply("hall", call.serial, None),
        )

    async with (
        raw_host(f"local:{folder}/h", hall_host((0.5, reference("some name")), then)) as url,
        connect(url, "hall", Hall, timeout=5, limits=QUICK) as hall,
    ):
        pump: Any = hall.pump
        heard: list[int] = []
        Pump.speed.on_change(pump, heard.append)
        assert await pump.add_one(4) == 5
        await hall.settle()
        assert (hall.pump, pump.speed) == (pump, 8)
        assert heard == [8], "news under a name that nobody has any more is for nobody"
        assert link_of(pump).name == "another"


@pytest.mark.parametrize("most", [3, 1024])
async def test_children_have_a_limit(most: int, folder: Path) -> None:
    count = most + 1
    cls: Any = type(
        "Many",
        (Object,),
        {"__annotations__": {f"p{n}": Property[Pump | None] for n in range(count)}}
        | {f"p{n}": prop(None) for n in range(count)},
    )

    async def script(peer: RawPeer) -> None:
        await greet(peer, "many")
        while True:
            await until_asked_for(peer, "many")
            small = ClassDefinition("Small")
            values = tuple(reference(f"c{n}", (), cls=small, type_name="Small") for n in range(count))
            definition = definition_of(contract_of(cls))
            await peer.send(InitDynamic("many", definition, values))

    async with raw_host(f"local:{folder}/h", script) as url:
        for wanted in (None, cls):
            with pytest.raises(SignatureMismatch, match=f"more than {most} child objects|is not a Pump"):
                async with connect(url, "many", wanted, timeout=5, limits=Limits(drain=0.0, children=most)):
                    pytest.fail("so many are refused")


async def test_classes_of_children_have_a_limit(folder: Path) -> None:
    count = MOST_CLASSES + 1
    definition = ClassDefinition("Many", properties=tuple(PropertyDef(f"p{n}", "QObject*") for n in range(count)))

    async def script(peer: RawPeer) -> None:
        await greet(peer, "many")
        await until_asked_for(peer, "many")
        values = tuple(reference(f"c{n}", (), cls=ClassDefinition(f"C{n}"), type_name=f"C{n}") for n in range(count))
        await peer.send(InitDynamic("many", definition, values))
        await peer.ended()

    async with raw_host(f"local:{folder}/h", script) as url:
        with pytest.raises(SignatureMismatch, match="more than 256 classes of children"):
            async with connect(url, "many", timeout=5, limits=QUICK):
                pytest.fail("so many are refused")


async def test_a_child_without_a_class_of_its_own_is_a_plain_object(folder: Path) -> None:
    child = ObjectReference("c", "QObject", CLASS, b"", encode_values((), QTRO_2_0))
    definition = ClassDefinition("Box", properties=(PropertyDef("inner", "QObject*"),))

    async def script(peer: RawPeer) -> None:
        await greet(peer, "box")
        await until_asked_for(peer, "box")
        await peer.send(InitDynamic("box", definition, (child,)), RemoveObject("box"))
        await peer.ended()

    async with raw_host(f"local:{folder}/h", script) as url, connect(url, "box", timeout=5, limits=QUICK) as box:
        assert contract_of(box.inner).members == {}
        assert not contract_of(box).members["inner"].writable


async def test_a_child_of_another_class_is_another_replica_where_no_class_was_asked_for(folder: Path) -> None:
    definition = ClassDefinition("Box", properties=(PropertyDef("inner", "QObject*"),))

    async def script(peer: RawPeer) -> None:
        await greet(peer, "box")
        await until_asked_for(peer, "box")
        gate = ClassDefinition("Gate", properties=(PropertyDef("height", "int"),))
        await peer.send(
            InitDynamic("box", definition, (valve("c"),)),
            PropertyChange("box", 0, reference("c", (12,), cls=gate, type_name="Gate")),
            PropertyChange("c", 0, 13),
            RemoveObject("nothing"),
        )
        await peer.ended()

    async with raw_host(f"local:{folder}/h", script) as url, connect(url, "box", timeout=5, limits=QUICK) as box:
        cls: Any = type(box)
        gate = await cls.inner.wait_for(box, lambda inner: type(inner).__name__ == "Gate")
        assert gate.height == 13, "what follows in the same chunk is for the new one"


async def test_a_contract_from_qt_tells_of_the_children_that_are_there(folder: Path) -> None:
    """Qt's definitions say `QObject*` only; what is passed on must say more."""
    async with (
        raw_host(f"local:{folder}/h", hall_host((0.5, reference()))) as url,
        connect(url, "hall", timeout=5, limits=QUICK) as hall,
        Node(limits=QUICK) as bridge,
    ):
        assert [contract.name for contract in with_children([contract_of(hall)])] == ["Hall", "Pump", "Valve", "Object"]
        bridge.publish(hall, "far")
        (shown,) = await bridge.serve(f"local:{folder}/bridge")
        async with connect(shown, "far") as far, connect(shown, "far", Hall) as typed:
            assert far.pump.speed == typed.pump.speed == 3  # type: ignore[union-attr]
            assert far.pump.valve.open is False
            assert far.pump.spare is None
            with pytest.raises(Fault, match="not writable"):
                await type(far).pump.push(far, None)


def test_malformed_inner_streams_are_protocol_errors() -> None:
    for data in (b"", b"\0\0\0\1", b"\0\0\0\0\0", b"\xff" * 9):
        with pytest.raises(RemoteProtocolError):
            values_in(ObjectReference("c", "C", CLASS, b"", data), QTRO_2_0, {})
        if data:
            with pytest.raises(RemoteProtocolError):
                class_in(ObjectReference("c", "C", CLASS, data, b""), QTRO_2_0)
        with pytest.raises(EverywireError):
            gadget_in(ObjectReference("c", "C", GADGET, data, data), QTRO_2_0)


def test_an_init_for_a_static_listener_is_no_stranger() -> None:
    """What a host sends to one has the same form, without the class."""
    _, init = listening(HostedObject(published(hall_with_pump())), dynamic=False)
    assert isinstance(init, Init)


class Tank(Object):
    label: Property[str] = prop("")
    level: Property[i32] = prop(0)
    inlet: Property[Valve] = prop(factory=Valve)


class Works(Object):
    first: Property[Tank] = prop(factory=Tank)
    second: Property[Tank | None] = prop(None)

    @slot
    async def settle(self) -> None: ...


def levels(works: Any) -> list[Any]:
    """All that is to be seen of an object and its children."""
    return [t and (t.label, t.level, t.inlet.open) for t in (works.first, works.second)]


@pytest.mark.parametrize("protocol", ["2.0", "1.3"])
async def test_after_a_storm_of_children_a_slow_replica_equals_its_source(protocol: str, folder: Path) -> None:
    """Also where changes conflate: those of a child that is gone must not reach the next one."""
    dice, limits = random.Random(protocol), Limits(drain=0.0, unsent_soft=4096)
    source = Works()
    async with Node(limits=limits) as node:
        node.publish(source, "works")
        (url,) = await node.serve(f"local:{folder}/h?protocol={protocol}")
        async with (
            connect(url, "works", Works, limits=limits) as typed,
            connect(url, "works", limits=limits) as untyped,
        ):
            for _ in range(12):
                for _ in range(dice.randrange(200)):
                    shake(source, dice)
                await asyncio.sleep(0)
            await typed.settle()
            await untyped.settle()
            assert levels(typed) == levels(untyped) == levels(source)


def shake(works: Works, dice: random.Random) -> None:
    """Change something."""
    tank = dice.choice((works.first, works.second))
    match dice.randrange(9):
        case 0:
            works.first = Tank()
        case 1:
            works.second = dice.choice((None, Tank(), works.first))
        case 2 if tank is not None:
            tank.inlet = Valve()
        case 3 if tank is not None:
            tank.inlet.open = dice.random() < 0.5
        case 4 if tank is not None:
            tank.label = "x" * dice.randrange(20_000)
        case _ if tank is not None:
            tank.level = dice.randrange(1000)
        case _:
            pass
