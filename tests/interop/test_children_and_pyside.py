"""Child objects between us and real Qt programs in Python (PySide6): theirs in our replicas, ours in theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    Node,
    Object,
    Property,
    RemoteObjects,
    ReplicaState,
    connect,
    contract_of,
    i32,
    link_of,
    prop,
    signal,
    slot,
)
from everywire.model.types import child_type
from tests.interop.programs import qt_program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(40)]

Address = Callable[[str], str]


class Wheel(Object):
    turns: Property[i32] = prop(0, writable=True)

    @signal
    def spun(self, by: i32) -> None: ...

    @slot
    async def spin(self, by: i32) -> i32:
        self.turns += by
        self.spun.emit(by)
        return self.turns


class Mill(Object):
    wheel: Property[Wheel | None] = prop(None)

    @slot
    async def add_one(self, number: i32) -> i32:
        return number + 1


class Yard(Object):
    mill: Property[Mill | None] = prop(None)


def yard(turns: int) -> Yard:
    made = Yard()
    made.mill = Mill()
    made.mill.wheel = wheel(turns)
    return made


def wheel(turns: int) -> Wheel:
    made = Wheel()
    made.turns = turns
    return made


@pytest.mark.parametrize("cls", [Yard, None])
async def test_children_of_a_qobject_are_replicas(cls: type[Object] | None, address: Address) -> None:
    url = address("local")
    async with qt_program("family") as qt:
        assert await qt.ask("serve", url=url) is True
        async with connect(url, "yard", cls) as yard:
            inner: Any = yard.mill.wheel
            assert isinstance(inner, Wheel) is (cls is Yard)
            assert inner.turns == 3
            assert await yard.mill.add_one(1) == 2
            assert await inner.spin(4) == 7
            assert await qt.ask("turns") == 7
            assert await type(inner).turns.push(inner, 20) == 20
            heard: asyncio.Queue[int] = asyncio.Queue()
            inner.spun.connect(heard.put_nowait)
            await qt.ask("turn", by=2)
            assert (await heard.get(), inner.turns) == (2, 22)


@pytest.mark.parametrize("cls", [Mill, None])
async def test_a_child_of_a_qobject_comes_and_goes(cls: type[Object] | None, address: Address) -> None:
    url = address("local")
    async with qt_program("family") as qt:
        await qt.ask("serve", url=url)
        async with connect(url, "mill", cls) as mill:
            own: Any = type(mill)
            first = mill.wheel
            await qt.ask("replace", turns=50)
            await type(first).turns.wait_for(first, lambda turns: turns == 50)
            assert await first.spin(1) == 51
            assert mill.wheel is first
            await qt.ask("replace")
            await own.wheel.wait_for(mill, lambda wheel: wheel is None)
            assert link_of(first).state is ReplicaState.SUSPECT
            with pytest.raises(Fault) as caught:
                await first.spin(1)
            assert caught.value.code is Code.UNAVAILABLE
            await qt.ask("replace", turns=60)
            assert await own.wheel.wait_for(mill, lambda wheel: wheel is not None) is first
            assert first.turns == 60
            child: Any = child_type(contract_of(mill).members["wheel"].type)
            assert issubclass(type(first), child.cls)


async def test_of_classes_without_names_qt_describes_one(address: Address, caplog: pytest.LogCaptureFixture) -> None:
    """The child of the child is of another class, and Qt does not say of which."""
    url = address("local")
    async with qt_program("family") as qt:
        await qt.ask("serve", url=url)
        async with connect(url, "box") as box:
            assert box.inner.inner is None
            assert "does not say what it is; name its class by Q_CLASSINFO" in caplog.text


async def test_our_children_are_replicas_of_qt(address: Address) -> None:
    source = yard(5)
    async with Node() as node, qt_program("family") as qt:
        node.publish(source, "yard")
        (url,) = await node.serve(address("local"))
        await qt.ask("connect", url=url)
        await qt.ask("acquire", name="yard")
        await qt.hear("initialized", object="yard")
        assert await qt.ask("take", name="yard", prop="mill", keep="mill")
        assert await qt.ask("take", name="mill", prop="wheel", keep="wheel")
        assert await qt.ask("get", name="wheel", prop="turns") == ["int", 5]
        assert await qt.ask("listen", name="wheel", signal="turnsChanged(int)")
        assert await qt.ask("listen", name="wheel", signal="spun(int)")
        mill: Any = source.mill
        await qt.ask("call", name="wheel", slot="spin", number=4)
        await qt.hear("heard", object="wheel", signal="turnsChanged(int)", arguments=[9])
        await qt.hear("heard", object="wheel", signal="spun(int)", arguments=[4])
        await qt.ask("set", name="wheel", prop="turns", value=30)
        await qt.hear("heard", object="wheel", signal="turnsChanged(int)", arguments=[30])
        assert mill.wheel.turns == 30


async def test_a_child_of_ours_comes_and_goes_in_qt(address: Address) -> None:
    """A child in a child too: that is where nodes of Qt crash when the same names come again."""
    source = yard(5)
    async with Node() as node, qt_program("family") as qt:
        node.publish(source, "yard")
        (url,) = await node.serve(address("local"))
        await qt.ask("connect", url=url)
        await qt.ask("acquire", name="yard")
        await qt.hear("initialized", object="yard")
        assert await qt.ask("listen", name="yard", signal="millChanged(QObject*)")
        for turns in (10, 20):
            source.mill = mill = Mill()
            await qt.hear("heard", object="yard", signal="millChanged(QObject*)")
            mill.wheel = wheel(turns)
            await qt.ask("take", name="yard", prop="mill", keep="mill")
            assert await qt.ask("listen", name="mill", signal="wheelChanged(QObject*)")
            mill.wheel = wheel(turns + 1)
            await qt.hear("heard", object="mill", signal="wheelChanged(QObject*)")
            await qt.ask("take", name="mill", prop="wheel", keep="wheel")
            assert await qt.ask("get", name="wheel", prop="turns") == ["int", turns + 1]
        source.mill = None
        await qt.hear("heard", object="yard", signal="millChanged(QObject*)")
        assert await qt.ask("take", name="yard", prop="mill", keep="mill") is False
        node.withdraw("yard")
        node.publish(yard(1), "yard")
        await qt.hear("initialized", object="yard")
        assert await qt.ask("take", name="yard", prop="mill", keep="mill")


async def test_qt_survives_a_restart_of_a_host_for_dynamic_replicas_only(address: Address) -> None:
    """Its nodes crash when children of children come again under their old names."""
    url = address("local")
    async with qt_program("family") as qt:
        for turns in (5, 6):
            async with Node() as node:
                node.publish(yard(turns), "yard")
                await node.serve(RemoteObjects(url=url, dynamic_only=True))
                if turns == 5:
                    await qt.ask("connect", url=url)
                    await qt.ask("acquire", name="yard")
                await qt.hear("state", object="yard", state="Valid")
                await qt.ask("take", name="yard", prop="mill", keep="mill")
                await qt.ask("take", name="mill", prop="wheel", keep="wheel")
                assert await qt.ask("get", name="wheel", prop="turns") == ["int", turns]
