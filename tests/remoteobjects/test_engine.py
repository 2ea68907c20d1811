"""The state machine of one link by transcript; what holds for any bytes is in tests/laws."""

from __future__ import annotations

from typing import Any

import pytest

from everywire import Code, Fault
from everywire.codec.qdatastream import Reader, Typed, TypeId
from everywire.model.types import Int
from everywire.remoteobjects.codec import (
    QTRO_1_2,
    QTRO_1_3,
    QTRO_2_0,
    AddObject,
    Dialect,
    Handshake,
    Invoke,
    InvokeReply,
    ObjectList,
    Ping,
    Pong,
    UserTyped,
    encode_packet,
)
from everywire.remoteobjects.codec.faults import encode_fault_reply
from everywire.remoteobjects.engine import (
    Answered,
    Broken,
    Engine,
    Failed,
    Odd,
    Skipped,
    Waiting,
    change_head,
    invoke_head,
    reply_head,
    serials,
)
from everywire.remoteobjects.wire.coders import reply_decoder
from everywire.remoteobjects.wire.looks import wired

HELLO = encode_packet(Handshake("QtRO 2.0"))


def greeted(**waiting: Any) -> Engine:
    """Return a node's engine after the handshake; calls wait at the object *it* under the serials of *waiting*."""
    engine = Engine(host=False)
    assert engine.receive_data(HELLO) == [Handshake("QtRO 2.0")]
    table = {int(serial[1:]): (Waiting(lambda *_: Odd, lift, None), serial) for serial, lift in waiting.items()}
    engine.routes[reply_head("it")] = table
    return engine


def test_a_host_greets_once_and_a_node_never() -> None:
    host = Engine(host=True)
    assert (host.data_to_send(), host.data_to_send(), Engine(host=False).data_to_send()) == (HELLO, b"", b"")
    host.send(Pong("a"))
    host.send(Pong("b"))
    assert host.data_to_send() == encode_packet(Pong("a")) + encode_packet(Pong("b"))


def test_a_node_hears_nothing_before_the_greeting() -> None:
    (event,) = Engine(host=False).receive_data(encode_packet(ObjectList(())))
    assert isinstance(event, Broken)
    assert "did not begin with a handshake" in str(event.error)


@pytest.mark.parametrize("version", ["QtRO 1.9", "", "QtRO 2.1"])
def test_another_version_is_named(version: str) -> None:
    (event,) = Engine(host=False).receive_data(encode_packet(Handshake(version)))
    assert isinstance(event, Broken)
    assert repr(version) in str(event.error)


@pytest.mark.parametrize(
    "begin, looks", [(b"GET / HTTP/1.1\r\n", "looks like HTTP"), (b"\x16\x03\x01\x02\x00\x01", "looks like TLS")]
)
def test_a_host_names_the_protocol_that_is_spoken_to_it_by_mistake(begin: bytes, looks: str) -> None:
    (event,) = Engine(host=True).receive_data(begin)
    assert isinstance(event, Broken)
    assert f"the Limits.frame of this end; it {looks}" in str(event.error)


def test_a_second_greeting_breaks_the_link() -> None:
    (event,) = greeted().receive_data(HELLO)
    assert isinstance(event, Broken)
    assert "second handshake" in str(event.error)


@pytest.mark.parametrize("dialect", [QTRO_2_0, QTRO_1_3, QTRO_1_2], ids=lambda dialect: dialect.protocol)
def test_a_node_speaks_as_its_host_does(dialect: Dialect) -> None:
    host, node = Engine(host=True, dialect=dialect), Engine(host=False)
    greeting = host.data_to_send()
    for byte in greeting[:-1]:
        assert node.receive_data(bytes([byte])) == []
    assert node.receive_data(greeting[-1:]) == [Handshake(dialect.protocol)]
    assert node.dialect == dialect
    node.send(AddObject("it", dynamic=True))
    assert host.receive_data(node.data_to_send()) == [AddObject("it", dynamic=True)]


def test_the_byte_order_is_that_of_the_greeting() -> None:
    for engine, data in (
        (greeted(), encode_packet(Pong("it"), QTRO_1_3)),
        (Engine(host=False), encode_packet(Handshake("QtRO 2.0"), QTRO_1_3)),
        (Engine(host=False), encode_packet(Handshake("QtRO 1.3"), QTRO_2_0)),
    ):
        (event,) = engine.receive_data(data)
        assert isinstance(event, Broken)


def test_each_side_accepts_only_what_the_other_says() -> None:
    (event,) = Engine(host=True).receive_data(encode_packet(Pong("a")))
    assert isinstance(event, Broken)
    (event,) = greeted().receive_data(encode_packet(Ping("a")))
    assert isinstance(event, Broken)


def test_a_reply_finds_its_call_once() -> None:
    engine = greeted(s1=lambda raw: raw * 2)
    reply = encode_packet(InvokeReply("it", 1, 21))
    assert engine.receive_data(reply) == [Answered("s1", 42)]
    assert engine.receive_data(reply) == [InvokeReply("it", 1, 21)]
    other = InvokeReply("other", 1, 21)
    assert engine.receive_data(encode_packet(other)) == [other]


def test_a_result_that_cannot_be_lifted_fails_its_call() -> None:
    def refuse(raw: object) -> object:
        raise Fault(Code.INTERNAL, f"not {raw}")

    (event,) = greeted(s1=refuse).receive_data(encode_packet(InvokeReply("it", 1, 5)))
    assert isinstance(event, Failed)
    assert (event.call, event.fault.message) == ("s1", "not 5")
    assert event.fault.__traceback__ is None, "it would hold the chunk and, in a circle, this event"


def test_a_result_of_an_unknown_type_fails_its_call_and_any_other_packet_is_skipped() -> None:
    engine = greeted(s1=lambda raw: raw)
    pod = UserTyped("Pod", b"1234")
    (event,) = engine.receive_data(encode_packet(InvokeReply("it", 1, pod)))
    assert isinstance(event, Failed)
    assert event.fault.code is Code.INTERNAL
    for packet in (InvokeReply("it", 9, pod), Invoke("it", 0, 1, (pod,))):  # type: ignore[arg-type]
        (event,) = engine.receive_data(encode_packet(packet))
        assert isinstance(event, Skipped)
        assert "Pod" in str(event.error)


def test_a_fault_fails_its_call_and_one_for_nobody_is_skipped() -> None:
    engine = greeted(s1=lambda raw: raw)
    fault = encode_fault_reply("it", 1, Fault(Code.ABORTED, "no"))
    first, second = engine.receive_data(fault + fault)
    assert isinstance(first, Failed)
    assert (first.call, first.fault.code) == ("s1", Code.ABORTED)
    assert isinstance(second, Skipped)


def test_a_head_names_packet_object_and_index() -> None:
    heads = {
        change_head("it", 0),
        change_head("it", 1),
        change_head("ti", 0),
        invoke_head("it", 0, 0),
        reply_head("it"),
    }
    assert len(heads) == 5
    assert encode_packet(InvokeReply("it", 1, 5))[4:].startswith(reply_head("it"))
    assert encode_packet(Invoke("it", 2, 3, ()))[4:].startswith(invoke_head("it", 2, 3))  # type: ignore[arg-type]


def test_a_head_that_goes_on_behind_its_frame_is_no_call() -> None:
    """Found by the laws: a name whose length reaches into the next frame."""

    class General:
        def decode(self, _route: object, data: bytes, start: int, end: int) -> object:
            return Reader(data, start, end).read_variant()

    frame = b"\x06\0\0\0" + invoke_head("it", 0, 1) + bytes(20)
    engine = Engine(host=True, routes={invoke_head("it", 0, 1): General()})
    (event,) = engine.receive_data(frame)
    assert isinstance(event, Broken)


def test_serials_count_from_one_and_around_before_the_sign() -> None:
    numbers = serials()
    assert [next(numbers) for _ in range(3)] == [1, 2, 3]


def test_frames_that_begin_alike_are_told_apart_by_what_follows() -> None:
    """The engine knows object, member and size of such a frame from the one before; all else is looked at anew."""

    def replied(*serials_: int) -> bytes:
        return b"".join(encode_packet(InvokeReply("it", serial, Typed(TypeId.INT, serial))) for serial in serials_)

    decode = reply_decoder(wired(Int(32)), QTRO_2_0)
    table = {serial: (Waiting(decode, lambda raw: ("lifted", raw), None), serial) for serial in range(9)}
    frames = [
        replied(1, 2),
        replied(7777),  # nobody waits
        replied(3, 3),  # one answer too many
        encode_packet(InvokeReply("it", 4, Typed(TypeId.FLOAT, 1.0))),  # another type of the same size
        replied(5),
        encode_packet(InvokeReply("at", 6, 6)),
        encode_packet(Pong("it")),
        replied(6, 8),
    ]
    whole, single = greeted(), greeted()
    for engine in (whole, single):
        engine.routes[reply_head("it")] = dict(table)
    events = whole.receive_data(b"".join(frames))
    assert events == [event for frame in frames for event in single.receive_data(frame)]
    assert [event.call for event in events if isinstance(event, Answered)] == [1, 2, 3, 4, 5, 6, 8]
    assert events[5:7] == [Answered(4, ("lifted", 1.0)), Answered(5, 5)]
