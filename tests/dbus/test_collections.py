"""Live collections of a service's objects, and services that come and go."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from everywire import (
    AddressError,
    Code,
    Fault,
    LinkError,
    LocalProtocolError,
    ModelError,
    Node,
    Object,
    Property,
    ReplicaState,
    connect,
    prop,
    slot,
    u32,
)
from everywire.dbus import DBus, collection, interface, names
from everywire.dbus.endpoint import shared
from everywire.dbus.session import Answer, Connection, Match, Message, Variant
from everywire.runtime.limits import DEFAULT_LIMITS
from tests.conformance.plant import Heard, States
from tests.dbus import lab
from tests.dbus.services import INTERFACE, MANAGER, PATH, PROPERTIES, SERVICE, Service, Thing, lamp, serving
from tests.dbus.test_replicas import Lamp, url

VALID, SUSPECT = ReplicaState.VALID, ReplicaState.SUSPECT


class Rack:
    """Lamps below an ObjectManager."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.lamps: dict[str, Thing] = {}
        service.connection.handle(PATH, self._handle)

    def show(self, name: str, *, tell: bool = True, brightness: int = 40) -> Thing:
        thing = self.lamps[name] = lamp(self.service, f"{PATH}/{name}")
        thing.set("Brightness", Variant("u", brightness), how="silently")
        if tell:
            self.service.connection.emit(PATH, MANAGER, "InterfacesAdded", "oa{sa{sv}}", thing.path, thing.values)
        return thing

    def take_away(self, name: str) -> None:
        thing = self.lamps.pop(name)
        thing.remove()
        self.service.connection.emit(PATH, MANAGER, "InterfacesRemoved", "oas", thing.path, list(thing.values))

    def _handle(self, call: Any) -> Any:
        self.service.asked.append(call.member)
        if call.member != "GetManagedObjects":
            raise Fault(Code.NOT_FOUND, "no")
        return Answer("a{oa{sa{sv}}}", {thing.path: thing.values for thing in self.lamps.values()})


@asynccontextmanager
async def racked(bus: str, count: int = 3) -> AsyncIterator[Rack]:
    def early(service: Service) -> None:
        racks.append(rack := Rack(service))
        for n in range(count):
            rack.show(f"l{n}", tell=False, brightness=n)

    racks: list[Rack] = []
    async with serving(bus, early=early):
        yield racks[0]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def test_a_collection_has_what_there_is_and_follows_it(each_bus: str) -> None:
    async with racked(each_bus) as rack, collection(url(each_bus), Lamp) as lamps:
        assert sorted(lamps) == [f"{PATH}/l{n}" for n in range(3)]
        assert [lamps[f"{PATH}/l{n}"].brightness for n in range(3)] == [0, 1, 2]
        added, removed = Heard(), Heard()
        lamps.added.connect(lambda path, room: added((path, room.brightness)))
        lamps.removed.connect(lambda path, room: removed((path, room.brightness)))
        rack.show("l3", brightness=9)
        rack.take_away("l0")
        assert await added.count(1) == [(f"{PATH}/l3", 9)]
        assert await removed.count(1) == [(f"{PATH}/l0", 0)]
        assert f"{PATH}/l0" not in lamps
        assert len(lamps) == 3
        rack.lamps["l3"].set("Brightness", Variant("u", 10))
        room = lamps[f"{PATH}/l3"]
        assert await Lamp.brightness.wait_for(room, lambda value: value == 10) == 10
        assert await room.blink(4) == 2.0
        heard = Heard()
        room.burnt.connect(heard)
        rack.lamps["l3"].emit("Burnt", "us", 1, "old")
        assert await heard.count(1) == [(1, "old")]


async def test_many_objects_cost_one_question_for_all_and_one_for_what_they_are(bus: str) -> None:
    async with racked(bus, 200) as rack:
        before = len(await rack.service.connection.names())
        async with collection(url(bus), Lamp) as lamps:
            assert len(lamps) == 200
            assert rack.service.asked.count("Introspect") == 1
            assert rack.service.asked.count("GetManagedObjects") == 1
            assert rack.service.asked.count("GetAll") == 0
            assert len(await rack.service.connection.names()) == before + 1
            assert await asyncio.gather(*(room.blink(2) for room in lamps.values())) == [1.0] * 200


async def test_notices_can_be_read_in_a_loop(bus: str) -> None:
    async with racked(bus) as rack, collection(url(bus), Lamp) as lamps:
        found: list[str] = []
        notices = aiter(lamps.added)
        for n in range(5):
            rack.show(f"m{n}")
        async for path, room in notices:
            found.append(path)
            assert room.brightness == 40
            if len(found) == 5:
                break
        assert found == [f"{PATH}/m{n}" for n in range(5)]
    with pytest.raises(StopAsyncIteration):
        await anext(notices)
    with pytest.raises(StopAsyncIteration):
        await anext(aiter(lamps.added))


async def test_a_callback_that_fails_or_waits_is_told_so(bus: str, loop_reports: list[Any]) -> None:
    async with racked(bus) as rack, collection(url(bus), Lamp) as lamps:
        added = Heard()
        lamps.added.connect(lambda path, room: 1 / 0)
        lamps.added.connect(lambda path, room: added(path))
        with pytest.raises(ModelError, match="plain functions"):

            async def late(path: str, room: Lamp) -> None: ...

            lamps.added.connect(late)
        rack.show("x")
        await added.count(1)
    assert isinstance(loop_reports.pop()["exception"], ZeroDivisionError)


async def test_what_does_not_fit_is_not_in_it(bus: str) -> None:
    class Fan(Object):
        speed: Property[u32] = prop(0)

    @interface("org.acme.Fan1")
    class NamedFan(Object):
        speed: Property[u32] = prop(0)

    async with racked(bus) as rack:
        fan = rack.service.add(
            f"{PATH}/fan", '<interface name="org.acme.Fan1"><property name="Speed" type="u" access="read"/></interface>'
        )
        fan.set("Speed", Variant("u", 7), "org.acme.Fan1", how="silently")
        rack.lamps["fan"] = fan
        async with collection(url(bus), Lamp) as lamps:
            assert len(lamps) == 3
        for cls in (Fan, NamedFan):
            async with collection(url(bus), cls) as fans:
                assert [room.speed for room in fans.values()] == [7]
        async with collection(url(bus, interface="org.acme.Fan1")) as some:
            assert [room.speed for room in some.values()] == [7]
        async with collection(DBus(url=url(bus))) as everything:
            assert len(everything) == 4
            kinds = {type(room).__mro__[1] for room in everything.values()}
            assert len(kinds) == 2, "objects of one kind have one class"


async def test_an_object_that_gains_and_loses_interfaces_comes_and_goes(bus: str) -> None:
    async with racked(bus, 0) as rack, collection(url(bus), Lamp) as lamps:
        added, removed = Heard(), Heard()
        lamps.added.connect(lambda path, room: added(room.brightness))
        lamps.removed.connect(lambda path, room: removed(room))
        thing = lamp(rack.service, f"{PATH}/x")
        emit = rack.service.connection.emit
        emit(PATH, MANAGER, "InterfacesAdded", "oa{sa{sv}}", thing.path, {"org.acme.Other1": {}})
        await rack.service.until_asked("Introspect")
        emit(PATH, MANAGER, "InterfacesAdded", "oa{sa{sv}}", thing.path, thing.values)
        assert await added.count(1) == [40]
        emit(PATH, MANAGER, "InterfacesRemoved", "oas", thing.path, [INTERFACE])
        emit(PATH, MANAGER, "InterfacesAdded", "oa{sa{sv}}", thing.path, {INTERFACE: {"Brightness": Variant("u", 3)}})
        (gone,) = await removed.count(1)
        with pytest.raises(Fault, match=r"has ended|suspect|closed"):
            await gone.blink(1)
        assert await added.count(2) == [40, 3]


async def test_a_service_that_is_replaced_changes_only_what_differs(each_bus: str) -> None:
    async with AsyncExitStack() as first:
        await first.enter_async_context(racked(each_bus))
        async with collection(url(each_bus), Lamp) as lamps:
            kept = lamps[f"{PATH}/l1"]
            states, changes, added, removed = States(kept), Heard(), Heard(), Heard()
            Lamp.brightness.on_change(kept, changes)
            lamps.added.connect(lambda path, room: added(path))
            lamps.removed.connect(lambda path, room: removed(path))
            await first.aclose()
            await states.reached(SUSPECT)
            assert len(lamps) == 3, "they stay, suspect"

            def early(service: Service) -> None:
                rack = Rack(service)
                rack.show("l1", tell=False, brightness=77)
                rack.show("l2", tell=False, brightness=2)
                rack.show("l9", tell=False)

            async with serving(each_bus, early=early):
                await states.reached(VALID)
                await added.count(1)
                assert (added.items, removed.items) == ([f"{PATH}/l9"], [f"{PATH}/l0"])
                assert changes.items == [77]
                assert lamps[f"{PATH}/l1"] is kept
                assert await kept.blink(2) == 1.0


async def test_a_bus_that_is_restarted_brings_the_collection_back(own_bus: lab.Bus) -> None:
    async with AsyncExitStack() as first:
        await first.enter_async_context(racked(own_bus.address))
        async with collection(url(own_bus.address), Lamp) as lamps:
            kept = lamps[f"{PATH}/l1"]
            states = States(kept)
            await own_bus.restart()
            await states.reached(SUSPECT)
            async with racked(own_bus.address):
                await states.reached(VALID)
                assert (kept.brightness, len(lamps)) == (1, 3)


async def test_where_there_is_no_manager_or_nobody_is_said(bus: str) -> None:
    async with serving(bus, early=lamp):
        with pytest.raises(Fault, match="no ObjectManager at /org/acme/Lamp"):
            async with collection(url(bus), Lamp):
                pass
    with pytest.raises(LinkError, match="is not there"):
        async with collection(url(bus), Lamp, timeout=0.2):
            pass
    with pytest.raises(LinkError, match="is not there: "):  # one attempt
        async with collection(url(bus), Lamp, timeout=0):
            pass
    nowhere = f"unix:path={tempfile.gettempdir()}/ew-nowhere"
    with pytest.raises(LinkError, match="there is no such socket"):
        async with collection(url(nowhere), Lamp, timeout=0):
            pass
    async with racked(bus), collection(url(bus), Lamp, timeout=0) as lamps:
        assert lamps
    with pytest.raises(AddressError, match="which service"):
        async with collection(f"dbus:{bus}", Lamp):
            pass


async def test_objects_of_everywire_are_a_collection_too(bus: str) -> None:
    class Room(Object):
        number: Property[int] = prop(0)

        @slot
        async def twice(self, n: int) -> int:
            return 2 * n

    async with Node() as node:
        rooms = {name: Room() for name in ("hall", "attic")}
        for n, (name, room) in enumerate(rooms.items()):
            room.number = n
            node.publish(room, name)
        (address,) = await node.serve(f"dbus:{bus}?service=org.acme.House")
        async with collection(address, Room) as found:
            assert {path.rpartition("/")[2]: room.number for path, room in found.items()} == {"hall": 0, "attic": 1}
            added, removed = Heard(), Heard()
            found.added.connect(lambda path, room: added(room.number))
            found.removed.connect(lambda path, room: removed(path))
            node.publish(Room(), "cellar")
            node.withdraw("hall")
            await added.count(1)
            assert await removed.count(1) == ["/org/acme/House/hall"]
            attic = found["/org/acme/House/attic"]
            assert await attic.twice(4) == 8
            rooms["attic"].number = 5
            assert await Room.number.wait_for(attic, lambda value: value == 5) == 5


async def test_a_flood_of_objects_ends_at_a_bound(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from everywire.dbus.endpoint import collections

    monkeypatch.setattr(collections, "MOST_OBJECTS", 20)
    async with racked(bus, 30), collection(url(bus), Lamp) as lamps:
        assert len(lamps) == 20
        assert lamps.refusals["misfits"] == 10


async def test_a_change_right_after_the_objects_were_told_is_not_lost(bus: str) -> None:
    def early(service: Service) -> None:
        thing = lamp(service, f"{PATH}/l0")

        def manage(call: Message) -> None:
            objects = {thing.path: {name: dict(values) for name, values in thing.values.items()}}
            service.connection.reply(call, "a{oa{sa{sv}}}", objects)
            thing.set("Brightness", Variant("u", 77))  # the next message, and most often in the same chunk

        service.connection.handle(PATH, manage)

    async with serving(bus, early=early), collection(url(bus), Lamp) as lamps:
        room = lamps[f"{PATH}/l0"]
        assert await room.blink(2) == 1.0
        assert room.brightness == 77


async def test_calls_that_wait_fail_when_a_collection_is_closed(bus: str) -> None:
    async with racked(bus) as rack, connect(url(bus), "l0", Lamp) as keeper:
        answer = asyncio.get_running_loop().create_future()
        rack.lamps["l1"].methods["Blink"] = lambda times: answer
        async with collection(url(bus), Lamp) as lamps:
            room = lamps[f"{PATH}/l1"]
            call = room.blink(1)
            await rack.service.until_asked("Blink")
        with pytest.raises(Fault, match="collection was closed"):
            await call
        with pytest.raises(Fault) as caught:
            await room.blink(1)
        assert (caught.value.code, caught.value.may_have_run) == (Code.UNAVAILABLE, False)
        assert await keeper.blink(2) == 1.0
        answer.cancel()


async def test_a_service_that_tells_more_and_more_fills_no_memory(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "MOST_WITHIN", 10)
    async with racked(bus, 1) as rack, collection(url(bus), Lamp) as lamps:
        emit, path, name = rack.service.connection.emit, f"{PATH}/other", "org.acme.Other1"
        emit(PATH, MANAGER, "InterfacesAdded", "oa{sa{sv}}", path, {name: {}})
        for number in range(100):
            emit(PATH, MANAGER, "InterfacesAdded", "oa{sa{sv}}", path, {f"org.acme.I{number}": {}})
            emit(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", name, {f"P{number}": Variant("u", 1)}, ["P0"])
            emit(PATH, MANAGER, "InterfacesRemoved", "oas", f"{PATH}/x{number}", [name])
        assert await lamps[f"{PATH}/l0"].blink(2) == 1.0
        assert lamps._tree is not None
        assert lamps._tree.objects is not None
        known = lamps._tree.objects[path]
        assert (len(known), len(known[name]), len(lamps._tree.objects)) == (10, 10, 2)
        assert set(lamps._dirty) <= {path}


# ------------------------------------------------------------------------------------------------------------- names
async def test_names_are_followed_as_they_come_go_and_change_hands(each_bus: str) -> None:
    async with await Connection.open(each_bus) as one, await Connection.open(each_bus) as two:
        await one.request_name("org.acme.mpris.one", allow_replacement=True)
        await one.request_name("org.acme.mprisX")
        async with names(f"dbus:{each_bus}", "org.acme.mpris.*") as players:
            assert dict(players.owners) == {"org.acme.mpris.one": one.unique_name}
            assert await anext(players) == ("org.acme.mpris.one", "", one.unique_name)
            await two.request_name("org.acme.mpris.one", replace=True)
            name, old, new = await anext(players)
            assert (name, old, new) == ("org.acme.mpris.one", one.unique_name, two.unique_name)
            await two.request_name("org.acme.other")
            await two.request_name("org.acme.mpris.two")
            assert await anext(players) == ("org.acme.mpris.two", "", two.unique_name)
            await two.close()
            gone = {(await anext(players)).name for _ in range(2)}
            assert gone == {"org.acme.mpris.one", "org.acme.mpris.two"}
            assert not players.owners
    with pytest.raises(LocalProtocolError, match="async with names"):
        await anext(players)


async def test_a_name_that_came_and_went_unread_is_no_news(bus: str) -> None:
    async with await Connection.open(bus) as one, names(f"dbus:{bus}", "org.acme.brief", "org.acme.last") as found:
        await one.request_name("org.acme.brief")
        await one.release_name("org.acme.brief")
        await one.request_name("org.acme.last")
        assert await anext(found) == ("org.acme.last", "", one.unique_name)


async def test_all_names_are_followed_where_no_pattern_is_given(bus: str) -> None:
    async with await Connection.open(bus) as one, names(f"dbus:{bus}") as found:
        await one.request_name("org.acme.any")
        async for change in found:
            if change.name == "org.acme.any":
                break
        assert not any(name.startswith(":") for name in found.owners)


async def test_names_can_be_read_without_a_block(bus: str) -> None:
    async with await Connection.open(bus) as one:
        await one.request_name("org.acme.alone")
        changes = aiter(names(f"dbus:{bus}", "org.acme.alone"))
        assert await anext(changes) == ("org.acme.alone", "", one.unique_name)
        await one.release_name("org.acme.alone")
        async for name, old, new in changes:
            assert (name, old, new) == ("org.acme.alone", one.unique_name, "")
            break
        await changes.aclose()  # type: ignore[attr-defined]
    assert not shared._SLOTS


async def test_a_bus_that_is_lost_has_no_names_until_it_is_back(own_bus: lab.Bus) -> None:
    async with names(f"dbus:{own_bus.address}", "org.*") as found:
        async with await Connection.open(own_bus.address) as one:
            await one.request_name("org.acme.one")
            assert (await anext(found)).name == "org.acme.one"
            await own_bus.restart()
            assert (await anext(found)).new == ""
        async with await Connection.open(own_bus.address) as one:
            await one.request_name("org.acme.one")
            assert await anext(found) == ("org.acme.one", "", one.unique_name)


async def test_odd_patterns_and_addresses_are_refused() -> None:
    for wrong in ("*", "org..*", "org.acme.", "acme", ":1.*x"):
        with pytest.raises(AddressError, match="no name or pattern"):
            names("dbus:session", wrong)
    with pytest.raises(AddressError, match="only buses have names"):
        names("dbus+local:/tmp/x", "org.acme.*")
    with pytest.raises(LinkError):
        async with names("dbus:unix:path=/tmp/nothing-is-here"):
            pass


async def test_a_block_of_names_whose_end_is_cancelled_gives_its_connection_back(bus: str) -> None:
    async def use() -> None:
        async with names(f"dbus:{bus}", "org.acme.*"):
            begun.set()
            await over.wait()

    begun, over = asyncio.Event(), asyncio.Event()
    using = asyncio.create_task(use())
    await begun.wait()
    over.set()
    await asyncio.sleep(0)  # it ends
    using.cancel()
    await asyncio.wait([using])
    await until(lambda: not shared._SLOTS)


async def test_names_are_followed_again_when_a_bus_did_not_answer(
    own_bus: lab.Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with names(f"dbus:{own_bus.address}", "org.acme.*") as players:
        asked, ask = Heard(), Connection.names

        async def late(connection: Connection, *, activatable: bool = False) -> tuple[str, ...]:
            asked(connection)
            if len(asked.items) == 1:
                raise Fault(Code.DEADLINE_EXCEEDED, "the bus did not answer ListNames")
            return await ask(connection, activatable=activatable)

        monkeypatch.setattr(Connection, "names", late)
        await own_bus.restart()
        await asked.count(2)
        async with serving(own_bus.address):
            await until(lambda: SERVICE in players.owners)


async def test_a_service_whose_second_rule_was_refused_is_followed_once(
    bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    match, refused = Connection.match, Heard()

    async def once(connection: Connection, rule: Match, callback: Any) -> Any:
        if not refused.items:
            refused(rule)
            raise Fault(Code.RESOURCE_EXHAUSTED, "too many rules")
        return await match(connection, rule, callback)

    monkeypatch.setattr(Connection, "match", once)
    lent = await shared.lease(bus, DEFAULT_LIMITS)
    first, second = await asyncio.gather(lent.service(SERVICE), lent.service(SERVICE), return_exceptions=True)
    assert isinstance(first, Fault)
    assert isinstance(second, shared.Service)
    assert len(lent.connection.subscriptions._followers[SERVICE]) == 1
    lent.release(second)
    assert not lent.connection.subscriptions._followers
    await shared.give_back(lent)
