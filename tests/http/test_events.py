"""Event streams: what they tell, when they end, and what a client that does not read them costs."""

from __future__ import annotations

import asyncio
import resource
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from everywire import Limits, Object, Policy, Property, Role, SlowPeer, prop, signal
from everywire.http import events
from tests.http.conftest import Trail
from tests.http.peers import Events, Mode, Thermostat, served, until


async def test_an_object_tells_its_contract_its_values_and_what_happens() -> None:
    room = Thermostat()
    async with served(hall=room) as host, host.connection() as raw:
        await raw.send("GET /objects/hall/events")
        head = await raw.head()
        assert head.headers["content-type"] == "text/event-stream"
        assert head.headers["cache-control"] == "no-store"
        stream = Events(raw)
        assert await stream.block() == "retry: 1000"
        first = await stream.next()
        assert first["contract"]["name"] == "Thermostat"
        assert first["values"]["target"] == 21.0
        room.mode = Mode.HEAT
        room.overheated.emit(33.3, "roof\n\ndata: x")
        room.target = 30.0
        assert await stream.next() == {"changed": "mode", "value": "HEAT"}
        assert await stream.next() == {"emitted": "overheated", "arguments": [33.3, "roof\n\ndata: x"]}
        assert await stream.next() == {"changed": "target", "value": 30.0}
        assert await stream.next() == {"changed": "error", "value": 10.0}
        host.node.withdraw("hall")
        assert await stream.next() == {"withdrawn": "hall"}
        assert await stream.next() is None


async def test_one_property_can_be_followed_by_itself() -> None:
    room = Thermostat()
    async with served(hall=room) as host, host.connection() as raw:
        await raw.send("GET /objects/hall/properties/error", "Accept: text/event-stream")
        await raw.head()
        stream = Events(raw)
        assert await stream.next() == 1.0
        room.mode = Mode.HEAT
        room.current = 25.0
        assert await stream.next() == -4.0
        host.node.withdraw("hall")
        assert await stream.next() is None


async def test_one_signal_can_be_followed_by_itself() -> None:
    room = Thermostat()
    async with served(hall=room) as host, host.connection() as raw:
        await raw.send("GET /objects/hall/signals/overheated")
        await raw.head()
        stream = Events(raw)
        assert await stream.block() == "retry: 1000"
        room.target = 5.0
        room.overheated.emit(1.0, "a")
        assert await stream.next() == [1.0, "a"]
        assert (await host.ask("GET /objects/hall/signals/target")).problem == (404, "NOT_FOUND")


async def test_a_silent_stream_has_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.01)
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        await raw.send("GET /objects/hall/signals/overheated")
        await raw.head()
        stream = Events(raw)
        assert [await stream.block() for _ in range(3)] == ["retry: 1000", ":", ":"]


async def test_nothing_is_left_of_a_client_that_has_gone() -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        before = len(host.node.tasks)
        for path in ("events", "properties/target", "signals/overheated"):
            async with host.connection() as raw:
                await raw.send(f"GET /objects/hall/{path}", "Accept: text/event-stream")
                await raw.head()
                assert len(host.server.links) == 1
            await host.idle()
            await until(lambda: not host.server.links and len(host.node.tasks) == before)
        assert not host.server.hosted["hall"].links
        room.target = 30.0


async def test_a_request_that_is_pipelined_behind_a_stream_does_not_keep_it_alive() -> None:
    async with served(hall=Thermostat()) as host:
        async with host.connection() as raw:
            await raw.send("GET /objects/hall/events")
            await raw.send("GET /objects")
            await raw.head()
            await until(lambda: host.server.links)
            raw.writer.transport.abort()
        await until(lambda: not host.server.links)
        await host.idle()


async def test_a_closing_node_ends_its_streams() -> None:
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        await raw.send("GET /objects/hall/events")
        await raw.head()
        stream = Events(raw)
        await stream.next()
        await host.node.aclose(grace=1.0)
        assert await stream.next() is None
        assert await raw.ended() == b""


async def test_whoever_may_not_see_the_object_any_more_hears_no_more() -> None:
    policy = Policy()
    async with served() as host, host.connection() as raw:
        host.node.publish(Thermostat(), "hall", policy=policy)
        await raw.send("GET /objects/hall/events")
        await raw.head()
        stream = Events(raw)
        await stream.next()
        policy.role = lambda _: Role.STRANGER
        policy.forget()
        assert await stream.next() == {"withdrawn": "hall"}
        assert await stream.next() is None


async def test_a_revoked_token_ends_its_streams_soon(logins: Any, trail: Trail) -> None:
    async with served(hall=Thermostat(), tokens=logins.tokens) as host, host.connection() as raw:
        await raw.send("GET /objects/hall/events", logins.bearer)
        await raw.head()
        stream = Events(raw)
        await stream.next()
        assert trail.take() == []
        begun = asyncio.get_running_loop().time()
        logins.tokens.remove("panel")
        assert await stream.next() is None
        assert asyncio.get_running_loop().time() - begun < 2.0
        (line,) = trail.take()
        assert (line["denied"], line["caller"]) == ("login", "token:panel")
        await until(lambda: not host.server.links)


async def test_a_revoked_token_leaves_one_line_however_much_waits(logins: Any, trail: Trail) -> None:
    room = Thermostat()
    async with served(hall=room, tokens=logins.tokens) as host, host.connection() as raw:
        await raw.send("GET /objects/hall/events", logins.bearer)
        await raw.head()
        stream = Events(raw)
        await stream.next()
        logins.tokens.remove("panel")
        for n in range(5):
            room.current = 30.0 + n
            room.overheated.emit(40.0 + n, "roof")
            await asyncio.sleep(0)
        host.node.recheck()
        assert await stream.next() is None, "nothing is said after the revocation"
        assert len(trail.take()) == 1


class Feeder(Object):
    value: Property[str] = prop("")
    other: Property[int] = prop(0)

    @signal
    def ticked(self, text: str) -> None: ...


SMALL = Limits(unsent_soft=16 * 1024, unsent_hard=64 * 1024, drain=0.0, write_deadline=0.2)


async def fill(host: Any, feeder: Feeder, rounds: int) -> None:
    """Say much more than a client that does not read can have."""
    for n in range(rounds):
        feeder.value = f"{n} " + "x" * 2000
        feeder.other = n
        feeder.ticked.emit(f"{n} " + "y" * 2000)
        await asyncio.sleep(0)


async def test_a_client_that_does_not_read_costs_its_outbox_and_catches_up() -> None:
    """Values conflate to the newest, signals are dropped and counted, and others hear everything meanwhile."""
    feeder = Feeder()
    async with served(feeder=feeder, limits=SMALL) as host, host.connection() as slow, host.connection() as quick:
        for raw in (slow, quick):
            await raw.send("GET /objects/feeder/events")
            await raw.head()
        hears, stream = Events(quick), Events(slow)
        assert "values" in await hears.next()
        slow.writer.transport.pause_reading()
        reading = asyncio.ensure_future(collect(hears, "end"))
        await fill(host, feeder, 4000)
        (link,) = [link for link in host.server.links if link.outbox.congested]
        assert link.outbox.waiting_bytes <= SMALL.unsent_hard
        assert link._pump._size <= 2 * SMALL.unsent_soft
        feeder.ticked.emit("end")
        heard = await reading
        assert [t["arguments"][0].split()[0] for t in heard if "emitted" in t][:4000] == [*map(str, range(4000))]
        slow.writer.transport.resume_reading()
        told = await collect(stream, "end")
        gaps = sum(message.get("gap", 0) for message in told)
        signals = [message for message in told if "emitted" in message]
        assert gaps > 0
        assert gaps + len(signals) == 4001
        assert [m["value"] for m in told if m.get("changed") == "other"][-1] == 3999


async def test_signals_that_were_dropped_from_the_stream_of_one_are_no_emission() -> None:
    feeder = Feeder()
    async with served(feeder=feeder, limits=SMALL) as host, host.connection() as slow:
        await slow.send("GET /objects/feeder/signals/ticked")
        await slow.head()
        slow.writer.transport.pause_reading()
        await until(lambda: host.server.links)
        await fill(host, feeder, 4000)
        feeder.ticked.emit("end")
        slow.writer.transport.resume_reading()
        stream, gaps, heard = Events(slow), 0, 0
        async with asyncio.timeout(15):
            while (block := await stream.block()) != 'data: ["end"]':
                assert block is not None
                if block.endswith("\nevent: gap"):
                    gaps += int(block.removeprefix("data: ").partition("\n")[0])
                else:
                    heard += block.startswith('data: ["')
        assert gaps > 0
        assert gaps + heard == 4000


async def collect(stream: Events, last: str) -> list[dict[str, Any]]:
    """Return the messages until the signal *last*."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(15):
        while (message := await stream.next()) is not None:
            found.append(message)
            if message.get("arguments") == [last]:
                break
    return found


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_client_that_does_not_read_is_cut_where_the_limits_say_so(caplog: pytest.LogCaptureFixture) -> None:
    feeder = Feeder()
    limits = Limits(
        unsent_soft=16 * 1024, unsent_hard=64 << 20, write_deadline=0.05, drain=0.0, slow_peer=SlowPeer.DISCONNECT
    )
    async with served(feeder=feeder, limits=limits) as host, host.connection() as slow:
        await slow.send("GET /objects/feeder/events")
        await slow.head()
        slow.writer.transport.pause_reading()
        await until(lambda: host.server.links)
        await fill(host, feeder, 4000)
        await until(lambda: not host.server.links)
        await host.idle()
        assert host.node.refusals["write_deadline"] == 1
    assert caplog.records == []


async def test_a_client_that_is_cut_for_a_signal_takes_it_from_nobody_else() -> None:
    feeder = Feeder()
    limits = Limits(unsent_soft=4096, unsent_hard=1 << 20, drain=0.0, slow_peer=SlowPeer.DISCONNECT)
    async with (
        served(feeder=feeder, limits=limits) as host,
        host.connection() as slow,
        host.connection() as raw,
    ):
        for connection in (slow, raw):
            await connection.send("GET /objects/feeder/events")
            await connection.head()
        slow.writer.transport.pause_reading()
        stream, number = Events(raw), 0
        await stream.next()
        await until(lambda: len(host.server.links) == 2)
        while len(host.server.links) == 2:
            number += 1
            feeder.ticked.emit(f"{number} " + "x" * 30_000)
            assert (await stream.next())["arguments"][0].startswith(f"{number} ")


async def test_a_stalled_client_does_not_hold_up_the_end() -> None:
    feeder = Feeder()
    async with served(feeder=feeder, limits=SMALL) as host, host.connection() as slow:
        await slow.send("GET /objects/feeder/events")
        await slow.head()
        slow.writer.transport.pause_reading()
        await fill(host, feeder, 4000)
        async with asyncio.timeout(5):
            await host.node.aclose()


async def test_events_are_whole_lines_whatever_they_hold() -> None:
    room = Thermostat()
    async with served(hall=room) as host, host.connection() as raw:
        await raw.send("GET /objects/hall/properties/anything", "Accept: text/event-stream")
        await raw.head()
        stream = Events(raw)
        assert await stream.block() == "retry: 1000"
        assert await stream.block() == "data: null"
        room.anything = "a\r\n\r\nevent: x\r\ndata: y\u2028\x85"
        assert await stream.next() == "a\r\n\r\nevent: x\r\ndata: y\u2028\x85"


def resident() -> float:
    """MiB of memory that this process has."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / (1 << 20)


@pytest.mark.loops("asyncio", "uvloop")
async def test_clients_that_never_read_cost_their_limit_in_memory(record_property: Any, soak: Any) -> None:
    feeder, limits, clients = Feeder(), Limits(unsent_soft=64 << 10, unsent_hard=1 << 20, drain=0.0), 4
    async with served(feeder=feeder, limits=limits) as host, AsyncExitStack() as stack:
        for _ in range(clients):
            raw = await stack.enter_async_context(host.connection())
            await raw.send("GET /objects/feeder/events")
            await raw.head()
            raw.writer.transport.pause_reading()
        await fill(host, feeder, 3000)
        assert all(link.outbox.congested for link in host.server.links)
        before = resident()
        rounds = soak(20_000, 200_000)
        await fill(host, feeder, rounds)
        grown = resident() - before
        what = f"MiB said to {clients} clients that never read, MiB grown"
        record_property(what, (rounds * 4 // 1000, round(grown, 1)))
        assert grown < 2 * clients
        assert host.node.refusals["dropped_signals"] == 0  # counted when they read again
        assert len(host.server.links) == clients
