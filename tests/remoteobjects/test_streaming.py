"""Streams on the wire: a host gives no more than was granted, and either side may lie about the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from everywire import Code, Fault, Limits, ModelError, Object, RemoteProtocolError, connect, link_of, slot
from everywire.model import contract_of
from everywire.model.description import describe
from everywire.remoteobjects.codec import InitDynamic, Invoke
from everywire.remoteobjects.codec.extension import NAME, Method, Told, ToldBy, answer, ask, read_told, tell
from everywire.remoteobjects.wire.layout import definition_of
from everywire.runtime.incoming import WINDOW
from everywire.runtime.streaming import MOST_GRANTED
from tests.conformance.plant import Tap
from tests.remoteobjects.peers import RawPeer, greet, hosting, raw_host, raw_node, until_asked_for


async def told(peer: RawPeer) -> ToldBy:
    """Return the next thing that the host tells of streams."""
    packet = await peer.find(Invoke, lambda packet: packet.name == NAME)
    found = read_told(packet)
    assert found is not None
    return found


def opening(slot: str, *arguments: object, number: int = 1) -> bytes:
    return ask(Method.OPEN, "tap", slot, list(arguments), number)


async def offer_tap(peer: RawPeer) -> None:
    """Greet and attach as an everywire host of one tap."""
    await greet(peer, "tap", welcome=True)
    asked = await peer.find(Invoke)
    await peer.send(answer(asked.serial, describe(contract_of(Tap))))
    await until_asked_for(peer, "tap")
    await peer.send(InitDynamic("tap", definition_of(contract_of(Tap)), ()))


async def test_a_host_gives_exactly_what_was_granted(folder: Path) -> None:
    tap = Tap()
    async with hosting(folder, tap=tap) as (_, url), raw_node(url, extended=True) as peer:
        await peer.send(opening("numbers", 5))
        await peer.fence()
        assert tap.yielded == 0, "nothing was granted"
        await peer.send(ask(Method.GRANT, 1, 2), ask(Method.GRANT, 1, 1))
        assert [(await told(peer)).arguments for _ in range(3)] == [(1, 0), (1, 1), (1, 2)]
        await peer.fence()
        assert tap.yielded == 3
        await peer.send(ask(Method.GRANT, 1, -100), ask(Method.GRANT, 1, 100))
        assert [(await told(peer)).what for _ in range(3)] == [Told.ITEM, Told.ITEM, Told.END]
        assert tap.open == 0


async def test_streams_have_numbers_of_their_own_and_a_limit(folder: Path) -> None:
    limits = Limits(drain=0.0, pending_calls=4)
    async with hosting(folder, limits=limits, tap=Tap()) as (node, url), raw_node(url, extended=True) as peer:
        await peer.send(opening("waiting"), opening("waiting"))
        await peer.fence()
        assert node.refusals["RESOURCE_EXHAUSTED"] == 1, "a number in use"
        await peer.send(*[opening("waiting", number=n) for n in range(2, 5)])
        await peer.send(ask(Method.GRANT, 1, 1))
        assert (await told(peer)).arguments == (1, 0)


@pytest.mark.parametrize("arguments", [("many",), (1, 2, 3), (), ([],)])
async def test_a_stream_that_cannot_start_fails_by_name(folder: Path, arguments: tuple[object, ...]) -> None:
    async with hosting(folder, tap=Tap()) as (_, url), raw_node(url, extended=True) as peer:
        await peer.send(opening("numbers", *arguments))
        failed = await told(peer)
        assert failed.what is Told.FAILED
        assert failed.arguments[:2] == (1, Code.INVALID_ARGUMENT.value)


async def test_closing_ends_the_generator_and_frees_the_number(folder: Path) -> None:
    tap = Tap()
    async with hosting(folder, tap=tap) as (_, url), raw_node(url, extended=True) as peer:
        for _ in range(2):
            await peer.send(opening("waiting"), ask(Method.GRANT, 1, 5))
            assert (await told(peer)).what is Told.ITEM
            await peer.send(ask(Method.CLOSE, 1))
            await tap.bell.until(lambda: not tap.open)
            await peer.fence()


async def test_a_reader_that_vanishes_ends_the_generator(folder: Path) -> None:
    tap = Tap()
    async with hosting(folder, tap=tap) as (_, url):
        async with raw_node(url, extended=True) as peer:
            await peer.send(opening("waiting"), ask(Method.GRANT, 1, 5))
            await told(peer)
            assert tap.open == 1
        await tap.bell.until(lambda: not tap.open)


# ------------------------------------------------------------------------------------------------------ hostile hosts
async def test_a_node_takes_what_a_host_tells_of_its_streams_and_nothing_else(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        await offer_tap(peer)
        opened = await peer.find(Invoke, lambda packet: packet.index == Method.OPEN)
        number = opened.arguments[3]
        await peer.send(
            tell(Told.ITEM, 99, 1),
            tell(Told.END, 99),
            tell(Told.ITEM, "x"),
            tell(Told.GAP, "x"),
            tell(Told.ITEM, number, 7),
            tell(Told.ITEM, number, "not a number"),
            tell(Told.ITEM, number, 8),
        )
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url, connect(url, "tap", Tap) as tap:
        numbers = tap.numbers(3)
        assert await anext(numbers) == 7
        for _ in range(2):
            with pytest.raises((ModelError, Fault)):
                await anext(numbers)


async def test_two_tasks_may_wait_for_one_stream_to_end(folder: Path) -> None:
    async with hosting(folder, tap=Tap()) as (node, url), connect(url, "tap", Tap) as tap:
        items = tap.waiting()
        assert await anext(items) == 0
        readers = [asyncio.ensure_future(anext(items)) for _ in range(2)]
        await asyncio.sleep(0)
        await node.aclose()
        for end in await asyncio.gather(*readers, return_exceptions=True):
            assert isinstance(end, Fault)


class Spring(Object):
    """A stream without an end that never waits; `yielded` counts what it gave."""

    def __init__(self) -> None:
        self.yielded = 0

    @slot
    async def drops(self, size: int) -> AsyncIterator[bytes]:
        while True:
            self.yielded += 1
            yield bytes(size)


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_stream_pauses_while_its_link_is_congested_whatever_was_granted(folder: Path) -> None:
    spring = Spring()
    limits = Limits(drain=0.0, unsent_soft=64 * 1024)
    async with hosting(folder, limits=limits, tap=spring) as (_, url), raw_node(url, extended=True) as peer:
        await peer.send(opening("drops", 50_000), ask(Method.GRANT, 1, 500))
        while not spring.yielded:
            await asyncio.sleep(0)
        assert spring.yielded < 100
        for _ in range(500):
            assert (await told(peer)).what is Told.ITEM
        assert spring.yielded == 500


async def test_a_grant_that_nobody_has_room_for_does_not_stop_the_loop(folder: Path) -> None:
    spring = Spring()
    async with hosting(folder, tap=spring) as (_, url), raw_node(url, extended=True) as peer:
        await peer.send(opening("drops", 0), ask(Method.GRANT, 1, 2**31 - 1), ask(Method.GRANT, 1, 2**31 - 1))
        await peer.fence()
        while spring.yielded < MOST_GRANTED:
            await asyncio.sleep(0)
        await peer.fence()
        assert spring.yielded == MOST_GRANTED


async def test_a_host_that_sends_more_than_it_was_granted_loses_its_stream(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        await offer_tap(peer)
        opened = await peer.find(Invoke, lambda packet: packet.index == Method.OPEN)
        number = opened.arguments[3]
        await peer.send(*[tell(Told.ITEM, number, n) for n in range(WINDOW + 50)])
        await peer.find(Invoke, lambda packet: packet.index == Method.CLOSE)
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url, connect(url, "tap", Tap) as tap:
        numbers = tap.numbers(3)
        await asyncio.sleep(0)
        while numbers._end is None:
            await asyncio.sleep(0)
        assert [await anext(numbers) for _ in range(WINDOW)] == list(range(WINDOW))
        with pytest.raises(RemoteProtocolError, match="granted"):
            await anext(numbers)


async def test_a_stream_that_another_thread_forgets_is_closed_in_the_loops_thread(folder: Path) -> None:
    tap = Tap()
    async with hosting(folder, tap=tap) as (_, url), connect(url, "tap", Tap) as replica:
        streams = [replica.waiting()]
        assert await anext(streams[0]) == 0
        await asyncio.to_thread(streams.clear)
        await tap.bell.until(lambda: not tap.open)


async def test_a_call_behind_a_stream_opened_in_the_same_turn_has_a_deadline(folder: Path) -> None:
    async with hosting(folder, tap=Tap()) as (_, url), connect(url, "tap", Tap) as tap:
        stream = tap.waiting()
        call = tap.hold()
        assert link_of(tap).channel.sweeping
        call.cancel()
        await stream.aclose()
