"""What two everywire peers say to each other: asked for by a raw node, and only after both have said hello."""

from __future__ import annotations

from pathlib import Path

import pytest

from everywire import Code, contract_of
from everywire.model.description import read_description
from everywire.remoteobjects.codec import CallKind, Invoke, InvokeReply, decode_packet
from everywire.remoteobjects.codec.extension import (
    NAME,
    Method,
    Told,
    answer,
    ask,
    fault_of_code,
    read_request,
    read_told,
    tell,
)
from tests.conformance.plant import Boiler, Desk, Tap
from tests.remoteobjects.peers import hosting, raw_node


async def test_a_contract_comes_as_json_with_everything_in_it(folder: Path) -> None:
    async with hosting(folder, it=Boiler()) as (_, url), raw_node(url, extended=True) as peer:
        await peer.send(ask(Method.CONTRACT, "it", serial=1))
        contract = read_description(await peer.result(1))
        assert [str(m) for m in contract.members.values()] == [str(m) for m in contract_of(Boiler).members.values()]


async def test_without_a_hello_the_reserved_object_does_not_exist(folder: Path) -> None:
    async with hosting(folder, it=Boiler()) as (node, url), raw_node(url) as peer:
        await peer.send(ask(Method.CONTRACT, "it", serial=1))
        assert await peer.packet() == InvokeReply(NAME, 1, None)
        assert node.refusals["NOT_FOUND"] == 1


REFUSED: dict[str, tuple[bytes, Code]] = {
    "an absent object": (ask(Method.CONTRACT, "nobody", serial=1), Code.NOT_FOUND),
    "no argument": (ask(Method.CONTRACT, serial=1), Code.INVALID_ARGUMENT),
    "a wrong argument": (ask(Method.CONTRACT, 5, serial=1), Code.INVALID_ARGUMENT),
    "a wrong number to cancel": (ask(Method.CANCEL, "it", "one", serial=1), Code.INVALID_ARGUMENT),
    "authentication": (ask(Method.AUTHENTICATE, "SCRAM-SHA-256", b"", serial=1), Code.UNIMPLEMENTED),
    "a method of a later version": (ask(99, "it", serial=1), Code.NOT_FOUND),  # type: ignore[arg-type]
    "an absent stream": (ask(Method.OPEN, "it", "nothing", [], 1, serial=1), Code.NOT_FOUND),
    "a slot that is no stream": (ask(Method.OPEN, "desk", "add", [1], 1, serial=1), Code.NOT_FOUND),
    "a stream of an absent object": (ask(Method.OPEN, "nobody", "numbers", [1], 1, serial=1), Code.NOT_FOUND),
    "a stream without a number": (ask(Method.OPEN, "it", "numbers", [1], serial=1), Code.INVALID_ARGUMENT),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_request_that_makes_no_sense_is_refused_and_the_link_goes_on(folder: Path, what: str) -> None:
    frame, code = REFUSED[what]
    async with hosting(folder, it=Tap(), desk=Desk()) as (_, url), raw_node(url, extended=True) as peer:
        assert (await peer.refusal(frame)).code is code
        await peer.fence()


async def test_news_of_streams_that_have_ended_is_ignored(folder: Path) -> None:
    async with hosting(folder, it=Tap()) as (node, url), raw_node(url, extended=True) as peer:
        await peer.send(ask(Method.GRANT, 7, 5), ask(Method.CLOSE, 7), ask(Method.CANCEL, "it", 77))
        await peer.fence()
        assert not node.refusals


async def test_cancel_reaches_the_slot_of_that_serial_only(folder: Path) -> None:
    desk = Desk()
    async with hosting(folder, desk=desk) as (_, url), raw_node(url, extended=True) as peer:
        hold = 2  # add, nothing, hold
        await peer.send(*[Invoke("desk", CallKind.METHOD, hold, (n,), n) for n in (1, 2)])
        await desk.bell.until(lambda: desk.holding == {1, 2})
        await peer.send(ask(Method.CANCEL, "other", 1), ask(Method.CANCEL, "desk", 1))
        await desk.bell.until(lambda: desk.holding == {2})
        assert desk.cancelled == [1]
        desk.release(2)
        assert await peer.result(2) == 2


@pytest.mark.parametrize("frame", [tell(Told.GAP, 3), tell(Told.END, 1)])
def test_what_a_host_tells_is_read_by_its_index(frame: bytes) -> None:
    packet = decode_packet(frame[4:], from_host=True)
    assert isinstance(packet, Invoke)
    told = read_told(packet)
    assert told is not None
    assert told.arguments == packet.arguments
    assert read_told(Invoke("it", CallKind.METHOD, 0, ())) is None
    assert read_told(Invoke(NAME, CallKind.METHOD, 99, ())) is None
    assert read_request(Invoke("it", CallKind.METHOD, 0, ())) is None
    assert read_request(Invoke(NAME, CallKind.WRITE_PROPERTY, 0, ())) is None


def test_an_unknown_code_is_unknown_and_an_answer_may_be_nothing() -> None:
    assert fault_of_code(5, "x").code is Code.NOT_FOUND
    for odd in (99, "5", None, []):
        assert fault_of_code(odd, "x").code is Code.UNKNOWN
    assert answer(3) != answer(3, b"")


async def test_a_request_without_a_serial_gets_no_answer(folder: Path) -> None:
    async with hosting(folder, it=Tap()) as (_, url), raw_node(url, extended=True) as peer:
        await peer.send(ask(Method.CONTRACT, "it", serial=-1))
        await peer.fence()
        assert not any(isinstance(packet, InvokeReply) for packet in peer.seen), "nobody wanted an answer"
