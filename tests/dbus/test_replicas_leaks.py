"""What replicas leave behind when they end, on a connection that lives on for others: nothing."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from everywire import Code, Fault, ReplicaState, connect, link_of
from everywire.dbus.session import Connection
from tests.conformance.plant import States
from tests.dbus import lab
from tests.dbus.hosts import until
from tests.dbus.services import PATH, Service, lamp, serving
from tests.dbus.test_replicas import Lamp, lit, url
from tests.harness import soak

VALID, SUSPECT = ReplicaState.VALID, ReplicaState.SUSPECT


def connection_of(room: Any) -> Connection:
    connection: Connection = link_of(room).channel.carrier.service.connection
    return connection


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def rules_on(bus: str) -> dict[str, int]:
    """How many match rules a dbus-daemon keeps, by connection."""
    async with await Connection.open(bus) as asking:
        stats = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.Debug.Stats")
        (rules,) = await asking.call(*stats, "GetAllMatchRules")
        return {name: len(found) for name, found in rules.items() if name != asking.unique_name}


async def test_a_bus_that_is_lost_while_a_service_is_away_leaves_no_task(own_bus: lab.Bus) -> None:
    async with AsyncExitStack() as first:
        await first.enter_async_context(serving(own_bus.address, early=lamp))
        async with connect(url(own_bus.address), ".", Lamp) as room:
            states = States(room)
            await first.aclose()
            await states.reached(SUSPECT)
            before = len(asyncio.all_tasks())
            for _ in range(3):
                await own_bus.restart()
                async with serving(own_bus.address, early=lamp):
                    await states.reached(VALID)
                await states.reached(SUSPECT)
            await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_calls_that_nobody_answers_are_forgotten_with_their_replica(bus: str) -> None:
    async with lit(bus) as (thing, keeper):
        waiting = connection_of(keeper)._waiting
        before = len(waiting)
        never = asyncio.get_running_loop().create_future()
        thing._get = lambda *_: never  # type: ignore[method-assign]
        async with connect(url(bus), ".", Lamp) as room:
            calls = [room.hang() for _ in range(10)]
            thing.tell({}, "Color")
            await thing.service.until_asked("Hang", 10)
            await thing.service.until_asked("Get", 2)
        for call in calls:
            with pytest.raises(Fault) as caught:
                await call
            assert caught.value.code is Code.UNAVAILABLE
        assert len(waiting) <= before + 1  # that of the other replica
        never.cancel()


async def test_replicas_that_come_and_go_in_any_order_leave_nothing(own_bus: lab.Bus) -> None:
    rng, bus = random.Random(5), own_bus.address

    def early(service: Service) -> None:
        lamp(service)
        for number in range(20):
            lamp(service, f"{PATH}/n{number}")

    async def use(number: int) -> None:
        for _ in range(rng.randrange(200)):
            await asyncio.sleep(0)
        async with connect(url(bus), f"n{number % 20}", Lamp) as room:
            assert await room.blink(2) == 1.0

    async def cut(number: int) -> None:
        using = asyncio.ensure_future(use(number))
        for _ in range(rng.randrange(400)):
            await asyncio.sleep(0)
        using.cancel()
        await asyncio.wait([using])

    async with serving(bus, early=early), connect(url(bus), ".", Lamp) as keeper:
        connection, descriptors = connection_of(keeper), open_descriptors()
        rules, tasks = await rules_on(bus), len(asyncio.all_tasks())
        count = soak(100, 2000)
        await asyncio.gather(*map(use, range(count)), *map(cut, range(count)))
        assert connection_of(keeper) is connection
        await connection.ask_bus("GetId", "")
        assert await rules_on(bus) == rules
        assert not connection._waiting
        assert open_descriptors() <= descriptors
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
