"""Hosts register, nodes find and follow: a registry of ours between nodes of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from everywire import (
    AddressError,
    Code,
    Fault,
    Limits,
    LinkError,
    ModelError,
    Node,
    Object,
    Policy,
    Property,
    RemoteObjects,
    RemoteProtocolError,
    ReplicaState,
    Role,
    SignatureMismatch,
    Tokens,
    browse,
    connect,
    link_of,
    prop,
    slot,
    sync,
)
from everywire.remoteobjects import Location, Registry, open_registry
from everywire.remoteobjects.codec import (
    QTRO_2_0,
    AddObject,
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
    REGISTRY_TYPES,
    REMOVE_SERVER,
    REMOVE_SOURCE,
    read_location,
    read_table,
    written_location,
    written_table,
)
from everywire.remoteobjects.endpoint import registering
from everywire.remoteobjects.session.registry import RegistrySession
from everywire.testing import Heard
from tests.remoteobjects.peers import (
    QUICK,
    RawPeer,
    greet,
    raw_host,
    raw_node,
    until_asked_for,
    until_closed,
)

PORT_0 = "tcp://127.0.0.1:0"


class Room(Object):
    level: Property[float] = prop(20.0)

    @slot
    async def double(self, number: int) -> int:
        return 2 * number


class Boiler(Object):
    pressure: Property[float] = prop(1.0)


def room(level: float) -> Room:
    made = Room()
    made.level = level
    return made


async def becomes(replica: Room, level: float) -> None:
    async with asyncio.timeout(8):
        async for value in Room.level.watch(replica):
            if value == level:
                return


async def until(condition: Callable[[], object], *signals: Any) -> None:
    """Wait for *condition*, which one of *signals* may make true."""
    changed = asyncio.Event()
    forget = [signal.connect(lambda *_: changed.set()) for signal in signals]
    async with asyncio.timeout(8):
        while not condition():
            changed.clear()
            await changed.wait()
    for disconnect in forget:
        disconnect()


async def host_at(registry: str | tuple[str, ...], node: Node, url: str = PORT_0) -> str:
    return (await node.serve(RemoteObjects(url=url, registry=registry)))[0]


# ------------------------------------------------------------------------------------------------ finding by name
async def test_an_object_is_found_by_its_name_wherever_its_host_is(folder: Path) -> None:
    async with Node(limits=QUICK) as node, Node(limits=QUICK) as first, Node(limits=QUICK) as second:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        first.publish(room(1.0), "hall")
        second.publish(room(2.0), "attic")
        at_first, at_second = await host_at(registry, first), await host_at(registry, second, f"local:{folder}/x")
        async with connect(registry, "hall", Room) as hall, connect(registry, "attic") as attic:
            assert (hall.level, attic.level) == (1.0, 2.0)
            assert await hall.double(4) == 8
            assert link_of(hall).url == registry
        async with open_registry(registry) as directory:
            assert dict(directory.locations) == {
                "hall": Location("hall", "Room", at_first),
                "attic": Location("attic", "Room", at_second),
            }


async def test_objects_of_the_registrys_own_host_are_in_it() -> None:
    async with Node(limits=QUICK) as node:
        node.publish(room(1.0), "before")
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        node.publish(room(2.0), "after")
        async with connect(registry, "before", Room) as before, connect(registry, "after", Room) as after:
            assert (before.level, after.level) == (1.0, 2.0)
        async with connect(registry.removeprefix("registry+"), "after", Room) as direct:
            assert direct.level == 2.0, "it is a host as any other"


async def test_published_and_withdrawn_objects_follow_at_any_time() -> None:
    async with Node(limits=QUICK) as node, Node(limits=QUICK) as host:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        url = await host_at(registry, host)
        async with open_registry(registry) as directory:
            host.publish(room(1.0), "hall")
            await until(lambda: "hall" in directory.locations, directory.added)
            host.withdraw("hall")
            await until(lambda: "hall" not in directory.locations, directory.removed)
            host.publish(Boiler(), "hall")
            await until(lambda: "hall" in directory.locations, directory.added)
            assert directory.locations["hall"] == Location("hall", "Boiler", url)


async def test_who_looks_for_an_object_waits_until_somebody_registers_it() -> None:
    async with Node(limits=QUICK) as node, Node(limits=QUICK) as host:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        async with asyncio.TaskGroup() as group:

            async def look() -> float:
                async with connect(registry, "hall", Room) as hall:
                    return hall.level

            looking = group.create_task(look())
            await host_at(registry, host)
            host.publish(room(3.0), "hall")
            assert await looking == 3.0


async def test_one_attempt_says_what_the_registry_knows() -> None:
    async with Node(limits=QUICK) as node:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        node.publish(room(1.0), "hall")
        with pytest.raises(Fault, match=r"no object 'hell' at registry\+tcp.*offers hall") as caught:
            async with connect(registry, "hell", Room, timeout=0):
                pass
        assert caught.value.code is Code.NOT_FOUND


async def test_a_host_without_a_registry_says_so() -> None:
    async with Node(limits=QUICK) as node:
        node.publish(room(1.0), "hall")
        (url,) = await node.serve(PORT_0)
        with pytest.raises(Fault, match="is no registry; it offers hall"):
            async with connect(f"registry+{url}", "hall", Room, timeout=0):
                pass


async def test_nobody_at_the_registry_is_a_link_error(folder: Path) -> None:
    with pytest.raises(LinkError):
        async with connect(f"registry+local:{folder}/nobody", "hall", Room, timeout=0):
            pass


async def test_an_object_of_another_class_is_a_mismatch() -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Boiler(), "hall")
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        with pytest.raises(SignatureMismatch):
            async with connect(registry, "hall", Room):
                pass


def test_a_program_without_a_loop_finds_objects_too(folder: Path) -> None:
    url = f"registry+local:{folder}/r"
    with sync.serve(room(4.0), "hall", on=[url]), sync.connect(url, "hall", Room) as hall:
        assert hall.level == 4.0
        assert sync.run(hall.double(2)) == 4


# ------------------------------------------------------------------------------------------------ following
async def test_a_replica_follows_its_object_to_another_host() -> None:
    async with Node(limits=QUICK) as node, Node(limits=QUICK) as old, Node(limits=QUICK) as new:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        old.publish(room(1.0), "hall")
        await host_at(registry, old)
        async with connect(registry, "hall", Room) as hall:
            new.publish(room(2.0), "hall")
            await host_at(registry, new)
            assert hall.level == 1.0, "the first registration of a name wins"
            old.withdraw("hall")
            await becomes(hall, 2.0)
            assert await hall.double(3) == 6
            assert link_of(hall).state is ReplicaState.VALID


async def test_a_replica_follows_a_host_that_comes_back_elsewhere() -> None:
    async with Node(limits=QUICK) as node:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        async with Node(limits=QUICK) as old:
            old.publish(room(1.0), "hall")
            await host_at(registry, old)
            connecting = connect(registry, "hall", Room)
            hall = await connecting.__aenter__()
        await until(lambda: link_of(hall).state is ReplicaState.SUSPECT, link_of(hall).state_changed)
        async with Node(limits=QUICK) as new:
            new.publish(room(2.0), "hall")
            await host_at(registry, new)
            await becomes(hall, 2.0)
            await connecting.__aexit__(None, None, None)


async def test_a_registry_that_goes_away_harms_nobody_and_is_told_again_when_it_is_back(folder: Path) -> None:
    url = f"registry+local:{folder}/registry"
    async with Node(limits=QUICK) as host:
        host.publish(room(1.0), "hall")
        async with Node(limits=QUICK) as first:
            await first.serve(url)
            await host_at(url, host, f"local:{folder}/host")
            connecting = connect(url, "hall", Room)
            hall = await connecting.__aenter__()
            watching = open_registry(url)
            directory = await watching.__aenter__()
        assert await hall.double(2) == 4, "the link to the host has nothing to do with the registry"
        assert "hall" in directory.locations, "what was said last stays known"
        host.publish(room(5.0), "attic")
        async with Node(limits=QUICK) as second:
            await second.serve(url)
            await until(lambda: {"hall", "attic"} == directory.locations.keys(), directory.added)
            async with connect(url, "attic", Room) as attic:
                assert attic.level == 5.0
            assert link_of(hall).state is ReplicaState.VALID
            await watching.__aexit__(None, None, None)
            await connecting.__aexit__(None, None, None)


async def test_a_host_that_moves_while_the_registry_is_away_is_found_when_it_is_back(folder: Path) -> None:
    url = f"registry+local:{folder}/registry"
    async with Node(limits=QUICK) as first, Node(limits=QUICK) as old:
        await first.serve(url)
        old.publish(room(1.0), "hall")
        await host_at(url, old, f"local:{folder}/old")
        connecting = connect(url, "hall", Room)
        hall = await connecting.__aenter__()
        await first.aclose()
        await old.aclose()
    async with Node(limits=QUICK) as second, Node(limits=QUICK) as new:
        new.publish(room(2.0), "hall")
        await host_at(url, new, f"local:{folder}/new")
        await second.serve(url)
        await becomes(hall, 2.0)
        await connecting.__aexit__(None, None, None)


# ------------------------------------------------------------------------------------------------ registering
async def test_a_host_is_in_several_registries(folder: Path) -> None:
    a, b = f"registry+local:{folder}/a", f"local:{folder}/b"
    async with Node(limits=QUICK) as one, Node(limits=QUICK) as two, Node(limits=QUICK) as host:
        await one.serve(a)
        await two.serve(f"registry+{b}")
        host.publish(room(1.0), "hall")
        await host.serve(f"local:{folder}/host?registry={a},{b}")
        for registry in (a, f"registry+{b}"):
            async with connect(registry, "hall", Room) as hall:
                assert hall.level == 1.0


async def test_what_is_registered_is_the_advertised_address() -> None:
    async with Node(limits=QUICK) as node, Node(limits=QUICK) as host:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        host.publish(room(1.0), "hall")
        settings = RemoteObjects(
            url="tcp://0.0.0.0:0", insecure=True, registry=registry, advertised_url="tcp://plant.example:65213"
        )
        await host.serve(settings)
        async with open_registry(registry) as directory:
            await until(lambda: directory.locations, directory.added)
            assert directory.locations["hall"].url == "tcp://plant.example:65213"


@pytest.mark.parametrize(
    "settings, advice",
    [
        ({"url": "tcp://0.0.0.0:0"}, r"cannot connect to tcp://0.0.0.0:\d+: say \?advertised="),
        ({"url": "tcp://127.0.0.1:0", "registry": "tcp://10.0.0.1:1"}, "another machine.*advertised="),
        ({"url": "tcp://127.0.0.1:0", "advertised_url": "http://plant:1"}, "no"),
        ({"url": "tcp://127.0.0.1:0", "advertised_url": "tls://plant:1?cert=x"}, "nowhere that others"),
        ({"url": "tcp://127.0.0.1:0", "advertised_url": "tcp://plant:0"}, "cannot connect"),
        ({"url": "tcp://127.0.0.1:0", "registry": "http://h:1"}, "is not an address"),
    ],
)
async def test_an_address_that_leads_nobody_to_us_is_not_registered(settings: dict[str, Any], advice: str) -> None:
    async with Node(limits=QUICK) as host:
        with pytest.raises(AddressError, match=advice):
            await host.serve(RemoteObjects(**{"registry": "tcp://127.0.0.1:1", "insecure": True, **settings}))
        assert host.addresses == ()


async def test_a_name_is_registered_when_it_comes_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a registry of Qt, which drops entries and tells nobody: a host asks again from time to time."""
    monkeypatch.setattr(registering, "INSIST", 0.05)
    async with Node(limits=QUICK) as node, Node(limits=QUICK) as host:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        url = await host_at(registry, host)
        server: Any = node._servers[0]
        claims = server.server.hosted[REGISTRY].registry.claims
        async with open_registry(registry) as directory:
            host.publish(room(1.0), "hall")
            await until(lambda: "hall" in directory.locations, directory.added)
            owner = next(iter(claims._names))
            server.server.hosted[REGISTRY].registry.tell(claims.remove(owner, "hall"))  # as if by somebody else's word
            await until(lambda: "hall" not in directory.locations, directory.removed)
            await until(lambda: "hall" in directory.locations, directory.added)
            assert directory.locations["hall"].url == url


async def test_the_reserved_name_cannot_be_published_by_anybody() -> None:
    async with Node(limits=QUICK) as node:
        with pytest.raises(ModelError, match="reserved"):
            node.publish(room(1.0), "Registry")


# ------------------------------------------------------------------------------------------------ trust
async def test_a_registry_elsewhere_cannot_send_us_to_our_own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Node(limits=QUICK) as node, Node(limits=QUICK) as host:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        host.publish(room(1.0), "hall")
        url = await host_at(registry, host)
        monkeypatch.setattr("everywire.remoteobjects.endpoint.trusting.leads_here", lambda address: str(address) == url)
        async with open_registry(registry) as directory:
            await until(lambda: directory.locations, directory.added)
        with pytest.raises(LinkError, match="have its host advertise another"):
            async with connect(registry, "hall", Room, timeout=0):
                pass
        async with connect(Registry(url=registry, hosts=("tcp://127.0.0.1:*",)), "hall", Room) as hall:
            assert hall.level == 1.0, "unless the user says that it is meant so"
        with pytest.raises(LinkError, match="none of the trusted hosts"):
            async with connect(Registry(url=registry, hosts=("tcp://*.plant.example:*",)), "hall", Room, timeout=0):
                pass


async def test_a_token_is_sent_where_the_user_said_and_nowhere_else(
    folder: Path, cheap_derivations: None
) -> None:
    tokens = Tokens(folder / "tokens.json")
    secret = tokens.add("me", Role.OPERATOR)
    file = folder / "token"
    file.touch(mode=0o600)
    file.write_text(secret)
    async with Node(limits=QUICK) as node, Node(limits=QUICK, tokens=tokens) as host:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        host.publish(room(1.0), "hall")
        await host_at(registry, host)
        with pytest.raises(Fault, match="needs a token") as caught:
            async with connect(Registry(url=registry, token=secret), "hall", Room):
                pass
        assert caught.value.code is Code.UNAUTHENTICATED, "the registry's token is no business of the host"
        async with connect(Registry(url=registry, hosts=(f"tcp://127.0.0.1:*?token={file}",)), "hall", Room) as hall:
            assert hall.level == 1.0


async def test_a_registry_demands_logins_as_any_host(folder: Path, cheap_derivations: None) -> None:
    tokens = Tokens(folder / "tokens.json")
    secret = tokens.add("me", Role.OPERATOR)
    async with Node(limits=QUICK, tokens=tokens) as node, Node(limits=QUICK) as host:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        host.publish(room(1.0), "hall")
        with pytest.raises(Fault, match="needs a token"):
            async with connect(registry, "hall", Room):
                pass
        entrance = Registry(url=registry, token=secret)
        await host.serve(RemoteObjects(url=PORT_0, registry=entrance))
        async with connect(entrance, "hall", Room) as hall:
            assert hall.level == 1.0


# ------------------------------------------------------------------------------------------------ hostile peers
def entry(name: str, url: str = "tcp://10.0.0.66:1", type_name: str = "T") -> UserTyped:
    return written_location(Location(name, type_name, url), QTRO_2_0)


def call(index: int, *arguments: object, serial: int = 1) -> Invoke:
    return Invoke(REGISTRY, CallKind.METHOD, index, arguments, serial)


@asynccontextmanager
async def raw_nodes(node: Node, count: int) -> AsyncIterator[list[RawPeer]]:
    """Connect to the registry of *node*, which is served unless it is already."""
    if not node.addresses:
        await node.serve("registry+tcp://127.0.0.1:0")
    url = node.addresses[0].removeprefix("registry+")
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(raw_node(url, extended=True)) for _ in range(count)]


async def joined(peer: RawPeer) -> dict[str, Location]:
    peer.types = REGISTRY_TYPES
    await peer.send(AddObject(REGISTRY, dynamic=False))
    table = read_table((await peer.find(Init)).values[0])
    assert table is not None
    return table


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
@asynccontextmanager
async def raw_registry(folder: Path, script: Callable[[RawPeer], Awaitable[None]]) -> AsyncIterator[str]:
    """Be a registry that says what *script* says."""

    async def greeted(peer: RawPeer) -> None:
        await greet(peer, REGISTRY)
        await until_asked_for(peer, REGISTRY)
        await script(peer)
        await until_closed(peer)

    async with raw_host(f"local:{folder}/hostile", greeted) as url:
        yield f"registry+{url}"


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
        await peer.send(Init(REGISTRY, (written_table([], QTRO_2_0),)))
        await peer.send(*(call(0, entry(f"x{n}", f"local:{folder}/{n}")) for n in range(50)))

    async with raw_registry(folder, script) as url, Node(limits=Limits(drain=0.0, objects_per_link=10)) as node:
        proxy: Any = await node.proxy(url)
        while node.refusals["proxied_objects"] < 40:
            await asyncio.sleep(0.01)
        assert len(proxy._places) == 10
        await proxy.close()
        assert len(node.tasks) == 0


async def test_what_a_registry_knows_can_be_browsed() -> None:
    async with Node(limits=QUICK) as node:
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        node.publish(room(1.0), "hall")
        async with browse(registry) as shown:
            assert shown.objects == ("hall",)
            node.publish(room(2.0), "attic")
            await until(lambda: set(shown.objects) == {"hall", "attic"}, shown.added)
            node.withdraw("hall")
            await until(lambda: shown.objects == ("attic",), shown.removed)


async def test_an_ordinary_replica_of_the_registry_shows_and_takes_entries() -> None:
    async with Node(limits=QUICK) as node:
        node.publish(room(1.0), "hall")
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        url = registry.removeprefix("registry+")
        async with connect(url, "Registry") as replica, open_registry(registry) as directory:
            assert replica.source_locations["hall"].host_url == url
            heard = Heard()
            replica.remote_object_added.connect(heard)
            await replica.add_source(("attic", {"type_name": "Room", "host_url": "tcp://h:1"}))
            await heard.wait(1)
            assert directory.locations["attic"] == Location("attic", "Room", "tcp://h:1")
