from __future__ import annotations

import os

import pytest

from everywire import Object, Policy, Property, Role, allow, prop, slot
from everywire.model import Caller, contract_of
from everywire.runtime.policy import default_role, roles


class Door(Object):
    lock: Property[bool] = prop(True, writable=True)

    @slot
    async def open(self) -> None: ...

    @slot
    async def blow_up(self) -> None: ...

    @slot(reads=True)
    async def history(self) -> list[str]:
        return []


LOCK, OPEN, BLOW_UP, HISTORY = contract_of(Door).members.values()
SOMEBODY = Caller(wire="fake", identity="CN=somebody", encrypted=True)
OWN = os.getuid()


def as_role(role: Role) -> Policy:
    return Policy(role=lambda _: role)


@pytest.mark.parametrize(
    "caller,role",
    [
        (Caller(wire="fake", identity="uid:0", uid=0), Role.ADMIN),
        (Caller(wire="fake", identity=f"uid:{OWN}", uid=OWN), Role.ADMIN),
        (Caller(wire="fake", identity="uid:4711", uid=4711), Role.STRANGER),
        (Caller(wire="fake", identity="uid:4711", uid=4711, loopback=True), Role.STRANGER),
        (Caller(wire="fake", loopback=True), Role.ADMIN),
        (Caller(wire="fake", address="192.0.2.1:7"), Role.STRANGER),
        (SOMEBODY, Role.OPERATOR),
    ],
)
def test_by_default_this_user_and_root_may_all_and_strangers_nothing(caller: Caller, role: Role) -> None:
    assert default_role(caller) is role


def test_on_a_system_without_users_whoever_shows_one_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "getuid")
    assert default_role(Caller(wire="fake", uid=4711)) is Role.ADMIN


def test_viewers_see_operators_call_and_write() -> None:
    assert [as_role(role).sees(SOMEBODY) for role in Role] == [False, True, True, True]
    for member in (LOCK, OPEN):
        assert [as_role(role).allows(SOMEBODY, member) for role in Role] == [False, False, True, True]


def test_a_slot_that_only_reads_is_for_viewers_unless_more_is_required() -> None:
    assert [as_role(role).allows(SOMEBODY, HISTORY) for role in Role] == [False, True, True, True]
    policy = allow(Role.OPERATOR, Door.history)
    policy.role = lambda _: Role.VIEWER
    assert not policy.allows(SOMEBODY, HISTORY)


def test_a_member_may_need_more_or_less_than_the_others() -> None:
    policy = allow(Role.ADMIN, Door.blow_up, "lock")
    policy.role = lambda _: Role.OPERATOR
    assert [policy.allows(SOMEBODY, member) for member in (LOCK, OPEN, BLOW_UP)] == [False, True, False]
    policy.require(Role.VIEWER, Door.open, Door.lock)
    policy.role = lambda _: Role.VIEWER
    assert policy.allows(SOMEBODY, OPEN)
    assert not policy.allows(SOMEBODY, LOCK), "writing is never for viewers"


def test_strangers_may_nothing_even_where_everybody_may() -> None:
    policy = allow(Role.STRANGER, Door.open)
    policy.role = lambda _: Role.STRANGER
    assert not policy.allows(SOMEBODY, OPEN)


def test_each_change_moves_the_revision() -> None:
    policy = Policy()
    policy.require(Role.ADMIN, Door.open)
    policy.forget()
    assert policy.revision == 2


def test_identities_have_roles_by_name_and_the_default_for_the_rest() -> None:
    policy = roles({"CN=somebody": Role.VIEWER, "uid:0": Role.STRANGER})
    assert policy.role(SOMEBODY) is Role.VIEWER
    assert policy.role(Caller(wire="fake", identity="uid:0", uid=0)) is Role.STRANGER, "a ban is not a missing entry"
    assert policy.role(Caller(wire="fake", identity="CN=other")) is Role.OPERATOR


def test_policies_do_not_share_what_they_require() -> None:
    Policy().require(Role.ADMIN, "open")
    assert Policy().required == {}
