"""A Fault as a QVariant of a user type: there and back, and what else may stand in its place."""

from __future__ import annotations

import pytest

from everywire import Code, Fault
from everywire.codec.qdatastream import Writer
from everywire.remoteobjects.codec import CallKind, Invoke, InvokeReply, UserTyped, encode_packet
from everywire.remoteobjects.codec.faults import FAULT_MARK, FAULT_TYPE, encode_fault_reply, read_fault_reply


@pytest.mark.parametrize("code", Code)
@pytest.mark.parametrize("may_have_run", [True, False])
def test_a_fault_comes_back_with_its_call(code: Code, may_have_run: bool) -> None:
    frame = encode_fault_reply("it", 7, Fault(code, "no ü", may_have_run=may_have_run))
    assert FAULT_MARK in frame
    read = read_fault_reply(frame[4:])
    assert read is not None
    name, serial, fault = read
    assert (name, serial, fault.code, fault.message, fault.may_have_run) == ("it", 7, code, "no ü", may_have_run)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x07\0",
        encode_packet(Invoke("it", CallKind.METHOD, 0, (FAULT_TYPE,)))[4:],
        encode_packet(InvokeReply("it", 1, 5))[4:],
        encode_packet(InvokeReply("it", 1, FAULT_TYPE))[4:],
        encode_packet(InvokeReply("it", 1, UserTyped("Other", FAULT_MARK)))[4:],
        encode_packet(InvokeReply("it", 1, UserTyped(FAULT_TYPE, b"")))[4:],
        encode_fault_reply("it", 1, Fault(Code.ABORTED, "cut"))[4:-3],
    ],
)
def test_what_is_no_fault_is_left_to_others(body: bytes) -> None:
    assert read_fault_reply(body) is None


@pytest.mark.parametrize("code", [0, 17, -1, None, "5", [], 2.0, b"x"])
def test_an_odd_code_is_unknown(code: object) -> None:
    writer = Writer()
    for part in (code, None, "yes"):
        writer.write_variant(part)
    read = read_fault_reply(encode_packet(InvokeReply("it", 1, UserTyped(FAULT_TYPE, writer.to_bytes())))[4:])
    assert read is not None
    assert read[2].code is Code.UNKNOWN
    assert read[2].may_have_run is True
