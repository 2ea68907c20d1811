"""Replicas of objects of one's own node: by the node itself, and by an address that it serves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from everywire import Fault, LinkError, Node, ReplicaState, SignatureMismatch, connect, link_of
from tests.memory.plant import Fridge, Oven


async def test_a_node_stands_in_the_place_of_an_address() -> None:
    async with Node() as node:
        source = Oven()
        node.publish(source, "oven")
        async with connect(node, "oven", Oven) as first, connect(node, "oven") as second:
            assert first is not source
            source.current = 33.0
            assert first.current == 20.0  # never within the call that causes it
            assert await Oven.current.wait_for(first, lambda current: current == 33.0) == 33.0
            assert await second.bake(2) == 120
            assert source.current == 35.0
            first.history.append(1)
            assert source.history == []  # the two share no values
            assert node.addresses == ()
            assert len(node.servers) == 1


async def test_the_replica_follows_what_is_withdrawn_and_published_again() -> None:
    async with Node() as node:
        node.publish(Oven(), "oven")
        async with connect(node, "oven", Oven) as oven:
            node.withdraw("oven")
            await link_of(oven).wait_for(ReplicaState.SUSPECT)
            again = Oven()
            again.current = 50.0
            node.publish(again, "oven")
            await link_of(oven).wait_valid()
            assert oven.current == 50.0
            node.withdraw("oven")
            node.publish(Fridge(), "oven")
            await link_of(oven).wait_for(ReplicaState.SIGNATURE_MISMATCH)
            with pytest.raises(SignatureMismatch, match="expected target: f64"):
                await link_of(oven).wait_valid()
            assert oven.current == 50.0


async def test_a_node_that_does_not_run_here_is_a_link_error() -> None:
    node = Node()
    with pytest.raises(LinkError, match="that node does not run in this loop"):
        async with connect(node, "oven", Oven, timeout=0):
            pass
    async with node:
        node.publish(Oven(), "oven")

        async def visit() -> str:
            try:
                async with connect(node, "oven", Oven, timeout=0):
                    return "reached"
            except LinkError as error:
                return str(error)

        told = await asyncio.get_running_loop().run_in_executor(None, asyncio.run, visit())
        assert "that node does not run in this loop" in told


async def test_the_replica_is_suspect_when_the_node_ends() -> None:
    async with Node() as node:
        node.publish(Oven(), "oven")
        async with connect(node, "oven", Oven) as oven:
            await node.aclose()
            assert link_of(oven).state is ReplicaState.SUSPECT
            with pytest.raises(Fault, match="oven is suspect"):
                await oven.bake(1)


async def test_a_node_may_connect_to_an_address_of_its_own(tmp_path: Path) -> None:
    async with Node() as node:
        node.publish(Oven(), "oven")
        (url,) = await node.serve(f"local:{tmp_path}/own")
        async with connect(url, "oven", Oven) as oven:
            assert await oven.bake(5) == 300
            assert oven.current == 25.0
