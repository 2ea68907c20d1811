from __future__ import annotations

import pytest

from everywire import Code, Fault, LinkError, Object, Policy, Property, Role, link_of, prop, signal, slot
from everywire.testing import Heard, RecordingConnection, pair
from everywire.transport import Connection


class Lamp(Object):
    lit: Property[bool] = prop(False, writable=True)

    @signal
    def flickered(self, times: int) -> None: ...

    @slot
    async def toggle(self) -> bool:
        self.lit = not self.lit
        self.flickered.emit(2)
        return self.lit


class Dimmable(Lamp):
    level: Property[float] = prop(1.0)


class Session:
    """A receiver that notes what its connection tells it."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def connected(self, connection: Connection) -> None:
        self.told.append(connection)

    def received(self, data: bytes) -> None:
        self.told.append(data)

    def paused(self) -> None:
        self.told.append("paused")

    def resumed(self) -> None:
        self.told.append("resumed")

    def lost(self, error: LinkError | None) -> None:
        self.told.append(error)


async def test_a_pair_is_a_source_and_its_replica() -> None:
    lamp = Lamp()
    async with pair(lamp) as replica:
        assert type(replica) is not Lamp
        assert isinstance(replica, Lamp)
        assert await replica.toggle() is True
        assert lamp.lit
        assert await Lamp.lit.push(replica, False) is False
        assert not lamp.lit


async def test_two_pairs_live_side_by_side() -> None:
    async with pair(Lamp()) as one, pair(Lamp()) as other:
        await one.toggle()
        assert (one.lit, other.lit) == (True, False)
        assert link_of(one).url != link_of(other).url


async def test_the_replica_of_a_pair_may_have_a_smaller_class() -> None:
    async with pair(Dimmable(), "lamp", Lamp) as replica:
        assert not isinstance(replica, Dimmable)
        assert link_of(replica).name == "lamp"


async def test_a_pair_keeps_its_policy() -> None:
    async with pair(Lamp(), policy=Policy(role=lambda _: Role.VIEWER)) as replica:
        with pytest.raises(Fault) as refused:
            await replica.toggle()
        assert refused.value.code is Code.PERMISSION_DENIED


async def test_heard_keeps_what_a_signal_carried_and_waits_for_more() -> None:
    async with pair(Lamp()) as replica:
        flickers, values = Heard(), Heard()
        replica.flickered.connect(flickers)
        Lamp.lit.on_change(replica, values)
        await replica.toggle()
        call = replica.toggle()
        assert await flickers.wait(2) == [(2,), (2,)]
        assert await values.wait(2) == [(True,), (False,)]
        await call


def test_a_recording_connection_keeps_what_is_written() -> None:
    session = Session()
    connection = RecordingConnection(session)
    connection.write(b"one")
    connection.write(b"two")
    assert connection.written == [b"one", b"two"]
    assert connection.unsent == 0
    assert connection.take() == b"onetwo"
    assert connection.written == []
    assert session.told == []
    assert connection.peer.loopback


def test_a_stalled_recording_connection_pauses_its_receiver_above_the_limit_until_the_peer_takes() -> None:
    session = Session()
    connection = RecordingConnection(session, write_limit=4)
    connection.stall()
    connection.write(b"1234")
    assert session.told == []
    connection.write(b"5")
    connection.write(b"6")
    assert session.told == ["paused"]
    assert connection.unsent == 6
    assert connection.take() == b"123456"
    assert session.told == ["paused", "resumed"]
    connection.write(b"7")
    assert connection.unsent == 0


def test_a_recording_connection_notes_how_it_ended_and_takes_nothing_more() -> None:
    session = Session()
    connection = RecordingConnection(session)
    connection.pause_reading()
    assert not connection.reading
    connection.resume_reading()
    assert connection.reading
    connection.abort()
    connection.write(b"late")
    assert (connection.aborted, connection.closed, connection.written) == (True, False, [])
    error = LinkError("gone")
    connection.lose(error)
    assert session.told == [error]
    other = RecordingConnection(session)
    other.close()
    other.write(b"late")
    assert (other.closed, other.aborted, other.written) == (True, False, [])
