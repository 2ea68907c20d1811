"""A real Qt program (PySide6) uses objects of ours through dynamic replicas and replicas generated from a .rep."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from everywire import Node, Object
from everywire.codec.qdatastream import Point
from everywire.remoteobjects.codec import Handshake, InitDynamic, InvokeReply, ObjectList, Pong
from tests.interop.matrix import PYSIDE, Feature, Role, shows
from tests.interop.programs import QtProgram, qt_program
from tests.interop.recorder import recorded
from tests.interop.samples import BOILER_REP, IDENT, MOMENT, Access, Boiler, Echo, Everything, Mode, Namesake, Reading

pytestmark = pytest.mark.interop

Address = Callable[[str], str]

SHOWN: Final[dict[str, tuple[str, list[Any]]]] = {
    "tiny": ("signed char", ["int", -8]),
    "byte": ("uchar", ["int", 200]),
    "short": ("short", ["int", -1600]),
    "word": ("ushort", ["int", 60000]),
    "number": ("int", ["int", -7]),
    "unsigned": ("uint", ["int", 4_000_000_000]),
    "long": ("qlonglong", ["int", -(2**40)]),
    "huge": ("qulonglong", ["int", 2**63 + 5]),
    "single": ("float", ["float", 1.5]),
    "real": ("double", ["float", 0.1]),
    "truth": ("bool", ["bool", True]),
    "text": ("QString", ["str", "Grüße 😀"]),
    "data": ("QByteArray", ["QByteArray", "00ff"]),
    "mode": ("int", ["int", 3]),
    "access": ("int", ["int", 1 - 2**31]),
    "names": ("QStringList", ["list", [["str", "a"], ["str", ""]]]),
    "counts": ("QVariantList", ["list", [["int", 1], ["int", 2**40]]]),
    "readings": ("QVariantList", ["list", [["dict", {"celsius": ["float", 1.0], "takenAt": ["str", "a"]}]]]),
    "table": ("QVariantMap", ["dict", {"a": ["int", 1]}]),
    "reading": ("QVariantMap", ["dict", {"celsius": ["float", 20.5], "takenAt": ["str", "noon"]}]),
    "pair": ("QVariantList", ["list", [["int", 1], ["str", "b"]]]),
    "maybe": ("QVariant", ["NoneType", None]),
    "anything": (
        "QVariant",
        ["dict", {"a": ["list", [["int", 1], ["NoneType", None], ["dict", {"b": ["QByteArray", "78"]}]]]}],
    ),
    "moment": ("QDateTime", ["QDateTime", "2024-01-02T03:04:05.678Z"]),
    "day": ("QDate", ["QDate", "2024-01-02"]),
    "clock": ("QTime", ["QTime", "03:04:05.678"]),
    "span": ("qlonglong", ["int", 1500]),
    "ident": ("QUuid", ["QUuid", "00112233-4455-6677-8899-aabbccddeeff"]),
}
"""Name of each property of Everything to what Qt calls its type and what Python code in a Qt program sees."""


@asynccontextmanager
async def shown(url: str, **objects: Object) -> AsyncIterator[tuple[Node, QtProgram]]:
    """Our objects at *url*, and a Qt program with a valid dynamic replica of each."""
    async with Node() as node, qt_program("node") as qt:
        for name, source in objects.items():
            node.publish(source, name)
        (where,) = await node.serve(url)
        assert await qt.ask("connect", url=where)
        for name in objects:
            await qt.ask("acquire", name=name)
        waiting = set(objects)
        while waiting:
            waiting.discard((await qt.hear("state", state="Valid"))["object"])
        yield node, qt


@shows(Feature.DYNAMIC, Role.REPLICA, PYSIDE)
@pytest.mark.parametrize("kind", ["local", "tcp", "localabstract"])
async def test_a_dynamic_replica_shows_every_type(address: Address, kind: str) -> None:
    async with shown(address(kind), everything=Everything()) as (_, qt):
        types, _ = await qt.ask("members", name="everything")
        assert types.pop("everywire") == "QObject*", "by which it is known when it comes back"
        assert types == {name: type_name for name, (type_name, _) in SHOWN.items()}
        seen = {name: await qt.ask("get", name="everything", prop=name) for name in SHOWN}
        assert seen == {name: value for name, (_, value) in SHOWN.items()}


CHANGES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "tiny": (-128, ["int", -128]),
    "byte": (255, ["int", 255]),
    "short": (2**15 - 1, ["int", 2**15 - 1]),
    "word": (2**16 - 1, ["int", 2**16 - 1]),
    "number": (-(2**31), ["int", -(2**31)]),
    "unsigned": (2**32 - 1, ["int", 2**32 - 1]),
    "long": (2**63 - 1, ["int", 2**63 - 1]),
    "huge": (2**64 - 1, ["int", 2**64 - 1]),
    "single": (-0.25, ["float", -0.25]),
    "real": (-1e300, ["float", -1e300]),
    "truth": (False, ["bool", False]),
    "text": ("", ["str", ""]),
    "data": (b"", ["QByteArray", ""]),
    "mode": (Mode.OFF, ["int", 0]),
    "access": (Access.WRITE, ["int", 2]),
    "names": ([], ["list", []]),
    "counts": ([], ["list", []]),
    "readings": ([], ["list", []]),
    "table": ({}, ["dict", {}]),
    "reading": (Reading(-1.0, ""), ["dict", {"celsius": ["float", -1.0], "takenAt": ["str", ""]}]),
    "pair": ((2, ""), ["list", [["int", 2], ["str", ""]]]),
    "maybe": (5, ["int", 5]),
    "anything": (["only", "text"], ["list", [["str", "only"], ["str", "text"]]]),
    "moment": (datetime(2030, 7, 1, 12), ["QDateTime", "2030-07-01T12:00:00.000"]),  # noqa: DTZ001  local, as Qt's own
    "day": (date(1, 1, 1), ["QDate", "0001-01-01"]),
    "clock": (time(23, 59, 59, 999000), ["QTime", "23:59:59.999"]),
    "span": (timedelta(days=-1), ["int", -86_400_000]),
    "ident": (UUID(int=0), ["QUuid", "00000000-0000-0000-0000-000000000000"]),
}
"""Another value for each property of Everything, and how a Qt program sees it."""


@shows(Feature.READ, Role.REPLICA, PYSIDE)
@shows(Feature.ENUMS, Role.REPLICA, PYSIDE)
async def test_a_change_of_every_type_is_notified_with_its_value(address: Address) -> None:
    source = Everything()
    async with shown(address("local"), everything=source) as (_, qt):
        for name, (value, seen) in CHANGES.items():
            signal = f"{name}Changed({SHOWN[name][0]})"
            assert await qt.ask("listen", name="everything", signal=signal)
            setattr(source, name, value)
            heard = await qt.hear("heard", object="everything", signal=signal)
            assert (name, heard["arguments"]) == (name, [seen])
            assert await qt.ask("get", name="everything", prop=name) == seen


async def test_none_in_an_optional_property_is_none_in_qt(address: Address) -> None:
    source = Everything()
    source.maybe = 1
    async with shown(address("local"), everything=source) as (_, qt):
        await qt.ask("listen", name="everything", signal="maybeChanged(QVariant)")
        source.maybe = None
        assert (await qt.hear("heard"))["arguments"] == [["NoneType", None]]


LOOSE: Final[list[tuple[Any, list[Any]]]] = [
    (True, ["bool", True]),
    (-7, ["int", -7]),
    (2**62, ["int", 2**62]),
    (0.1, ["float", 0.1]),
    ("", ["str", ""]),
    ("Grüße 😀", ["str", "Grüße 😀"]),
    (b"", ["QByteArray", ""]),
    (b"\0\xff", ["QByteArray", "00ff"]),
    ([], ["list", []]),
    (["a"], ["list", [["str", "a"]]]),
    ([[], ["a"], {}], ["list", [["list", []], ["list", [["str", "a"]]], ["dict", {}]]]),
    ([{"a": 1}, {"b": None}], ["list", [["dict", {"a": ["int", 1]}], ["dict", {"b": ["NoneType", None]}]]]),
    ({}, ["dict", {}]),
    (MOMENT, ["QDateTime", "2024-01-02T03:04:05.678Z"]),
    (date(2024, 1, 2), ["QDate", "2024-01-02"]),
    (time(3, 4, 5, 678000), ["QTime", "03:04:05.678"]),
    (timedelta(seconds=1.5), ["int", 1500]),
    (IDENT, ["QUuid", "00112233-4455-6677-8899-aabbccddeeff"]),
    (Mode.HEAT, ["int", 3]),
    (Reading(1.0, "a"), ["dict", {"celsius": ["float", 1.0], "takenAt": ["str", "a"]}]),
    (Point(1, -2), ["QPoint", [1, -2]]),
    (None, ["NoneType", None]),
]
"""Values of a variant, and how a Qt program sees them."""


async def test_a_variant_carries_every_type_to_qt(address: Address) -> None:
    source = Everything()
    async with shown(address("local"), everything=source) as (_, qt):
        await qt.ask("listen", name="everything", signal="anythingChanged(QVariant)")
        for value, seen in LOOSE:
            source.anything = value
            assert (await qt.hear("heard"))["arguments"] == [seen]
            assert await qt.ask("get", name="everything", prop="anything") == seen


async def test_a_variant_carries_every_type_from_qt(address: Address) -> None:
    source = Everything()
    async with shown(address("local"), everything=source) as (_, qt):
        await qt.ask("listen", name="everything", signal="anythingChanged(QVariant)")
        for value, seen in LOOSE:
            await write(qt, "push", "anything", seen, name="everything")
            await qt.hear("heard", arguments=[seen])
            if isinstance(value, (timedelta, Mode, Reading)):
                continue  # a variant keeps no type of ours
            assert source.anything == value


@shows(Feature.SIGNALS, Role.REPLICA, PYSIDE)
@pytest.mark.loops("asyncio", "uvloop")
async def test_signals_carry_every_type(address: Address) -> None:
    async with shown(address("local"), echo=Echo()) as (_, qt):
        _, members = await qt.ask("members", name="echo")
        signals = [member.split(" ", 2)[2] for member in members if member.startswith("Signal")]
        assert signals == [
            "integers(signed char,uchar,short,ushort,int,uint,qlonglong,qulonglong)",
            "others(bool,float,double,QString,QByteArray,int)",
            "many(QStringList,QVariantList,QVariantMap,QVariantMap,QVariantList)",
            "times(QDateTime,QDate,QTime,qlonglong,QUuid)",
            "loose(QVariant,QVariant)",
            "nothing()",
        ]
        for signal in signals:
            assert await qt.ask("listen", name="echo", signal=signal)
        await qt.ask("call", name="echo", slot="emitAll", arguments=[])
        heard = [(await qt.hear("heard"))["arguments"] for _ in range(7)]
    properties = {name: seen for name, (_, seen) in SHOWN.items()}
    wanted = ("tiny", "byte", "short", "word", "number", "unsigned", "long", "huge")
    assert heard[0] == [properties[name] for name in wanted]
    assert heard[1] == [properties[name] for name in ("truth", "single", "real", "text", "data", "mode")]
    assert heard[2] == [
        properties["names"],
        properties["counts"],
        properties["table"],
        properties["readings"][1][0],
        properties["pair"],
    ]
    assert heard[3] == [properties[name] for name in ("moment", "day", "clock", "span", "ident")]
    assert heard[4] == [["NoneType", None], ["list", [["int", 1], ["dict", {"b": ["QByteArray", "78"]}]]]]
    assert heard[5:] == [[["int", 5], ["NoneType", None]], []]


ECHOED: Final[dict[str, list[Any]]] = {
    "tiny(signed char)": ["int", -8],
    "byte(uchar)": ["int", 200],
    "short(short)": ["int", -1600],
    "word(ushort)": ["int", 60000],
    "number(int)": ["int", -(2**31)],
    "unsigned(uint)": ["int", 4_000_000_000],
    "long(qlonglong)": ["int", -(2**40)],
    "single(float)": ["float", 1.5],
    "real(double)": ["float", 0.1],
    "truth(bool)": ["bool", True],
    "text(QString)": ["str", "Grüße 😀"],
    "data(QByteArray)": ["QByteArray", "00ff"],
    "mode(int)": ["int", 3],
    "names(QStringList)": ["list", [["str", "a"], ["str", ""]]],
    "counts(QVariantList)": ["list", [["int", 1], ["int", -2]]],
    "table(QVariantMap)": ["dict", {"a": ["int", 1]}],
    "reading(QVariantMap)": ["dict", {"celsius": ["float", 20.5], "takenAt": ["str", "noon"]}],
    "moment(QDateTime)": ["QDateTime", "2024-01-02T03:04:05.678Z"],
    "day(QDate)": ["QDate", "2024-01-02"],
    "clock(QTime)": ["QTime", "03:04:05.678"],
    "span(qlonglong)": ["int", 1500],
    "ident(QUuid)": ["QUuid", "00112233-4455-6677-8899-aabbccddeeff"],
    "maybe(QVariant)": ["int", 5],
    "anything(QVariant)": ["list", [["str", "a"], ["int", 1], ["NoneType", None]]],
}
"""Signature of each slot of Echo, and a value that it returns as it came."""


@shows(Feature.SLOTS, Role.REPLICA, PYSIDE)
@shows(Feature.NUMBERS, Role.REPLICA, PYSIDE)
@shows(Feature.TIMES, Role.REPLICA, PYSIDE)
@shows(Feature.VARIANTS, Role.REPLICA, PYSIDE)
@shows(Feature.CONTAINERS, Role.REPLICA, PYSIDE)
@pytest.mark.parametrize("wait", [True, False], ids=["waitForFinished", "watcher"])
async def test_slots_return_every_type_to_a_dynamic_replica(address: Address, wait: bool) -> None:
    async with shown(address("local"), echo=Echo()) as (_, qt):
        for slot, value in ECHOED.items():
            answer = await qt.ask("ask", name="echo", slot=slot, arguments=[value], wait=wait)
            if not wait:
                answer = await qt.hear("finished", call=answer)
            assert (slot, answer["value"], answer["error"]) == (slot, value, "NoError")


async def test_an_optional_slot_returns_none(address: Address) -> None:
    async with shown(address("local"), echo=Echo()) as (_, qt):
        for slot in ("maybe(QVariant)", "anything(QVariant)"):
            answer = await qt.ask("ask", name="echo", slot=slot, arguments=[["NoneType", None]], wait=True)
            assert answer == {"finished": True, "error": "NoError", "value": ["NoneType", None]}


async def test_void_slots_run_in_order_and_once(address: Address, soak: Callable[[int, int], int]) -> None:
    boiler, count = Boiler(), soak(50, 5000)
    async with shown(address("local"), boiler=boiler) as (_, qt):
        await qt.ask("listen", name="boiler", signal="labelChanged(QString)")
        for number in range(count):
            await qt.ask("call", name="boiler", slot="stop", arguments=[["str", str(number)]])
        await qt.hear("heard", arguments=[["str", str(count - 1)]])
    assert boiler.stopped == [str(number) for number in range(count)]


@shows(Feature.READWRITE, Role.REPLICA, PYSIDE)
@pytest.mark.parametrize("by", ["push", "setProperty"])
async def test_a_property_is_written_from_qt(address: Address, by: str) -> None:
    boiler = Boiler()
    async with shown(address("local"), boiler=boiler) as (_, qt):
        for signal in ("setPointChanged(double)", "errorChanged(double)"):
            await qt.ask("listen", name="boiler", signal=signal)
        await write(qt, by, "setPoint", ["float", 30.0])
        assert (await qt.hear("heard", signal="setPointChanged(double)"))["arguments"] == [["float", 30.0]]
        assert (await qt.hear("heard", signal="errorChanged(double)"))["arguments"] == [["float", 10.0]]
        assert boiler.set_point == 30.0
        assert await qt.ask("get", name="boiler", prop="error") == ["float", 10.0]


@pytest.mark.parametrize("by", ["push", "setProperty"])
async def test_a_refused_write_changes_nothing_and_is_counted(address: Address, by: str) -> None:
    boiler = Boiler()
    async with shown(address("local"), boiler=boiler) as (node, qt):
        await write(qt, by, "setPoint", ["float", 96.0])
        await qt.ask("ask", name="boiler", slot="boost(int)", arguments=[["int", 1]], wait=True)  # a fence
        assert (boiler.set_point, await qt.ask("get", name="boiler", prop="setPoint")) == (21.0, ["float", 21.0])
        assert node.refusals["OUT_OF_RANGE"] == 1


async def test_a_computed_property_cannot_be_written_from_qt(address: Address) -> None:
    boiler = Boiler()
    async with shown(address("local"), boiler=boiler) as (node, qt):
        await qt.ask("set", name="boiler", prop="error", value=["float", 7.0])
        await qt.ask("ask", name="boiler", slot="boost(int)", arguments=[["int", 1]], wait=True)
        assert (boiler.error, await qt.ask("get", name="boiler", prop="error")) == (1.0, ["float", 1.0])
        assert node.refusals["NOT_FOUND"] == 1


async def test_a_signal_of_one_object_drives_a_slot_of_another_through_qt(address: Address) -> None:
    hot, pump = Boiler(), Boiler()
    async with shown(address("local"), hot=hot, pump=pump) as (_, qt):
        await qt.ask("drive", name="hot", signal="labelChanged(QString)", target="pump", slot="stop")
        await qt.ask("listen", name="pump", signal="labelChanged(QString)")
        hot.label = "too hot"
        await qt.hear("heard", object="pump", arguments=[["str", "too hot"]])
    assert (pump.stopped, hot.stopped) == (["too hot"], [])


@pytest.mark.parametrize("slot", ["refuse()", "fail()"])
async def test_a_fault_is_an_invalid_result_in_qt(
    address: Address, slot: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "everywire.gate")
    async with shown(address("local"), boiler=Boiler()) as (node, qt):
        answer = await qt.ask("ask", name="boiler", slot=slot, arguments=[], wait=True)
        assert answer == {"finished": True, "error": "NoError", "value": ["NoneType", None]}
        assert node.refusals["FAILED_PRECONDITION" if slot == "refuse()" else "UNKNOWN"] == 1
        answer = await qt.ask("ask", name="boiler", slot="boost(int)", arguments=[["int", 2]], wait=True)
        assert answer["value"] == ["int", 120]


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_slot_that_waits_answers_later_and_holds_up_nobody(address: Address) -> None:
    boiler = Boiler()
    async with shown(address("local"), boiler=boiler) as (_, qt):
        late = await qt.ask("ask", name="boiler", slot="later()", arguments=[])
        answer = await qt.ask("ask", name="boiler", slot="boost(int)", arguments=[["int", 1]], wait=True)
        assert answer["value"] == ["int", 60]
        boiler.gate.set()
        assert (await qt.hear("finished", call=late))["value"] == ["str", "at last"]


async def test_names_that_qt_uses_itself_are_ours_on_a_dynamic_replica(address: Address) -> None:
    source = Namesake()
    async with shown(address("local"), namesake=source) as (_, qt):
        seen = [await qt.ask("get", name="namesake", prop=name) for name in ("state", "node", "objectName")]
        assert seen == [["int", 7], ["str", "here"], ["str", "me"]]
        for signal in ("stateChanged(qlonglong)", "initialized(QString)", "destroyed()"):
            assert await qt.ask("listen", name="namesake", signal=signal)
        source.state = 9
        source.initialized.emit("told")
        source.destroyed.emit()
        assert [(await qt.hear("heard"))["arguments"] for _ in range(3)] == [[["int", 9]], [["str", "told"]], []]
        for slot, value in (("isInitialized()", "ours"), ("deleteLater()", "never")):
            answer = await qt.ask("ask", name="namesake", slot=slot, arguments=[], wait=True)
            assert answer["value"] == ["str", value]


async def test_a_pickle_from_qt_is_bytes_to_our_slot_and_is_never_opened(address: Address, tmp_path: Path) -> None:
    trap, source = tmp_path / "unpickled", Everything()
    async with shown(address("local"), everything=source, echo=Echo()) as (_, qt):
        await qt.ask("listen", name="everything", signal="anythingChanged(QVariant)")
        for value in (["bytes", "00ff"], ["tuple", [["int", 1]]], ["trap", str(trap)]):
            answer = await qt.ask("ask", name="echo", slot="anything(QVariant)", arguments=[value], wait=True)
            assert answer["value"][0] == "QByteArray"
            assert bytes.fromhex(answer["value"][1])[:2] == b"\x80\x04"
            await write(qt, "push", "anything", value, name="everything")
            await qt.hear("heard")
            assert source.anything.startswith(b"\x80\x04")
    assert not trap.exists()


async def test_an_argument_of_an_unknown_type_gives_no_result_and_the_link_goes_on(address: Address) -> None:
    async with shown(address("local"), echo=Echo()) as (node, qt):
        zone = ["QTimeZone", "Europe/Berlin"]
        answer = await qt.ask("ask", name="echo", slot="anything(QVariant)", arguments=[zone], wait=True)
        assert answer == {"finished": True, "error": "NoError", "value": ["NoneType", None]}
        assert node.refusals["INVALID_ARGUMENT"] == 1
        answer = await qt.ask("ask", name="echo", slot="text(QString)", arguments=[["str", "on"]], wait=True)
        assert answer["value"] == ["str", "on"]


async def test_a_null_date_from_qt_is_refused_where_none_may_not_be(address: Address) -> None:
    source = Everything()
    async with shown(address("local"), everything=source, echo=Echo()) as (node, qt):
        await write(qt, "push", "day", ["QDate", ""], name="everything")
        answer = await qt.ask("ask", name="echo", slot="day(QDate)", arguments=[["QDate", ""]], wait=True)
        assert answer["value"] == ["NoneType", None]
        assert (source.day, node.refusals["INVALID_ARGUMENT"]) == (date(2024, 1, 2), 2)


@shows(Feature.RECONNECT, Role.REPLICA, PYSIDE)
@pytest.mark.loops("asyncio", "uvloop")
@pytest.mark.parametrize("kind", ["local", "tcp"])
async def test_a_restarted_host_is_found_again_by_qt(address: Address, kind: str) -> None:
    async with qt_program("node") as qt:
        async with Node() as node:
            node.publish(Boiler(), "boiler")
            (url,) = await node.serve(address(kind))
            await qt.ask("connect", url=url)
            await qt.ask("acquire", name="boiler")
            await qt.hear("state", state="Valid")
        await qt.hear("state", state="Suspect")
        assert await qt.ask("get", name="boiler", prop="current") == ["float", 20.0]
        boiler = Boiler()
        boiler.current = 40.0
        async with Node() as node:
            node.publish(boiler, "boiler")
            await node.serve(url)
            await qt.hear("state", state="Valid")
            assert await qt.ask("get", name="boiler", prop="current") == ["float", 40.0]
            answer = await qt.ask("ask", name="boiler", slot="boost(int)", arguments=[["int", 3]], wait=True)
            assert answer["value"] == ["int", 180]


@shows(Feature.WITHDRAWN, Role.REPLICA, PYSIDE)
async def test_a_withdrawn_object_is_suspect_until_it_is_published_again(address: Address) -> None:
    boiler = Boiler()
    async with shown(address("local"), boiler=boiler) as (node, qt):
        node.withdraw("boiler")
        await qt.hear("state", object="boiler", state="Suspect")
        boiler.current = 33.0
        node.publish(boiler, "boiler")
        await qt.hear("state", object="boiler", state="Valid")
        assert await qt.ask("get", name="boiler", prop="current") == ["float", 33.0]


@shows(Feature.LATE, Role.REPLICA, PYSIDE)
async def test_qt_finds_an_object_that_is_published_after_it_has_connected(address: Address) -> None:
    async with shown(address("local"), echo=Echo()) as (node, qt):
        await qt.ask("acquire", name="boiler")
        assert await qt.ask("state", name="boiler") == "Uninitialized"
        node.publish(Boiler(), "boiler")
        await qt.hear("state", object="boiler", state="Valid")
        assert await qt.ask("get", name="boiler", prop="label") == ["str", "boiler"]


async def test_a_released_replica_hears_nothing_more_and_the_others_go_on(address: Address) -> None:
    hot, pump = Boiler(), Boiler()
    async with shown(address("local"), hot=hot, pump=pump) as (_, qt):
        await qt.ask("listen", name="pump", signal="currentChanged(double)")
        await qt.ask("release", name="hot")
        hot.current, pump.current = 30.0, 31.0
        await qt.hear("heard", object="pump", arguments=[["float", 31.0]])


@shows(Feature.HEARTBEAT, Role.REPLICA, PYSIDE)
async def test_heartbeats_of_qt_are_answered(address: Address) -> None:
    async with Node() as node, qt_program("node") as qt:
        node.publish(Boiler(), "boiler")
        (url,) = await node.serve(address("tcp"))
        async with recorded(url) as recorder:
            await qt.ask("heartbeat", milliseconds=20)
            await qt.ask("connect", url=recorder.url)
            await qt.ask("acquire", name="boiler")
            await qt.hear("state", state="Valid")
            async with asyncio.timeout(10):
                while recorder.packets(from_host=True).count(Pong("boiler")) < 3:
                    await recorder.more.wait()
                    recorder.more.clear()
            assert await qt.ask("state", name="boiler") == "Valid"
            assert not [fact for fact in qt.facts if fact["event"] == "state"]


async def test_a_qt_node_that_knows_nothing_of_everywire_gets_no_byte_of_the_extension(address: Address) -> None:
    async with Node() as node, qt_program("node") as qt:
        node.publish(Boiler(), "boiler")
        (url,) = await node.serve(address("tcp"))
        async with recorded(url) as recorder:
            await qt.ask("connect", url=recorder.url)
            await qt.ask("acquire", name="boiler")
            await qt.hear("state", state="Valid")
            await qt.ask("ask", name="boiler", slot="refuse()", arguments=[], wait=True)
        for word in ("everywire".encode("utf-16-le"), b"everywire"):
            assert word not in recorder.from_host
        kinds = {type(packet) for packet in recorder.packets(from_host=True)}
        assert kinds == {Handshake, ObjectList, InitDynamic, InvokeReply}


# Replicas that PySide generates from the .rep.


@asynccontextmanager
async def generated(url: str, boiler: Boiler) -> AsyncIterator[tuple[Node, QtProgram]]:
    """A Boiler, and a Qt program with a replica generated from BOILER_REP."""
    async with Node() as node, qt_program("node") as qt:
        node.publish(boiler, "boiler")
        await node.serve(url)
        await qt.ask("connect", url=url)
        await qt.ask("acquire_static", name="boiler", rep=BOILER_REP, cls="Boiler")
        await qt.hear("state", state="Valid")
        yield node, qt


async def test_a_generated_replica_shows_properties_and_their_changes(address: Address) -> None:
    boiler = Boiler()
    async with generated(address("local"), boiler) as (_, qt):
        seen = [await qt.ask("get", name="boiler", prop=name) for name in ("setPoint", "current", "label", "error")]
        assert seen == [["float", 21.0], ["float", 20.0], ["str", "boiler"], ["float", 1.0]]
        for signal in ("currentChanged(double)", "labelChanged(QString)", "overHeated(double,QString)"):
            assert await qt.ask("listen", name="boiler", signal=signal)
        boiler.current = 80.0
        assert (await qt.hear("heard"))["arguments"] == [["float", 80.0]]
        boiler.label = "hot"
        assert (await qt.hear("heard"))["arguments"] == [["str", "hot"]]
        boiler.over_heated.emit(99.5, "attic")
        assert (await qt.hear("heard"))["arguments"] == [["float", 99.5], ["str", "attic"]]


@shows(Feature.STATIC, Role.REPLICA, PYSIDE)
async def test_a_generated_replica_calls_slots_and_pushes(address: Address) -> None:
    boiler = Boiler()
    async with generated(address("local"), boiler) as (node, qt):
        answer = await qt.ask("wait", name="boiler", slot="boost", arguments=[["int", 5]])
        assert answer == {"finished": True, "error": "NoError", "value": ["int", 300]}
        await qt.ask("listen", name="boiler", signal="setPointChanged(double)")
        await qt.ask("call", name="boiler", slot="pushSetPoint", arguments=[["float", 25.0]])
        assert (await qt.hear("heard"))["arguments"] == [["float", 25.0]]
        await qt.ask("call", name="boiler", slot="stop", arguments=[["str", "leak"]])
        answer = await qt.ask("wait", name="boiler", slot="refuse", arguments=[])
        assert answer["finished"]
        assert (boiler.set_point, boiler.stopped) == (25.0, ["leak"])
        assert node.refusals["FAILED_PRECONDITION"] == 1
        boiler.gate.set()
        answer = await qt.ask("wait", name="boiler", slot="later", arguments=[])
        assert answer["value"] == ["str", "at last"]


async def write(qt: QtProgram, by: str, prop: str, value: list[Any], *, name: str = "boiler") -> None:
    if by == "push":
        await qt.ask("call", name=name, slot=f"push{prop[0].upper()}{prop[1:]}", arguments=[value])
    else:
        await qt.ask("set", name=name, prop=prop, value=value)


@shows(Feature.PUSH, Role.REPLICA, PYSIDE)
@pytest.mark.parametrize("by", ["push", "setProperty"])
async def test_a_property_of_every_type_is_written_from_qt(address: Address, by: str) -> None:
    source = Everything()
    async with shown(address("local"), everything=source) as (_, qt):
        for name, (value, seen) in CHANGES.items():
            if name == "huge":
                continue  # PySide6 cannot send more than 63 bits of an int
            await qt.ask("listen", name="everything", signal=f"{name}Changed({SHOWN[name][0]})")
            await write(qt, by, name, seen, name="everything")
            assert (await qt.hear("heard"))["arguments"] == [seen]
            assert (name, getattr(source, name)) == (name, value)
