"""Objects and fakes of the tests of the wire of Qt Remote Objects."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from everywire import Code, Fault, Object, Property, computed, i32, prop, signal, slot, u8
from everywire.model import contract_of
from everywire.remoteobjects.engine import Engine
from everywire.remoteobjects.wire.hosting import HostedObject
from everywire.remoteobjects.wire.replicating import careful_news
from everywire.runtime.node import Publication
from everywire.runtime.policy import Policy


class Mode(enum.Enum):
    OFF = 0
    ON = 1


@dataclass(frozen=True)
class Reading:
    celsius: float
    taken_at: str


class Thermostat(Object):
    """Keeps one room warm."""

    set_point: Property[float] = prop(21.0, writable=True, minimum=5, maximum=35)
    current: Property[float] = prop(20.0)
    mode: Property[Mode] = prop(Mode.OFF, writable=True)
    anything: Property[Any] = prop(None)

    @computed(set_point, current)
    def error(self) -> float:
        return self.set_point - self.current

    @signal
    def over_heated(self, celsius: float, sensor: str) -> None: ...

    @signal
    def ticked(self) -> None: ...

    @slot
    async def boost(self, minutes: u8 = 10) -> i32:
        return minutes * 60

    @slot
    async def forecast(self, hours: int) -> AsyncIterator[float]:
        yield float(hours)

    @slot
    async def read(self, sensor_names: list[str]) -> Reading:
        return Reading(20.0, sensor_names[0])

    @slot
    async def stop(self) -> None:
        raise Fault(Code.FAILED_PRECONDITION, "not today")


def published(source: Object, name: str = "hall") -> Publication:
    """*source* under *name*, as a node would have it."""
    return Publication(name, source, contract_of(source), Policy())


def hosted(source: Object, name: str = "hall") -> HostedObject:
    """*source* as Qt Remote Objects sees it."""
    return HostedObject(published(source, name))


class Outgoing:
    """Takes the place of an outbox: keeps the frames, by kind."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def put_change(self, key: object, frame: bytes, *, alone: bool) -> None:
        self.sent.append(("change", frame))

    def put_signal(self, frame: bytes, *, alone: bool) -> None:
        self.sent.append(("signal", frame))

    def put_notice(self, frame: bytes) -> None:
        self.sent.append(("notice", frame))


class Listener:
    """A link that has attached."""

    def __init__(self) -> None:
        self.outbox = Outgoing()


class Pending:
    """Takes the place of a pending call where no loop runs."""

    def __init__(self, loop: object = None) -> None:
        self.link: Any = None
        self.value: Any = None
        self.error: BaseException | None = None

    def done(self) -> bool:
        return self.error is not None

    def set_exception(self, error: BaseException) -> None:
        self.error = error


class NodeLink:
    """Takes the place of a node's session: keeps what a channel writes, and asks."""

    def __init__(self, *, extended: bool = False) -> None:
        self.engine = Engine(host=False, careful=lambda packet: careful_news(self.engine, packet))
        self.extended = extended
        self.frames: list[bytes] = []
        self.loop = None
        self.written: list[bytes] = []
        self.swept: list[object] = []
        self.cancelled: list[tuple[str, int]] = []
        self.streams: list[tuple[str, tuple[Any, ...]]] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def join(self, frame: bytes) -> None:
        self.written.append(frame)

    def pending(self) -> Pending:
        return Pending()

    def sweep(self, channel: object) -> None:
        self.swept.append(channel)

    def cancel(self, name: str, serial: int) -> None:
        self.cancelled.append((name, serial))

    def open_stream(self, channel: object, member: Any, arguments: tuple[Any, ...]) -> str:
        self.streams.append((member.name, arguments))
        return "a stream"
