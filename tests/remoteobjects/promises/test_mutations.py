"""R4: real sessions with Qt, changed at random, give events or a protocol error, soon, and leave no memory behind."""

from __future__ import annotations

import gc
import random
import time
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire.remoteobjects.codec import QTRO_1_3, QTRO_2_0
from everywire.remoteobjects.engine import Broken, Engine
from everywire.runtime.limits import KIB, MIB
from fuzz import seeds
from fuzz.framing import join, mutated_frames, mutator, split
from fuzz.seeds import ORDERS
from tests.conformance.programs import resident_bytes
from tests.harness import SOAK, soak
from tests.laws.engines import SUBJECTS, Rig
from tests.remoteobjects.promises.conftest import Figures

LONGEST: Final = 64 * KIB
SLOW: Final = 50.0
"""Milliseconds of CPU that an input of 64 KiB may take."""
DIALECTS: Final = {"2.0": QTRO_2_0, "1.3": QTRO_1_3}
ROLES: Final = [(receiver, version) for version in DIALECTS for receiver in ("host", "node")]
SENDERS: Final = {"host": "node", "node": "host"}


def fresh(receiver: str, version: str) -> Engine:
    """A new engine in a role; a node finds out by itself which version its host speaks."""
    return Engine(host=True, dialect=DIALECTS[version]) if receiver == "host" else Engine(host=False)


def checked(engine: Any, data: bytes) -> list[Any]:
    """Return the events of *data*, of which only the last may be Broken; anything raised fails the test."""
    events: list[Any] = engine.receive_data(data)
    broken = [event for event in events if type(event) is Broken]
    assert broken in ([], events[-1:])
    return events


def inputs(sender: str, version: str, rng: random.Random, count: int) -> Any:
    """Yield so many changed pieces of what was recorded."""
    begin, change = seeds.streams(sender, version), mutator(rng)
    for _ in range(count):
        stream = rng.choice(begin)
        for _ in range(rng.choice((1, 1, 2, 4))):
            stream = mutated_frames(stream, ORDERS[version], LONGEST, rng, change)
        yield stream


@pytest.mark.timeout(3600 if SOAK else 60)
@pytest.mark.parametrize("receiver, version", ROLES)
def test_changed_sessions_give_events_or_a_protocol_error(receiver: str, version: str, figure: Figures) -> None:
    seed = random.randrange(2**32)
    figure("seed", seed)
    rng, count = random.Random(seed), soak(2000, 200_000)
    slowest = broken = 0.0
    before = 0
    for number, data in enumerate(inputs(SENDERS[receiver], version, rng, count)):
        if number == count // 4:
            gc.collect()
            before = resident_bytes()
        begun = time.process_time()
        events = checked(fresh(receiver, version), data)
        slowest = max(slowest, (time.process_time() - begun) * 1000 / max(1.0, len(data) / LONGEST))
        broken += any(type(event) is Broken for event in events)
    gc.collect()
    figure("sessions changed and received", count)
    figure("of them broken", broken / count * 100, "%")
    figure("slowest for each 64 KiB", slowest, "ms of CPU", at_most=SLOW)
    figure("memory grown in the last three quarters", (resident_bytes() - before) / MIB, "MiB", at_most=1.0)


@pytest.mark.timeout(3600 if SOAK else 60)
@pytest.mark.parametrize("name", ["qtro_host_of_an_object", "qtro_node_with_a_replica"])
def test_changed_sessions_harm_no_object_and_no_replica(name: str, figure: Figures) -> None:
    seed = random.randrange(2**32)
    figure("seed", seed)
    rng, count = random.Random(seed), soak(500, 50_000)
    (subject,) = (subject for subject in SUBJECTS if subject.name == name)
    for data in inputs("host" if "node" in name else "node", "2.0", rng, count):
        rig: Rig = subject.make()
        for event in checked(rig.engine, data):
            rig.show(event)
    figure("sessions changed and received", count)


@pytest.mark.parametrize("receiver, version", ROLES)
def test_recorded_sessions_are_received_whole(receiver: str, version: str) -> None:
    """What is changed is sound before: otherwise nothing behind its first frame would be tested."""
    heard = 0
    for session in seeds.sessions(SENDERS[receiver], version):
        events = checked(fresh(receiver, version), session)
        assert not any(type(event) is Broken for event in events), events[-1]
        heard += len(events)
    assert heard > 30


@pytest.mark.parametrize("version", list(DIALECTS))
@given(st.data())
def test_sessions_in_another_order_of_frames_give_events_or_a_protocol_error(version: str, data: st.DataObject) -> None:
    receiver = data.draw(st.sampled_from(["host", "node"]))
    bodies = split(data.draw(st.sampled_from(seeds.sessions(SENDERS[receiver], version))), ORDERS[version])
    some = data.draw(st.lists(st.sampled_from(bodies), max_size=8))
    checked(fresh(receiver, version), join(some, ORDERS[version]))


@pytest.mark.parametrize("receiver, version", ROLES)
def test_long_streams_of_small_frames_take_a_time_that_grows_with_them(
    receiver: str, version: str, figure: Figures
) -> None:
    """No quadratic work: sixteen times as many bytes may take twenty-four times as long, not 256 times."""
    stream = max(seeds.sessions(SENDERS[receiver], version), key=len)
    bodies = split(stream, ORDERS[version])
    handshake = bodies[:1] if receiver == "node" else []
    rest = bodies[len(handshake) :]

    def cost(times: int) -> float:
        data = join([*handshake, *rest * times], ORDERS[version])
        found = []
        for _ in range(3):
            begun = time.process_time()
            checked(fresh(receiver, version), data)
            found.append(time.process_time() - begun)
        return min(found)

    times = max(4, 64 * KIB // len(stream))
    figure("cost of sixteen times as many bytes", cost(times * 16) / cost(times), "times", at_most=24)
