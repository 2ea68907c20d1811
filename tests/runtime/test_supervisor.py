from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from everywire import Code, Fault, LinkError, Node, RemoteProtocolError, SignatureMismatch, TokenError
from everywire.runtime import supervisor as module
from everywire.runtime.replica import ReplicaLink, ReplicaState
from everywire.runtime.supervisor import FAR, NEAR, Supervisor, is_near
from everywire.testing import Heard
from tests.runtime.fakes import FakeSession, FakeWire, Pump, lose

UNINITIALIZED, VALID, SUSPECT = ReplicaState.UNINITIALIZED, ReplicaState.VALID, ReplicaState.SUSPECT


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEAR", 0.0)
    monkeypatch.setattr(module, "FAR", 0.0)


class Scene:
    """A supervised replica and what happens to it."""

    def __init__(self, wire: FakeWire, node: Node, *, patient: bool = True) -> None:
        self.wire = wire
        self.replica = ReplicaLink(wire.url, "pump", Pump, node)
        self.supervisor = Supervisor(wire, node, self.replica, patient=patient)
        self.states = Heard()
        self.replica.state_changed.connect(self.states)
        self.task = node.tasks.spawn(self.supervisor.run(), awaited=True)


@asynccontextmanager
async def scene(wire: FakeWire, *, patient: bool = True) -> AsyncIterator[Scene]:
    async with Node() as node:
        yield Scene(wire, node, patient=patient)


async def test_a_lost_replica_is_suspect_and_comes_back_by_itself_again_and_again() -> None:
    wire = FakeWire()
    async with scene(wire) as made:
        for round_ in range(3):
            await made.states.wait(2 * round_ + 1)
            lose(wire)
        await made.states.wait(7)
        assert made.states.calls == [(VALID,), (SUSPECT,)] * 3 + [(VALID,)]
        assert made.replica.error is None
        assert all(session.closed for session in wire.sessions[:-1])
        assert not wire.sessions[-1].closed
    assert wire.sessions[-1].closed


async def test_attempts_go_on_while_nobody_answers_and_say_why() -> None:
    wire = FakeWire()
    wire.failures = [LinkError("refused"), RemoteProtocolError("gibberish"), Fault(Code.UNAVAILABLE, "shy")]
    async with scene(wire) as made:
        await made.states.wait(1)
        assert made.states.calls == [(VALID,)]
        assert wire.attempts == 4


async def test_the_reason_of_a_loss_is_kept_while_the_replica_is_suspect() -> None:
    wire = FakeWire()
    async with scene(wire) as made:
        await made.states.wait(1)
        lose(wire, LinkError("the cable broke"))
        await made.states.wait(2)
        assert str(made.replica.error) == "the cable broke"


async def test_a_node_that_closes_in_the_moment_in_which_a_host_answers_ends_in_peace() -> None:
    answers = asyncio.Event()

    class SlowWire(FakeWire):
        async def open(self, node: Node) -> FakeSession:
            await answers.wait()
            return await super().open(node)

    wire = SlowWire()
    async with Node() as node:
        made = Scene(wire, node)
        node.tasks.report(made.task)
        await asyncio.sleep(0)
        answers.set()
        await node.aclose()
    assert made.task.cancelled()
    assert [session.closed for session in wire.sessions] == [True]


async def test_an_end_without_a_reason_is_told_as_a_closed_connection() -> None:
    wire = FakeWire()
    async with scene(wire) as made:
        await made.states.wait(1)
        lose(wire, OSError("something else"))
        await made.states.wait(2)
        assert str(made.replica.error) == "the host closed the connection"


async def test_a_link_that_ends_while_attaching_is_tried_again() -> None:
    wire, stuck = FakeWire(), asyncio.Event()

    async def never(_: ReplicaLink) -> None:
        stuck.set()
        await asyncio.Event().wait()

    wire.attaching = never
    async with scene(wire) as made:
        await stuck.wait()
        wire.attaching = None
        lose(wire)
        await made.states.wait(1)
        assert made.states.calls == [(VALID,)]
        assert len(wire.sessions) == 2


async def test_a_replica_that_does_not_match_waits_for_the_end_of_the_link_and_tries_again() -> None:
    wire = FakeWire()

    async def mismatch(_: ReplicaLink) -> None:
        raise SignatureMismatch("pump is not a Pump:", ("property speed is missing",))

    wire.attaching = mismatch
    async with scene(wire) as made:
        await made.states.wait(1)
        await made.supervisor.settled.wait()
        assert made.states.calls == [(ReplicaState.SIGNATURE_MISMATCH,)]
        assert isinstance(made.replica.error, SignatureMismatch)
        for _ in range(9):
            await asyncio.sleep(0)
        assert wire.attempts == 1
        wire.attaching = None
        lose(wire)
        await made.states.wait(2)
        assert made.states.calls[1:] == [(VALID,)]


async def test_a_replica_that_matched_no_more_is_uninitialized_once_nobody_answers() -> None:
    wire = FakeWire()

    async def mismatch(_: ReplicaLink) -> None:
        raise SignatureMismatch("pump is not a Pump:")

    wire.attaching = mismatch
    async with scene(wire) as made:
        await made.supervisor.settled.wait()
        wire.failures = [LinkError("refused")]
        wire.attaching = None
        lose(wire)
        await made.states.wait(3)
        assert [state for (state,) in made.states.calls[1:]] == [UNINITIALIZED, VALID]


@pytest.mark.parametrize("failure", [LinkError("refused"), Fault(Code.NOT_FOUND, "no pump")])
async def test_one_attempt_is_one_attempt(failure: Exception) -> None:
    wire = FakeWire()
    wire.failures = [failure]
    async with scene(wire, patient=False) as made:
        await made.task
        assert made.supervisor.settled.is_set()
        assert made.replica.error is failure
        assert (wire.attempts, made.states.calls) == (1, [])


async def test_after_a_first_success_the_only_attempt_becomes_a_link_that_comes_back() -> None:
    wire = FakeWire()
    async with scene(wire, patient=False) as made:
        await made.states.wait(1)
        wire.failures = [LinkError("refused")]
        lose(wire)
        await made.states.wait(3)
        assert wire.patience == [False, True]


async def test_what_no_reconnecting_mends_ends_the_attempts() -> None:
    wire = FakeWire()
    wire.failures = [LookupError("a bug")]
    async with scene(wire) as made:
        with pytest.raises(LookupError):
            await made.task


@pytest.mark.parametrize(
    "url,near",
    [
        ("local:climate", True),
        ("localabstract:climate", True),
        ("memory:plant", True),
        ("stdio:program", True),
        ("tcp://127.0.0.1:65213", True),
        ("tcp://127.3.2.1:65213", True),
        ("tcp://localhost:65213", True),
        ("tls://[::1]:65213?ca=ca.pem", True),
        ("qtro+local:climate", True),
        ("qtro+wss://127.0.0.1:1", True),
        ("http://127.0.0.1", True),
        ("http://localhost/things", True),
        ("https://LOCALHOST?ca=ca.pem", True),
        ("https://[::1]", True),
        ("https://[::1]:8443/things", True),
        ("https://[::ffff:127.0.0.1]:8443", True),
        ("http+tcp://127.0.0.1:8080", True),
        ("http+local:/run/plant.sock", True),
        ("http+localabstract:plant", True),
        ("dbus:session?service=org.acme.Climate", True),
        ("dbus:unix:path=/run/bus?service=org.acme.Climate", True),
        ("dbus:tcp:host=127.0.0.1,port=55556?service=org.acme.Climate", True),
        ("dbus:tcp:host=192.0.2.7,port=55556?service=org.acme.Climate", False),
        ("dbus+tcp://192.0.2.7:7000", False),
        ("http://plant.example", False),
        ("http://localhost.plant.example:8080", False),
        ("https://[2001:db8::1]", False),
        ("http://192.0.2.7/?x=//127.0.0.1", False),
        ("tcp://192.0.2.7:65213", False),
        ("tcp://127.example.org:65213", False),
        ("tls://[2001:db8::1]:65213", False),
        ("tcp://plant.example:65213?x=127.0.0.1", False),
    ],
)
def test_this_machine_is_near(url: str, near: bool) -> None:
    assert is_near(url) is near


class Pauses:
    """Stands for the random numbers of the jitter: always the longest."""

    def __init__(self) -> None:
        self.bounds: list[tuple[float, float]] = []

    def uniform(self, low: float, high: float) -> float:
        self.bounds.append((low, high))
        return high


async def test_far_hosts_are_asked_ever_more_rarely_with_full_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEAR", NEAR)
    monkeypatch.setattr(module, "FAR", FAR)
    monkeypatch.setattr(module, "random", pauses := Pauses())
    async with Node() as node:
        far = Supervisor(FakeWire("tcp://192.0.2.7:1"), node, ReplicaLink("", "pump", Pump, node))
        near = Supervisor(FakeWire("tcp://127.0.0.1:1"), node, ReplicaLink("", "pump", Pump, node))
        assert [round(far._pause(n), 3) for n in (0, 1, 2, 3, 4, 5, 6, 7, 10_000)] == [
            0.1, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0,
        ]  # fmt: skip
        assert {low for low, _ in pauses.bounds} == {0}
        assert {near._pause(n) for n in (0, 1, 7, 10_000)} == {NEAR}


@pytest.mark.parametrize(
    "refusal",
    [
        Fault(Code.UNAUTHENTICATED, "the token is wrong"),
        Fault(Code.RESOURCE_EXHAUSTED, "too many logins"),
        TokenError("chmod 600 panel.token"),
    ],
)
async def test_a_login_that_is_refused_settles_the_first_attempt(refusal: Exception) -> None:
    wire = FakeWire()
    wire.failures = [refusal]
    async with scene(wire) as made:
        await made.supervisor.settled.wait()
        await made.task
        assert made.replica.error is refusal
        assert wire.attempts == 1


@pytest.mark.parametrize("longer,attempts,ends", [(3600.0, 2, [(SUSPECT,)]), (0.0, 4, [(SUSPECT,), (VALID,)])])
async def test_a_login_that_is_refused_later_is_tried_again_at_once_and_then_after_longer_pauses(
    longer: float, attempts: int, ends: list[tuple[ReplicaState]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a changed role holds soon, and a revoked token neither fills the host's log nor locks others out."""
    monkeypatch.setattr(module, "LOCKED_OUT", longer)
    wire = FakeWire()
    refusal = Fault(Code.UNAUTHENTICATED, "revoked")
    async with scene(wire) as made:
        await made.states.wait(1)
        wire.failures = [refusal, refusal]
        lose(wire, refusal)
        await made.states.wait(1 + len(ends))
        while wire.attempts < attempts:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert made.states.calls[1:] == ends
        assert wire.attempts == attempts
