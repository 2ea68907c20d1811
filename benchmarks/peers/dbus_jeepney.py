"""jeepney, D-Bus in Python alone: messages on a blocking connection, and through its router on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from jeepney import DBusAddress, Message, MessageType, new_method_call, new_method_return
from jeepney.bus_messages import message_bus
from jeepney.io import asyncio as awaiting
from jeepney.io import blocking as waiting
from jeepney.wrappers import unwrap_msg

from benchmarks.buses import COUNTER, COUNTER_INTERFACE, SERVICE, bus_address, start_bus
from benchmarks.loops import AwaitedCalls, BlockingCalls, awaited, blocking
from benchmarks.peer import Peer, Ready

_ADDRESS: Final = DBusAddress(COUNTER, SERVICE, COUNTER_INTERFACE)


def _answer(call: Message) -> Message | None:
    if call.header.message_type is not MessageType.method_call:
        return None
    return new_method_return(call, "i", (call.body[0] + 1,))


def _serve_blocking(directory: Path, ready: Ready) -> None:
    daemon = start_bus(directory)
    with waiting.open_dbus_connection(bus_address(directory)) as connection:
        waiting.Proxy(message_bus, connection).RequestName(SERVICE)
        ready(daemon)
        while True:
            answer = _answer(connection.receive())
            if answer is not None:
                connection.send(answer)


def _serve(directory: Path, ready: Ready) -> None:
    daemon = start_bus(directory)

    async def stay() -> None:
        async with await awaiting.open_dbus_connection(bus_address(directory)) as connection:
            async with awaiting.DBusRouter(connection) as router:
                await awaiting.Proxy(message_bus, router).RequestName(SERVICE)
            ready(daemon)
            while True:
                answer = _answer(await connection.receive())
                if answer is not None:
                    await connection.send(answer)

    asyncio.run(stay())


@asynccontextmanager
async def _connect(directory: Path) -> AsyncGenerator[AwaitedCalls]:
    async with awaiting.open_dbus_router(bus_address(directory)) as router:
        create_task = asyncio.get_running_loop().create_task

        async def add_one(number: int) -> int:
            reply = await router.send_and_get_reply(new_method_call(_ADDRESS, "AddOne", "i", (number,)))
            result: int = unwrap_msg(reply)[0]
            return result

        yield AwaitedCalls(add_one, lambda number: create_task(add_one(number)))


@contextmanager
def _connect_blocking(directory: Path) -> Generator[BlockingCalls]:
    with waiting.open_dbus_connection(bus_address(directory)) as connection:

        def add_one(number: int) -> int:
            reply = connection.send_and_get_reply(new_method_call(_ADDRESS, "AddOne", "i", (number,)))
            result: int = unwrap_msg(reply)[0]
            return result

        yield BlockingCalls(add_one)


PEERS = {
    "bus-jeepney": Peer(_serve, awaited(_connect)),
    "bus-jeepney-blocking": Peer(_serve_blocking, blocking(_connect_blocking)),
}
