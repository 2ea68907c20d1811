"""sdbus, which binds systemd's sd-bus: the same service for its asyncio proxy and for its blocking one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sdbus import (
    DbusInterfaceCommon,
    DbusInterfaceCommonAsync,
    dbus_method,
    dbus_method_async,
    request_default_bus_name_async,
    sd_bus_open_user,
    set_default_bus,
)

from benchmarks.buses import COUNTER, COUNTER_INTERFACE, SERVICE, bus_address, start_bus
from benchmarks.loops import AwaitedCalls, BlockingCalls, awaited, blocking
from benchmarks.peer import Peer, Ready


class Counter(DbusInterfaceCommonAsync, interface_name=COUNTER_INTERFACE):
    """The service, and the proxy of asyncio programs."""

    @dbus_method_async("i", "i")
    async def add_one(self, number: int) -> int:
        """Return the number after this one."""
        return number + 1


class BlockingCounter(DbusInterfaceCommon, interface_name=COUNTER_INTERFACE):
    """The proxy of programs without a loop."""

    @dbus_method("i", "i")
    def add_one(self, number: int) -> int:
        """Return the number after this one."""
        raise NotImplementedError


def open_bus(directory: Path) -> None:
    """Make the sample's bus the one that sdbus uses; it finds no other way than the environment."""
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = bus_address(directory)
    set_default_bus(sd_bus_open_user())


def _serve(directory: Path, ready: Ready) -> None:
    daemon = start_bus(directory)

    async def stay() -> None:
        open_bus(directory)
        counter = Counter()
        counter.export_to_dbus(COUNTER)
        await request_default_bus_name_async(SERVICE)
        ready(daemon)
        await asyncio.Event().wait()

    asyncio.run(stay())


@asynccontextmanager
async def _connect(directory: Path) -> AsyncGenerator[AwaitedCalls]:
    open_bus(directory)
    counter = Counter.new_proxy(SERVICE, COUNTER)
    create_task = asyncio.get_running_loop().create_task
    yield AwaitedCalls(counter.add_one, lambda number: create_task(counter.add_one(number)))


@contextmanager
def _connect_blocking(directory: Path) -> Generator[BlockingCalls]:
    open_bus(directory)
    yield BlockingCalls(BlockingCounter(SERVICE, COUNTER).add_one)


PEERS = {
    "bus-sdbus": Peer(_serve, awaited(_connect)),
    "bus-sdbus-blocking": Peer(_serve, blocking(_connect_blocking)),
}
