"""Sources that are withdrawn, come back, or are replaced by something else, while replicas live on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    Node,
    Object,
    Property,
    ReplicaState,
    SignatureMismatch,
    connect,
    link_of,
    prop,
    slot,
)
from everywire.runtime import supervisor
from tests.remoteobjects.peers import QUICK


class Hall(Object):
    level: Property[int] = prop(1, writable=True)
    note: Property[str] = prop("")

    @slot
    async def double(self, value: int) -> int:
        return 2 * value


class Tower(Object):
    level: Property[str] = prop("top")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "NEAR", 0.0)


async def test_a_source_that_comes_back_is_the_same_replica_and_only_what_differs_changes(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "hall")
        (url,) = await node.serve(f"local:{folder}/host")
        async with connect(url, "hall", Hall) as replica:
            heard: list[Any] = []
            Hall.level.on_change(replica, heard.append)
            Hall.note.on_change(replica, heard.append)
            link_of(replica).state_changed.connect(heard.append)
            node.withdraw("hall")
            await link_of(replica).wait_for(ReplicaState.SUSPECT)
            with pytest.raises(Fault, match="hall is suspect") as refused:
                await replica.double(1)
            assert (refused.value.code, refused.value.may_have_run) == (Code.UNAVAILABLE, False)
            other = Hall()
            other.level = 5
            node.publish(other, "hall")
            await link_of(replica).wait_valid()
            assert heard == [ReplicaState.SUSPECT, ReplicaState.VALID, 5]
            assert await replica.double(4) == 8


async def test_another_class_in_its_place_is_a_mismatch_and_the_old_values_stay(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        hall = Hall()
        hall.level = 3
        node.publish(hall, "hall")
        (url,) = await node.serve(f"local:{folder}/host")
        async with connect(url, "hall", Hall) as replica:
            node.withdraw("hall")
            node.publish(Tower(), "hall")
            await link_of(replica).wait_for(ReplicaState.SIGNATURE_MISMATCH)
            with pytest.raises(SignatureMismatch) as told:
                await link_of(replica).wait_valid()
            assert told.value.differences == (
                "expected level: i64 (writable), offered level: str",
                "property note is missing",
                "slot double is missing",
            )
            assert replica.level == 3
            with pytest.raises(Fault, match="hall is signature mismatch"):
                await replica.double(1)
            node.withdraw("hall")
            node.publish(hall, "hall")
            await link_of(replica).wait_for(ReplicaState.VALID)
            assert await replica.double(4) == 8


async def test_a_mismatch_whose_host_is_gone_leaves_a_suspect_replica_with_its_values(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "hall")
        (url,) = await node.serve(f"local:{folder}/host")
        async with connect(url, "hall", Hall) as replica:
            node.withdraw("hall")
            node.publish(Tower(), "hall")
            await link_of(replica).wait_for(ReplicaState.SIGNATURE_MISMATCH)
            await node.aclose()
            await link_of(replica).wait_for(ReplicaState.SUSPECT)
            assert replica.level == 1
            async with Node(limits=QUICK) as again:
                again.publish(Hall(), "hall")
                await again.serve(url)
                await link_of(replica).wait_valid()


async def test_calls_that_wait_when_the_source_is_withdrawn_fail(folder: Path) -> None:
    class Slow(Object):
        def __init__(self) -> None:
            self.begun = asyncio.Event()

        @slot(timeout=None)
        async def wait(self) -> None:
            self.begun.set()
            await asyncio.Event().wait()

    async with Node(limits=QUICK) as node:
        slow = Slow()
        node.publish(slow, "slow")
        (url,) = await node.serve(f"local:{folder}/host")
        async with connect(url, "slow", Slow) as replica:
            calling = asyncio.create_task(_awaited(replica.wait()))
            await slow.begun.wait()
            node.withdraw("slow")
            with pytest.raises(Fault, match="the host withdrew slow") as failed:
                await calling
            assert failed.value.code is Code.UNAVAILABLE


async def _awaited(call: Any) -> Any:
    return await call


async def test_a_replica_that_waits_for_its_object_gets_the_one_that_fits(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Tower(), "hall")
        (url,) = await node.serve(f"local:{folder}/host")
        async with connect(url, "hall", Hall, wait=False) as replica:
            await link_of(replica).wait_for(ReplicaState.SIGNATURE_MISMATCH)
            assert replica.level == 1
            node.withdraw("hall")
            node.publish(Hall(), "hall")
            await link_of(replica).wait_for(ReplicaState.VALID)
            assert await replica.double(4) == 8
