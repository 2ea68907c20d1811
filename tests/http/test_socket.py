"""The host's end of a WebSocket against foreign peers, polite and hostile ones."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from everywire import Limits, Policy, Role
from everywire.http.messages import SUBPROTOCOL
from everywire.runtime.streaming import MOST_GRANTED
from everywire.runtime.tokens import Tokens
from tests.conformance.plant import Boiler, Counters, Desk, Pump, Tap
from tests.http.lab import hosting, peer


# ------------------------------------------------------------------------------------------------------- what it hears
async def test_a_foreign_peer_hears_everything_there_is_first_and_changes_from_then_on() -> None:
    boiler = Boiler()
    async with hosting(hall=boiler) as (_, url), peer(url, "hall", hello=False) as panel:
        first = await panel.hear()
        assert (first["contract"]["name"], first["values"]["target"]) == ("Boiler", 21.0)
        boiler.target = 25.0
        boiler.overheated.emit(33.3, "roof")
        assert [await panel.hear() for _ in range(3)] == [
            {"changed": "target", "value": 25.0},
            {"changed": "error", "value": 5.0},
            {"emitted": "overheated", "arguments": [33.3, "roof"]},
        ]
        assert panel.socket.subprotocol == SUBPROTOCOL


async def test_a_change_that_a_call_causes_comes_before_its_answer() -> None:
    async with hosting(hall=Boiler()) as (_, url), peer(url, "hall") as panel:
        await panel.say(call=7, slot="boost", arguments={"minutes": 5})
        assert [await panel.hear() for _ in range(3)] == [
            {"changed": "current", "value": 21.0},
            {"changed": "error", "value": 0.0},
            {"answered": 7, "value": 300},
        ]
        await panel.say(push=8, property="target", value=30)
        assert [await panel.hear() for _ in range(3)] == [
            {"changed": "target", "value": 30.0},
            {"changed": "error", "value": 9.0},
            {"answered": 8},
        ]
        assert await panel.call(9, "drain") == {"answered": 9}


async def test_calls_are_answered_in_any_order_and_refusals_say_that_nothing_ran() -> None:
    desk = Desk()
    async with hosting(desk=desk) as (node, url), peer(url, "desk") as panel:
        await panel.say(call=1, slot="hold", arguments=[1])
        assert await panel.call(2, "add", 1) == {"answered": 2, "value": 1101}
        for number, slot, arguments, code in (
            (3, "add", ["one"], "INVALID_ARGUMENT"),
            (4, "add", [2**63], "OUT_OF_RANGE"),
            (5, "nonsense", [], "NOT_FOUND"),
            (6, "__init__", [], "NOT_FOUND"),
        ):
            failed = await panel.call(number, slot, *arguments)
            assert (failed["code"], failed["may_have_run"]) == (code, False)
        failed = await panel.call(7, "refuse", "ABORTED", "no ü")
        assert (failed["code"], failed["message"], failed["may_have_run"]) == ("ABORTED", "no ü", True)
        failed = await panel.call(8, "explode_later")
        assert failed["code"] == "UNKNOWN"
        assert "swordfish" not in json.dumps(failed)
        assert node.refusals["NOT_FOUND"] == 2
        desk.release(1)
        assert await panel.hear() == {"answered": 1, "value": 1}


async def test_cancelling_stops_the_slot_and_answers() -> None:
    desk = Desk()
    async with hosting(desk=desk) as (_, url), peer(url, "desk") as panel:
        await panel.say(call=1, slot="hold", arguments=[1])
        await desk.bell.until(lambda: desk.holding)
        await panel.say(cancel=99)
        await panel.say(cancel=1)
        assert (await panel.find("failed"))["code"] == "CANCELLED"
        assert desk.cancelled == [1]


async def test_a_peer_may_leave_the_subprotocol_out() -> None:
    async with hosting(desk=Desk()) as (_, url):
        async with peer(url, "desk", subprotocols=None) as panel:
            assert panel.socket.subprotocol is None
            assert await panel.call(1, "add", 1) == {"answered": 1, "value": 1101}
        async with peer(url, "desk", subprotocols=["chat", SUBPROTOCOL]) as panel:
            assert panel.socket.subprotocol == SUBPROTOCOL
        async with peer(url, "desk", subprotocols=["chat"]) as panel:
            assert panel.socket.subprotocol is None


async def test_compression_is_declined() -> None:
    """It would cost 300 KiB for each link, and lets small messages grow large."""
    async with hosting(desk=Desk()) as (_, url), peer(url, "desk", compression="deflate") as panel:
        assert panel.socket.protocol.extensions == []


# ------------------------------------------------------------------------------------------------------------- streams
async def test_a_stream_gives_exactly_what_was_granted_and_its_end() -> None:
    tap = Tap()
    async with hosting(tap=tap) as (_, url), peer(url, "tap") as panel:
        await panel.say(open=1, slot="numbers", arguments=[5])
        await panel.say(grant=1, items=2)
        assert [await panel.hear() for _ in range(2)] == [{"item": 1, "value": 0}, {"item": 1, "value": 1}]
        await panel.say(cancel=12345)
        await panel.say(grant=99, items=5)
        assert tap.yielded == 2
        await panel.say(grant=1, items=100)
        assert [await panel.hear() for _ in range(4)][2:] == [{"item": 1, "value": 4}, {"ended": 1}]
        assert tap.open == 0


async def test_a_grant_is_believed_up_to_a_bound() -> None:
    tap = Tap()
    limits = Limits(drain=0.0)
    async with hosting(tap=tap, limits=limits) as (_, url), peer(url, "tap") as panel:
        await panel.say(open=1, slot="numbers", arguments=[100_000])
        await panel.say(grant=1, items=2**53)
        await tap.bell.until(lambda: tap.yielded == MOST_GRANTED)
        for _ in range(MOST_GRANTED):
            await panel.find("item")
        await panel.say(call=1, slot="hold")
        assert tap.yielded == MOST_GRANTED


async def test_closing_ends_the_generator_and_its_number_is_free_at_once() -> None:
    tap = Tap()
    async with hosting(tap=tap) as (_, url), peer(url, "tap") as panel:
        await panel.say(open=1, slot="waiting")
        await panel.say(grant=1, items=5)
        assert await panel.hear() == {"item": 1, "value": 0}
        await panel.say(close=1)
        await panel.say(open=1, slot="numbers", arguments=[1])
        await panel.say(grant=1, items=5)
        assert [await panel.hear() for _ in range(2)] == [{"item": 1, "value": 0}, {"ended": 1}]
        await tap.bell.until(lambda: not tap.open)


@pytest.mark.parametrize(
    "slot, arguments, code",
    [
        ("numbers", ["many"], "INVALID_ARGUMENT"),
        ("numbers", [], "INVALID_ARGUMENT"),
        ("numbers", [1, 2], "INVALID_ARGUMENT"),
        ("numbers", [2**63], "OUT_OF_RANGE"),
        ("hold", [], "NOT_FOUND"),
        ("nothing", [], "NOT_FOUND"),
    ],
)
async def test_a_stream_that_cannot_start_ends_by_its_number(slot: str, arguments: list[Any], code: str) -> None:
    async with hosting(tap=Tap()) as (_, url), peer(url, "tap") as panel:
        await panel.say(open=3, slot=slot, arguments=arguments)
        ended = await panel.hear()
        assert (ended["ended"], ended["code"], ended["may_have_run"]) == (3, code, False)


async def test_a_stream_that_fails_says_so_after_its_items() -> None:
    async with hosting(tap=Tap()) as (_, url), peer(url, "tap") as panel:
        for number, slot, code in ((1, "failing", "DATA_LOSS"), (2, "exploding", "UNKNOWN")):
            await panel.say(open=number, slot=slot, arguments=[1] if slot == "failing" else [])
            await panel.say(grant=number, items=9)
            assert (await panel.hear())["item"] == number
            ended = await panel.hear()
            assert (ended["ended"], ended["code"]) == (number, code)
            assert "swordfish" not in json.dumps(ended)


async def test_streams_have_a_limit_and_numbers_of_their_own() -> None:
    async with hosting(tap=Tap(), limits=Limits(drain=0.0, pending_calls=3)) as (_, url), peer(url, "tap") as panel:
        await panel.say(call=1, slot="hold")
        for number in (1, 1, 2, 3, 4):
            await panel.say(open=number, slot="waiting")
        refused = [await panel.hear(), await panel.hear()]
        assert [(message["ended"], message["code"]) for message in refused] == [
            (1, "RESOURCE_EXHAUSTED"),
            (4, "RESOURCE_EXHAUSTED"),
        ]


async def test_closing_the_socket_in_the_midst_of_a_stream_ends_the_generator() -> None:
    tap = Tap()
    async with hosting(tap=tap) as (node, url):
        for polite in (True, False):
            async with peer(url, "tap") as panel:
                await panel.say(open=1, slot="numbers", arguments=[10**9])
                await panel.say(grant=1, items=500)
                assert await panel.hear() == {"item": 1, "value": 0}
                if not polite:
                    panel.socket.transport.abort()
            await tap.bell.until(lambda: not tap.open)
        assert node.published


# ------------------------------------------------------------------------------------------------ what the host decides
async def test_a_withdrawn_object_says_so_fails_its_streams_and_closes() -> None:
    tap = Tap()
    async with hosting(tap=tap, desk=Desk()) as (node, url), peer(url, "tap") as panel, peer(url, "desk") as other:
        await panel.say(open=1, slot="waiting")
        await panel.say(grant=1, items=5)
        assert await panel.hear() == {"item": 1, "value": 0}
        node.withdraw("tap")
        ended = await panel.hear()
        assert (ended["ended"], ended["code"]) == (1, "UNAVAILABLE")
        assert await panel.hear() == {"withdrawn": "tap"}
        assert await panel.end() == (1000, "the host withdrew tap")
        await tap.bell.until(lambda: not tap.open)
        with pytest.raises(InvalidStatus) as caught:
            async with peer(url, "tap"):
                pass
        assert caught.value.response.status_code == 404
        assert await other.call(1, "add", 1) == {"answered": 1, "value": 1101}


async def test_a_policy_that_changes_acts_at_once() -> None:
    policy = Policy()
    async with hosting(policy=policy, hall=Boiler()) as (_, url), peer(url, "hall") as panel:
        assert (await panel.call(1, "boost"))["value"] == 600
        policy.require(Role.ADMIN, Boiler.target)
        policy.role = lambda _: Role.OPERATOR
        policy.forget()
        await panel.say(push=2, property="target", value=22)
        assert (await panel.find("failed"))["code"] == "PERMISSION_DENIED"
        policy.role = lambda _: Role.VIEWER
        policy.forget()
        assert (await panel.call(3, "boost", "not even a number"))["code"] == "PERMISSION_DENIED"
        policy.role = lambda _: Role.STRANGER
        policy.forget()
        assert await panel.find("withdrawn") == {"withdrawn": "hall"}
        assert (await panel.end())[0] == 1000


async def test_a_closing_host_says_goodbye() -> None:
    async with hosting(hall=Boiler()) as (node, url), peer(url, "hall") as panel:
        await asyncio.gather(node.aclose(), panel.end())
        assert (panel.socket.close_code, panel.socket.close_reason) == (1001, "the host closes")


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens")


def bearer(token: str) -> dict[str, Any]:
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


async def test_a_revoked_token_ends_its_socket_with_the_next_call(tokens: Tokens) -> None:
    desk = Desk()
    token = tokens.add("panel", Role.OPERATOR)
    async with hosting(tokens=tokens, desk=desk) as (_, url), peer(url, "desk", **bearer(token)) as panel:
        assert (await panel.call(1, "add", 1))["value"] == 1101
        tokens.remove("panel")
        await panel.say(call=2, slot="add", arguments=[2])
        failed = await panel.hear()
        assert (failed["failed"], failed["code"], failed["may_have_run"]) == (2, "UNAUTHENTICATED", False)
        assert (await panel.end())[0] == 1008
        assert desk.order == [1]


async def test_a_revoked_listener_hears_nothing_more(tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    boiler = Boiler()
    token = tokens.add("panel", Role.VIEWER)
    async with hosting(tokens=tokens, hall=boiler) as (_, url), peer(url, "hall", **bearer(token)) as panel:
        boiler.target = 22.0
        assert await panel.hear() == {"changed": "target", "value": 22.0}
        tokens.remove("panel")
        boiler.target = 23.0
        code, reason = await panel.end()
        assert (code, "revoked" in reason) == (1008, True)
    (denial,) = (record for record in caplog.records if record.name == "everywire.audit")
    assert '"caller":"token:panel"' in denial.message


async def test_two_objects_of_one_host_have_sockets_of_their_own() -> None:
    pump, counters = Pump(), Counters()
    async with (
        hosting(pump=pump, counters=counters) as (_, url),
        peer(url, "pump") as one,
        peer(url, "counters") as two,
    ):
        counters.first = 5
        pump.strokes = 7
        assert await one.hear() == {"changed": "strokes", "value": 7}
        assert await two.hear() == {"changed": "first", "value": 5}
