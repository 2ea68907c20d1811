"""Child objects on Qt Remote Objects: references, and what a node makes of a stranger's."""

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
    slot,
    sync,
)
from everywire.codec.qdatastream import ObjectReference
from everywire.errors import RemoteProtocolError
from everywire.model.reading import with_children
from everywire.remoteobjects.codec import (
    QTRO_1_3,
    QTRO_2_0,
    ClassDefinition,
    InitDynamic,
    Invoke,
    InvokeReply,
    PropertyChange,
    PropertyDef,
    RemoveObject,
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
from everywire.remoteobjects.wire.layout import definition_of
from everywire.runtime.limits import MOST_NESTED
from tests.remoteobjects.family import Hall, Pump, Valve, hall_with_pump
from tests.remoteobjects.peers import QUICK, RawPeer, greet, hosting, raw_host, until_asked_for

CLASS, MODEL, GADGET = ReferenceKind


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
            async with connect(url, "many", timeout=15, limits=QUICK):  # 20,000 members take their time
                pytest.fail("so many are refused")


async def test_members_of_children_have_a_limit(folder: Path) -> None:
    """A host names a class of thousands of members once, and then refers to it again and again."""
    large = ClassDefinition("Large", properties=tuple(PropertyDef(f"p{n}", "int") for n in range(4000)))
    definition = ClassDefinition("Many", properties=tuple(PropertyDef(f"p{n}", "QObject*") for n in range(5)))

    async def script(peer: RawPeer) -> None:
        await greet(peer, "many")
        await until_asked_for(peer, "many")
        values = tuple(reference(f"c{n}", (0,) * 4000, cls=large, type_name="Large") for n in range(5))
        await peer.send(InitDynamic("many", definition, values))
        await peer.ended()

    async with raw_host(f"local:{folder}/h", script) as url:
        with pytest.raises(SignatureMismatch, match="more than 16384 members together"):
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


async def test_a_gap_of_a_replica_is_one_of_its_children_too(folder: Path) -> None:
    async with hosting(folder, hall=hall_with_pump()) as (_, url), connect(url, "hall", Hall) as hall:
        assert hall.pump is not None
        link_of(hall).missed(3)
        assert [link_of(one).gap for one in (hall, hall.pump, hall.pump.valve)] == [3, 3, 3]
