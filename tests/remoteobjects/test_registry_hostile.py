"""Peers that say to a registry what they should not, and registries that say what they should not."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    Limits,
    LinkError,
    Node,
    Policy,
    RemoteProtocolError,
    Role,
    connect,
)
from everywire.remoteobjects import Location, open_registry
from everywire.remoteobjects.codec import (
    QTRO_2_0,
    CallKind,
    Init,
    Invoke,
    InvokeReply,
    ObjectList,
    RemoveObject,
    UserTyped,
)
from everywire.remoteobjects.codec.registry import (
    ADD_SOURCE,
    REGISTRY,
    REMOVE_SERVER,
    REMOVE_SOURCE,
    read_location,
    written_table,
)
from everywire.remoteobjects.session.registry import RegistrySession
from everywire.testing import Heard
from tests.remoteobjects.peers import (
    QUICK,
    RawPeer,
    raw_host,
    raw_node,
    until_closed,
)
from tests.remoteobjects.registries import (
    PORT_0,
    Room,
    call,
    entry,
    joined,
    raw_nodes,
    raw_registry,
    room,
    until,
)


# ------------------------------------------------------------------------------------------------ hostile peers
async def test_a_listener_is_told_of_every_change_in_qts_form() -> None:
    async with Node(limits=QUICK) as node, raw_nodes(node, 2) as (a, b):
        assert await joined(a) == await joined(b) == {}
        await a.send(call(ADD_SOURCE, entry("hall")))
        for peer in (a, b):
            added = await peer.find(Invoke)
            assert (added.index, read_location(added.arguments[0])) == (0, Location("hall", "T", "tcp://10.0.0.66:1"))
        a.end()
        removed = await b.find(Invoke)
        assert (removed.index, read_location(removed.arguments[0])) == (1, Location("hall", "T", "tcp://10.0.0.66:1"))


async def test_a_void_method_is_answered_and_one_without_serial_is_not() -> None:
    async with Node(limits=QUICK) as node, raw_nodes(node, 1) as (peer,):
        await joined(peer)
        await peer.send(call(REMOVE_SOURCE, entry("x"), serial=7), call(REMOVE_SERVER, "tcp://h:1", serial=-1))
        assert await peer.find(InvokeReply) == InvokeReply(REGISTRY, 7, None)


async def test_a_peer_cannot_remove_or_replace_what_another_registered() -> None:
    async with Node(limits=QUICK) as node, raw_nodes(node, 2) as (victim, attacker):
        await joined(victim)
        await joined(attacker)
        place = Location("hall", "T", "tcp://10.0.0.1:1")
        await victim.send(call(ADD_SOURCE, entry("hall", place.url)))
        await victim.fence()
        await attacker.send(
            call(REMOVE_SOURCE, entry("hall", place.url)), call(REMOVE_SERVER, place.url),
            call(ADD_SOURCE, entry("hall")), call(ADD_SOURCE, entry("hall", place.url)),
        )  # fmt: skip
        await attacker.fence()
        async with open_registry(node.addresses[0]) as directory:
            assert dict(directory.locations) == {"hall": place}


async def test_who_has_not_attached_cannot_register_so_every_entry_ends_with_its_link() -> None:
    async with Node(limits=QUICK) as node, raw_nodes(node, 1) as (peer,):
        refused = await peer.refusal(call(ADD_SOURCE, entry("hall")))
        assert refused.code is Code.FAILED_PRECONDITION
        await joined(peer)
        await peer.send(call(ADD_SOURCE, entry("hall"), serial=-1), RemoveObject(REGISTRY))
        assert await joined(peer) == {}, "and with the replica of the registry"


async def test_one_link_registers_so_many_objects_and_no_more() -> None:
    limits = Limits(drain=0.0, objects_per_link=3)
    async with Node(limits=limits) as node, raw_nodes(node, 1) as (peer,):
        await joined(peer)
        await peer.send(*(call(ADD_SOURCE, entry(f"x{n}"), serial=-1) for n in range(3)))
        refused = await peer.refusal(call(ADD_SOURCE, entry("x3")))
        assert refused.code is Code.RESOURCE_EXHAUSTED
        assert node.refusals["registrations"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (entry("hall"), entry("hall")),
        (None,),
        (7,),
        ("hall",),
        ({"hall": {}},),
        (entry(""),),
        (entry("Registry"),),
        (entry("x" * 1000),),
        (entry("hall", "no url"),),
        (entry("hall", "tcp://h:1", "T" * 1000),),
        (UserTyped("std::pair<QString,QRemoteObjectSourceLocationInfo>", b""),),
        (UserTyped("std::pair<QString,int>", b"\2\0\0\0a\0\1\0\0\0"),),
        (UserTyped("Nobody", b"\1\2\3"),),
    ],
)
async def test_what_is_no_entry_is_refused_and_the_link_goes_on_or_ends(arguments: tuple[Any, ...]) -> None:
    async with Node(limits=QUICK) as node, raw_nodes(node, 2) as (peer, other):
        await joined(peer)
        await peer.send(call(ADD_SOURCE, *arguments))
        await other.fence()
        assert await joined(other) == {}
        await other.send(call(ADD_SOURCE, entry("fine"), serial=-1))
        await other.fence()
        assert set(await joined(other)) == {"fine"}


async def test_unknown_methods_and_properties_of_a_registry_are_refused() -> None:
    async with Node(limits=QUICK) as node, raw_nodes(node, 1) as (peer,):
        await joined(peer)
        for packet in (call(3), call(-1), Invoke(REGISTRY, CallKind.WRITE_PROPERTY, 0, ({},), 1)):
            assert (await peer.refusal(packet)).code is Code.NOT_FOUND


async def test_who_may_only_look_does_not_register() -> None:
    policy = Policy(role=lambda _: Role.VIEWER)
    async with Node(limits=QUICK, policy=policy) as node, raw_nodes(node, 1) as (peer,):
        assert await joined(peer) == {}
        assert (await peer.refusal(call(ADD_SOURCE, entry("hall")))).code is Code.PERMISSION_DENIED


async def test_a_stranger_sees_no_registry() -> None:
    policy = Policy(role=lambda _: Role.STRANGER)
    async with Node(limits=QUICK, policy=policy) as node:
        (url,) = await node.serve("registry+tcp://127.0.0.1:0")
        async with raw_node(url.removeprefix("registry+"), greeted=False) as peer:
            assert (await peer.find(ObjectList)).entries == ()


async def test_a_hundred_hosts_come_and_go_and_nothing_is_left_of_them() -> None:
    async with Node(limits=Limits(drain=0.0, connections_per_address=200)) as node:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        server: Any = node._servers[0]
        async with open_registry(registry) as directory:
            gone = Heard()
            directory.removed.connect(gone)
            for _ in range(20):
                async with raw_nodes(node, 5) as peers:
                    for number, peer in enumerate(peers):
                        await joined(peer)
                        await peer.send(call(ADD_SOURCE, entry(f"x{number}"), serial=-1))
                        await peer.fence()
            await gone.wait(100)
            assert directory.locations == {}
            assert len(server.server.hosted[REGISTRY].registry.claims) == 0


# ------------------------------------------------------------------------------------------------ hostile registries
@pytest.mark.parametrize(
    "values",
    [
        *((), (None,), (7,), ([],), ({"x": 1},)),
        (UserTyped("QHash<QString,QRemoteObjectSourceLocationInfo>", b"\1\0\0\0"),),
    ],
)
async def test_a_table_that_is_none_is_an_error_with_a_name(folder: Path, values: tuple[Any, ...]) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(Init(REGISTRY, values))

    async with raw_registry(folder, script) as url:
        with pytest.raises((RemoteProtocolError, LinkError, Fault)):
            async with open_registry(url, limits=Limits(handshake=1.0)):
                pass


async def test_a_registry_that_says_nothing_is_given_up(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        pass

    async with raw_registry(folder, script) as url:
        with pytest.raises(LinkError, match="does not show what is in it"):
            async with open_registry(url, limits=Limits(handshake=1.0)):
                pass


async def test_changes_that_are_none_are_passed_over(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        odd = ((), (None,), (7,), ("x",), (entry("x" * 5000),))
        await peer.send(Init(REGISTRY, (written_table([], QTRO_2_0),)))
        await peer.send(*(call(index, *arguments) for index in (0, 1, 2, -1) for arguments in odd))
        await peer.send(call(1, entry("never there")), call(0, entry("fine")), call(0, entry("fine")))
        await peer.send(call(1, entry("fine", "tcp://another:1")))

    async with raw_registry(folder, script) as url, open_registry(url) as directory:
        await until(lambda: directory.locations, directory.added)
        assert set(directory.locations) == {"fine"}


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_registry_cannot_fill_our_memory(folder: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    monkeypatch.setattr("everywire.remoteobjects.session.registry.MOST_LISTED", 500)
    entries = [Location(f"x{n}", "", "x:y") for n in range(501)]

    async def script(peer: RawPeer) -> None:
        await peer.send(Init(REGISTRY, (written_table(entries if at_once else [], QTRO_2_0),)))
        await peer.send(*(call(0, entry(location.name)) for location in entries))

    async with raw_registry(folder, script) as url:
        session = RegistrySession()
        with suppress(LinkError, Fault):
            await session.open(url.removeprefix("registry+"))
        assert "more than 500 objects" in str(await session.wait_lost())
        assert len(session.locations) <= 501
        await session.close()


async def test_a_registry_cannot_have_us_connect_here_and_there_without_end(folder: Path) -> None:
    """It says for a second that the object is at another place with each packet."""
    tried: list[None] = []

    async def count(peer: RawPeer) -> None:
        tried.append(None)
        await until_closed(peer)

    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(Node(limits=QUICK))
        host.publish(room(7.0), "hall")
        (place,) = await host.serve(PORT_0)
        places = [await stack.enter_async_context(raw_host(PORT_0, count)) for _ in range(2)]
        loop = asyncio.get_running_loop()

        async def script(peer: RawPeer) -> None:
            await peer.send(Init(REGISTRY, (written_table([], QTRO_2_0),)))
            end = loop.time() + 1.0
            while loop.time() < end:
                await peer.send(*(call(0, entry("hall", places[n % 2])) for n in range(100)))
            await peer.send(call(0, entry("hall", place)))

        url = await stack.enter_async_context(raw_registry(folder, script))
        async with connect(url, "hall", Room) as hall:
            assert hall.level == 7.0
        assert len(tried) <= 15


async def test_a_proxy_shows_no_more_objects_than_the_limit_says(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        entries = [Location(f"x{n}", "", f"local:{folder}/{n}") for n in range(50)]
        await peer.send(Init(REGISTRY, (written_table(entries, QTRO_2_0),)))

    async with raw_registry(folder, script) as url, Node(limits=Limits(drain=0.0, objects_per_link=10)) as node:
        proxy: Any = await node.proxy(url)
        assert (len(proxy._places), node.refusals["proxied_objects"]) == (10, 40)
        await proxy.close()
        assert len(node.tasks) == 0


async def test_a_proxy_goes_nowhere_where_the_registry_may_not_send_it() -> None:
    async with Node(limits=QUICK) as node, Node(limits=QUICK) as gateway, raw_nodes(node, 1) as (peer,):
        await joined(peer)
        await peer.send(call(ADD_SOURCE, entry("hall", "http://10.0.0.1:1")))
        await peer.fence()
        node.publish(room(1.0), "attic")
        (shown,) = await gateway.serve(PORT_0)
        await gateway.proxy(node.addresses[0])
        async with connect(shown, "attic", Room) as attic:
            assert attic.level == 1.0
        assert gateway.refusals["untrusted_places"] == 1
