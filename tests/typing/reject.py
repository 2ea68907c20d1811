"""Mistakes that mypy --strict and pyright strict must both find, each on its marked line. Checked, never run."""

# pyright: strict

from __future__ import annotations

from collections.abc import AsyncIterator

import everywire.dbus
import everywire.remoteobjects
import everywire.sync
import everywire.transport
from everywire import Node, Object, Property, computed, connect, current_call, link_of, prop, serve, signal, slot, sync


class Thermostat(Object):
    target: Property[float] = prop(21.0, writable=True)
    errors: Property[list[str]] = prop(factory=list)

    @computed(target)
    def error(self) -> float:
        return self.target - 20

    @signal
    def overheated(self, celsius: float, sensor: str) -> None:
        """A sensor is above the limit."""

    @slot
    async def boost(self, minutes: int = 10) -> int:
        return minutes * 60

    @slot
    async def readings(self, every: float) -> AsyncIterator[float]:
        yield every


def no_number(text: str) -> None:
    """Take what no signal here has first."""


def three(celsius: float, sensor: str, more: int) -> None:
    """Take more than the signal has."""


class Mill(Object):
    own: Property[Thermostat] = prop(factory=Thermostat)
    spare: Property[Thermostat] = prop(None)  # wrong: the type leaves out None
    other: Property[Thermostat] = prop(factory=int)  # wrong: the factory makes no Thermostat


class Declarations(Object):
    text: Property[str] = prop(1.0)  # wrong: the default is no str
    names: Property[list[str]] = prop(factory=dict)  # wrong: the factory makes no list
    unit: Property[float] = prop(1.0, unit=5)  # wrong: a unit is a text
    option: Property[float] = prop(1.0, readonly=True)  # wrong: there is no such option

    @slot  # wrong: a slot is async
    def not_async(self) -> int:
        return 1

    @slot(timeout="2 s")  # wrong: a timeout is a number of seconds
    async def late(self) -> None: ...

    @computed("text")  # wrong: inputs are properties, not names
    def longer(self) -> str:
        return self.text + "!"


class Overrides(Thermostat):
    async def boost(self, minutes: str = "") -> int:  # wrong: the base class takes an int
        return 1


def properties(room: Thermostat) -> None:
    print(room.target.upper())  # wrong: a float has no upper
    room.target = "x"  # wrong: a str for a float
    room.target = None  # wrong: None for a float
    room.error = 3.0  # wrong: a computed property is read-only
    room.errors = [1]  # wrong: a list of int for a list of str
    room.targte = 3.0  # wrong: no such property
    Thermostat.target.on_change(room, no_number)  # wrong: the callback takes a str, the value is a float


async def children(mill: Mill) -> None:
    mill.own = None  # wrong: there must be one
    mill.own = Mill()  # wrong: a child of another class
    mill.own.target = "x"  # wrong: a str for a float
    print(mill.own.targte)  # wrong: no such property
    await mill.own.boost("x")  # wrong: a str for an int


def signals(room: Thermostat) -> None:
    room.overheated.emit(1.0, 2)  # wrong: an int for a str
    room.overheated.emit(1.0)  # wrong: an argument is missing
    room.overheated.emit(1.0, "attic", 3)  # wrong: an argument too many
    room.overheated.connect(no_number)  # wrong: the first argument is a float
    room.overheated.connect(three)  # wrong: the signal has two arguments
    room.overheated.connect(lambda a, b, c: None)  # wrong: the signal has two arguments
    room.overheated(1.0, "attic")  # wrong: a signal is emitted, not called


async def calls(room: Thermostat) -> None:
    await room.boost("x")  # wrong: a str for an int
    await room.boost(1, 2)  # wrong: an argument too many
    text: str = await room.boost(1)  # wrong: the result is an int
    await room.readings(1.0)  # wrong: a stream is iterated, not awaited
    async for value in room.readings("1"):  # wrong: a str for a float
        print(value, text)
    async for a, b, c in room.overheated:  # wrong: the signal has two arguments
        pass
    await Thermostat.target.push(room, None)  # wrong: None for a float
    await Thermostat.error.push(room, 1.0)  # wrong: a computed property cannot be pushed
    await Thermostat.target.wait_for(room, 21.0)  # wrong: a value where a condition belongs


async def nodes(room: Thermostat) -> None:
    async with connect("local:climate", "hall", Thermostat) as replica:
        await replica.bost(5)  # wrong: no such slot
    async with connect("local:climate", "hall", int) as number:  # wrong: int is no class of objects
        pass
    async with Node() as node:
        node.publish(Thermostat, "hall")  # wrong: a class, not an object
        await node.serve(65213)  # wrong: a number is no address
        node.call(room.boost, "x")  # wrong: a str for an int
    async with serve(room, "hall", on=5):  # wrong: a number is no list of addresses
        pass
    print(link_of(room).stat, current_call().callr)  # wrong: no such attributes


def misspelt() -> None:
    everywire.conect("local:climate", "hall")  # wrong: no such name in everywire
    everywire.sync.brows("local:climate")  # wrong: no such name in everywire.sync
    everywire.remoteobjects.Regstry()  # wrong: no such name in everywire.remoteobjects
    everywire.transport.lissen("local:climate")  # wrong: no such name in everywire.transport
    everywire.dbus.UnixFdd(1)  # wrong: no such name in everywire.dbus


def without_a_loop(room: Thermostat) -> None:
    with sync.connect("local:climate", "hall", Thermostat) as replica:
        number: str = sync.run(replica.boost(5))  # wrong: the result is an int
        sync.run(replica.boost)  # wrong: a function, not its coroutine
        sync.run(5)  # wrong: a number is no coroutine
        for text in sync.iterate(replica.readings(0.1)):
            print(text.upper(), number)  # wrong: a float has no upper
        for a, b, c in sync.iterate(replica.overheated):  # wrong: the signal has two arguments
            pass
    with sync.connect("local:climate", "hall", int) as nothing:  # wrong: int is no class of objects
        pass
    with sync.serve(room, "hall", on=5):  # wrong: a number is no list of addresses
        pass
