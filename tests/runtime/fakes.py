"""What the tests of the runtime share: an object, its doors, and a link, a wire and a host without any bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from threading import get_ident
from typing import Any

from everywire import Code, Fault, LinkError, Object, OutOfRange, Policy, Property, current_call, prop, signal, slot
from everywire.model import Caller, contract_of
from everywire.model.compile import compile_check
from everywire.model.slots import may_suspend
from everywire.runtime.gate import Door, Invoked
from everywire.runtime.inbound import InboundLink
from everywire.runtime.limits import DEFAULT_LIMITS, Limits, Refusals
from everywire.runtime.node import Node, Publication
from everywire.runtime.outbox import Outbox
from everywire.runtime.replica import ReplicaLink, ReplicaState
from everywire.runtime.tasks import TaskSet

ADMIN = Caller(wire="fake", identity="uid:0", uid=0)
REMOTE = Caller(wire="fake", identity="CN=remote", encrypted=True, address="192.0.2.1:7")


class Ending(BaseException):
    """Stands for KeyboardInterrupt: tells the program to end, and is no Exception."""


class Pump(Object):
    """An object with a slot of every temper."""

    speed: Property[int] = prop(0, writable=True, minimum=0, maximum=9)
    level: Property[float] = prop(1.0)

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.go = asyncio.Event()

    @signal
    def dripped(self, drops: int) -> None: ...

    @slot
    async def double(self, value: int) -> int:
        self.heard.append(value)
        return 2 * value

    @slot
    async def wait(self, value: int) -> int:
        self.heard.append(value)
        await self.go.wait()
        return value

    @slot(timeout=0.01)
    async def hurry(self) -> None:
        try:
            await self.go.wait()
        finally:
            self.heard.append("cancelled")

    @slot(timeout=0.01)
    async def stubborn(self) -> None:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.heard.append("asked")
            await self.go.wait()
            self.heard.append("cleaned")
            raise

    @slot
    async def fail(self) -> None:
        raise ValueError("the password is swordfish")

    @slot
    async def fail_later(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("the password is swordfish")

    @slot
    async def refuse(self) -> None:
        raise Fault(Code.ABORTED, "not now")

    @slot
    async def give_up(self) -> None:
        raise asyncio.CancelledError

    @slot
    async def end(self) -> None:
        raise Ending

    @slot
    async def end_later(self) -> None:
        await asyncio.sleep(0)
        raise Ending

    @slot
    async def set_wrongly(self) -> None:
        self.speed = 99

    @slot
    async def who(self) -> str:
        call = current_call()
        return f"{call.caller.identity} {call.object}.{call.member.name}"

    @slot
    async def who_later(self) -> str:
        await asyncio.sleep(0)
        call = current_call()
        return f"{call.caller.identity} {call.object}.{call.member.name}"

    @slot
    async def drip(self, times: int) -> None:
        for number in range(times):
            self.dripped.emit(number)

    @slot
    async def drops(self) -> AsyncIterator[int]:
        yield 1
        await self.go.wait()


def door(
    pump: Object, name: str, *, policy: Policy | None = None, reply: Any = lambda token, value: f"{token}={value};"
) -> Door:
    """Return the door of a slot of *pump*, whose replies are texts."""
    member = contract_of(pump).members[name]
    method = getattr(pump, name)
    return Door(
        "pump",
        member,
        owner=pump,
        method=method,
        check=compile_check(member),
        reply=reply,
        policy=policy or Policy(),
        suspends=member.stream or may_suspend(method.__func__),
    )


def call(pump: Object, name: str, *arguments: Any, token: int = 1, policy: Policy | None = None) -> Invoked:
    """Return the event of a call."""
    return Invoked(door(pump, name, policy=policy), arguments, token)


class FakeWriter:
    """Keeps what an outbox writes; `room` is how many writes it takes before it calls `full`."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.aborted = asyncio.Event()
        self.room: int | None = None
        self.full: Any = lambda: None

    def write(self, data: str) -> None:
        self.written.append(data)
        if self.room is not None:
            self.room -= 1
            if self.room == 0:
                self.full()

    def abort(self) -> None:
        self.aborted.set()


class FakeLink(InboundLink):
    """A link whose replies are texts; keeps refusals and other events."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, caller: Caller = ADMIN) -> None:
        loop = asyncio.get_running_loop()
        self.writer = FakeWriter()
        self.tasks = TaskSet(loop)
        self.reading = True
        self.faults: list[Fault] = []
        self.others: list[Any] = []
        self.answered = asyncio.Event()
        super().__init__(
            caller=caller,
            limits=limits,
            tasks=self.tasks,
            outbox=Outbox(self.writer, limits, loop.call_soon, join="".join),
            pause_reading=lambda: self.read(reading=False),
            resume_reading=lambda: self.read(reading=True),
            refusals=Refusals(),
        )
        self.writer.full = self.congested

    @property
    def answers(self) -> str:
        return "".join(self.writer.written)

    def read(self, *, reading: bool) -> None:
        self.reading = reading

    def refused(self, door: Door, token: Any, fault: Fault) -> None:
        self.refusals[fault.code.name] += 1
        self.faults.append(fault)
        self.outbox.put(f"{token}!{fault.code.name};")
        self.answered.set()

    def other(self, event: Any) -> None:
        self.others.append(event)

    async def until_answered(self, text: str) -> None:
        """Let the loop run until the answers are *text*."""
        while self.answers != text:
            await asyncio.sleep(0)


class FakeServer:
    """A server that keeps what the node tells it."""

    def __init__(self, url: str, told: list[str], node: Node) -> None:
        self.url, self.told = url, told
        self.told += [f"{url} has {name}" for name in node.published]
        self.refuses = False
        self.tasks: list[asyncio.Task[Any]] = []

    def added(self, publication: Publication) -> None:
        if self.refuses:
            raise OutOfRange(f"{self.url} cannot carry {publication.name}")
        self.told.append(f"{self.url} + {publication.name}")

    def removed(self, publication: Publication) -> None:
        self.told.append(f"{self.url} - {publication.name}")

    def recheck(self) -> None:
        self.thread = get_ident()
        self.told.append(f"{self.url} recheck")

    def running(self) -> list[asyncio.Task[Any]]:
        return self.tasks

    async def stop_accepting(self) -> None:
        self.told.append(f"{self.url} stops")

    async def close(self) -> None:
        self.told.append(f"{self.url} closes")


class FakeSession:
    """A connection whose host does what the wire says."""

    def __init__(self, wire: FakeWire) -> None:
        self.wire = wire
        self.gone: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.closed = False

    @property
    def offered(self) -> tuple[str, ...] | None:
        return self.wire.offers

    async def attach(self, replica: ReplicaLink, *, patient: bool) -> None:
        self.wire.patience.append(patient)
        if self.wire.attaching is not None:
            await self.wire.attaching(replica)
        replica.create(contract_of(self.wire.cls), lambda _: self.wire.cls)
        replica.become(ReplicaState.VALID)

    async def wait_lost(self) -> Exception | None:
        return await asyncio.shield(self.gone)

    async def close(self) -> None:
        self.closed = True
        if not self.gone.done():
            self.gone.set_result(None)


class FakeWire:
    """A wire without a host: `failures` are raised by the next attempts, then connecting succeeds."""

    def __init__(self, url: str = "fake:x", cls: type[Object] = Pump) -> None:
        self.url, self.cls = url, cls
        self.told: list[str] = []
        self.failures: list[Exception] = []
        self.offers: tuple[str, ...] | None = ("pump",)
        self.attaching: Any = None
        self.serving: Any = None
        self.patience: list[bool] = []
        self.sessions: list[FakeSession] = []
        self.servers: list[FakeServer] = []
        self.attempts = 0

    async def serve(self, node: Node) -> FakeServer:
        server = FakeServer(self.url, self.told, node)
        if self.serving is not None:
            await self.serving()
        if self.failures:
            raise self.failures.pop(0)
        self.servers.append(server)
        return server

    async def open(self, node: Node) -> FakeSession:
        self.attempts += 1
        if self.failures:
            raise self.failures.pop(0)
        session = FakeSession(self)
        self.sessions.append(session)
        return session


def lose(wire: FakeWire, error: Exception | None = None) -> None:
    """End the newest connection of *wire*."""
    wire.sessions[-1].gone.set_result(error or LinkError("the cable broke"))
