"""How a replica on a bus stands to its service, which comes, goes, is replaced, started, killed; and to the bus."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from everywire import Code, Fault, LinkError, Node, ReplicaState, connect, link_of
from everywire.dbus.endpoint import shared
from everywire.dbus.session import Answer, Connection, Kind, Match, Variant
from tests.conformance.plant import Heard, States
from tests.dbus import lab
from tests.dbus.services import INTERFACE, MANAGER, PATH, PROPERTIES, SERVICE, lamp, serving
from tests.dbus.test_replicas import Lamp, url
from tests.harness import run

VALID, SUSPECT, MISMATCH = ReplicaState.VALID, ReplicaState.SUSPECT, ReplicaState.SIGNATURE_MISMATCH
PROGRAMS: Final = Path(__file__).parent / "peers"


# ------------------------------------------------------------------------------------------------------ the service
async def test_a_service_that_goes_makes_its_replica_suspect_until_another_comes(each_bus: str) -> None:
    async with AsyncExitStack() as first:
        service = await first.enter_async_context(serving(each_bus))
        thing = lamp(service)
        async with connect(url(each_bus), ".", Lamp) as room:
            states, changes = States(room), Heard()
            for name in ("brightness", "color", "serial", "uptime"):
                getattr(Lamp, name).on_change(room, lambda value, name=name: changes((name, value)))
            call = room.hang()
            await thing.service.until_asked("Hang")
            await first.aclose()
            await states.reached(SUSPECT)
            with pytest.raises(Fault) as caught:
                await call
            assert caught.value.code is Code.UNAVAILABLE
            with pytest.raises(Fault) as caught:
                await room.blink(1)
            assert (caught.value.code, caught.value.may_have_run) == (Code.UNAVAILABLE, False)
            assert (room.brightness, room.serial) == (40, "L-1"), "values stay readable"
            assert "nobody owns" in str(link_of(room).error)
            async with serving(each_bus) as service:
                thing = lamp(service)
                thing.set("Serial", Variant("s", "L-2"), how="silently")
                await states.reached(VALID)
                assert await room.blink(2) == 1.0
                assert changes.items == [("serial", "L-2")]
                assert states.items == [SUSPECT, VALID]


async def test_a_service_that_vanishes_in_a_call_fails_it_at_once(each_bus: str) -> None:
    async with serving(each_bus) as service:
        thing = lamp(service)
        async with connect(url(each_bus), ".", Lamp) as room:

            def vanish(times: int) -> None:
                service.connection.abort()

            thing.methods["Blink"] = vanish
            with pytest.raises(Fault) as caught:
                await room.blink(1)
            assert (caught.value.code, caught.value.may_have_run) == (Code.UNAVAILABLE, True)


async def test_a_name_that_is_handed_over_is_followed_and_only_the_new_owner_is_heard(bus: str) -> None:
    async with serving(bus, allow_replacement=True) as old:
        before = lamp(old)
        async with connect(url(bus), ".", Lamp) as room:
            states, heard = States(room), Heard()
            room.burnt.connect(lambda hours, reason: heard(reason))
            async with serving(bus, replace=True) as new:
                after = lamp(new)
                after.set("Brightness", Variant("u", 90), how="silently")
                assert await states.count(2) == [SUSPECT, VALID]
                assert room.brightness == 90
                before.emit("Burnt", "us", 1, "old")
                before.set("Brightness", Variant("u", 1))
                await old.connection.ask_bus("GetId", "")
                after.emit("Burnt", "us", 1, "new")
                assert await heard.count(1) == ["new"]
                assert room.brightness == 90
                assert await room.blink(2) == 1.0
                assert old.asked.count("Blink") == 0


async def test_spoofed_signals_are_dropped_and_counted(each_bus: str) -> None:
    """CVE-2024-34397: a bus delivers unicast signals without looking at match rules."""
    async with serving(each_bus) as service:
        thing = lamp(service)
        async with connect(url(each_bus), ".", Lamp) as room, await Connection.open(each_bus) as liar:
            connection: Connection = link_of(room).channel.carrier.service.connection
            heard = Heard()
            room.burnt.connect(lambda hours, reason: heard(reason))
            to = connection.unique_name
            for whom in (to, ""):
                liar.emit(PATH, INTERFACE, "Burnt", "us", 1, "lie", to=whom)
                changed = (INTERFACE, {"Brightness": Variant("u", 0)}, [])
                liar.emit(PATH, PROPERTIES, "PropertiesChanged", "sa{sv}as", *changed, to=whom)
                liar.emit(PATH, MANAGER, "InterfacesRemoved", "oas", PATH, [INTERFACE], to=whom)
                gone = (SERVICE, service.connection.unique_name, "")
                liar.emit("/org/freedesktop/DBus", "org.acme.Liar", "NameOwnerChanged", "sss", *gone, to=whom)
            await liar.ask_bus("GetId", "")
            thing.emit("Burnt", "us", 1, "true")
            assert await heard.count(1) == ["true"]
            assert (room.brightness, link_of(room).state) == (40, VALID)
            assert connection.refusals["spoofed"] >= 3


async def test_a_replica_waits_for_a_service_without_asking_again_and_again(bus: str) -> None:
    started = Heard()
    async with await Connection.open(bus) as watch, Node() as node:
        asked = Heard()
        rule = Match(kind=Kind.CALL, destination=SERVICE)
        stream = await watch.monitor(rule)

        async def count() -> None:
            async for message in stream:
                asked(message.member)

        async def wait() -> None:
            async with connect(url(bus), ".", Lamp, timeout=None) as room:
                started(room.brightness)

        node.spawn(count())
        task = node.spawn(wait())
        await asked.count(3)  # and what made it a monitor
        async with serving(bus, early=lamp):
            assert await started.count(1) == [40]
            await task
        calls = [member for member in asked.items if member != "NameLost"]
        assert calls == ["GetManagedObjects", "Introspect", "Introspect", "GetAll"]


async def test_nobody_there_is_a_link_error_that_says_who(bus: str) -> None:
    with pytest.raises(LinkError, match=r"org.acme.Lamp") as caught:
        async with connect(url(bus), ".", Lamp, timeout=0):
            pass
    assert "is not there" in str(caught.value)
    with pytest.raises(LinkError, match=r"org.acme.Lamp"):
        async with connect(url(bus), ".", Lamp, timeout=0.3):
            pass


async def test_an_object_that_is_not_there_is_named(bus: str) -> None:
    async with serving(bus) as service:
        lamp(service)
        for timeout in (0.0, 0.3):
            with pytest.raises(Fault, match="/org/acme/Lamp/attic") as caught:
                async with connect(url(bus), "attic", Lamp, timeout=timeout):
                    pass
            assert caught.value.code is Code.NOT_FOUND


async def test_an_object_that_appears_later_is_found(bus: str) -> None:
    """Without an ObjectManager by looking again, else when it is told."""
    async with serving(bus) as service, Node() as node:
        found = Heard()

        async def wait(name: str) -> None:
            async with connect(url(bus), name, Lamp, timeout=15.0) as room:
                found(name if room.brightness == 40 else "?")

        task = node.spawn(wait("attic"))
        while not shared._SLOTS:
            await asyncio.sleep(0)
        lamp(service, f"{PATH}/attic")
        assert await found.count(1) == ["attic"]
        await task


async def test_an_object_that_is_withdrawn_and_shown_again_is_followed(bus: str) -> None:
    async with serving(bus) as service:
        thing = lamp(service, f"{PATH}/hall")
        base = f"{PATH}"
        shown = {thing.path: {INTERFACE: dict[str, Variant]()}}

        def manage(call: Any) -> Answer:
            if call.member != "GetManagedObjects":
                raise Fault(Code.NOT_FOUND, "no")
            return Answer("a{oa{sa{sv}}}", shown)

        service.connection.handle(base, manage)
        async with connect(url(bus), "hall", Lamp) as room:
            states = States(room)
            shown.clear()
            thing.remove()
            service.connection.emit(base, MANAGER, "InterfacesRemoved", "oas", thing.path, [INTERFACE])
            await states.reached(SUSPECT)
            again = lamp(service, thing.path)
            again.set("Brightness", Variant("u", 3), how="silently")
            added = (thing.path, {INTERFACE: {"Brightness": Variant("u", 3)}})
            service.connection.emit(base, MANAGER, "InterfacesAdded", "oa{sa{sv}}", *added)
            await states.reached(VALID)
            assert room.brightness == 3


async def test_a_service_that_changes_its_mind_about_what_it_is_is_tried_again(bus: str) -> None:
    async with AsyncExitStack() as first:
        service = await first.enter_async_context(serving(bus))
        lamp(service)
        async with connect(url(bus), ".", Lamp) as room:
            states = States(room)
            await first.aclose()
            async with serving(bus) as service:
                service.add(xml=f"<interface name='{INTERFACE}'><method name='Other'/></interface>")
                await states.reached(MISMATCH)
            async with serving(bus) as service:
                lamp(service)
                await states.reached(VALID)
                assert await room.blink(2) == 1.0


# ------------------------------------------------------------------------------------------------------- being started
@asynccontextmanager
async def startable(own_bus: lab.Bus) -> AsyncIterator[Path]:
    """A lamp that the bus starts when it is called; the file has the pids of those that it started."""
    log = own_bus.folder / "started"
    log.touch()
    own_bus.offer(SERVICE, sys.executable, PROGRAMS / "lamp.py", own_bus.address, log)
    yield log


async def test_the_first_call_starts_a_service_and_later_calls_start_it_again(own_bus: lab.Bus) -> None:
    async with startable(own_bus) as log, connect(url(own_bus.address), ".", Lamp, timeout=15.0) as room:
        assert (room.brightness, len(log.read_text().split())) == (40, 1)
        states = States(room)
        await room.forget("leave")
        await states.reached(SUSPECT)
        link = link_of(room)
        while link.remote is None:
            await asyncio.sleep(0)
        assert len(log.read_text().split()) == 1, "it is not started by our wish to see it"
        assert await room.blink(4) == 2.0
        await states.reached(VALID)
        assert len(log.read_text().split()) == 2
        await room.forget("leave")
        await states.reached(SUSPECT)


# ------------------------------------------------------------------------------------------------------------ the bus
async def test_a_bus_that_is_killed_and_started_again_brings_the_replica_back(own_bus: lab.Bus) -> None:
    async with AsyncExitStack() as first:
        lamp(await first.enter_async_context(serving(own_bus.address)))
        async with connect(url(own_bus.address), ".", Lamp) as room:
            states, changes = States(room), Heard()
            Lamp.brightness.on_change(room, changes)
            Lamp.color.on_change(room, changes)
            call = room.hang()
            own_bus.kill()
            await states.reached(SUSPECT)
            with pytest.raises(Fault) as caught:
                await call
            assert caught.value.code is Code.UNAVAILABLE
            with pytest.raises(Fault):
                await room.blink(1)
            await own_bus.resurrect()
            async with serving(own_bus.address) as service:
                lamp(service).set("Brightness", Variant("u", 41), how="silently")
                await states.reached(VALID)
                assert (room.brightness, changes.items) == (41, [41])
                assert await room.blink(2) == 1.0


# ----------------------------------------------------------------------------------------------------------- sharing
async def test_fifty_replicas_are_one_connection(bus: str) -> None:
    async with serving(bus) as service, AsyncExitStack() as stack:
        names = [f"lamp{n}" for n in range(50)]
        for name in names:
            lamp(service, f"{PATH}/{name}")
        before = len([n for n in await service.connection.names() if n.startswith(":")])
        rooms = [await stack.enter_async_context(connect(url(bus), name, Lamp)) for name in names]
        after = len([n for n in await service.connection.names() if n.startswith(":")])
        assert after == before + 1
        assert await asyncio.gather(*(room.blink(2) for room in rooms)) == [1.0] * 50
        service.objects[f"{PATH}/lamp7"].set("Brightness", Variant("u", 1))
        assert await Lamp.brightness.wait_for(rooms[7], lambda value: value == 1) == 1
        assert [room.brightness for room in rooms].count(40) == 49
    assert not shared._SLOTS, "the last one closes the connection"


async def test_replicas_that_come_at_once_share_a_connection_too(bus: str) -> None:
    async with serving(bus) as service:
        lamp(service)

        async def use() -> Any:
            async with connect(url(bus), ".", Lamp) as room:
                await room.blink(1)
                return link_of(room).channel.carrier.service.connection

        connections = await asyncio.gather(*(use() for _ in range(10)))
        assert len(set(map(id, connections))) == 1
    assert not shared._SLOTS


async def test_a_block_that_is_cancelled_while_it_connects_leaves_nothing_behind(bus: str) -> None:
    async with serving(bus) as service:
        lamp(service)

        async def use() -> None:
            async with connect(url(bus), ".", Lamp):
                await asyncio.get_running_loop().create_future()

        for turns in range(0, 60, 3):
            async with asyncio.TaskGroup() as group:
                task = group.create_task(use())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
    assert not shared._SLOTS


def test_a_replica_after_a_fork_says_so(bus: str) -> None:
    """The child may not write to its parent's connection."""

    async def main() -> None:
        async with serving(bus) as service:
            lamp(service)
            async with connect(url(bus), ".", Lamp) as room:
                reader, writer = os.pipe()
                pid = os.fork()
                if not pid:
                    told = "?"
                    try:
                        room.blink(1).exception()
                    except BaseException as error:  # noqa: BLE001
                        told = type(error).__name__
                    else:
                        told = "refused" if link_of(room).state is SUSPECT else "?"
                    os.write(writer, told.encode())
                    os._exit(0)
                os.waitpid(pid, 0)
                assert os.read(reader, 100) == b"refused"
                os.close(reader)
                os.close(writer)
                assert await room.blink(2) == 1.0

    run(main)
