"""Law 3: decode(encode(v)) == v for every type, by the compiled coders and by the general codec, with equal results."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everywire import Code, Fault, ModelError
from everywire.codec.qdatastream import Reader, Writer
from everywire.model.types import AnyType
from everywire.remoteobjects.codec import (
    CallKind,
    Invoke,
    InvokeReply,
    PropertyChange,
    Typed,
    UserTyped,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.engine import Answered, Failed, Heard, reply_head
from everywire.remoteobjects.wire.looks import variant, wired
from everywire.remoteobjects.wire.qttypes import lift, lower, qt_type
from everywire.runtime.gate import Invoked
from tests.harness import soak
from tests.laws.engines import (
    ATTACHED,
    CHANGES,
    KINDS,
    LAYOUT,
    NAME,
    REPLIES,
    SIGNALS,
    HostRig,
    NodeRig,
    call_of_kind,
    fault_reply,
)
from tests.laws.values import TYPES, VALUES

every_kind = pytest.mark.parametrize("kind", KINDS)
per_kind = settings(max_examples=soak(12, 500))
both_paths = pytest.mark.parametrize("fast", [True, False], ids=["compiled", "general"])


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=9)
    | st.lists(st.integers(0, 3), max_size=2)
)


def typed(kind: str, value: Any) -> Any:
    """Return *value* as the general codec wants it."""
    node = TYPES[kind]
    number = qt_type(node).number
    return Typed(number, lower(node, value)) if number else lower(node, value)


def same(kind: str, one: Any, other: Any) -> bool:
    """Say whether two values are equal and, but for variants, of one class."""
    return one == other and (isinstance(TYPES[kind], AnyType) or type(one) is type(other))


@every_kind
@per_kind
@given(data=st.data())
def test_a_value_comes_back_from_its_variant_as_it_was(kind: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[kind])
    reader = Reader(variant(wired(TYPES[kind]), value))
    back = lift(TYPES[kind], reader.read_variant())
    reader.expect_end()
    assert same(kind, back, value)


@both_paths
@every_kind
@per_kind
@given(data=st.data())
def test_a_call_arrives_with_its_argument(kind: str, fast: bool, data: st.DataObject) -> None:
    value, serial, write = data.draw(VALUES[kind]), data.draw(st.integers(-1, 2**31 - 1)), data.draw(st.booleans())
    (event,) = HostRig(fast=fast).engine.receive_data(call_of_kind(kind, value, serial, write=write))
    assert isinstance(event, Invoked)
    assert (event.door.member.name, event.token) == (f"value_{kind}" if write else f"echo_{kind}", serial)
    assert same(kind, event.arguments[0], value)
    assert same(kind, event.door.check(event.arguments)[0], value)


@both_paths
@every_kind
@per_kind
@given(data=st.data())
def test_a_change_a_signal_and_a_result_arrive_with_their_values(kind: str, fast: bool, data: st.DataObject) -> None:
    value, number = data.draw(VALUES[kind]), data.draw(st.integers(-9, 9))
    serial = KINDS.index(kind) + 1
    stream = CHANGES[kind](value) + SIGNALS[kind](value, number) + REPLIES[kind](serial, value)
    changed, emitted, answered = NodeRig(fast=fast).engine.receive_data(stream)
    assert isinstance(changed, Heard)
    assert isinstance(emitted, Heard)
    assert isinstance(answered, Answered)
    assert same(kind, changed.arguments[0], value)
    assert same(kind, emitted.arguments[0], value)
    assert emitted.arguments[1] == number
    assert same(kind, answered.value, value)


@every_kind
@per_kind
@given(data=st.data())
def test_compiled_encoders_write_what_the_general_codec_writes(kind: str, data: st.DataObject) -> None:
    value, raw = (drawn := data.draw(VALUES[kind])), typed(kind, drawn)
    place = LAYOUT.properties[f"value_{kind}"]
    change = encode_packet(PropertyChange(NAME, place, raw))
    notify = encode_packet(Invoke(NAME, CallKind.METHOD, LAYOUT.notifies[f"value_{kind}"], (raw,), -1, place))
    assert CHANGES[kind](value) == change + notify
    slot = Invoke(NAME, CallKind.METHOD, LAYOUT.slots[f"echo_{kind}"], (raw,), 7, -1)
    assert call_of_kind(kind, value, 7, write=False) == encode_packet(slot)
    assert REPLIES[kind](7, value) == encode_packet(InvokeReply(NAME, 7, raw))


@every_kind
@per_kind
@given(data=st.data())
def test_a_replicas_slot_writes_what_the_general_codec_writes(kind: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[kind])
    ATTACHED.sent.clear()
    getattr(ATTACHED.replica, f"echo_{kind}")(value)
    (frame,) = ATTACHED.sent
    serial, _ = ATTACHED.channel.waiting.popitem()
    expected = Invoke(NAME, CallKind.METHOD, LAYOUT.slots[f"echo_{kind}"], (typed(kind, value),), serial, -1)
    assert frame == encode_packet(expected)


@every_kind
def test_a_result_that_does_not_fit_is_the_hosts_fault(kind: str) -> None:
    class Nothing:
        """No wire knows it."""

    with pytest.raises(Fault) as caught:
        REPLIES[kind](1, Nothing())
    assert caught.value.code is Code.INTERNAL


@given(serial=st.integers(1, len(KINDS)), code=st.sampled_from(Code), text=st.text(max_size=30), ran=st.booleans())
def test_a_fault_comes_back_as_it_was(serial: int, code: Code, text: str, ran: bool) -> None:
    (event,) = NodeRig(fast=True).engine.receive_data(fault_reply(serial, Fault(code, text, may_have_run=ran)))
    assert isinstance(event, Failed)
    expected = Fault(code, text)
    assert (event.fault.code, event.fault.message, event.fault.may_have_run) == (code, expected.message, ran)


@given(parts=st.lists(st.none() | st.booleans() | st.integers(0, 20) | st.text(max_size=3) | st.just([]), max_size=4))
def test_a_fault_of_odd_parts_fails_its_call_or_is_left_alone(parts: list[Any]) -> None:
    """A hostile host may put anything where code, message and flag belong."""
    writer = Writer()
    for part in parts:
        writer.write_variant(part)
    reply = encode_packet(InvokeReply(NAME, 1, UserTyped("everywire::Fault", writer.to_bytes())))
    rig = NodeRig(fast=True)
    (event,) = rig.engine.receive_data(reply)
    assert isinstance(event, Failed)
    assert 1 not in rig.engine.routes[reply_head(NAME)], "nobody waits for the deadline"


@every_kind
@per_kind
@given(value=ANYTHING)
def test_a_value_of_another_type_is_converted_or_refused_on_both_paths_alike(kind: str, value: Any) -> None:
    frame = encode_packet(Invoke(NAME, CallKind.METHOD, LAYOUT.slots[f"echo_{kind}"], (value,), 5, -1))
    ends = []
    for fast in (True, False):
        rig = HostRig(fast=fast)
        (event,) = rig.engine.receive_data(frame)
        if isinstance(event, Invoked):
            try:
                ends.append(repr(event.door.check(event.arguments)))
            except ModelError as error:
                ends.append(type(error).__name__)
        else:
            ends.append({Code.OUT_OF_RANGE: "OutOfRange", Code.INVALID_ARGUMENT: "ModelError"}[event.fault.code])
    assert ends[0] == ends[1]


def test_the_general_codec_reads_its_own_frames() -> None:
    for kind in KINDS:
        frame = CHANGES[kind](TYPES[kind].zero)
        size = int.from_bytes(frame[:4], "little")
        assert isinstance(decode_packet(frame[4 : 4 + size], from_host=True), PropertyChange)
