"""Faults as errors of D-Bus and back: the table, strangers' errors, and what other programs show of ours."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire import Code, Fault
from everywire.dbus.codec import Kind, Message, check_error_name, decode_message, encode_message
from everywire.dbus.codec.errors import ERROR_TABLE, FREEDESKTOP, OURS, UNKNOWN_METHOD, error_of, fault_of
from everywire.dbus.session import Connection
from tests.dbus import tools

FAULTS = st.builds(Fault, st.sampled_from(Code), st.text(max_size=30), may_have_run=st.booleans())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def test_every_code_has_one_name_and_every_name_one_code() -> None:
    assert [row.code for row in ERROR_TABLE] == list(Code)
    names = [name for row in ERROR_TABLE for name in (row.sent, *row.understood)]
    assert len(set(names)) == len(names)
    for row in ERROR_TABLE:
        own = OURS + row.code.name.title().replace("_", "")
        assert own in (row.sent, *row.understood)
        for name in (row.sent, *row.understood):
            assert check_error_name(name) == name
            assert fault_of(name).code is row.code


@given(fault=FAULTS)
def test_a_fault_comes_back_as_it_was_between_two_ends_of_ours(fault: Fault) -> None:
    name, signature, body = error_of(fault, ours=True)
    sent = Message(kind=Kind.ERROR, reply_serial=1, error_name=name, signature=signature, body=body)
    arrived = decode_message(encode_message(sent, 2))
    assert arrived is not None
    back = fault_of(arrived.error_name, arrived.body)
    assert (back.code, back.may_have_run) == (fault.code, fault.may_have_run)
    assert back.message == fault.message.replace("\0", "\ufffd")


def test_others_are_told_a_text_alone() -> None:
    fault = Fault(Code.PERMISSION_DENIED, "may not", may_have_run=False)
    assert error_of(fault) == (f"{FREEDESKTOP}AccessDenied", "s", ("may not",))
    assert error_of(fault, UNKNOWN_METHOD) == (UNKNOWN_METHOD, "s", ("may not",))
    assert error_of(fault, ours=True)[1:] == ("sb", ("may not", False))
    assert error_of(Fault(Code.ABORTED, "x"), ours=True) == (f"{OURS}Aborted", "s", ("x",))


def test_texts_that_no_message_can_hold_are_mended() -> None:
    assert error_of(Fault(Code.INTERNAL, "a\0b\ud800"))[2] == ("a\ufffdb?",)


@pytest.mark.parametrize(
    "name, code",
    [
        ("UnknownObject", Code.NOT_FOUND),
        ("UnknownMethod", Code.NOT_FOUND),
        ("UnknownInterface", Code.NOT_FOUND),
        ("UnknownProperty", Code.NOT_FOUND),
        ("PropertyReadOnly", Code.FAILED_PRECONDITION),
        ("NoReply", Code.DEADLINE_EXCEEDED),
        ("TimedOut", Code.DEADLINE_EXCEEDED),
        ("ServiceUnknown", Code.UNAVAILABLE),
        ("NameHasNoOwner", Code.UNAVAILABLE),
        ("Disconnected", Code.UNAVAILABLE),
        ("Spawn.ExecFailed", Code.UNAVAILABLE),
        ("FileExists", Code.ALREADY_EXISTS),
        ("AuthFailed", Code.UNAUTHENTICATED),
        ("Failed", Code.UNKNOWN),
    ],
)
def test_names_of_the_specification_have_codes(name: str, code: Code) -> None:
    fault = fault_of(FREEDESKTOP + name, ("why",))
    assert (fault.code, fault.message, fault.may_have_run) == (code, "why", True)


def test_a_foreign_error_is_unknown_and_keeps_its_name() -> None:
    fault = fault_of("org.bluez.Error.NotReady", ("Resource Not Ready",))
    assert (fault.code, fault.message) == (Code.UNKNOWN, "org.bluez.Error.NotReady: Resource Not Ready")
    assert fault_of("org.bluez.Error.NotReady").message == "org.bluez.Error.NotReady"
    assert fault_of(f"{FREEDESKTOP}Whatever").code is Code.UNKNOWN


def test_an_error_of_the_bus_itself_means_that_nothing_ran_unless_the_service_went_away() -> None:
    assert not fault_of(f"{FREEDESKTOP}ServiceUnknown", ("x",), from_bus=True).may_have_run
    assert not fault_of(f"{FREEDESKTOP}AccessDenied", ("x",), from_bus=True).may_have_run
    assert fault_of(f"{FREEDESKTOP}NoReply", ("x",), from_bus=True).may_have_run
    assert fault_of(f"{FREEDESKTOP}ServiceUnknown", ("x",)).may_have_run, "a service may answer so after it ran"


@given(name=st.sampled_from([row.sent for row in ERROR_TABLE] + ["a.B"]), body=st.lists(ANYTHING, max_size=3))
def test_whatever_an_error_holds_is_a_fault(name: str, body: list[Any]) -> None:
    fault = fault_of(name, tuple(body))
    assert fault.message
    assert fault.may_have_run == (len(body) < 2 or body[1] is not False)


class Refusing:
    """Refuses every call; tells those of a member `Ours` also that it has certainly not run."""

    def __init__(self, connection: Connection, fault: Fault) -> None:
        self.connection, self.fault = connection, fault

    def calls(self, messages: list[Message]) -> None:
        for call in messages:
            name, signature, body = error_of(self.fault, ours=call.member == "Ours")
            self.connection.send(
                Message(
                    kind=Kind.ERROR,
                    reply_serial=call.serial,
                    destination=call.sender,
                    error_name=name,
                    signature=signature,
                    body=body,
                )
            )


async def test_other_programs_show_name_and_message_of_our_errors(each_bus: str) -> None:
    """And why only ends of ours get the second argument: GDBus shows no message then."""
    async with await Connection.open(each_bus) as connection:
        connection.host = Refusing(connection, Fault(Code.PERMISSION_DENIED, "only operators may", may_have_run=False))
        address = (each_bus, connection.unique_name, "/")
        for ask in (tools.gdbus_call, tools.dbus_send):
            with pytest.raises(tools.ToolError, match="only operators may") as caught:
                await ask(*address, "org.acme.A.Theirs")
            assert caught.value.name == f"{FREEDESKTOP}AccessDenied"
        with pytest.raises(tools.ToolError, match=r"only operators may|Access denied"):
            await tools.busctl_call(*address, "org.acme.A", "Theirs")
        with pytest.raises(tools.ToolError) as caught:
            await tools.gdbus_call(*address, "org.acme.A.Ours")
        assert "only operators may" not in caught.value.message


async def test_ends_of_ours_learn_whether_a_slot_may_have_run(each_bus: str) -> None:
    fault = Fault(Code.PERMISSION_DENIED, "only operators may", may_have_run=False)
    async with await Connection.open(each_bus) as connection, await Connection.open(each_bus) as other:
        connection.host = Refusing(connection, fault)
        for member, ran in (("Ours", False), ("Theirs", True)):
            with pytest.raises(Fault, match="only operators may") as found:
                await other.call(connection.unique_name, "/", "org.acme.A", member)
            assert (found.value.code, found.value.may_have_run) == (Code.PERMISSION_DENIED, ran)
        with pytest.raises(Fault) as found:
            await other.call("org.acme.Nobody", "/", "org.acme.A", "Do")
        assert (found.value.code, found.value.may_have_run) == (Code.UNAVAILABLE, False)
