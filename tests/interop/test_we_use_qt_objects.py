"""Replicas of ours whose source is a real Qt program (PySide6): a source generated from a .rep, and a plain QObject."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time
from inspect import signature
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from everywire import (
    Code,
    Fault,
    LinkError,
    ModelError,
    Node,
    Object,
    OutOfRange,
    Property,
    ReplicaState,
    SignatureMismatch,
    connect,
    contract_of,
    i32,
    link_of,
    members,
    prop,
    signal,
    slot,
)
from everywire.codec.qdatastream import Point
from everywire.remoteobjects.codec import AddObject, Invoke, Ping, Pong
from everywire.remoteobjects.codec.extension import HELLO
from tests.interop.matrix import PYSIDE, Feature, Role, shows
from tests.interop.programs import QtProgram, qt_program
from tests.interop.recorder import recorded
from tests.interop.samples import Boiler

pytestmark = pytest.mark.interop

Address = Callable[[str], str]


class Engine(Object):
    """The class that a user writes for the Qt program's `Engine`."""

    set_point: Property[i32] = prop(0, writable=True)
    level: Property[float] = prop(0.0)
    note: Property[str] = prop("", writable=True)
    names: Property[list[str]] = prop(factory=list, writable=True)
    numbers: Property[list[int]] = prop(factory=list, writable=True)
    when: Property[datetime | None] = prop(None, writable=True)

    @signal
    def fired(self, count: int, why: str) -> None: ...

    @slot
    async def add_one(self, number: int) -> int:
        raise NotImplementedError

    @slot
    async def echo_numbers(self, value: list[int]) -> list[int]:
        raise NotImplementedError

    @slot
    async def remember(self, what: str) -> None:
        raise NotImplementedError


class Hasty(Object):
    """The same program's `Engine`, by somebody who does not wait."""

    @slot(timeout=0.1)
    async def add_one(self, number: int) -> int:
        raise NotImplementedError


@asynccontextmanager
async def offered(url: str, *names: str) -> AsyncIterator[tuple[QtProgram, str]]:
    """A Qt program that offers its objects *names* at *url*, and the URL that it says."""
    async with qt_program("host") as qt:
        done, where = await qt.ask("serve", url=url, names=names)
        assert done == [True] * len(names)
        yield qt, where


@shows(Feature.DYNAMIC, Role.HOST, PYSIDE)
@pytest.mark.parametrize("kind", ["local", "tcp", "localabstract"])
async def test_a_class_is_built_from_what_the_qt_source_announces(address: Address, kind: str) -> None:
    async with offered(address(kind), "engine") as (_, url), connect(url, "engine") as engine:
        assert (engine.set_point, engine.level, engine.note, engine.names) == (5, 1.5, "free", [])
        assert (engine.loose, engine.table, engine.items, engine.numbers) == (None, {}, [], [])
        assert (engine.small, engine.ratio, engine.blob, engine.ident) == (3, 1.5, b"", UUID(int=0))
        assert (engine.when, engine.day, engine.clock, engine.place) == (None, None, None, Point(0, 0))
        assert engine.my_odd_name == 1
        assert str(signature(engine.add_one)) == "(number: int) -> int"
        assert type(engine).__name__ == "Engine"
        assert await engine.add_one(41) == 42


VALUES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "setPoint": (-7, ["int", -7]),
    "note": ("Grüße 😀", ["str", "Grüße 😀"]),
    "names": (["a", ""], ["list", [["str", "a"], ["str", ""]]]),
    "loose": ({"a": [1, None]}, ["dict", {"a": ["list", [["int", 1], ["NoneType", None]]]}]),
    "table": ({"a": 1}, ["dict", {"a": ["int", 1]}]),
    "items": ([1, "b", 2.5], ["list", [["int", 1], ["str", "b"], ["float", 2.5]]]),
    "numbers": ([1, -2], ["list", [["int", 1], ["int", -2]]]),
    "big": (2**40, ["int", 2**40]),
    "small": (65535, ["int", 65535]),
    "ratio": (-0.25, ["float", -0.25]),
    "blob": (b"\0\xff", ["QByteArray", "00ff"]),
    "when": (datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC), ["QDateTime", "2024-01-02T03:04:05.678Z"]),
    "day": (date(2024, 1, 2), ["QDate", "2024-01-02"]),
    "clock": (time(3, 4, 5, 678000), ["QTime", "03:04:05.678"]),
    "ident": (
        UUID("00112233-4455-6677-8899-aabbccddeeff"),
        ["QUuid", "00112233-4455-6677-8899-aabbccddeeff"],
    ),
    "place": (Point(1, -2), ["QPoint", [1, -2]]),
    "my_odd_name": (8, ["int", 8]),
}
"""Qt's name of each property of Engine to a value, and the same as the Qt program spells it."""


@shows(Feature.READ, Role.HOST, PYSIDE)
async def test_a_change_of_every_type_in_qt_reaches_the_replica_once(address: Address) -> None:
    async with offered(address("local"), "engine") as (qt, url), connect(url, "engine") as engine:
        for name, (value, seen) in VALUES.items():
            heard: list[Any] = []
            stop = members(engine)[name].on_change(heard.append)
            assert await qt.ask("set", name="engine", prop=name, value=seen) == seen
            await engine.add_one(0)  # a fence
            stop()
            assert (name, heard) == (name, [value])
            assert members(engine)[name].value == value


@shows(Feature.PUSH, Role.HOST, PYSIDE)
async def test_every_type_is_pushed_to_qt(address: Address) -> None:
    async with offered(address("local"), "engine") as (qt, url), connect(url, "engine") as engine:
        for name, (value, seen) in VALUES.items():
            assert await members(engine)[name].push(value) == value
            assert (name, await qt.ask("get", name="engine", prop=name)) == (name, seen)


async def test_null_is_pushed_as_the_null_of_its_type(address: Address) -> None:
    async with offered(address("local"), "engine") as (qt, url), connect(url, "engine") as engine:
        for name in ("when", "day", "clock"):
            await members(engine)[name].push(VALUES[name][0])
            assert await members(engine)[name].push(None) is None
            assert await qt.ask("get", name="engine", prop=name) == [VALUES[name][1][0], ""]


SENT: Final[dict[str, Any]] = {
    "echo_big": -(2**40),
    "echo_real": 0.1,
    "echo_single": 1.5,
    "echo_truth": True,
    "echo_text": "Grüße 😀",
    "echo_data": b"\0\xff",
    "echo_names": ["a", ""],
    "echo_list": [1, "b", [None]],
    "echo_map": {"a": {"b": 1}},
    "echo_variant": {"a": [1.5, b"x"]},
    "echo_moment": datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
    "echo_day": date(2024, 1, 2),
    "echo_clock": time(3, 4, 5, 678000),
    "echo_ident": UUID("00112233-4455-6677-8899-aabbccddeeff"),
    "echo_point": Point(1, -2),
    "echo_numbers": [1, -2],
    "echo_url": "http://localhost/a%20b",
}
"""Slots of the Qt source that return what they are given, with a value."""


@shows(Feature.SLOTS, Role.HOST, PYSIDE)
@shows(Feature.NUMBERS, Role.HOST, PYSIDE)
@shows(Feature.TIMES, Role.HOST, PYSIDE)
@shows(Feature.VARIANTS, Role.HOST, PYSIDE)
@shows(Feature.CONTAINERS, Role.HOST, PYSIDE)
@pytest.mark.loops("asyncio", "uvloop")
async def test_slots_of_qt_take_and_return_every_type(address: Address) -> None:
    async with offered(address("local"), "engine") as (_, url), connect(url, "engine") as engine:
        for name, value in SENT.items():
            assert (name, await getattr(engine, name)(value)) == (name, value)


async def test_an_empty_value_of_every_type_comes_back_from_qt(address: Address) -> None:
    empty = {"text": "", "data": b"", "names": [], "list": [], "map": {}, "numbers": [], "moment": None, "day": None}
    async with offered(address("local"), "engine") as (_, url), connect(url, "engine") as engine:
        for name, value in empty.items():
            assert (name, await getattr(engine, f"echo_{name}")(value)) == (name, value)


async def test_a_value_that_does_not_fit_the_type_of_qt_is_never_sent(address: Address) -> None:
    async with offered(address("local"), "engine", "plain") as (_, url):
        async with connect(url, "engine") as engine, connect(url, "plain") as plain:
            with pytest.raises(ModelError):
                engine.echo_numbers(["text"])
            with pytest.raises(ModelError):
                engine.echo_point([1, 2])
            with pytest.raises(ModelError, match="PyObject"):
                plain.take(b"a pickle would be needed")
        async with connect(url, "engine", Engine) as engine:
            with pytest.raises(OutOfRange):  # our class says int, the Qt source says 32 bits
                engine.add_one(2**40)
            assert await engine.add_one(1) == 2


@shows(Feature.SIGNALS, Role.HOST, PYSIDE)
async def test_signals_of_qt_carry_every_type(address: Address) -> None:
    async with offered(address("local"), "engine") as (qt, url), connect(url, "engine") as engine:
        heard: list[Any] = []
        engine.all.connect(lambda *arguments: heard.append(arguments))
        engine.times.connect(lambda *arguments: heard.append(arguments))
        texts = ["list", [["str", "a"]]]
        arguments = [["bool", True], ["int", 2**40], ["float", 0.1], ["str", "x"], ["QByteArray", "00"], texts]
        loose = [["list", [["int", 1]]], ["dict", {"k": ["NoneType", None]}]]
        await qt.ask("emit", name="engine", signal="all", arguments=arguments + loose)
        spelt = [VALUES[name][1] for name in ("when", "day", "clock", "ident", "place", "loose")]
        await qt.ask("emit", name="engine", signal="times", arguments=spelt)
        await engine.add_one(0)
    assert heard == [
        (True, 2**40, 0.1, "x", b"\0", ["a"], [1], {"k": None}),
        tuple(VALUES[name][0] for name in ("when", "day", "clock", "ident", "place", "loose")),
    ]


@shows(Feature.STATIC, Role.HOST, PYSIDE)
async def test_a_class_of_ours_stands_for_a_qt_source(address: Address) -> None:
    async with offered(address("local"), "engine") as (qt, url), connect(url, "engine", Engine) as engine:
        heard: list[tuple[int, str]] = []
        engine.fired.connect(lambda count, why: heard.append((count, why)))
        assert (engine.set_point, engine.level, engine.when) == (5, 1.5, None)
        assert await engine.add_one(1) == 2
        assert await engine.echo_numbers([1, 2]) == [1, 2]
        assert await Engine.set_point.push(engine, 9) == 9
        assert await Engine.numbers.push(engine, [3, 4]) == [3, 4]
        assert await qt.ask("get", name="engine", prop="numbers") == ["list", [["int", 3], ["int", 4]]]
        assert await engine.remember("this") is None
        await qt.hear("called", slot="remember", arguments=[["str", "this"]])
        await qt.ask("emit", name="engine", signal="fired", arguments=[["int", 3], ["str", "heat"]])
        await engine.add_one(1)
        assert heard == [(3, "heat")]


async def test_a_class_that_does_not_fit_lists_every_difference(address: Address) -> None:
    async with offered(address("local"), "engine") as (_, url):
        with pytest.raises(SignatureMismatch) as caught:
            async with connect(url, "engine", Boiler):
                pass
    missing = "\n".join(caught.value.differences)
    for name in ("current", "label", "error", "over_heated", "boost", "stop", "later"):
        assert name in missing
    assert "forecast" not in missing  # a stream has no place on this wire


@shows(Feature.READWRITE, Role.HOST, PYSIDE)
@pytest.mark.loops("asyncio", "uvloop")
async def test_a_readwrite_property_is_written_and_the_fence_shows_it(address: Address) -> None:
    async with offered(address("local"), "engine") as (qt, url), connect(url, "engine", Engine) as engine:
        assert await Engine.note.push(engine, "written") == "written"
        assert await qt.ask("get", name="engine", prop="note") == ["str", "written"]
        assert await Engine.note.push(engine, "written") == "written"  # no change, and no refusal


@shows(Feature.CONSTANT, Role.HOST, PYSIDE)
async def test_a_write_that_the_qt_source_refuses_is_a_failed_precondition(address: Address) -> None:
    async with offered(address("local"), "plain") as (qt, url), connect(url, "plain") as plain:
        assert await members(plain)["level"].push(50.0) == 50.0
        for name, value, kept in (("level", 101.0, "50.0"), ("fixed", "clay", "'stone'")):
            with pytest.raises(Fault, match=f"kept {kept}") as caught:
                await members(plain)[name].push(value)
            assert caught.value.code is Code.FAILED_PRECONDITION
        assert await qt.ask("get", name="plain", prop="level") == ["float", 50.0]


async def test_a_write_to_a_readonly_property_of_qt_is_a_failed_precondition(address: Address) -> None:
    async with offered(address("local"), "engine") as (_, url), connect(url, "engine") as engine:
        with pytest.raises(Fault, match=r"kept 1\.5") as caught:
            await members(engine)["level"].push(3.0)
        assert caught.value.code is Code.FAILED_PRECONDITION


async def test_a_plain_qobject_is_reached_with_its_overloads_and_odd_names(address: Address) -> None:
    async with offered(address("local"), "plain") as (qt, url), connect(url, "plain") as plain:
        assert (plain.level, plain.low, plain.high, plain.fixed, plain.http_port) == (1.0, -10, 10, "stone", 80)
        assert (plain.raw, plain.never) == (b"\0\xff", None)
        assert await plain.over(1) == "1 nothing"
        assert await plain.over_2(1, "more") == "1 more"
        assert await plain.loud("quiet") == "QUIET"
        assert await members(plain)["onDay"](date(2024, 1, 2)) is None
        await qt.hear("called", slot="onDay", arguments=[["QDate", "2024-01-02"]])
        await members(plain)["onDay"](None)
        await qt.hear("called", slot="onDay", arguments=[["QDate", ""]])


async def test_properties_that_share_a_notify_signal_change_together(address: Address) -> None:
    async with offered(address("local"), "plain") as (_, url), connect(url, "plain") as plain:
        heard: list[tuple[str, int]] = []
        for name in ("low", "high"):
            members(plain)[name].on_change(lambda value, name=name: heard.append((name, value)))
        await plain.widen(20)
        assert sorted(heard) == [("high", 20), ("low", -20)]
        assert "range_changed" not in contract_of(plain).members


async def test_a_slot_that_raises_in_qt_gives_the_default_of_its_type(address: Address) -> None:
    async with offered(address("local"), "engine", "plain") as (_, url), connect(url, "plain") as plain:
        assert await plain.broken() == 0
        assert await plain.add_one(1) == 2


async def test_what_only_a_pickle_can_carry_comes_out_as_its_bytes_and_is_never_opened(
    address: Address, tmp_path: Path
) -> None:
    trap = tmp_path / "unpickled"
    async with offered(address("local"), "plain") as (qt, url):
        for value in (["bytes", "00ff"], ["tuple", [["int", 1]]], ["trap", str(trap)]):
            await qt.ask("load", name="plain", value=value)
            async with connect(url, "plain") as plain:
                inside = plain.crate["inside"]
                assert inside.startswith(b"\x80\x04")
                assert plain.cargo == inside
                assert isinstance(await plain.cargo_slot(), bytes)
                heard: list[Any] = []
                plain.wrapped.connect(heard.append)
                await qt.ask("emit", name="plain", signal="wrapped", arguments=[value])
                await plain.add_one(1)
                assert heard == [inside]
    assert not trap.exists()
    pickle.loads(inside).close()
    assert trap.exists()  # so it would have shown


async def test_a_structure_of_qt_is_read_by_what_its_source_announces(address: Address) -> None:
    async with offered(address("local"), "holder") as (_, url), connect(url, "holder") as holder:
        assert holder.spot == {"xPos": 1.5, "label": "here"}
        await members(holder)["spot"].push({"xPos": 2.0, "label": "there"})
        assert holder.spot == {"xPos": 2.0, "label": "there"}
        with pytest.raises(ModelError, match="Spot"):
            await members(holder)["spot"].push({"xPos": 2.0})
        assert await holder.add_one(1) == 2


async def test_an_object_with_a_value_that_nobody_here_can_read_says_so(address: Address) -> None:
    async with offered(address("local"), "plain", "engine") as (qt, url):
        await qt.ask("load", name="plain", value=["QTimeZone", "Europe/Berlin"])
        with pytest.raises(LinkError, match="unknown type"):
            async with connect(url, "plain", timeout=0):
                pass
        async with connect(url, "engine") as engine:
            assert await engine.add_one(1) == 2


@shows(Feature.RECONNECT, Role.HOST, PYSIDE)
@pytest.mark.loops("asyncio", "uvloop")
async def test_a_killed_host_makes_replicas_suspect_and_a_new_one_valid(address: Address) -> None:
    url = address("local")
    async with offered(url, "engine") as (first, _), connect(url, "engine", Engine) as engine:
        states: list[ReplicaState] = []
        changed: list[tuple[str, Any]] = []
        moved = asyncio.Event()

        def note(state: ReplicaState) -> None:
            states.append(state)
            moved.set()

        link_of(engine).state_changed.connect(note)
        Engine.set_point.on_change(engine, lambda value: changed.append(("set_point", value)))
        Engine.level.on_change(engine, lambda value: changed.append(("level", value)))
        assert await Engine.set_point.push(engine, 30) == 30
        await first.kill()
        await moved.wait()
        assert (states, engine.set_point) == ([ReplicaState.SUSPECT], 30)
        with pytest.raises(Fault) as caught:
            await engine.add_one(1)
        assert (caught.value.code, caught.value.may_have_run) == (Code.UNAVAILABLE, False)
        moved.clear()
        async with offered(url, "engine"):
            await moved.wait()
            assert states == [ReplicaState.SUSPECT, ReplicaState.VALID]
            assert changed == [("set_point", 30), ("set_point", 5)]  # level came back as it was
            assert await engine.add_one(1) == 2


async def test_a_call_to_a_host_that_is_killed_is_unavailable_and_may_have_run(address: Address) -> None:
    async with offered(address("local"), "engine") as (qt, url), connect(url, "engine") as engine:
        asking = asyncio.ensure_future(qt.ask("hang"))
        await qt.hear("hanging")
        call = engine.add_one(1)
        await qt.kill()
        with pytest.raises(Fault, match="link was lost") as caught:
            await call
        assert (caught.value.code, caught.value.may_have_run) == (Code.UNAVAILABLE, True)
        with pytest.raises(AssertionError, match="ended with -9"):
            await asking


async def test_a_slot_that_never_answers_ends_at_our_deadline(address: Address) -> None:
    async with offered(address("local"), "engine") as (qt, url), connect(url, "engine", Hasty) as engine:
        asking = asyncio.ensure_future(qt.ask("hang"))
        await qt.hear("hanging")
        with pytest.raises(Fault, match=r"no answer within 2.1 s") as caught:
            await engine.add_one(1)
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        await qt.kill()
        with pytest.raises(AssertionError):
            await asking


@shows(Feature.WITHDRAWN, Role.HOST, PYSIDE)
async def test_an_object_withdrawn_in_qt_is_suspect_until_it_is_offered_again(address: Address) -> None:
    async with offered(address("local"), "engine", "plain") as (qt, url), connect(url, "plain") as plain:
        states: asyncio.Queue[ReplicaState] = asyncio.Queue()
        link_of(plain).state_changed.connect(states.put_nowait)
        await qt.ask("withdraw", name="plain")
        assert await states.get() is ReplicaState.SUSPECT
        await qt.ask("set", name="plain", prop="level", value=["float", 7.0])
        await qt.ask("offer", name="plain")
        assert await states.get() is ReplicaState.VALID
        assert plain.level == 7.0


async def test_connecting_to_an_object_that_qt_does_not_offer_says_what_it_offers(address: Address) -> None:
    async with offered(address("local"), "engine") as (_, url):
        with pytest.raises(Fault, match="it offers engine") as caught:
            async with connect(url, "boiler", timeout=0):
                pass
        assert caught.value.code is Code.NOT_FOUND


@shows(Feature.LATE, Role.HOST, PYSIDE)
async def test_a_replica_waits_for_an_object_that_qt_offers_later(address: Address) -> None:
    async with offered(address("local"), "engine") as (qt, url), asyncio.TaskGroup() as group:

        async def use() -> float:
            async with connect(url, "plain", timeout=None) as plain:
                return float(plain.level)

        using = group.create_task(use())
        async with connect(url, "engine"):
            await qt.ask("offer", name="plain")
            assert await using == 1.0


class Siren(Object):
    """Hears and tells Qt programs."""

    last: Property[str] = prop("")

    @signal
    def wailed(self, why: str) -> None: ...

    @slot
    async def sound(self, count: int, why: str) -> None:
        self.last = why * count


async def test_a_signal_of_qt_drives_a_slot_of_ours(address: Address) -> None:
    siren = Siren()
    async with offered(address("local"), "engine") as (qt, url), Node() as node, connect(url, "engine") as engine:
        node.publish(siren, "siren")
        engine.fired.connect(siren.sound)
        await qt.ask("emit", name="engine", signal="fired", arguments=[["int", 2], ["str", "smoke"]])
        assert await Siren.last.wait_for(siren, bool) == "smokesmoke"


async def test_a_signal_of_ours_drives_a_slot_of_qt(address: Address) -> None:
    siren = Siren()
    async with offered(address("local"), "engine") as (qt, url), Node() as node, connect(url, "engine") as engine:
        node.publish(siren, "siren")
        siren.wailed.connect(engine.remember)
        siren.wailed.emit("attic")
        await qt.hear("called", slot="remember", arguments=[["str", "attic"]])
        await engine.add_one(0)  # a fence: the answer to `remember` is here too


async def test_a_qt_object_published_again_by_us_is_a_bridge_to_other_qt_programs(address: Address) -> None:
    async with offered(address("local"), "plain") as (qt, url), connect(url, "plain") as plain, Node() as node:
        node.publish(plain, "bridge")
        (here,) = await node.serve(address("local"))
        async with qt_program("node") as user:
            await user.ask("connect", url=here)
            await user.ask("acquire", name="bridge")
            await user.hear("state", state="Valid")
            await user.ask("listen", name="bridge", signal="levelChanged(double)")
            assert await user.ask("get", name="bridge", prop="level") == ["float", 1.0]
            await user.ask("call", name="bridge", slot="pushLevel", arguments=[["float", 12.0]])
            assert (await user.hear("heard"))["arguments"] == [["float", 12.0]]
            assert await qt.ask("get", name="plain", prop="level") == ["float", 12.0]
            answer = await user.ask("ask", name="bridge", slot="addOne(int)", arguments=[["int", 1]])
            assert (await user.hear("finished", call=answer))["value"] == ["int", 2]


async def test_qt_gets_one_question_and_no_other_byte_of_the_extension(address: Address) -> None:
    async with offered(address("tcp"), "engine") as (_, url), recorded(url) as recorder:
        async with connect(recorder.url, "engine", Engine) as engine:
            assert await engine.add_one(1) == 2
            assert await Engine.note.push(engine, "x") == "x"
            call = engine.add_one(2)
            call.cancel()
            assert await engine.add_one(3) == 4
        sent = recorder.packets(from_host=False)
        assert Pong(HELLO) in recorder.packets(from_host=True)
    assert [packet for packet in sent if isinstance(packet, Ping)] == [Ping(HELLO), Ping("engine")]
    assert {type(packet) for packet in sent} == {Ping, AddObject, Invoke}
    assert {packet.name for packet in sent if isinstance(packet, (AddObject, Invoke))} == {"engine"}
    assert bytes(recorder.from_node).count("everywire".encode("utf-16-le")) == 1
