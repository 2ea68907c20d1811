"""Each error has its exit code, and near names are found."""

from __future__ import annotations

import pytest

from everywire.cli.exits import MEANINGS, Exit, exit_of, listed, suggestion
from everywire.errors import (
    AddressError,
    AddressInUse,
    Code,
    EverywireError,
    Fault,
    InsecureBind,
    LinkError,
    MissingExtra,
    ModelError,
    RemoteProtocolError,
)


@pytest.mark.parametrize(
    "error,code",
    [
        (Fault(Code.FAILED_PRECONDITION), Exit.FAULT),
        (Fault(Code.PERMISSION_DENIED), Exit.REFUSED),
        (Fault(Code.UNAUTHENTICATED), Exit.REFUSED),
        (Fault(Code.UNAVAILABLE), Exit.NO_CONNECTION),
        (LinkError("gone"), Exit.NO_CONNECTION),
        (AddressInUse("taken"), Exit.NO_CONNECTION),
        (RemoteProtocolError("no Qt"), Exit.NO_CONNECTION),
        (InsecureBind("open"), Exit.USAGE),
        (AddressError("no URL"), Exit.USAGE),
        (ModelError("no member"), Exit.USAGE),
        (MissingExtra("cli"), Exit.USAGE),
    ],
)
def test_an_error_ends_the_command_with_its_code(error: EverywireError, code: Exit) -> None:
    assert exit_of(error) is code


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Exit)


def test_a_near_name_is_suggested_whatever_its_case() -> None:
    assert suggestion("setpoint", ["setPoint", "mode"]) == " Did you mean 'setPoint'?"
    assert suggestion("zzz", ["setPoint", "mode"]) == ""


def test_a_long_list_of_names_is_cut() -> None:
    assert listed([]) == "nothing"
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(n) for n in range(20)]).endswith("10, 11, … (20 in all)")
