"""The words between objects and wires."""

from __future__ import annotations

import pytest

from everywire.model import Call, Caller, Changed, Emitted, Reply, contract_of
from tests.model.samples import Room


def test_words_are_immutable_and_compare_by_content() -> None:
    member = contract_of(Room).members["target"]
    assert Changed(member, 1.0, 2) == Changed(member, 1.0, 2)
    assert Emitted(member, (1,)) != Emitted(member, (2,))
    with pytest.raises(AttributeError):
        Reply(1).value = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    "caller, text",
    [
        (Caller(wire="local", identity="uid:1000", uid=1000), "uid:1000 on local"),
        (Caller(wire="tcp", loopback=True), "anonymous (loopback) on tcp"),
        (Caller(wire="tls", identity="CN=hall", loopback=True), "CN=hall on tls"),
    ],
)
def test_a_caller_reads_like_a_line_of_an_audit(caller: Caller, text: str) -> None:
    assert str(caller) == text
    member = contract_of(Room).members["boost"]
    assert Call("hall", member, (5,), caller).caller is caller
