"""Laws 1, 2 and 6: however a stream is cut and whatever is in it, the same events come out, and never an exception."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire import RemoteProtocolError
from tests.laws import dbus
from tests.laws.engines import SUBJECTS, TWINS, Rig, Subject

every_engine = pytest.mark.parametrize("subject", [*SUBJECTS, *dbus.SUBJECTS], ids=str)


def fed(rig: Rig, chunks: Sequence[bytes], *, eof: bool = True) -> list[object]:
    """Return what *rig* shows for *chunks*; check that a broken protocol is the last thing it says."""
    events: list[Any] = []
    for chunk in chunks:
        events += rig.engine.receive_data(chunk)
    if eof:
        events += rig.engine.receive_eof()
    broken = [event for event in events if type(event).__name__ == "Broken"]
    assert len(broken) <= 1
    if broken:
        assert events[-1] is broken[0]
        assert isinstance(broken[0].error, RemoteProtocolError)
        assert str(broken[0].error)
        assert rig.engine.receive_data(b"more") == rig.engine.receive_eof() == []
    return [rig.show(event) for event in events]


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(stream) + 1) for place in places}), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges) if a < b]


def corrupted(stream: bytes, edits: Sequence[tuple[int, int, str]]) -> bytes:
    """Return *stream* with bytes changed, inserted or taken out."""
    data = bytearray(stream)
    for place, byte, kind in edits:
        at = place % (len(data) + 1)
        if kind == "insert":
            data.insert(at, byte)
        elif at < len(data):
            data[at : at + 1] = b"" if kind == "drop" else bytes([byte])
    return bytes(data)


CUTS = st.lists(st.integers(0, 2**16), max_size=12)
EDITS = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(0, 255), st.sampled_from(["change", "change", "insert", "drop"])),
    min_size=1,
    max_size=4,
)


@every_engine
@given(data=st.data())
def test_a_stream_gives_the_same_events_however_it_is_cut(subject: Subject, data: st.DataObject) -> None:
    stream = data.draw(subject.streams)
    whole = fed(subject.make(), [stream])
    assert fed(subject.make(), cut(stream, data.draw(CUTS))) == whole
    assert fed(subject.make(), [stream[n : n + 1] for n in range(len(stream))]) == whole
    assert not any("Broken" in str(event) for event in whole)


@every_engine
@given(data=st.data())
def test_a_corrupted_stream_gives_the_same_events_however_it_is_cut(subject: Subject, data: st.DataObject) -> None:
    stream = corrupted(data.draw(subject.streams), data.draw(EDITS))
    whole = fed(subject.make(), [stream])
    assert fed(subject.make(), cut(stream, data.draw(CUTS))) == whole
    assert fed(subject.make(), [stream[n : n + 1] for n in range(len(stream))]) == whole


@every_engine
@given(garbage=st.binary(max_size=200), data=st.data())
def test_any_bytes_give_events_and_at_most_one_broken_at_the_end(
    subject: Subject, garbage: bytes, data: st.DataObject
) -> None:
    whole = fed(subject.make(), [garbage])
    assert fed(subject.make(), cut(garbage, data.draw(CUTS))) == whole


@every_engine
@given(body=st.binary(min_size=6, max_size=80), data=st.data())
def test_any_body_in_a_sound_frame_gives_events_or_broken(subject: Subject, body: bytes, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 12))
    frame = len(body).to_bytes(4, "little") + number.to_bytes(2, "little") + body[2:]
    stream = data.draw(subject.streams) + frame + data.draw(subject.streams)
    assert fed(subject.make(), cut(stream, data.draw(CUTS))) == fed(subject.make(), [stream])


@every_engine
@given(data=st.data())
def test_an_engine_is_deterministic(subject: Subject, data: st.DataObject) -> None:
    chunks = cut(corrupted(data.draw(subject.streams), data.draw(EDITS)), data.draw(CUTS))
    one, two = subject.make(), subject.make()
    assert fed(one, chunks) == fed(two, chunks)
    assert one.engine.data_to_send() == two.engine.data_to_send()


@every_engine
@given(data=st.data())
def test_an_end_within_a_frame_breaks_the_protocol_and_one_between_frames_does_not(
    subject: Subject, data: st.DataObject
) -> None:
    stream = data.draw(subject.streams)
    rig = subject.make()
    whole = fed(rig, [stream], eof=False)
    assert rig.engine.receive_eof() == []
    half = stream[: data.draw(st.integers(0, len(stream)))]
    part = fed(subject.make(), [half])
    if part and "Broken" in str(part[-1]):
        assert "ended within" in str(part.pop())
    assert part == whole[: len(part)]


@every_engine
def test_no_bytes_are_no_events(subject: Subject) -> None:
    rig = subject.make()
    assert rig.engine.receive_data(b"") == []
    assert rig.engine.receive_eof() == []
    assert rig.engine.receive_eof() == []


@pytest.mark.parametrize("subject,slow", TWINS, ids=[str(fast) for fast, _ in TWINS])
@given(data=st.data())
def test_the_fast_path_and_the_general_path_give_the_same_events(
    subject: Subject, slow: Any, data: st.DataObject
) -> None:
    stream = data.draw(subject.streams)
    assert fed(subject.make(), [stream]) == fed(slow(), [stream])


@pytest.mark.parametrize("subject,slow", TWINS, ids=[str(fast) for fast, _ in TWINS])
@given(data=st.data())
def test_corrupted_streams_mean_the_same_on_both_paths(subject: Subject, slow: Any, data: st.DataObject) -> None:
    stream = corrupted(data.draw(subject.streams), data.draw(EDITS))
    assert fed(subject.make(), [stream]) == fed(slow(), [stream])
