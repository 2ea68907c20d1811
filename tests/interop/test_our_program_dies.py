"""A program of ours that is killed, or stands still, while programs of Qt use its objects, and comes back."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.interop.cpp_programs import cpp_node
from tests.interop.matrix import PEERS, PYSIDE, QT5, Feature, Role, shows
from tests.interop.programs import qt_program
from tests.programs import Program, program

pytestmark = [pytest.mark.interop, pytest.mark.cpp]

Address = Callable[[str], str]
ROOT: Final = Path(__file__).parents[2]
OURS: Final = Path(__file__).parent / "peers" / "ours.py"


@asynccontextmanager
async def our_host(url: str) -> AsyncIterator[Program]:
    """A process of its own that offers a pump."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))}
    async with program("our host", sys.executable, OURS, url, env=environment, advice="") as running:
        yield running


def qt_node(peer: str) -> AbstractAsyncContextManager[Program]:
    """A program of *peer* that uses objects."""
    return qt_program("node") if peer == PYSIDE else cpp_node(peer)


@pytest.mark.parametrize("kind", ["local", "tcp"])
@shows(Feature.RECONNECT, Role.REPLICA, *PEERS)
async def test_a_replica_of_qt_outlives_our_process(peer: str, kind: str, address: Address, free_port: int) -> None:
    url = f"tcp://127.0.0.1:{free_port}" if kind == "tcp" else address(kind)
    served = f"{url}?protocol=1.3" if peer == QT5 else url
    async with qt_node(peer) as qt:
        async with our_host(served) as first:
            await qt.ask("connect", url=url)
            await qt.ask("acquire", name="pump")
            await qt.hear("state", object="pump", state="Valid")
            assert await qt.ask("listen", name="pump", signal="speedChanged(int)")
            await qt.ask("call", name="pump", slot="pushSpeed", arguments=[["int", 8]])
            await qt.hear("heard", signal="speedChanged(int)", arguments=[["int", 8]])
            await first.kill()
            await qt.hear("state", object="pump", state="Suspect")
            assert await qt.ask("get", name="pump", prop="speed") == ["int", 8]
        async with our_host(served):
            await qt.hear("state", object="pump", state="Valid")
            assert await qt.ask("get", name="pump", prop="speed") == ["int", 3]
            answer = await qt.ask("ask", name="pump", slot="addOne(int)", arguments=[["int", 1]], wait=True)
            assert answer["value"] == ["int", 2]


@shows(Feature.HEARTBEAT, Role.REPLICA, *PEERS)
async def test_the_heartbeat_of_qt_notices_that_we_stand_still(peer: str, address: Address) -> None:
    url = address("local")
    async with our_host(f"{url}?protocol=1.3" if peer == QT5 else url) as ours, qt_node(peer) as qt:
        await qt.ask("heartbeat", milliseconds=100)
        await qt.ask("connect", url=url)
        await qt.ask("acquire", name="pump")
        await qt.hear("state", object="pump", state="Valid")
        os.kill(ours.pid, signal.SIGSTOP)
        try:
            await qt.hear("state", object="pump", state="Suspect")
        finally:
            os.kill(ours.pid, signal.SIGCONT)
        await qt.hear("state", object="pump", state="Valid")
        answer = await qt.ask("ask", name="pump", slot="addOne(int)", arguments=[["int", 1]], wait=True)
        assert answer["value"] == ["int", 2]
