"""Replicas of foreign services whose class has nicer types, or does not fit; and open files that travel."""

from __future__ import annotations

import asyncio
import enum
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    Object,
    Property,
    SignatureMismatch,
    connect,
    prop,
    signal,
    slot,
    u32,
)
from everywire.dbus import UnixFd, interface
from everywire.dbus.session import Answer, Variant
from tests.conformance.plant import Heard
from tests.dbus.services import INTERFACE, PATH, SERVICE, Service, Thing, lamp, serving
from tests.dbus.test_replicas import url


# --------------------------------------------------------------------------------------------- classes that fit
class Tone(enum.Enum):
    WARM = "warm"
    COLD = "cold"


class Level(enum.Enum):
    OFF = 0
    ON = 1


@dataclass(frozen=True)
class Spot:
    x: int
    y: float
    name: str


@dataclass(frozen=True)
class Details:
    vendor: str
    year: int | None = None


RICH = """
  <interface name="org.acme.Rich1">
    <property name="Tone" type="s" access="readwrite"/>
    <property name="Level" type="u" access="readwrite"/>
    <property name="Spot" type="(ids)" access="readwrite"/>
    <property name="Details" type="a{sv}" access="readwrite"/>
    <property name="Since" type="t" access="readwrite"/>
    <property name="Spots" type="a(ids)" access="read"/>
    <property name="Anything" type="v" access="read"/>
    <property name="Small" type="y" access="readwrite"/>
    <method name="Move"><arg type="(ids)" direction="in"/><arg type="(ids)" direction="out"/></method>
    <method name="Where">
      <arg type="i" direction="out"/><arg type="d" direction="out"/><arg type="s" direction="out"/>
    </method>
    <signal name="Moved"><arg type="(ids)"/></signal>
  </interface>
"""


@interface("org.acme.Rich1")
class Rich(Object):
    tone: Property[Tone] = prop(Tone.WARM, writable=True)
    level: Property[Level] = prop(Level.OFF, writable=True)
    spot: Property[Spot] = prop(Spot(0, 0.0, ""), writable=True)
    details: Property[Details] = prop(Details(""), writable=True)
    since: Property[datetime] = prop(datetime(1970, 1, 1, tzinfo=UTC), writable=True)
    spots: Property[list[Spot]] = prop(factory=list)
    anything: Property[Any] = prop(None)
    small: Property[int] = prop(0, writable=True)

    @slot
    async def move(self, spot: Spot) -> Spot: ...  # type: ignore[empty-body]

    @slot
    async def where(self) -> Spot: ...  # type: ignore[empty-body]

    @signal
    def moved(self, spot: Spot) -> None: ...


def rich(service: Service) -> Thing:
    thing = service.add(xml=RICH)
    for name, value in {
        "Tone": Variant("s", "cold"),
        "Level": Variant("u", 1),
        "Spot": Variant("(ids)", [1, 2.0, "a"]),
        "Details": Variant("a{sv}", {"vendor": Variant("s", "acme"), "year": Variant("q", 1999)}),
        "Since": Variant("t", 1_000_000),
        "Spots": Variant("a(ids)", [[1, 2.0, "a"], [3, 4.0, "b"]]),
        "Anything": Variant("v", Variant("as", ["x"])),
        "Small": Variant("y", 9),
    }.items():
        thing.set(name, value, "org.acme.Rich1", how="silently")
    thing.methods = {"Move": lambda spot: Answer("(ids)", spot), "Where": lambda: Answer("ids", 1, 2.0, "z")}
    return thing


async def test_types_of_d_bus_become_the_types_of_a_class(bus: str) -> None:
    async with serving(bus) as service:
        thing = rich(service)
        async with connect(url(bus), ".", Rich) as room:
            assert (room.tone, room.level, room.spot) == (Tone.COLD, Level.ON, Spot(1, 2.0, "a"))
            assert (room.details, room.since) == (Details("acme", 1999), datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
            assert (room.spots, room.anything, room.small) == ([Spot(1, 2.0, "a"), Spot(3, 4.0, "b")], ["x"], 9)
            assert await room.move(Spot(5, 6.0, "c")) == Spot(5, 6.0, "c")
            assert await room.where() == Spot(1, 2.0, "z")
            assert await Rich.tone.push(room, Tone.WARM) is Tone.WARM
            assert await Rich.level.push(room, Level.OFF) is Level.OFF
            assert await Rich.details.push(room, Details("x")) == Details("x")
            now = datetime(2026, 11, 20, tzinfo=UTC)
            assert await Rich.since.push(room, now) == now
            stored = {name: variant.value for name, variant in thing.values["org.acme.Rich1"].items()}
            assert (stored["Tone"], stored["Level"], list(stored["Details"])) == ("warm", 0, ["vendor"])
            with pytest.raises(Fault) as caught:
                await Rich.small.push(room, 256)
            assert (caught.value.code, caught.value.may_have_run) == (Code.OUT_OF_RANGE, False)
            heard = Heard()
            room.moved.connect(heard)
            thing.emit("Moved", "(ids)", [7, 8.0, "d"], interface="org.acme.Rich1")
            assert await heard.count(1) == [Spot(7, 8.0, "d")]


# -------------------------------------------------------------------------------------------- classes that do not
class Wrong(Object):
    brightness: Property[bool] = prop(False)
    serial: Property[str] = prop("", writable=True)
    weight: Property[float] = prop(0.0)

    @slot
    async def blink(self, times: int, fast: bool) -> float: ...  # type: ignore[empty-body]

    @slot
    async def forget(self, what: str) -> int: ...  # type: ignore[empty-body]

    @signal
    def burnt(self, hours: str, reason: str) -> None: ...

    @slot
    async def readings(self) -> AsyncIterator[float]:
        yield 0.0


async def test_a_class_that_does_not_fit_is_told_every_difference_and_the_interfaces(bus: str) -> None:
    async with serving(bus) as service:
        lamp(service)
        with pytest.raises(SignatureMismatch) as caught:
            async with connect(url(bus), ".", Wrong):
                pass
        text = str(caught.value)
        for told in (
            f"{PATH} of {SERVICE} with {INTERFACE} is not a Wrong",
            "expected brightness: bool",
            "serial: str (writable)",
            "property weight is missing",
            "slot blink",
            "forget",
            "burnt",
            "only hosts of everywire have streams",
        ):
            assert told in text, text
        assert len(caught.value.differences) == 7


async def test_a_name_in_two_interfaces_needs_the_interface_said(bus: str) -> None:
    class Named(Object):
        name: Property[str] = prop("")

    @interface("org.acme.B1", {"name": "Name"})
    class NamedB(Object):
        name: Property[str] = prop("")

    xml = "".join(
        f"<interface name='org.acme.{x}1'><property name='Name' type='s' access='read'/></interface>" for x in "AB"
    )
    async with serving(bus) as service:
        thing = service.add(xml=xml)
        for x in "AB":
            thing.set("Name", Variant("s", x), f"org.acme.{x}1", how="silently")
        with pytest.raises(SignatureMismatch, match=r"could be org.acme.A1.Name, org.acme.B1.Name: say which"):
            async with connect(url(bus), ".", Named):
                pass
        async with connect(url(bus, interface="org.acme.A1"), ".", Named) as room:
            assert room.name == "A"
        async with connect(url(bus), ".", NamedB) as room:
            assert room.name == "B"
        async with connect(url(bus), ".") as room:
            assert (room.a_name, room.b_name) == ("A", "B")
        with pytest.raises(Fault, match="there is no object at"):
            async with connect(url(bus, interface="org.acme.C1"), ".", Named, timeout=0):
                pass


async def test_who_does_not_describe_itself_is_what_a_class_and_an_interface_say(bus: str) -> None:
    async with serving(bus) as service:
        thing = lamp(service)
        handle = thing.handle

        def mute(call: Any) -> Any:
            if call.member == "Introspect":
                raise Fault(Code.UNIMPLEMENTED, "no")
            return handle(call)

        thing.remove()
        service.connection.handle(PATH, mute)

        class Plain(Object):
            brightness: Property[u32] = prop(0, writable=True)

            @slot
            async def blink(self, times: u32) -> float: ...  # type: ignore[empty-body]

        async with connect(url(bus, interface=INTERFACE), ".", Plain) as room:
            assert (room.brightness, await room.blink(2)) == (40, 1.0)
            assert await Plain.brightness.push(room, 41) == 41
        with pytest.raises(Fault) as caught:
            async with connect(url(bus), ".", Plain, timeout=0):
                pass
        assert caught.value.code is Code.UNIMPLEMENTED


# ---------------------------------------------------------------------------------------------------- descriptors
FILES = """
  <interface name="org.acme.Files1">
    <property name="Log" type="h" access="read"/>
    <method name="Open"><arg type="s" direction="in"/><arg type="h" direction="out"/></method>
    <method name="Read"><arg type="h" direction="in"/><arg type="s" direction="out"/></method>
  </interface>
"""


class Files(Object):
    log: Property[UnixFd] = prop(factory=lambda: None)  # type: ignore[arg-type,return-value]

    @slot
    async def open(self, text: str) -> UnixFd: ...  # type: ignore[empty-body]

    @slot
    async def read(self, file: UnixFd) -> str: ...  # type: ignore[empty-body]


def piped(text: str) -> UnixFd:
    """The end of a pipe from which *text* comes."""
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    return UnixFd.owning(reader)


async def test_open_files_travel_as_arguments_results_and_values(bus: str) -> None:
    async with serving(bus) as service:
        thing = service.add(xml=FILES)

        def handle(call: Any) -> Any:
            match call.member:
                case "Open":
                    return Answer("h", 0, fds=(piped(call.body[0]),))
                case "Read":
                    return Answer("s", os.read(call.fds[call.body[0]].fileno(), 100).decode())
                case "GetAll":
                    return Answer("a{sv}", {"Log": Variant("h", 0)}, fds=(piped("log"),))
                case _:
                    return thing_handle(call)

        thing_handle = thing.handle
        thing.remove()
        service.connection.handle(PATH, handle)
        for cls in (Files, None):
            async with connect(url(bus), ".", cls) as room:
                assert os.read(room.log.fileno(), 100) == b"log"
                with await room.open("hello") as file:
                    assert os.read(file.fileno(), 100) == b"hello"
                with piped("bye") as file:
                    assert await room.read(file) == "bye"
                room.log.close()


async def test_an_open_file_that_was_sent_is_open_at_the_other_end_alone(bus: str) -> None:
    async with serving(bus) as service:
        thing = service.add(xml=FILES)
        thing.methods["Read"] = lambda index: Answer("s", "taken")
        async with connect(url(bus, interface="org.acme.Files1"), ".") as room:
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            with UnixFd.owning(writer) as end:
                assert await room.read(end) == "taken"
            while True:  # until nobody can write any more: neither we nor the service have it
                try:
                    assert os.read(reader, 1) == b""
                except BlockingIOError:
                    await asyncio.sleep(0)
                else:
                    break
            os.close(reader)
