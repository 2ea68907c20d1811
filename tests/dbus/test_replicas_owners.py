"""Replicas and collections while a name changes its owner: what the former one says is no news of the present one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from everywire import Fault, LinkError, ReplicaState, connect, link_of
from everywire.dbus import collection
from everywire.dbus.session import Answer, Connection, Kind, Message
from tests.conformance.plant import States
from tests.dbus import lab
from tests.dbus.hosts import until
from tests.dbus.services import PATH, SERVICE, Service, lamp, serving
from tests.dbus.test_collections import Rack
from tests.dbus.test_replicas import Lamp, url
from tests.dbus.test_replicas_hostile import silent

VALID, SUSPECT = ReplicaState.VALID, ReplicaState.SUSPECT
PROGRAMS = Path(__file__).parent / "peers"


def rack_of(*names: str) -> Callable[[Service], Rack]:
    def early(service: Service) -> Rack:
        rack = Rack(service)
        for name in names:
            rack.show(name, tell=False)
        return rack

    return early


def late_manager(service: Service) -> asyncio.Future[Answer]:
    """What the ObjectManager of *service* answers, when that is known."""
    answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def manage(call: Message) -> asyncio.Future[Answer]:
        service.asked.append(call.member)
        service.changed.set()
        return answer

    service.connection.handle(PATH, manage)
    return answer


async def test_objects_that_a_former_owner_tells_are_not_those_of_the_present_one(bus: str) -> None:
    async with serving(bus, allow_replacement=True) as old, AsyncExitStack() as use:
        answer = late_manager(old)
        lamps: Any = collection(url(bus), Lamp)
        entering = asyncio.create_task(use.enter_async_context(lamps))
        await old.until_asked("GetManagedObjects")
        async with serving(bus, early=rack_of("new"), replace=True):
            await old.connection.ask_bus("GetId", "")
            thing = lamp(old, f"{PATH}/old")
            answer.set_result(Answer("a{oa{sa{sv}}}", {thing.path: thing.values}))
            await entering
            await until(lambda: f"{PATH}/new" in lamps)
            assert list(lamps) == [f"{PATH}/new"]
            assert not lamps.refusals


async def test_a_collection_leaves_an_owner_that_never_answers_for_the_next_one(bus: str) -> None:
    async with serving(bus, allow_replacement=True) as old, AsyncExitStack() as use:
        late_manager(old)
        lamps: Any = collection(url(bus), Lamp, timeout=None)
        entering = asyncio.create_task(use.enter_async_context(lamps))
        await old.until_asked("GetManagedObjects")
        async with asyncio.timeout(5), serving(bus, early=rack_of("new"), replace=True):
            await entering
            assert list(lamps) == [f"{PATH}/new"]


async def test_a_replica_leaves_an_owner_that_never_answers_for_the_next_one(bus: str) -> None:
    async with serving(bus, allow_replacement=True) as old, AsyncExitStack() as use:
        silent(lamp(old), "GetAll")
        connecting = asyncio.create_task(use.enter_async_context(connect(url(bus), ".", Lamp, timeout=None)))
        await old.until_asked("GetAll")
        async with asyncio.timeout(5), serving(bus, early=lamp, replace=True):
            room = await connecting
            assert await room.blink(2) == 1.0


async def test_who_gives_its_name_back_while_it_answers_is_not_attached_to(bus: str) -> None:
    async with serving(bus) as service:
        thing = lamp(service)
        get_all = thing._getall

        async def leave(interface: str) -> Answer:
            await service.connection.release_name(SERVICE)
            return get_all(interface)

        thing._getall = leave  # type: ignore[assignment]
        with pytest.raises((LinkError, Fault), match="owner"):
            async with connect(url(bus), ".", Lamp, timeout=0):
                pass


# ---------------------------------------------------------------------------------------- services that a bus starts
async def test_a_service_that_dies_as_soon_as_it_is_started_is_started_again(own_bus: lab.Bus) -> None:
    own_bus.offer(SERVICE, sys.executable, PROGRAMS / "lamp.py", own_bus.address, own_bus.folder / "started")
    async with AsyncExitStack() as first, AsyncExitStack() as use:
        await first.enter_async_context(serving(own_bus.address, early=lamp))
        room = await use.enter_async_context(connect(url(own_bus.address), ".", Lamp))
        states, link = States(room), link_of(room)
        await first.aclose()
        await states.reached(SUSPECT)
        await until(lambda: link.remote is not None)
        async with serving(own_bus.address, early=lambda service: silent(lamp(service), "GetAll")) as frail:
            await frail.until_asked("GetAll")
        service = link.channel.carrier.service
        await until(lambda: not service.present)
        assert await room.blink(2) == 1.0
        await states.reached(VALID)
        await room.forget("leave")
        await states.reached(SUSPECT)


async def test_nobody_else_answers_a_call_that_starts_a_service(own_bus: lab.Bus) -> None:
    own_bus.offer(SERVICE, *lab.ends_with_us("/bin/sleep", "60"))
    async with AsyncExitStack() as first, await Connection.open(own_bus.address) as liar:
        await first.enter_async_context(serving(own_bus.address, early=lamp))
        async with connect(url(own_bus.address), ".", Lamp) as room:
            link = link_of(room)
            await first.aclose()
            await until(lambda: link.state is SUSPECT and link.remote is not None)
            connection = link.channel.carrier.service.connection
            call = asyncio.ensure_future(room.blink(1))
            serial = connection.next_serial()
            to = connection.unique_name
            for number in range(1, serial):
                liar.send(Message(kind=Kind.RETURN, reply_serial=number, destination=to, signature="d", body=(6.5,)))
            await liar.ask_bus("GetId", "")
            async with serving(own_bus.address, early=lamp):
                assert await call == 0.5
            assert connection.refusals["spoofed"]
