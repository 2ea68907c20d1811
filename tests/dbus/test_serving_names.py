"""The name of a host on a bus: taken, wanted by others, queued for, replaced, lost, and back after the bus was."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import pytest

from everywire import AddressError, AddressInUse, Limits, LinkError, Node
from everywire.dbus import DBus
from everywire.dbus.endpoint.serving import BusServer
from everywire.dbus.session import Connection, Match, NameReply
from everywire.runtime.limits import KIB, SlowPeer
from tests.dbus import lab
from tests.dbus.hosts import HALL, OBJECT, SERVICE, Thermostat, at, get_all, hosting, result, until


def server_of(node: Node) -> BusServer:
    (server,) = node._servers
    assert isinstance(server, BusServer)
    return server


async def test_a_name_that_somebody_has_is_refused_with_who_it_is_and_what_to_do(each_bus: str) -> None:
    async with await Connection.open(each_bus) as owner:
        await owner.request_name(SERVICE)
        with pytest.raises(AddressInUse) as caught:
            async with hosting(at(each_bus), hall=Thermostat()):
                pass
        told = str(caught.value)
        assert f"{SERVICE} belongs to {owner.unique_name}" in told
        assert f"pid {os.getpid()}, {os.path.realpath(sys.executable)}" in told
        assert "queue=yes" in told
        assert "replace=yes" in told
        with pytest.raises(AddressInUse, match="does not allow to be replaced"):
            async with hosting(at(each_bus, "&replace=yes"), hall=Thermostat()):
                pass


async def test_who_queues_gets_the_name_when_it_is_given_back(each_bus: str) -> None:
    async with await Connection.open(each_bus) as owner:
        await owner.request_name(SERVICE)
        async with hosting(at(each_bus, "&queue=yes"), hall=Thermostat()) as node:
            server = server_of(node)
            assert (server.owns_name, server.owner) == (False, owner.unique_name)
            assert server.visitors is not None
            own = server.visitors.connection.unique_name
            assert await result(owner, "Boost", "x", 1, to=own) == ("1 cold",), "reached as itself meanwhile"
            await owner.release_name(SERVICE)
            await until(lambda: server.owns_name)
            assert await result(owner, "Boost", "x", 2) == ("2 cold",)
            assert node.refusals["name_lost"] == 0


async def test_a_name_that_may_be_replaced_is_lost_which_is_told(
    each_bus: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "everywire.dbus")
    first, second = Thermostat(), Thermostat()
    async with hosting(at(each_bus, "&allow_replacement=yes"), hall=first) as one:
        server = server_of(one)
        async with (
            hosting(DBus(url=f"dbus:{each_bus}", service=SERVICE, replace=True), hall=second) as two,
            await Connection.open(each_bus) as client,
        ):
            await until(lambda: not server.owns_name)
            assert server.owner == server_of(two).owner != ""
            assert one.refusals["name_lost"] == 1
            assert f"{SERVICE} was lost, replaced by {server.owner}" in caplog.text
            await result(client, "Boost", "x", 2)
            assert (first.ran, second.ran) == ([], ["boost 2"])
            assert server.visitors is not None
            await result(client, "Boost", "x", 1, to=server.visitors.connection.unique_name)
            assert first.ran == ["boost 1"], "its objects are reached as itself"


async def test_who_queues_is_replaced_and_comes_back(bus: str) -> None:
    async with hosting(at(bus, "&allow_replacement=yes&queue=yes"), hall=Thermostat()) as node:
        server = server_of(node)
        async with await Connection.open(bus) as other:
            assert await other.request_name(SERVICE, replace=True) is NameReply.PRIMARY_OWNER
            await until(lambda: not server.owns_name)
        await until(lambda: server.owns_name)
        assert node.refusals["name_lost"] == 1


async def test_a_host_that_closes_gives_its_name_back_first_and_answers_what_runs(bus: str) -> None:
    source = Thermostat()
    async with await Connection.open(bus) as client:
        async with Node() as node:
            node.publish(source, "hall")
            await node.serve(at(bus))
            server = server_of(node)
            held = asyncio.ensure_future(result(client, "Hold", "x", 3))
            while not source.ran:
                await get_all(client)
            closing = asyncio.ensure_future(node.aclose(grace=5.0))
            await until(lambda: server.closing)
            while await client.owner(SERVICE):
                pass
            source.gate.set()
            await closing
        assert await held == (3,)


async def test_a_service_is_needed_and_settings_are_checked(bus: str) -> None:
    for url, told in (
        (f"dbus:{bus}", "needs a name"),
        (f"dbus:{bus}?service=:1.5", "needs a name"),
        (f"dbus:{bus}?service=climate", "no bus name"),
        (at(bus, "&path=plant"), "no object path"),
        (at(bus, "&interface=Plant"), "no interface name"),
        (at(bus, "&queue=maybe"), "queue=yes or queue=no"),
        (at(bus, "&colour=red"), "does not know the setting colour"),
        (at(bus, "&service=org.acme.Other"), "settings look like"),
        ("dbus:", "no address of D-Bus"),
        ("dbus:plants", "there is no bus 'plants'"),
        ("dbus+ws://127.0.0.1", "no address of D-Bus"),
    ):
        with pytest.raises(AddressError, match=told):
            async with hosting(url, hall=Thermostat()):
                pass
    with pytest.raises(AddressError, match="says another service"):
        DBus(url=at(bus), service="org.acme.Other").place()


async def test_a_bus_that_is_not_there_is_told_and_nothing_stays(folder: object) -> None:
    with pytest.raises(LinkError):
        async with hosting(f"dbus:unix:path={folder}/none?service={SERVICE}", hall=Thermostat()):
            pass


async def test_a_bus_that_gives_no_names_says_what_its_configuration_needs(system_bus: lab.Bus) -> None:
    system_bus.rule("nobody", f'<policy context="mandatory"><deny own="{SERVICE}"/></policy>')
    with pytest.raises(LinkError, match="gen dbus-policy"):
        async with hosting(at(system_bus.address), hall=Thermostat()):
            pass


# ---------------------------------------------------------------------------------------------- a bus that comes back
@pytest.mark.loops("asyncio", "uvloop")
async def test_a_bus_that_was_killed_finds_the_host_again(own_bus: lab.Bus, caplog: pytest.LogCaptureFixture) -> None:
    source = Thermostat()
    async with hosting(at(own_bus.address), hall=source) as node:
        server, addresses = server_of(node), node.addresses
        for number in range(3):
            own_bus.kill()
            await until(lambda: server.visitors is None)
            source.target = 20.0 + number
            await own_bus.resurrect()
            await until(lambda: server.owns_name)
            async with await Connection.open(own_bus.address) as client:
                heard = await client.messages(Match(path=HALL))
                (values,) = await result(client, "Attach", interface=OBJECT)
                assert values["Target"].value == 20.0 + number
                source.target = 30.0
                assert (await anext(heard)).body[1]["Target"].value == 30.0
                assert await result(client, "Boost", "x", number) == (f"{number} cold",)
        assert node.addresses == addresses
        assert len(source.ran) == 3
    assert "lost the bus, and tries again" in caplog.text


async def test_a_host_may_close_while_there_is_no_bus(own_bus: lab.Bus) -> None:
    async with hosting(at(own_bus.address), hall=Thermostat()) as node:
        own_bus.kill()
        await until(lambda: server_of(node).visitors is None)
        node.publish(Thermostat(), "cellar")
        node.withdraw("hall")
        node.recheck()
    await own_bus.resurrect()


async def test_a_frozen_bus_does_not_keep_a_host_from_closing(own_bus: lab.Bus) -> None:
    loop = asyncio.get_running_loop()
    async with Node() as node:
        node.publish(Thermostat(), "hall")
        await node.serve(at(own_bus.address))
        with own_bus.frozen():
            begun = loop.time()
            await node.aclose()
            assert loop.time() - begun < 8


async def test_a_bus_that_does_not_read_costs_a_bounded_amount_and_who_listens_learns_what_was_dropped(
    own_bus: lab.Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", own_bus.address)
    limits = Limits(unsent_soft=64 * KIB, unsent_hard=256 * KIB)
    source = Thermostat()
    async with (
        hosting(at("session"), limits=limits, hall=source) as node,
        await Connection.open(own_bus.address) as client,
    ):
        heard = await client.messages(Match(sender=SERVICE, path=HALL))
        await result(client, "Boost", "x", 1)
        visitors = server_of(node).visitors
        assert visitors is not None
        outbox = visitors.connection.outbox
        with own_bus.frozen():
            for number in range(500):
                source.over_heated.emit(float(number), "x" * 4096)
                source.target = 20.0 + number % 10
            assert outbox.congested
            assert outbox.waiting_bytes <= limits.unsent_hard
        numbers, values, gap = list[float](), list[float](), 0
        while not numbers or numbers[-1] < 499.0 or values[-1] != 29.0:
            told = await anext(heard)
            if told.member == "OverHeated":
                numbers.append(told.body[0])
            elif told.member == "Gap":
                gap += told.body[0]
            elif "Target" in told.body[1]:
                values.append(told.body[1]["Target"].value)
        assert numbers == sorted(numbers)
        assert (gap > 0, gap + len(numbers)) == (True, 500)
        assert await result(client, "Boost", "x", 2) == ("2 cold",)


async def test_a_bus_that_does_not_read_is_left_where_the_policy_says_so_and_joined_again(own_bus: lab.Bus) -> None:
    limits = Limits(unsent_soft=64 * KIB, write_deadline=0.2, slow_peer=SlowPeer.DISCONNECT)
    source = Thermostat()
    async with (
        hosting(at(own_bus.address), limits=limits, hall=source) as node,
        await Connection.open(own_bus.address) as client,
    ):
        await result(client, "Attach", interface=OBJECT)
        server = server_of(node)
        with own_bus.frozen():
            for _ in range(500):
                source.over_heated.emit(1.0, "x" * 4096)
            await until(lambda: server.visitors is None)
            assert node.refusals["write_deadline"] == 1
        await until(lambda: server.owns_name)
        assert await result(client, "Boost", "x", 1) == ("1 cold",)


async def test_a_name_taken_while_the_bus_was_away_is_reported(
    own_bus: lab.Bus, caplog: pytest.LogCaptureFixture
) -> None:
    async with hosting(at(own_bus.address), hall=Thermostat()) as node:
        server = server_of(node)
        own_bus.kill()
        await until(lambda: server.visitors is None)
        await own_bus.resurrect()
        thief: Connection | None = None
        while thief is None:
            candidate = await Connection.open(own_bus.address)
            if (await candidate.request_name(SERVICE)).owned:
                thief = candidate
            else:  # the host was faster; once more
                await candidate.close()
                own_bus.kill()
                await until(lambda: server.visitors is None)
                await own_bus.resurrect()
        await until(lambda: server.visitors is not None and server.owner == thief.unique_name)
        await until(lambda: node.refusals["name_lost"])
        assert f"{SERVICE} belongs to {thief.unique_name}" in caplog.text
        await thief.close()
