"""dbus-fast through a private dbus-daemon: service interface and proxy, the API its documentation shows."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvloop
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusInt64
from dbus_fast.service import ServiceInterface, dbus_method

from benchmarks.loops import AwaitedCalls, awaited
from benchmarks.machine import die_with_parent
from benchmarks.peer import Missing, Peer, Ready

NAME: Final = "org.everywire.Benchmark"
PATH: Final = "/counter"
CONFIGURATION: Final = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


class Counter(ServiceInterface):
    """The exported interface."""

    def __init__(self) -> None:
        super().__init__(NAME)

    @dbus_method()
    def AddOne(self, number: DBusInt64) -> DBusInt64:  # noqa: N802  # the name on the bus
        """Return the number after this one."""
        return number + 1


def _address(directory: Path) -> str:
    return f"unix:path={directory / 'bus'}"


def _daemon(directory: Path) -> subprocess.Popen[str]:
    program = shutil.which("dbus-daemon")
    if program is None:
        raise Missing("the program dbus-daemon is not installed")
    configuration = directory / "bus.conf"
    configuration.write_text(CONFIGURATION.format(address=_address(directory)), encoding="utf-8")
    daemon = subprocess.Popen(
        [program, f"--config-file={configuration}", "--nofork", "--print-address"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509  # there are no threads yet, and it must not outlive this process
    )
    if daemon.stdout is None or not daemon.stdout.readline():
        raise Missing("dbus-daemon ended before it printed its address")
    return daemon


def _serve(directory: Path, ready: Ready) -> None:
    daemon = _daemon(directory)

    async def stay() -> None:
        bus = await MessageBus(bus_address=_address(directory)).connect()
        bus.export(PATH, Counter())
        await bus.request_name(NAME)
        ready(daemon.pid)
        await asyncio.Event().wait()

    uvloop.run(stay())


@asynccontextmanager
async def _connect(directory: Path) -> AsyncGenerator[AwaitedCalls]:
    bus = await MessageBus(bus_address=_address(directory)).connect()
    node = await bus.introspect(NAME, PATH)
    proxy: Any = bus.get_proxy_object(NAME, PATH, node).get_interface(NAME)
    add_one: Callable[[int], Any] = proxy.call_add_one
    create_task = asyncio.get_running_loop().create_task
    yield AwaitedCalls(add_one, lambda number: create_task(add_one(number)))
    bus.disconnect()


PEERS = {"dbus-fast": Peer(_serve, awaited(_connect, uvloop.new_event_loop))}
