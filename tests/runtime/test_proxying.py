"""Proxies: the objects of another host, or of a registry's hosts, on a node of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from everywire import (
    Code,
    Fault,
    Limits,
    LinkError,
    Node,
    Object,
    Policy,
    Property,
    RemoteObjects,
    ReplicaState,
    Role,
    connect,
    link_of,
    prop,
    signal,
    slot,
)
from everywire.runtime import proxying
from everywire.testing import Heard

QUICK = Limits(drain=0.0)


class Room(Object):
    level: Property[float] = prop(20.0, writable=True)

    @signal
    def warm(self, level: float) -> None: ...

    @slot
    async def double(self, number: int) -> int:
        return 2 * number

    @slot
    async def count(self, to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number

    @slot
    async def fail(self) -> None:
        raise Fault(Code.FAILED_PRECONDITION, "not now")


class Boiler(Object):
    pressure: Property[float] = prop(1.0)


def room(level: float) -> Room:
    made = Room()
    made.level = level
    return made


async def until(node: Node, condition: Callable[[], object]) -> None:
    """Wait for *condition*, which what *node* publishes decides."""
    changed = asyncio.Event()
    shown, withdraw = node._show, node.withdraw

    def and_tell(act: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*arguments: Any) -> None:
            try:
                act(*arguments)
            finally:
                asyncio.get_running_loop().call_soon(changed.set)

        return wrapped

    node._show, node.withdraw = and_tell(shown), and_tell(withdraw)  # type: ignore[method-assign]
    try:
        async with asyncio.timeout(10):
            while not condition():
                changed.clear()
                await changed.wait()
    finally:
        node._show, node.withdraw = shown, withdraw  # type: ignore[method-assign]


@asynccontextmanager
async def host_of(url: str, **objects: Object) -> AsyncIterator[Node]:
    async with Node(limits=QUICK) as node:
        for name, source in objects.items():
            node.publish(source, name)
        await node.serve(url)
        yield node


# ------------------------------------------------------------------------------------------------ one host
@pytest.mark.parametrize("inner", ["local:{folder}/inner", "memory:{folder}", "http+local:{folder}/inner"])
async def test_an_object_of_another_host_works_through_a_proxy_as_it_does_there(inner: str, tmp_path: Path) -> None:
    url = inner.format(folder=tmp_path)
    source = room(1.0)
    async with host_of(url, hall=source), Node(limits=QUICK) as gateway:
        (outer,) = await gateway.serve(f"local:{tmp_path}/outer")
        await gateway.proxy(url)
        async with connect(outer, "hall", Room) as hall:
            heard = Heard()
            hall.warm.connect(heard)
            assert hall.level == 1.0
            assert await hall.double(4) == 8
            assert await Room.level.push(hall, 5.0) == 5.0 == source.level
            assert [number async for number in hall.count(3)] == [0, 1, 2]
            with pytest.raises(Fault, match="not now") as caught:
                await hall.fail()
            assert caught.value.code is Code.FAILED_PRECONDITION
            source.warm.emit(30.0)
            assert await heard.wait(1) == [(30.0,)]


async def test_objects_come_and_go_with_their_sources(tmp_path: Path) -> None:
    inner, outer = f"local:{tmp_path}/inner", f"local:{tmp_path}/outer"
    async with Node(limits=QUICK) as gateway:
        await gateway.serve(outer)
        async with host_of(inner, hall=room(1.0)) as host:
            await gateway.proxy(inner)
            async with connect(outer, "hall", Room) as hall:
                host.publish(room(2.0), "attic")
                await until(gateway, lambda: "attic" in gateway.published)
                suspect = Heard()
                link_of(hall).state_changed.connect(suspect)
                host.withdraw("hall")
                await suspect.wait(1)
                assert set(gateway.published) == {"attic"}
                host.publish(room(3.0), "hall")
                assert await suspect.wait(2) == [(ReplicaState.SUSPECT,), (ReplicaState.VALID,)]
                assert hall.level == 3.0
        await until(gateway, lambda: not gateway.published)
        async with host_of(inner, hall=Boiler()):
            await until(gateway, lambda: gateway.published)
            async with connect(outer, "hall", Boiler) as boiler:
                assert boiler.pressure == 1.0, "what comes back may be something else"


async def test_an_object_that_is_replaced_by_one_of_another_class_is_shown_as_that(tmp_path: Path) -> None:
    inner, outer = f"local:{tmp_path}/inner", f"local:{tmp_path}/outer"
    async with host_of(inner, hall=room(1.0)) as host, Node(limits=QUICK) as gateway:
        await gateway.serve(outer)
        await gateway.proxy(inner)
        await until(gateway, lambda: gateway.published)
        host.withdraw("hall")
        await until(gateway, lambda: not gateway.published)
        host.publish(Boiler(), "hall")
        async with connect(outer, "hall", Boiler) as boiler:
            assert boiler.pressure == 1.0


async def test_a_filter_says_what_is_shown_by_name_and_class(tmp_path: Path) -> None:
    inner = f"local:{tmp_path}/inner"
    asked = dict[str, str]()

    def accept(name: str, class_name: str) -> bool:
        asked[name] = class_name
        return class_name == "Room"

    async with host_of(inner, hall=room(1.0), boiler=Boiler()), Node(limits=QUICK) as gateway:
        await gateway.proxy(inner, accept=accept)
        await until(gateway, lambda: gateway.published)
        assert (set(gateway.published), asked) == ({"hall"}, {"hall": "Room", "boiler": "Boiler"})


async def test_names_that_are_taken_stay_what_they_are(tmp_path: Path) -> None:
    inner = f"local:{tmp_path}/inner"
    own = room(9.0)
    async with host_of(inner, hall=room(1.0), attic=room(2.0)), Node(limits=QUICK) as gateway:
        gateway.publish(own, "hall")
        await gateway.proxy(inner)
        await until(gateway, lambda: "attic" in gateway.published)
        assert gateway.published["hall"].object is own


async def test_a_proxy_has_a_policy_of_its_own(tmp_path: Path) -> None:
    inner, outer = f"local:{tmp_path}/inner", f"local:{tmp_path}/outer"
    async with host_of(inner, hall=room(1.0)), Node(limits=QUICK) as gateway:
        await gateway.serve(outer)
        await gateway.proxy(inner, policy=Policy(role=lambda _: Role.VIEWER))
        async with connect(outer, "hall", Room) as hall:
            assert hall.level == 1.0
            with pytest.raises(Fault) as caught:
                await hall.double(1)
            assert caught.value.code is Code.PERMISSION_DENIED


async def test_a_closed_proxy_takes_everything_back(tmp_path: Path) -> None:
    inner = f"local:{tmp_path}/inner"
    async with host_of(inner, hall=room(1.0)) as host, Node(limits=QUICK) as gateway:
        proxy = await gateway.proxy(inner)
        await until(gateway, lambda: gateway.published)
        await proxy.close()
        assert gateway.published == {}
        host.publish(room(2.0), "attic")
        assert len(gateway.tasks) == 0


async def test_a_node_may_end_before_its_proxies_and_a_host_before_both(tmp_path: Path) -> None:
    inner = f"local:{tmp_path}/inner"
    async with Node(limits=QUICK) as gateway:
        async with host_of(inner, hall=room(1.0)):
            await gateway.proxy(inner)
            await until(gateway, lambda: gateway.published)
        await until(gateway, lambda: not gateway.published)
    async with host_of(inner, hall=room(1.0)), Node(limits=QUICK) as gateway:
        await gateway.proxy(inner)
        await until(gateway, lambda: gateway.published)


async def test_a_proxy_of_nobody_is_a_link_error(tmp_path: Path) -> None:
    async with Node(limits=QUICK) as gateway:
        for url in (f"local:{tmp_path}/nobody", f"registry+local:{tmp_path}/nobody"):
            with pytest.raises(LinkError):
                await gateway.proxy(url)
        assert len(gateway.tasks) == 0


async def test_a_proxy_comes_back_to_a_host_that_was_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = asyncio.Event()
    monkeypatch.setattr(proxying.log, "warning", lambda *_: failed.set())
    inner = f"local:{tmp_path}/inner"
    async with Node(limits=QUICK) as gateway:
        async with host_of(inner, hall=room(1.0)):
            await gateway.proxy(inner)
            await until(gateway, lambda: gateway.published)
        await asyncio.wait_for(failed.wait(), 10)
        assert gateway.published == {}
        async with host_of(inner, hall=room(2.0)):
            await until(gateway, lambda: gateway.published)


async def test_what_cannot_be_shown_beside_others_is_counted_and_left_out(tmp_path: Path) -> None:
    class Point(msgspec.Struct, frozen=True):
        x: int

    class Own(Object):
        place: Property[Point] = prop(Point(1))

    def theirs() -> Object:
        class Point(msgspec.Struct, frozen=True):
            name: str

        class Other(Object):
            place: Property[Point] = prop(Point("here"))

        Other.__annotations__["place"] = Property[Point]
        return Other()

    Own.__annotations__["place"] = Property[Point]
    inner = f"local:{tmp_path}/inner"
    async with host_of(inner, other=theirs(), hall=room(1.0)), Node(limits=QUICK) as gateway:
        gateway.publish(Own(), "own")
        await gateway.proxy(inner)
        await until(gateway, lambda: "hall" in gateway.published and gateway.refusals["proxied_objects"])
        assert set(gateway.published) == {"own", "hall"}


async def test_a_proxy_of_a_host_shows_no_more_objects_than_the_limit_says(tmp_path: Path) -> None:
    inner = f"local:{tmp_path}/inner"
    rooms: dict[str, Object] = {f"room {n}": room(n) for n in range(5)}
    async with host_of(inner, **rooms), Node(limits=Limits(drain=0.0, objects_per_link=3)) as gateway:
        await gateway.proxy(inner)
        await until(gateway, lambda: len(gateway.published) == 3)
        assert gateway.refusals["proxied_objects"] >= 2


# ------------------------------------------------------------------------------------------------ a registry
async def test_a_proxy_of_a_registry_shows_the_objects_of_all_its_hosts(tmp_path: Path) -> None:
    inner, outer = f"registry+local:{tmp_path}/inner", f"local:{tmp_path}/outer"
    async with host_of(inner, own=room(1.0)), Node(limits=QUICK) as one, Node(limits=QUICK) as gateway:
        one.publish(room(2.0), "hall")
        one.publish(room(3.0), "secret")
        await one.serve(RemoteObjects(url=f"local:{tmp_path}/one", registry=inner))
        await gateway.serve(outer)
        proxy = await gateway.proxy(inner, accept=lambda name, _class: name != "secret")
        for name, level in {"own": 1.0, "hall": 2.0}.items():
            async with connect(outer, name, Room) as found:
                assert found.level == level
        assert set(gateway.published) == {"own", "hall"}
        one.withdraw("hall")
        await until(gateway, lambda: set(gateway.published) == {"own"})
        one.publish(room(4.0), "hall")
        async with connect(outer, "hall", Room) as hall:
            assert hall.level == 4.0
            await one.aclose()
            await until(gateway, lambda: set(gateway.published) == {"own"})
            async with Node(limits=QUICK) as two:
                two.publish(room(5.0), "hall")
                await two.serve(RemoteObjects(url=f"local:{tmp_path}/two", registry=inner))
                await until(gateway, lambda: "hall" in gateway.published)
                async for level in Room.level.watch(hall):
                    if level == 5.0:
                        break
        await proxy.close()
        assert gateway.published == {}


async def test_two_networks_show_each_other_what_they_have_and_nothing_comes_back(tmp_path: Path) -> None:
    """Proxy and reverse proxy: one program between an inner and an outer network, each with a registry and hosts."""
    inner, outer = f"registry+local:{tmp_path}/inner", f"registry+local:{tmp_path}/outer"
    async with host_of(inner) as inside, host_of(outer) as outside:
        async with Node(limits=QUICK) as a, Node(limits=QUICK) as b:
            a.publish(room(1.0), "a")
            b.publish(room(2.0), "b")
            await a.serve(RemoteObjects(url=f"local:{tmp_path}/a", registry=inner))
            await b.serve(RemoteObjects(url=f"local:{tmp_path}/b", registry=outer))
            await outside.proxy(inner)
            await inside.proxy(outer)
            async with connect(outer, "a", Room) as at_outer, connect(inner, "b", Room) as at_inner:
                assert (at_outer.level, at_inner.level) == (1.0, 2.0)
                assert await at_outer.double(3) == await at_inner.double(3) == 6
            assert (set(outside.published), set(inside.published)) == ({"a"}, {"b"})
        await until(outside, lambda: not outside.published)
        await until(inside, lambda: not inside.published)


async def test_a_registry_that_is_away_takes_nothing_from_who_was_found(tmp_path: Path) -> None:
    inner, outer = f"registry+local:{tmp_path}/inner", f"local:{tmp_path}/outer"
    async with Node(limits=QUICK) as one, Node(limits=QUICK) as gateway:
        one.publish(room(2.0), "hall")
        await gateway.serve(outer)
        async with host_of(inner):
            await one.serve(RemoteObjects(url=f"local:{tmp_path}/one", registry=inner))
            await gateway.proxy(inner)
            async with connect(outer, "hall", Room):
                pass
        async with connect(outer, "hall", Room) as hall:
            assert await hall.double(2) == 4
        one.publish(room(3.0), "attic")
        async with host_of(inner), connect(outer, "attic", Room) as attic:
            assert attic.level == 3.0
