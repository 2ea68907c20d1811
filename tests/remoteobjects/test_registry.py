"""Hosts register, nodes find and follow: a registry of ours between nodes of ours."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from everywire import (
    AddressError,
    Code,
    Fault,
    LinkError,
    ModelError,
    Node,
    RemoteObjects,
    ReplicaState,
    Role,
    SignatureMismatch,
    Tokens,
    browse,
    connect,
    link_of,
    sync,
)
from everywire.remoteobjects import Location, Registry, open_registry
from everywire.remoteobjects.codec.registry import (
    REGISTRY,
)
from everywire.remoteobjects.endpoint import registering
from everywire.testing import Heard
from tests.remoteobjects.peers import (
    QUICK,
)
from tests.remoteobjects.registries import (
    PORT_0,
    Boiler,
    Room,
    becomes,
    host_at,
    room,
    until,
)


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


async def test_what_an_object_is_can_be_asked_through_the_registry() -> None:
    async with Node(limits=QUICK) as node:
        node.publish(room(1.0), "hall")
        (registry,) = await node.serve("registry+tcp://127.0.0.1:0")
        session = await Registry(url=registry).open(node)
        assert (await session.contract("hall")).name == "Room"
        with pytest.raises(Fault, match="knows no object 'hell'"):
            await session.contract("hell")
        await session.close()


@pytest.mark.parametrize(
    "url, advice",
    [
        ("registry+tcp://127.0.0.1:0?hosts=tcp://h:1", "for who asks a registry"),
        ("registry+tcp://127.0.0.1:0?registry=tcp://h:1", "not put into another"),
        ("registry+tcp://127.0.0.1:0?token=x", "for who connects"),
        ("registry+tcp://127.0.0.1:0?nonsense=x", "nonsense"),
        ("registry+stdio:", "nowhere that others|stdio"),
    ],
)
async def test_what_a_registrys_host_has_no_use_for_is_refused(url: str, advice: str) -> None:
    async with Node(limits=QUICK) as node:
        with pytest.raises(AddressError, match=advice):
            await node.serve(url)
        assert node.addresses == ()


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
        ({"url": "tcp://127.0.0.1:0", "registry": "http://h:1"}, "'http://h:1' belongs to another wire: an address"),
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


async def test_a_token_is_sent_where_the_user_said_and_nowhere_else(folder: Path, cheap_derivations: None) -> None:
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


# ------------------------------------------------------------------------------------------------ looking
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
