"""Replicas over HTTP against hosts that are made of messages: odd, hostile, slow and gone ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext, suppress
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from everywire import (
    Code,
    Fault,
    Limits,
    LinkError,
    ModelError,
    Object,
    Property,
    RemoteProtocolError,
    ReplicaState,
    SignatureMismatch,
    connect,
    contract_of,
    link_of,
    prop,
    signal,
    slot,
)
from everywire.http.messages import SUBPROTOCOL, Told
from everywire.model.description import describe
from everywire.runtime.incoming import WINDOW
from tests.conformance.plant import Boiler, Counters, Desk, Feeder, Heard, Mode, Reading, States, Tap
from tests.conformance.programs import HOST, started
from tests.harness import run, soak
from tests.http.lab import QUICK, hosting

Script = Callable[["Host"], Awaitable[None]]


class Host:
    """A host that says what a test lets it say, on one WebSocket."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket

    async def tell(self, **parts: Any) -> None:
        await self.socket.send(json.dumps(parts))

    async def show(self, source: Object | type[Object], **values: Any) -> None:
        """Send the first message."""
        await self.tell(contract=json.loads(describe(contract_of(source))), values=values)

    async def asked(self, verb: str) -> Any:
        """Return the next message with *verb*."""
        while True:
            message = json.loads(await self.socket.recv())
            if verb in message:
                return message

    async def stay(self) -> None:
        """Stay until the replica leaves."""
        await self.socket.wait_closed()


@asynccontextmanager
async def host(script: Script, *names: str) -> AsyncGenerator[str]:
    """Serve objects of these *names* by a script for each WebSocket."""

    async def handle(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await script(Host(socket))

    def answer(_: ServerConnection, request: Request) -> Response | None:
        if request.path != "/objects":
            return None
        body = json.dumps([{"name": name} for name in names or ("it",)]).encode()
        headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body))})
        return Response(HTTPStatus.OK, "OK", headers, body)

    server = await serve(
        handle, "127.0.0.1", 0, process_request=answer, subprotocols=[Subprotocol(SUBPROTOCOL)], close_timeout=1
    )
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


BOILER = {"target": 21, "current": 20, "error": 1, "mode": "OFF", "last": {"celsius": 1, "sensor": ""}}


# ---------------------------------------------------------------------------------------------------------- what is odd
async def test_changes_that_do_not_fit_are_counted_and_left_alone() -> None:
    async def script(it: Host) -> None:
        await it.show(Boiler, **BOILER)
        await it.asked("call")
        await it.tell(changed="target", value="warm")
        await it.tell(changed="mode", value="BOILING")
        await it.tell(changed="mode")
        await it.tell(changed="nonsense", value=1)
        await it.tell(emitted="overheated", arguments=[1])
        await it.tell(emitted="overheated", arguments=[1, 2])
        await it.tell(emitted="nonsense", arguments=[])
        await it.tell(answered=99, value=1)
        await it.tell(failed=99, code="ABORTED")
        await it.tell(item=99, value=1)
        await it.tell(ended=99)
        await it.tell(of_a_later_version=1, changed="current", value=33, colour="red")
        await it.tell(emitted="overheated", arguments=[2, "attic"])
        await it.stay()

    async with host(script) as url, connect(url, "it", Boiler, limits=QUICK) as room:
        heard = Heard()
        room.overheated.connect(heard)
        draining = room.drain()
        assert await heard.count(1) == [(2.0, "attic")]
        assert (room.target, room.mode, room.current) == (21.0, Mode.OFF, 33.0)
        assert type(room.current) is float
        assert draining.cancel()


async def test_results_that_do_not_fit_fail_their_calls_by_name() -> None:
    async def script(it: Host) -> None:
        await it.show(Desk, calls=0)
        for value in ("much", None, [1], {"$int": "1"}):
            asked = await it.asked("call")
            await it.tell(answered=asked["call"], value=value)
        asked = await it.asked("call")
        await it.tell(answered=asked["call"])
        asked = await it.asked("call")
        await it.tell(failed=asked["call"], code="OF A LATER VERSION", message="odd")
        asked = await it.asked("call")
        await it.tell(answered=asked["call"], value=5)
        await it.stay()

    async with host(script) as url, connect(url, "it", Desk, limits=QUICK) as desk:
        for _ in range(5):
            with pytest.raises(Fault, match="the result does not fit its type") as caught:
                await desk.add(1)
            assert caught.value.code is Code.INTERNAL
        with pytest.raises(Fault, match="UNKNOWN: odd"):
            await desk.add(1)
        assert await desk.add(1) == 5


@pytest.mark.parametrize(
    "first, words",
    [
        ({"contract": {}, "values": {}}, "described it wrongly"),
        ({"contract": 5, "values": {}}, "described it wrongly"),
        ({"contract": json.loads(describe(contract_of(Boiler))), "values": {**BOILER, "mode": 7}}, "showed it wrongly"),
        ({"contract": json.loads(describe(contract_of(Boiler))), "values": {"target": 21}}, "lacks values of"),
        ({"contract": json.loads(describe(contract_of(Boiler)))}, "lacks values of"),
    ],
)
async def test_a_first_message_that_makes_no_sense_is_the_hosts_error(first: dict[str, Any], words: str) -> None:
    async def script(it: Host) -> None:
        await it.tell(**first)
        await it.stay()

    async with host(script) as url:
        with pytest.raises(LinkError, match=words) as caught:
            async with connect(url, "it", Boiler, timeout=0, limits=QUICK):
                pass
        assert "did not become valid" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"changed":5}', b"\x00", "[" * 100_000])
async def test_what_is_no_message_ends_the_link_and_it_comes_back(text: str | bytes) -> None:
    times = 0

    async def script(it: Host) -> None:
        nonlocal times
        times += 1
        await it.show(Counters, first=times, second=0, text="", tags=[], setting=0, total=0)
        if times == 1:
            await it.asked("call")
            await it.socket.send(text)
        await it.stay()

    async with host(script) as url, connect(url, "it", Counters, limits=QUICK) as counters:
        states = States(counters)
        with pytest.raises(Fault, match="the link was lost") as caught:
            await counters.settle()
        assert caught.value.code is Code.UNAVAILABLE
        assert isinstance(link_of(counters).error, RemoteProtocolError)
        await states.reached(ReplicaState.VALID)
        assert counters.first == 2


async def test_a_message_above_the_limit_ends_the_link() -> None:
    async def script(it: Host) -> None:
        await it.show(Counters, first=1, second=0, text="", tags=[], setting=0, total=0)
        await it.asked("call")
        await it.tell(changed="text", value="x" * 300_000)
        await it.stay()

    async with (
        host(script) as url,
        connect(url, "it", Counters, limits=Limits(drain=0.0, frame=200_000)) as counters,
    ):
        with pytest.raises(Fault, match="exceeds limit"):
            await counters.settle()


async def test_an_argument_above_the_hosts_limit_fails_its_call_and_the_link_comes_back() -> None:
    async with (
        hosting(limits=Limits(drain=0.0, frame=50_000), desk=Desk()) as (_, url),
        connect(url, "desk", Desk, limits=QUICK) as desk,
    ):
        states = States(desk)
        with pytest.raises(Fault, match="exceeds limit of 50000 bytes") as caught:
            await desk.anything("x" * 100_000)
        assert caught.value.code is Code.UNAVAILABLE
        await states.reached(ReplicaState.VALID)
        assert await desk.anything("x" * 40_000) == "x" * 40_000


@pytest.mark.parametrize(
    "code, kind, words",
    [
        (1000, LinkError, "just so"),
        (1001, LinkError, "just so"),
        (1008, Fault, "UNAUTHENTICATED: just so"),
        (1002, LinkError, "the host cut the link: just so"),
        (4321, LinkError, "the host cut the link: just so"),
    ],
)
async def test_the_code_of_a_close_says_why_a_replica_is_suspect(code: int, kind: type, words: str) -> None:
    async def script(it: Host) -> None:
        await it.show(Counters, first=1, second=0, text="", tags=[], setting=0, total=0)
        await it.asked("call")
        await it.socket.close(code, "just so")

    async with host(script) as url, connect(url, "it", Counters, limits=QUICK) as counters:
        errors: list[Exception | None] = []
        link_of(counters).state_changed.connect(lambda _: errors.append(link_of(counters).error))
        with pytest.raises(Fault):
            await counters.settle()
        assert isinstance(errors[0], kind)
        assert words in str(errors[0])


async def test_a_host_that_never_shows_the_object_is_given_up() -> None:
    async with host(Host.stay) as url:
        with pytest.raises(LinkError, match="accepted the connection but did not show it"):
            async with connect(url, "it", Boiler, timeout=0, limits=Limits(handshake=0.2)):
                pass


async def test_a_host_that_leaves_while_a_replica_attaches_is_tried_again() -> None:
    times = 0

    async def script(it: Host) -> None:
        nonlocal times
        times += 1
        if times < 3:
            await it.socket.close()
            return
        await it.show(Boiler, **BOILER)
        await it.stay()

    async with host(script) as url, connect(url, "it", Boiler, limits=QUICK) as room:
        assert (room.target, times) == (21.0, 3)


async def test_a_mismatch_keeps_the_link_until_the_host_changes_its_mind() -> None:
    change = asyncio.Event()
    times = 0

    async def script(it: Host) -> None:
        nonlocal times
        times += 1
        if times == 1:
            await it.show(Counters, first=1, second=0, text="", tags=[], setting=0, total=0)
            await it.asked("call")
        elif times == 2:
            await it.show(Desk, calls=0)
            await it.tell(changed="calls", value=5)
            await change.wait()
        else:
            await it.show(Counters, first=3, second=0, text="", tags=[], setting=0, total=0)
            await it.stay()

    async with host(script) as url, connect(url, "it", Counters, limits=QUICK) as counters:
        states = States(counters)
        with pytest.raises(Fault):
            await counters.settle()
        await states.reached(ReplicaState.SIGNATURE_MISMATCH)
        assert isinstance(link_of(counters).error, SignatureMismatch)
        change.set()
        await states.reached(ReplicaState.VALID)
        assert counters.first == 3


# -------------------------------------------------------------------------------------------------------------- streams
async def test_a_host_that_sends_more_than_was_granted_ends_the_stream() -> None:
    async def script(it: Host) -> None:
        await it.show(Tap)
        opened = await it.asked("open")
        for number in range(WINDOW + 5):
            await it.tell(item=opened["open"], value=number)
        await it.asked("close")
        opened = await it.asked("open")
        await it.tell(item=opened["open"], value="no number")
        await it.asked("close")
        await it.stay()

    async with host(script) as url, connect(url, "it", Tap, limits=QUICK) as tap:
        with pytest.raises(RemoteProtocolError, match="than it was granted"):
            _ = [item async for item in _slowly(tap.numbers(5))]
        with pytest.raises(ModelError, match="expected int"):
            _ = [item async for item in tap.numbers(5)]


async def _slowly(items: Any) -> AsyncGenerator[Any]:
    """Look at the first item only after everything has arrived."""
    async with aclosing(items):
        first = await anext(items)
        for _ in range(20):
            await asyncio.sleep(0)
        yield first
        async for item in items:
            yield item


async def test_grants_follow_the_reader_and_leaving_tells_the_host() -> None:
    granted: list[int] = []
    closed = asyncio.Event()

    async def script(it: Host) -> None:
        await it.show(Tap)
        opened = await it.asked("open")
        sent = 0
        while True:
            message = json.loads(await it.socket.recv())
            if "close" in message:
                closed.set()
                await it.stay()
            granted.append(message["items"])
            for _ in range(message["items"]):
                await it.tell(item=opened["open"], value=sent)
                sent += 1

    async with host(script) as url, connect(url, "it", Tap, limits=QUICK) as tap:
        async with aclosing(tap.numbers(10**6)) as numbers:
            assert [await anext(numbers) for _ in range(200)] == list(range(200))
        await closed.wait()
        assert granted[0] == WINDOW
        assert sum(granted) <= 200 + WINDOW


# ------------------------------------------------------------------------------------------------------- loose classes
class Loose(Object):
    """Takes whatever the host has."""

    target: Property[Any] = prop(None, writable=True)
    mode: Property[Any] = prop(None, writable=True)
    last: Property[Any] = prop(None)

    @signal
    def overheated(self, celsius: Any, sensor: Any) -> None: ...

    @slot
    async def boost(self, minutes: Any, reason: Any = "") -> Any: ...


class LooseStore(Object):
    """A host that takes anything."""

    item: Property[Any] = prop(None, writable=True)

    @slot
    async def give(self, value: Any) -> Any:
        return value


class Store(Object):
    """What a replica knows about it."""

    item: Property[bytes] = prop(b"", writable=True)

    @slot
    async def give(self, value: Reading) -> Mode: ...  # type: ignore[empty-body]


async def test_who_expects_anything_gets_the_hosts_own_types() -> None:
    boiler = Boiler()
    async with hosting(hall=boiler) as (_, url), connect(url, "hall", Loose, limits=QUICK) as room:
        assert room.mode.name == "OFF"
        assert room.last.sensor == "attic"
        assert await room.boost(1) == 60
        assert await Loose.mode.push(room, room.mode) == room.mode
        with pytest.raises(Fault) as caught:
            await room.boost("ten")
        assert (caught.value.code, caught.value.may_have_run) == (Code.INVALID_ARGUMENT, False)
        assert await room.boost(2) == 120, "a refused call leaves nothing behind"


async def test_a_host_that_takes_anything_gets_what_json_has_no_form_for() -> None:
    source = LooseStore()
    source.item = b""
    async with hosting(store=source) as (_, url):
        async with connect(url, "store", Store, timeout=5, limits=QUICK) as store:
            assert await Store.item.push(store, b"\xff") == b"\xff"
            assert source.item == b"\xff"
            with pytest.raises(Fault, match="does not fit"):
                await store.give(Reading(1.0, "a"))
        source.item = "OFF"
        with pytest.raises(LinkError, match="showed store wrongly"):
            async with connect(url, "store", Store, timeout=0, limits=QUICK):
                pass


# --------------------------------------------------------------------------------------------------- the host's process
async def test_a_stopped_host_delays_nobody_and_goes_on_where_it_was() -> None:
    with started(HOST, "asyncio", "http://127.0.0.1:0") as child:
        url = await child.line()
        async with connect(url, "counters", Counters, limits=QUICK) as counters:
            child.stop()
            calls = [counters.settle() for _ in range(100)]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(counters.settle(), 0.05)
            with pytest.raises(LinkError, match="did not answer"):
                async with connect(url, "counters", Counters, timeout=0, limits=Limits(handshake=0.2)):
                    pass
            child.go_on()
            await asyncio.gather(*calls)
            assert link_of(counters).state is ReplicaState.VALID


async def test_leaving_a_stopped_host_takes_no_longer_than_a_goodbye() -> None:
    loop = asyncio.get_running_loop()
    with started(HOST, "asyncio", "http://127.0.0.1:0") as child:
        url = await child.line()
        async with connect(url, "counters", Counters, limits=QUICK):
            child.stop()
            left = loop.time()
        assert loop.time() - left < 5
        child.go_on()


@pytest.mark.timeout(60)  # the kernel takes tens of thousands of them first
async def test_calls_that_wait_for_a_host_that_does_not_read_have_a_limit() -> None:
    limits = Limits(drain=0.0, unsent_soft=64 * 1024, unsent_hard=512 * 1024)
    with started(HOST, "asyncio", "http://127.0.0.1:0") as child:
        url = await child.line()
        async with connect(url, "feeder", Feeder, limits=limits) as feeder:
            child.stop()
            refused: list[Fault] = []
            calls = []
            while not refused and len(calls) < 200_000:
                call = feeder.settle()
                if call.done():
                    refused.append(call.exception())
                else:
                    calls.append(call)
                if not len(calls) % 1000:
                    await asyncio.sleep(0)
            assert refused[0].code is Code.RESOURCE_EXHAUSTED
            assert not refused[0].may_have_run
            child.go_on()
            assert await asyncio.gather(*calls) == [0] * len(calls)


async def test_the_last_calls_of_a_leaving_replica_arrive() -> None:
    desk = Desk()
    async with hosting(desk=desk) as (_, url):
        async with connect(url, "desk", Desk, limits=QUICK) as replica:
            calls = [replica.add(number) for number in range(300)]
        for call in calls:
            assert call.done()
            call.exception()
        while len(desk.order) < 300:
            await asyncio.sleep(0)
        assert desk.order == list(range(300))


# -------------------------------------------------------------------------------------------------------------- fuzzing
KEYS = st.sampled_from(Told.__struct_fields__)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["target", "mode", "overheated", "OFF", "boost", "ABORTED"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)
MESSAGES = st.dictionaries(KEYS, VALUES, min_size=1, max_size=3).map(json.dumps) | st.text(max_size=9)


@settings(max_examples=soak(40, 1500))
@given(messages=st.lists(MESSAGES, max_size=8), greeted=st.booleans())
def test_whatever_a_host_says_a_replica_is_valid_or_says_why_not(messages: list[str], greeted: bool) -> None:
    async def script(it: Host) -> None:
        if greeted:
            await it.show(Boiler, **BOILER)
            await it.asked("call")
        for message in messages:
            await it.socket.send(message)
        await it.socket.close()

    async def body() -> None:
        async with host(script) as url:
            with suppress(LinkError, SignatureMismatch) if not greeted else nullcontext():
                async with connect(url, "it", Boiler, timeout=0, limits=QUICK) as room:
                    ends = await asyncio.gather(room.boost(1), return_exceptions=True)
                    assert all(isinstance(end, int | Fault) for end in ends)
                    assert isinstance(room.mode, Mode)
                    assert isinstance(room.target, float)

    run(body)
