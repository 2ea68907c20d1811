"""Qt programs in C++ that let go of objects of ours and use them again, in either form, or find another class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from everywire import Node
from tests.interop import sources
from tests.interop.cpp_programs import cpp_node
from tests.interop.matrix import CPP, QT5, Feature, Role, shows
from tests.programs import Program

pytestmark = [pytest.mark.interop, pytest.mark.cpp]

Address = Callable[[str], str]
REPLICA: Final = Role.REPLICA


def served(peer: str, url: str) -> str:
    """The URL for a host that speaks the protocol of *peer*."""
    return f"{url}?protocol=1.3" if peer == QT5 else url


async def acquired(qt: Program, cls: str | None) -> None:
    """Have it acquire the object, and wait until the replica is valid."""
    if cls is None:
        await qt.ask("acquire", name="it")
    else:
        await qt.ask("acquire_static", name="it", cls=cls)
    await qt.hear("state", object="it", state="Valid")


@pytest.mark.parametrize("other", ["Valve", "Hall"])
@shows(Feature.DYNAMIC, REPLICA, *CPP)
async def test_a_dynamic_replica_waits_while_its_name_stands_for_another_class(
    peer: str, other: str, address: Address
) -> None:
    """Qt crashes at values that are not those of the class that it knows."""
    async with Node() as node, cpp_node(peer) as qt:
        node.publish(sources.Kinds(), "it")
        (where,) = await node.serve(served(peer, address("local")))
        assert await qt.ask("connect", url=where)
        await acquired(qt, None)
        for cls in (other, "Kinds"):
            node.withdraw("it")
            if cls == other:
                await qt.hear("state", object="it", state="Suspect")
            node.publish(getattr(sources, cls)(), "it")
        await qt.hear("state", object="it", state="Valid")
        assert await qt.ask("get", name="it", prop="number") == ["int", -7]


@pytest.mark.parametrize("cls", ["Kinds", "Pump", "Hall"])
@pytest.mark.parametrize("steps", ["DrDrD", "SrSrS", "SrDrSrD", "DrSrDrS", "DRrD", "SRrSRrD"])
@shows(Feature.DYNAMIC, REPLICA, *CPP)
async def test_a_replica_is_released_and_acquired_again_in_either_form(
    peer: str, steps: str, cls: str, address: Address
) -> None:
    """Dynamic, Static, release, Republish. Qt crashes here with hosts of Qt, at what is left of the old children."""
    async with Node() as node, cpp_node(peer) as qt:
        node.publish(getattr(sources, cls)(), "it")
        (where,) = await node.serve(served(peer, address("local")))
        assert await qt.ask("connect", url=where)
        form = ""
        for step in steps:
            if step == "r":
                await qt.ask("release", name="it")
                continue
            if step == "R":
                node.withdraw("it")
                await qt.hear("state", object="it", state="Suspect")
                node.publish(getattr(sources, cls)(), "it")
                await qt.hear("state", object="it", state="Valid")
            else:
                form = step
                await acquired(qt, cls if form == "S" else None)
            if cls == "Hall":
                await qt.ask("take", name="it", prop="pump", **{"as": "pump"})
                assert await qt.ask("get", name="pump", prop="speed") == ["int", 3]
            elif cls == "Kinds":
                expected = "QList<int>" if form == "S" else "QVariantList"
                assert (await qt.ask("get", name="it", prop="numbers"))[0] == expected
