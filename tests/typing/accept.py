"""What users write: mypy --strict and pyright strict must have nothing to say about it. Checked, never run."""

# pyright: strict
# ruff: noqa: T201  users print

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Annotated, Any, assert_type

from everywire import (
    BoundSignal,
    Code,
    Computed,
    Contract,
    Fault,
    Limits,
    Node,
    Object,
    Policy,
    Property,
    Range,
    ReplicaState,
    Role,
    Signal,
    Table,
    TableSource,
    TreeSource,
    Unit,
    allow,
    computed,
    connect,
    contract_of,
    current_call,
    f32,
    link_of,
    members,
    prop,
    serve,
    signal,
    slot,
    sync,
    u16,
)

Celsius = Annotated[float, Range(5, 35), Unit("Cel")]


class Mode(enum.Enum):
    OFF = 0
    ON = 1


@dataclass(frozen=True)
class Reading:
    celsius: float
    at: str = ""


class Thermostat(Object):
    """Keeps one room warm."""

    target: Property[Celsius] = prop(21.0, writable=True, unit="Cel", minimum=5, maximum=35)
    current: Property[float] = prop(20)
    level: Property[u16] = prop(0, number=3)
    ratio: Property[f32] = prop(0.5)
    errors: Property[list[str]] = prop(factory=list)
    mode: Property[Mode] = prop(Mode.OFF, doc="What it does.")
    last: Property[Reading | None] = prop(None)
    extra: Property[Any] = prop(None)
    natural = prop(1.5)

    @computed(target, current)
    def error(self) -> float:
        """How far the room is from the target."""
        return self.target - self.current

    @computed(error)
    def is_warm(self) -> bool:
        return self.error < 0

    @signal
    def overheated(self, celsius: float, sensor: str) -> None:
        """A sensor is above the limit."""

    @signal
    def beeped(self) -> None:
        """It made a noise."""

    @slot
    async def boost(self, minutes: u16 = 10) -> int:
        """Heat at full power; return the seconds until the target is reached."""
        self.target = 25.0
        self.last = Reading(self.current)
        self.errors = [*self.errors, str(current_call().caller)]
        return minutes * 60

    @slot
    async def readings(self, every: float) -> AsyncIterator[float]:
        """Stream the temperature."""
        while True:
            yield self.current + every

    @slot
    async def alarm(self, celsius: float, sensor: str) -> None:
        """Take note."""

    @slot(timeout=2.0)
    async def reset(self, mode: Mode = Mode.OFF) -> Reading:
        """Forget everything."""
        return Reading(self.current)

    @slot(timeout=None)
    async def lines(self) -> AsyncIterator[str]:
        yield "one"


class ThermostatContract(Object):
    """As generated from a description: words only."""

    target: Property[float] = prop(0.0)

    @signal
    def overheated(self, celsius: float) -> None:
        """A sensor is above the limit."""

    @slot
    async def boost(self, minutes: int) -> int:
        """Heat at full power."""
        raise NotImplementedError

    @slot
    def readings(self, every: float) -> AsyncIterator[float]:
        """Stream the temperature."""
        raise NotImplementedError


class Mill(Object):
    """Objects in objects."""

    own: Property[ThermostatContract] = prop(factory=ThermostatContract)
    spare: Property[ThermostatContract | None] = prop(None)

    @computed(spare)
    def active(self) -> ThermostatContract:
        return self.spare or self.own


class Mine(ThermostatContract):
    @slot
    async def boost(self, minutes: int) -> int:
        return minutes

    async def readings(self, every: float) -> AsyncIterator[float]:
        yield every


class Pump(Object):
    @slot
    async def stop(self) -> None:
        """Stop."""

    @slot
    async def limit(self, celsius: float) -> bool:
        return celsius > 0


def note(celsius: float, sensor: str) -> None:
    """Take both arguments."""


async def note_slowly(celsius: float) -> None:
    """Take the first argument, in a coroutine."""


def properties(room: Thermostat) -> None:
    assert_type(room.target, float)
    assert_type(room.level, int)
    assert_type(room.ratio, float)
    assert_type(room.error, float)
    assert_type(room.is_warm, bool)
    assert_type(room.errors, list[str])
    assert_type(room.mode, Mode)
    assert_type(room.last, Reading | None)
    assert_type(room.natural, float)
    assert_type(Thermostat.target, Property[float])
    assert_type(Thermostat.error, Computed[float])
    stop = Thermostat.target.on_change(room, lambda value: print(value + 1))
    assert_type(stop, Callable[[], None])
    Thermostat.error.on_change(room, print)
    with Thermostat.errors.edit(room) as errors:
        assert_type(errors, list[str])
        errors.append("b")
    stop()
    room.target = 22
    room.current = 22.5
    room.last = None
    room.errors = ["a"]
    room.natural = 2.5


def signals(room: Thermostat, pump: Pump) -> None:
    assert_type(Thermostat.overheated, Signal[float, str])
    assert_type(room.overheated, BoundSignal[float, str])
    room.overheated.emit(40.0, "attic")
    room.overheated.emit(40, "attic")
    room.beeped.emit()
    stop = room.overheated.connect(print)
    room.overheated.connect(note)
    room.overheated.connect(lambda celsius, sensor: print(celsius + 1, sensor.upper()))
    room.overheated.connect(lambda celsius: print(celsius + 1))
    room.overheated.connect(lambda: None, once=True)
    room.overheated.connect(note_slowly, weak=True)
    room.overheated.connect(room.alarm)
    room.overheated.connect(pump.limit)
    room.overheated.connect(pump.stop)
    room.overheated.connect(room.beeped.emit)
    room.beeped.connect(pump.stop)
    with room.overheated.blocked():
        room.overheated.emit(1.0, "cellar")
    stop()


async def source() -> None:
    room = Thermostat()
    async with Node(limits=Limits(pending_calls=8)) as node:
        node.publish(room, "hall", policy=allow(Role.OPERATOR, Thermostat.boost, Thermostat.target))
        node.publish(Mine(), "mine", policy=Policy())
        addresses = await node.serve("local:climate", "tcp://127.0.0.1:65213")
        assert_type(addresses, tuple[str, ...])
        done = node.call(setattr, room, "current", 22.5)
        assert_type(done, Future[None])
        contract = contract_of(Thermostat)
        assert_type(contract, Contract)
    async with serve(room, "hall", on=["local:climate"]) as node:
        assert_type(node, Node)


async def replica(pump: Pump) -> None:
    async with connect("tcp://127.0.0.1:65213", "hall", Thermostat) as room:
        assert_type(room, Thermostat)
        assert_type(room.target, float)
        assert_type(await room.boost(5), int)
        assert_type(await room.boost(), int)
        assert_type(await room.reset(mode=Mode.ON), Reading)
        assert_type(await Thermostat.target.push(room, 22.0), float)
        assert_type(await Thermostat.current.wait_for(room, lambda value: value > 30), float)
        room.overheated.connect(room.alarm)
        room.overheated.connect(pump.stop)
        async for celsius, sensor in room.overheated:
            assert_type((celsius, sensor), tuple[float, str])
            break
        async for nothing in room.beeped:
            assert_type(nothing, tuple[()])
            break
        async for value in room.readings(0.1):
            assert_type(value, float)
            break
        async for line in room.lines():
            assert_type(line, str)
            break
        async for value in Thermostat.target.watch(room):
            assert_type(value, float)
            break
        assert_type(link_of(room).state, ReplicaState)
        link_of(room).state_changed.connect(print)
        print(members(room)["URL"])
        await asyncio.gather(room.boost(1), room.boost(2))
        async with asyncio.TaskGroup() as group:
            assert_type(await group.create_task(room.boost(3)), int)
    try:
        async with connect("tcp://127.0.0.1:65213", "hall", timeout=0) as unknown:
            assert_type(unknown, Any)
            await unknown.boost(5)
    except Fault as fault:
        assert_type(fault.code, Code)


async def children(mill: Mill) -> None:
    assert_type(mill.own, ThermostatContract)
    assert_type(mill.active, ThermostatContract)
    mill.spare = ThermostatContract()
    mill.spare = None
    async with connect("local:mill", "mill", Mill) as replica:
        assert_type(replica.own.target, float)
        assert_type(replica.spare, ThermostatContract | None)
        assert_type(await replica.own.boost(1), int)
        async for value in replica.own.readings(0.1):
            assert_type(value, float)
            break
        Mill.spare.on_change(replica, lambda child: print(child.target if child else None))
        assert_type(
            await Mill.spare.wait_for(replica, lambda child: child is not None), ThermostatContract | None
        )


async def tables() -> None:
    source = TableSource([Reading(21.0)], writable=["celsius"])
    assert_type(source[0], Reading)
    source.append(Reading(22.0))
    tree = TreeSource([Reading(21.0)], children=lambda _: [])
    assert_type(tree.at((0,)), Reading)
    async with connect("local:x", "readings", Table[Reading]) as table:
        assert_type(await table.row(1), Reading)
        assert_type(await table.fetch(0, 9), list[Reading])
        assert_type(table.row_count, int)
        async for row in table:
            assert_type(row, Reading)
        table.rows_inserted.connect(print)
        await table.set_data(0, 0, 22.5)
    async with connect("local:x", "readings", Table[Reading].caching(100)) as kept:
        assert_type(await kept.row(1), Reading)


async def contract_only() -> None:
    async with connect("local:climate", "hall", ThermostatContract) as room:
        assert_type(await room.boost(5), int)
        async for value in room.readings(0.1):
            assert_type(value, float)


def without_a_loop(pump: Pump) -> None:
    with sync.connect("tcp://127.0.0.1:65213", "hall", Thermostat) as room:
        assert_type(room, Thermostat)
        assert_type(sync.run(room.boost(5)), int)
        assert_type(sync.run(Thermostat.target.push(room, 22.0)), float)
        assert_type([sync.run(call) for call in [room.boost(1), room.boost(2)]], list[int])
        assert_type(sync.until(lambda: room.level, timeout=60), int)
        for value in sync.iterate(room.readings(0.1), timeout=5):
            assert_type(value, float)
        for celsius, sensor in sync.iterate(room.overheated):
            assert_type((celsius, sensor), tuple[float, str])
        room.overheated.connect(pump.stop)
        sync.spawn(room.boost(1))
        assert_type(sync.process(0.1), bool)
    with sync.connect("http://127.0.0.1:8080", "hall", background=True) as unknown:
        assert_type(unknown, Any)
        assert_type(sync.descriptor(unknown), int)
    with sync.serve(room, "hall", on=["local:climate"]) as node:
        assert_type(node, Node)
    with sync.LoopThread() as thread, thread.enter(connect("local:climate", "hall", Thermostat)) as far:
        assert_type(far, Thermostat)
        assert_type(thread.run(far.boost(5)), int)
        assert_type(thread.call(far.boost, 5), Future[int])
        assert_type(thread.call(divmod, 7, 2), Future[tuple[int, int]])
