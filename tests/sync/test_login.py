"""A link without a loop logs in with a token, as one in a loop does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from everywire import (
    Code,
    Fault,
    Node,
    Object,
    Policy,
    RemoteObjects,
    ReplicaState,
    Role,
    TokenError,
    Tokens,
    current_call,
    link_of,
    slot,
    sync,
)
from everywire.runtime import scram, tokens
from tests.conformance.wires import QUICK
from tests.sync.conftest import Connect, both_ways


class Machine(Object):
    @slot
    async def who(self) -> str:
        caller = current_call().caller
        return f"{caller.identity} {caller.role.name}"


@pytest.fixture(autouse=True)
def _cheap_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "COST", scram.LEAST_COST)


@contextmanager
def guarded(folder: Path) -> Iterator[tuple[str, Tokens]]:
    known = Tokens(folder / "tokens.json")
    with (
        sync.LoopThread() as thread,
        thread.enter(Node(limits=QUICK, tokens=known, policy=Policy())) as node,
    ):
        thread.call(node.publish, Machine(), "machine").result()
        (url,) = thread.run(node.serve("tcp://127.0.0.1:0"))
        yield url, known


@both_ways
def test_a_token_opens_the_link(folder: Path, connect: Connect) -> None:
    with guarded(folder) as (url, known):
        token = known.add("panel", Role.OPERATOR)
        with connect(RemoteObjects(url=url, token=token), "machine", Machine) as machine:
            assert sync.run(machine.who()) == "token:panel OPERATOR"
        file = folder / "panel.token"
        file.touch(mode=0o600)
        file.write_text(token)
        with connect(f"{url}?token={file}", "machine", Machine) as machine:
            assert sync.run(machine.who()) == "token:panel OPERATOR"


@both_ways
def test_without_the_right_token_nothing_is_shown(folder: Path, connect: Connect) -> None:
    with guarded(folder) as (url, known):
        token = known.add("panel", Role.OPERATOR)
        with (
            pytest.raises(Fault, match=r"needs a token: add \?token=FILE") as caught,
            connect(url, "machine", Machine, timeout=0),
        ):
            pass
        assert caught.value.code is Code.UNAUTHENTICATED
        wrong = f"{token[:-4]}AAAA"
        with pytest.raises(Fault) as caught, connect(RemoteObjects(url=url, token=wrong), "machine", timeout=0):
            pass
        assert caught.value.code is Code.UNAUTHENTICATED
        absent = f"{url}?token={folder}/absent"
        with pytest.raises(TokenError, match="there is no file"), connect(absent, "machine"):
            pass


@both_ways
def test_a_revoked_token_ends_the_link_and_says_so(folder: Path, connect: Connect) -> None:
    with guarded(folder) as (url, known):
        token = known.add("panel", Role.OPERATOR)
        with connect(RemoteObjects(url=url, token=token), "machine", Machine) as machine:
            assert sync.run(machine.who()) == "token:panel OPERATOR"
            known.remove("panel")
            with pytest.raises(Fault) as caught:
                sync.run(machine.who())
            assert caught.value.code is Code.UNAUTHENTICATED
            sync.until(lambda: link_of(machine).state is not ReplicaState.VALID, 5)
            assert "UNAUTHENTICATED" in str(link_of(machine).error)
            with pytest.raises(Fault):
                sync.run(machine.who())
            assert link_of(machine).state is ReplicaState.SUSPECT


@both_ways
def test_a_refused_login_is_not_tried_again(folder: Path, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    with (
        guarded(folder) as (url, _),
        pytest.raises(Fault, match="needs a token"),
        connect(url, "machine", Machine, timeout=None),
    ):
        pass
    assert [record.name for record in caplog.records].count("everywire.audit") == 1
