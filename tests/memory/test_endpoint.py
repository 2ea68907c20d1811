from __future__ import annotations

import asyncio

import pytest

from everywire import AddressInUse, Fault, LinkError, Memory, Node, connect, link_of
from tests.memory.plant import Oven


async def test_settings_serve_and_connect_like_a_url() -> None:
    async with Node() as node:
        node.publish(Oven(), "oven")
        assert await node.serve(Memory(url="memory:kitchen")) == ("memory:kitchen",)
        async with connect(Memory(url="memory:kitchen"), "oven", Oven) as oven:
            assert link_of(oven).url == "memory:kitchen"


async def test_a_name_that_is_served_is_taken_until_it_is_closed() -> None:
    async with Node() as node, Node() as other:
        await node.serve("memory:kitchen")
        with pytest.raises(AddressInUse, match="memory:kitchen is served already in this process"):
            await other.serve("memory:cellar", "memory:kitchen")
        await node.aclose()
        assert await other.serve("memory:kitchen", "memory:cellar") == ("memory:kitchen", "memory:cellar")


async def test_a_name_that_nobody_serves_is_a_link_error_with_advice() -> None:
    with pytest.raises(LinkError, match="nobody serves memory:nowhere in this process"):
        async with connect("memory:nowhere", "oven", Oven, timeout=0):
            pass


async def test_a_node_of_another_loop_is_not_reached() -> None:
    async def visit() -> str:
        try:
            async with connect("memory:kitchen", "oven", Oven, timeout=0):
                return "reached"
        except LinkError as error:
            return str(error)

    async with Node() as node:
        node.publish(Oven(), "oven")
        await node.serve("memory:kitchen")
        told = await asyncio.get_running_loop().run_in_executor(None, asyncio.run, visit())
        assert "memory:kitchen is served by another loop" in told


async def test_an_object_that_is_not_there_is_not_found_and_the_others_are_named() -> None:
    async with Node() as node:
        await node.serve("memory:kitchen")
        with pytest.raises(Fault, match="it offers nothing"):
            async with connect("memory:kitchen", "oven", Oven, timeout=0):
                pass
        node.publish(Oven(), "left")
        node.publish(Oven(), "east")
        with pytest.raises(Fault, match="no object 'oven' at memory:kitchen; it offers east, left") as missing:
            async with connect("memory:kitchen", "oven", Oven, timeout=0):
                pass
        assert not missing.value.may_have_run
