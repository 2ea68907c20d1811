"""Replicas of services that know nothing of everywire: values, calls, signals, with a class and without."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    LocalProtocolError,
    ModelError,
    Node,
    Object,
    Property,
    connect,
    contract_of,
    link_of,
    members,
    prop,
    signal,
    slot,
    u32,
)
from everywire.dbus import refresh
from everywire.dbus.session import Answer, Variant
from everywire.runtime.wires import wire_of
from tests.conformance.plant import Heard
from tests.dbus.services import INTERFACE, SERVICE, Thing, lamp, serving


class Lamp(Object):
    brightness: Property[u32] = prop(0, writable=True)
    color: Property[str] = prop("", writable=True)
    serial: Property[str] = prop("")
    uptime: Property[int] = prop(0)

    @slot
    async def blink(self, times: int) -> float: ...  # type: ignore[empty-body]

    @slot
    async def info(self) -> tuple[int, str]: ...  # type: ignore[empty-body]

    @slot
    async def refuse(self, why: str) -> None: ...

    @slot(timeout=0.3)
    async def hang(self) -> None: ...

    @slot
    async def forget(self, what: str) -> None: ...

    @signal
    def burnt(self, hours: int, reason: str) -> None: ...


def url(bus: str, **settings: str) -> str:
    return f"dbus:{bus}?service={SERVICE}" + "".join(f"&{name}={value}" for name, value in settings.items())


@asynccontextmanager
async def lit(bus: str, cls: type[Object] | None = Lamp) -> AsyncIterator[tuple[Thing, Any]]:
    """A lamp and its replica."""
    async with serving(bus) as service:
        thing = lamp(service)
        async with connect(url(bus), ".", cls) as replica:
            yield thing, replica


# ---------------------------------------------------------------------------------------------------------- values
async def test_all_values_are_there_with_a_class_and_without(each_bus: str) -> None:
    for cls in (Lamp, None):
        async with lit(each_bus, cls) as (_, room):
            assert (room.brightness, room.color, room.serial, room.uptime) == (40, "warm", "L-1", 7)


async def test_changes_are_followed_told_or_only_hinted_at(bus: str) -> None:
    async with lit(bus) as (thing, room):
        told = Heard()
        Lamp.brightness.on_change(room, lambda value: told(("brightness", value)))
        Lamp.color.on_change(room, lambda value: told(("color", value)))
        thing.set("Brightness", Variant("u", 41))
        thing.set("Brightness", Variant("u", 41))
        thing.set("Color", Variant("s", "cold"), how="invalidated")
        assert await told.count(2) == [("brightness", 41), ("color", "cold")]
        assert (room.brightness, room.color) == (41, "cold")


async def test_a_value_that_is_told_to_be_stale_often_is_asked_for_once_at_a_time(bus: str) -> None:
    async with lit(bus) as (thing, room):
        colors = Heard()
        Lamp.color.on_change(room, colors)
        thing.service.asked.clear()
        for n in range(100):
            thing.set("Color", Variant("s", f"c{n}"), how="invalidated")
        while not colors.items or colors.items[-1] != "c99":
            await colors.count(len(colors.items) + 1)
        assert 1 <= thing.service.asked.count("Get") < 20


async def test_what_is_never_told_is_read_again_on_request(bus: str) -> None:
    async with lit(bus) as (thing, room):
        thing.set("Uptime", Variant("t", 8), how="silently")
        thing.set("Brightness", Variant("u", 99), how="silently")
        assert (room.uptime, room.brightness) == (7, 40)
        heard = Heard()
        Lamp.uptime.on_change(room, heard)
        await refresh(room)
        assert (room.uptime, room.brightness, heard.items) == (8, 99, [8])


async def test_refreshing_something_else_is_refused() -> None:
    with pytest.raises(ModelError, match="source"):
        await refresh(Lamp())
    async with connect_memory() as room:
        with pytest.raises(ModelError, match="not linked over D-Bus"):
            await refresh(room)


@asynccontextmanager
async def connect_memory() -> AsyncIterator[Any]:
    async with Node() as node:
        node.publish(Lamp(), "lamp")
        await node.serve("memory:lamp")
        async with connect("memory:lamp", "lamp", Lamp) as room:
            yield room


async def test_a_property_that_cannot_be_read_leaves_the_others_alone(bus: str) -> None:
    async with serving(bus) as service:
        thing = lamp(service)
        thing.broken = {"Color"}
        for thing.get_all in (True, False):
            async with connect(url(bus), ".", Lamp) as room:
                assert (room.brightness, room.serial) == (40, "L-1")
                with pytest.raises(LocalProtocolError, match="color has no value"):
                    room.color  # noqa: B018
                colors = Heard()
                Lamp.color.on_change(room, colors)
                thing.set("Color", Variant("s", "cold"))
                assert await colors.count(1) == ["cold"]
                assert room.color == "cold"
                assert await Lamp.color.push(room, "dim") == "dim"


async def test_a_change_between_two_answers_is_not_lost(bus: str) -> None:
    """Of an interface whose values came already; what comes later has it in it."""
    second = "<interface name='org.acme.Other1'><property name='Extra' type='i' access='read'/></interface>"
    async with serving(bus) as service:
        thing = lamp(service)
        thing.xml += second
        thing.set("Extra", Variant("i", 1), "org.acme.Other1", how="silently")
        answer = thing._getall

        def get_all(interface: str) -> Answer:
            found = answer(interface)
            if interface == INTERFACE:
                # Told after its answer was made, and before that of the other.
                asyncio.get_running_loop().call_soon(thing.set, "Brightness", Variant("u", 77))
            return found

        thing._getall = get_all  # type: ignore[method-assign]
        async with connect(url(bus), ".") as room:
            value = type(room).brightness
            assert await value.wait_for(room, lambda found: found == 77) == 77


# ----------------------------------------------------------------------------------------------------------- calls
async def test_calls_take_and_give_values(each_bus: str) -> None:
    async with lit(each_bus) as (thing, room):
        assert await room.blink(3) == 1.5
        assert await room.info() == (7, "hall")
        assert await asyncio.gather(*(room.blink(n) for n in range(50))) == [n * 0.5 for n in range(50)]
        await room.forget("all")
        await thing.service.until_asked("Forget")


async def test_a_call_that_is_refused_says_why(bus: str) -> None:
    async with lit(bus) as (_, room):
        with pytest.raises(Fault) as caught:
            await room.refuse("too hot")
        assert (caught.value.code, caught.value.message) == (Code.FAILED_PRECONDITION, "too hot")
        with pytest.raises(Fault) as caught:
            await room.blink(-1)
        assert (caught.value.code, caught.value.may_have_run) == (Code.OUT_OF_RANGE, False)
        assert await room.blink(2) == 1.0


async def test_a_call_without_an_answer_ends_by_its_own_deadline_and_a_late_one_is_no_news(bus: str) -> None:
    async with lit(bus) as (thing, room):
        gate = asyncio.Event()

        async def hang() -> None:
            await gate.wait()

        thing.methods["Hang"] = hang
        with pytest.raises(Fault, match=r"within 0.3 s") as caught:
            await room.hang()
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        gate.set()
        assert await room.blink(2) == 1.0


async def test_foreign_methods_have_the_deadline_of_d_bus(bus: str) -> None:
    async with lit(bus, None) as (_, room):
        assert contract_of(room).members["blink"].timeout == 25.0
        call = room.hang()
        (expected, _), *_ = link_of(room).channel.waiting.values()
        assert expected.timeout == 25.0
        call.cancel()


async def test_a_cancelled_call_is_forgotten(bus: str) -> None:
    async with lit(bus) as (thing, room):
        call = room.hang()
        await thing.service.until_asked("Hang")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not link_of(room).channel.waiting
        assert await room.blink(2) == 1.0


# ------------------------------------------------------------------------------------------------------------ push
async def test_a_push_returns_what_the_source_then_holds(bus: str) -> None:
    async with lit(bus) as (thing, room):
        for thing.emits in (True, False):
            assert await Lamp.brightness.push(room, 60 + thing.emits) == 60 + thing.emits
            assert room.brightness == 60 + thing.emits


async def test_a_source_that_keeps_its_own_value_refuses_a_push(bus: str) -> None:
    async with lit(bus) as (thing, room):
        thing._set = lambda *_: None  # type: ignore[method-assign]
        with pytest.raises(Fault, match="the source kept 40"):
            await Lamp.brightness.push(room, 50)

        def refuse(*_: Any) -> None:
            raise Fault(Code.PERMISSION_DENIED, "not you")

        thing._set = refuse  # type: ignore[method-assign]
        with pytest.raises(Fault, match="not you") as caught:
            await Lamp.brightness.push(room, 50)
        assert caught.value.code is Code.PERMISSION_DENIED
        with pytest.raises(ModelError):
            await Lamp.brightness.push(room, -1)


async def test_what_can_only_be_written_is_known_after_a_push(bus: str) -> None:
    async with serving(bus) as service:
        thing = lamp(service)
        told = 'name="Color" type="s" access='
        thing.xml = thing.xml.replace(f'{told}"readwrite"', f'{told}"write"')
        thing.broken = {"Color"}
        async with connect(url(bus), ".", Lamp) as room:
            thing.emits = False
            assert await Lamp.color.push(room, "dim") == "dim"
            assert room.color == "dim"
            assert thing.values[INTERFACE]["Color"].value == "dim"


# --------------------------------------------------------------------------------------------------------- signals
async def test_signals_arrive_in_order_with_what_changed_before_them(bus: str) -> None:
    async with lit(bus) as (thing, room):
        heard = Heard()
        room.burnt.connect(lambda hours, reason: heard((hours, reason, room.brightness)))
        for n in range(20):
            thing.set("Brightness", Variant("u", n))
            thing.emit("Burnt", "us", n, "old")
        assert await heard.count(20) == [(n, "old", n) for n in range(20)]


async def test_what_the_contract_does_not_know_is_passed_over(bus: str) -> None:
    async with lit(bus) as (thing, room):
        heard = Heard()
        room.burnt.connect(heard)
        thing.emit("Melted", "s", "x")
        thing.emit("Burnt", "us", 1, "x", interface="org.acme.Somebody1")
        thing.set("Weight", Variant("d", 1.0))
        thing.tell({"Brightness": Variant("u", 3)}, interface="org.acme.Somebody1")
        thing.emit("Burnt", "us", 2, "y")
        assert await heard.count(1) == [(2, "y")]
        assert room.brightness == 40


# ------------------------------------------------------------------------------------------ without a class
async def test_without_a_class_there_are_names_docstrings_and_signatures(bus: str) -> None:
    xml = """
      <interface name="org.acme.Weird1">
        <annotation name="org.gtk.GDBus.DocString" value="What is weird."/>
        <method name="import"><arg name="URL" type="s" direction="in"/><arg type="b" direction="out"/></method>
        <property name="dash-ed" type="i" access="readwrite"/>
        <method name="HTTPGet"><annotation name="org.gtk.GDBus.DocString" value="Fetches."/></method>
      </interface>
    """
    async with serving(bus) as service:
        thing = service.add(xml=xml)
        thing.set("dash-ed", Variant("i", 5), "org.acme.Weird1", how="silently")
        thing.methods = {"import": lambda url: Answer("b", url == "x"), "HTTPGet": lambda: None}
        async with connect(url(bus), ".") as room:
            assert type(room).__name__ == "Weird"
            assert type(room).__doc__ == "What is weird."
            assert room.http_get.__doc__ == "Fetches."
            assert await room.http_get() is None
            assert await members(room)["import"]("x") is True
            assert inspect.signature(members(room)["import"]).return_annotation is bool
            assert members(room)["dash-ed"].value == 5
            assert await members(room)["dash-ed"].push(6) == 6
            assert await members(room)["HTTPGet"]() is None


async def test_all_interfaces_of_an_object_are_one_replica(bus: str) -> None:
    async with serving(bus) as service:
        thing = lamp(service)
        thing.xml += """<interface name='org.acme.Meter1'>
            <property name='Watts' type='d' access='read'/><method name='Reset'/></interface>"""
        thing.set("Watts", Variant("d", 7.5), "org.acme.Meter1", how="silently")
        thing.methods["Reset"] = lambda: None
        async with connect(url(bus), ".") as room, connect(url(bus, interface="org.acme.Meter1"), ".") as meter:
            assert (room.brightness, room.watts, meter.watts) == (40, 7.5, 7.5)
            await room.reset()
            assert "brightness" not in contract_of(meter).members
            thing.set("Watts", Variant("d", 8.0), "org.acme.Meter1")
            assert await type(room).watts.wait_for(room, lambda value: value == 8.0) == 8.0


async def test_a_session_tells_contracts_without_attaching(bus: str) -> None:
    async with serving(bus) as service, Node() as node:
        lamp(service)
        session = await wire_of(url(bus)).open(node)
        try:
            assert session.offered is None, "it is no host of everywire, and says nothing of its objects"
            contract = await session.contract(".")
            assert (contract.name, contract.members["info"].wire_name) == ("Lamp", "Info")
            assert str(contract.members["info"]) == "slot info() -> tuple[i32, str]"
            with pytest.raises(Fault) as caught:
                await session.contract("attic")
            assert caught.value.code is Code.NOT_FOUND
        finally:
            await session.close()


async def test_the_bus_itself_is_an_object(each_bus: str) -> None:
    there = f"dbus:{each_bus}?service=org.freedesktop.DBus&path=/org/freedesktop/DBus"
    async with connect(there, ".") as daemon, serving(each_bus):
        assert SERVICE in await daemon.list_names()
        changes = Heard()
        daemon.name_owner_changed.connect(lambda name, old, new: changes(name))
        async with serving(each_bus, "org.acme.Other"):
            while "org.acme.Other" not in changes.items:
                await changes.count(len(changes.items) + 1)
        with pytest.raises(Fault) as caught:
            await daemon.get_name_owner("org.acme.Nobody")
        assert caught.value.code is Code.UNAVAILABLE
