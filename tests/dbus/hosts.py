"""Objects that tests put on a bus or before peers, and clients that see the answers as they come."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import pytest

from everywire import (
    Code,
    Fault,
    Limits,
    Node,
    Object,
    Policy,
    Property,
    Range,
    computed,
    current_call,
    prop,
    signal,
    slot,
)
from everywire.dbus.engine import Engine
from everywire.dbus.session import Connection, Kind, Message
from everywire.runtime.limits import DEFAULT_LIMITS
from everywire.transport.sockets import peer_of
from tests.dbus import lab

SERVICE: Final = "org.acme.Climate"
BASE: Final = "/org/acme/Climate"
HALL: Final = f"{BASE}/hall"
THERMOSTAT: Final = f"{SERVICE}.Thermostat1"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
INTROSPECTABLE: Final = "org.freedesktop.DBus.Introspectable"
MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
PEER: Final = "org.freedesktop.DBus.Peer"
OBJECT: Final = "org.everywire.Object1"
ERROR: Final = "org.freedesktop.DBus.Error."


class Thermostat(Object):
    """Keeps one room warm."""

    target: Property[Annotated[float, Range(5, 35)]] = prop(21.0, writable=True, unit="Cel", doc="Where to.")
    label: Property[str] = prop("hall")
    readings: Property[list[float]] = prop(factory=list, writable=True)

    def __init__(self) -> None:
        self.ran: list[str] = []
        """What slots ran, in order."""
        self.gate = asyncio.Event()
        self.ended: asyncio.Queue[str] = asyncio.Queue()

    @computed(target)
    def warm(self) -> bool:
        return self.target > 20

    @signal
    def over_heated(self, celsius: float, where: str) -> None:
        """A sensor is above the limit."""

    @slot
    async def boost(self, minutes: int, why: str = "cold") -> str:
        self.ran.append(f"boost {minutes}")
        return f"{minutes} {why}"

    @slot
    async def split(self, text: str) -> tuple[str, int]:
        return text.upper(), len(text)

    @slot
    async def reset(self) -> None:
        self.ran.append("reset")

    @slot
    async def who(self) -> list[str]:
        caller = current_call().caller
        return [caller.identity, str(caller.pid), caller.executable, caller.label, caller.address, caller.wire]

    @slot
    async def refuse(self, code: str) -> None:
        raise Fault(Code[code], "not today")

    @slot
    async def explode(self) -> None:
        raise ValueError("the password is swordfish")

    @slot(timeout=None)
    async def hold(self, number: int) -> int:
        self.ran.append(f"hold {number}")
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.ended.put_nowait(f"cancelled {number}")
            raise
        return number

    @slot
    async def count(self, upto: int) -> AsyncIterator[int]:
        try:
            for number in range(upto):
                yield number
        finally:
            self.ended.put_nowait(f"counted {upto}")


@asynccontextmanager
async def hosting(
    *urls: Any,
    limits: Limits = DEFAULT_LIMITS,
    policy: Policy | None = None,
    policies: dict[str, Policy] | None = None,
    **objects: Object,
) -> AsyncIterator[Node]:
    """Serve *objects* by their names at *urls* for the time of the block."""
    async with Node(limits=limits, policy=policy) as node:
        for name, source in objects.items():
            node.publish(source, name, policy=(policies or {}).get(name))
        await node.serve(*urls)
        yield node


def at(bus: str, settings: str = "") -> str:
    """The URL of our service on a bus."""
    return f"dbus:{bus}?service={SERVICE}{settings}"


async def ask(
    connection: Connection,
    member: str,
    signature: str = "",
    *body: Any,
    path: str = HALL,
    interface: str = THERMOSTAT,
    to: str | None = None,
    flags: int = 0,
    fds: tuple[Any, ...] = (),
) -> Message:
    """The message that answers a call: a return or an error."""
    destination = (SERVICE if connection.is_bus else "") if to is None else to
    call = Message(
        kind=Kind.CALL, destination=destination, path=path, interface=interface, member=member,
        signature=signature, body=body, flags=flags, fds=fds,
    )  # fmt: skip
    told: asyncio.Future[Any] = connection.loop.create_future()
    connection.request(call, told.set_result)
    async with asyncio.timeout(10):
        answer = await told
    assert isinstance(answer, Message), answer
    return answer


async def result(connection: Connection, member: str, *arguments: Any, **place: Any) -> Any:
    """What a method returned: its values."""
    answer = await ask(connection, member, *arguments, **place)
    assert answer.kind is Kind.RETURN, (answer.error_name, answer.body)
    return answer.body


async def error(connection: Connection, member: str, *arguments: Any, **place: Any) -> str:
    """The name of the error with which a method answered."""
    answer = await ask(connection, member, *arguments, **place)
    assert answer.kind is Kind.ERROR, answer.body
    assert isinstance(answer.body[0], str)
    return answer.error_name


async def get_all(connection: Connection, interface: str = THERMOSTAT, **place: Any) -> dict[str, Any]:
    """Properties as plain values."""
    (found,) = await result(connection, "GetAll", "s", interface, interface=PROPERTIES, **place)
    return {name: variant.value for name, variant in found.items()}


async def introspect(connection: Connection, path: str) -> str:
    """What is at a path, as XML."""
    (xml,) = await result(connection, "Introspect", path=path, interface=INTROSPECTABLE)
    return str(xml)


@contextmanager
def somebody_else() -> Iterator[int]:
    """Within the block this program is another user for the kernel; yields who. Only root can do that."""
    if os.getuid() != 0:
        pytest.skip("only root can be another user and come back")
    os.setresuid(lab.NOBODY, lab.NOBODY, 0)
    try:
        yield lab.NOBODY
    finally:
        os.setresuid(0, 0, 0)


async def stranger(address: str, **settings: Any) -> Connection:
    """A connection of a user who is neither us nor root."""
    with somebody_else():
        return await Connection.open(address, **settings)


async def strange_peer(path: Path) -> Connection:
    """A connection to the peer at *path*, of a user who is neither us nor root."""
    sock = socket.socket(socket.AF_UNIX)
    with somebody_else() as uid:
        sock.connect(os.fspath(path))
    sock.setblocking(False)
    engine = Engine("client", max_frame=DEFAULT_LIMITS.frame, uid=uid)
    connection = Connection(engine, bus=False, limits=DEFAULT_LIMITS)
    connection.start(sock, peer_of("local", sock))
    await connection.ready()
    return connection


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that the loop will bring about."""
    while not condition():
        await asyncio.sleep(0)
