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
from tests.dbus.services import MANAGER, PATH, SERVICE, Service, lamp, serving
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


async def test_an_owner_that_never_answers_does_not_keep_from_the_next_one(bus: str) -> None:
    async with serving(bus, allow_replacement=True) as old, AsyncExitStack() as use:
        silent(lamp(old), "GetAll", "GetManagedObjects")
        connecting = asyncio.create_task(use.enter_async_context(connect(url(bus), ".", Lamp, timeout=None)))
        await old.until_asked("GetAll")
        collecting = asyncio.create_task(use.enter_async_context(collection(url(bus), Lamp, timeout=None)))
        await old.until_asked("GetManagedObjects", 2)

        def early(service: Service) -> None:
            rack_of("new")(service)
            service.connection.handle(f"{PATH}/hall", lamp(service, f"{PATH}/spare").handle)

        async with asyncio.timeout(5), serving(bus, early=early, replace=True):
            assert list(await collecting) == [f"{PATH}/new"]
            connecting.cancel()
            await asyncio.wait([connecting])
        async with asyncio.timeout(5), serving(bus, early=lamp), connect(url(bus), ".", Lamp) as room:
            assert await room.blink(2) == 1.0


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

        thing._getall = leave  # type: ignore[assignment,method-assign]
        with pytest.raises((LinkError, Fault), match="owner"):
            async with connect(url(bus), ".", Lamp, timeout=0):
                pass


# ---------------------------------------------------------------------------------------- services that a bus starts
FRAIL = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[3])
from tests.dbus.services import PATH, lamp, serving

async def main():
    def early(service):
        thing = lamp(service)
        def die(*_): os._exit(0)
        thing.methods["Forget"] = die
        if os.path.exists(sys.argv[2]):
            thing._getall = die
    async with serving(sys.argv[1], early=early):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


async def test_a_service_that_dies_as_soon_as_it_is_started_is_started_again(own_bus: lab.Bus) -> None:
    program, frail = own_bus.folder / "lamp.py", own_bus.folder / "frail"
    program.write_text(FRAIL)
    own_bus.offer(SERVICE, sys.executable, program, own_bus.address, frail, Path(__file__).parents[2])
    async with connect(url(own_bus.address), ".", Lamp) as room:
        states, link = States(room), link_of(room)
        frail.touch()
        await room.forget("leave")
        await states.reached(SUSPECT)
        await until(lambda: link.remote is not None)
        service = link.channel.carrier.service
        for _ in range(2):
            with pytest.raises(Fault):
                await room.forget("whatever")  # nothing is known of it; it starts the service
                await until(lambda: service.present)
                await until(lambda: not service.present)
                raise Fault(*_gone())
        frail.unlink()
        assert await room.blink(2) == 1.0
        await states.reached(VALID)
