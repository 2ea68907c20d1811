"""R9: hundreds of replicas that lose their host at once have the next one back within seconds, and none is refused."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final

import pytest

from tests.harness import SOAK, soak
from tests.remoteobjects.promises.conftest import Figures
from tests.remoteobjects.promises.machinery import ours

PROCESSES: Final = soak(2, 5)
EACH: Final = soak(25, 100)
ROOM: Final = {"connections_per_user": 1024}
"""Limits of the host: all of them are of one user."""


@pytest.mark.timeout(180 if SOAK else 60)
@pytest.mark.parametrize("transport", ["local", "tcp"])
async def test_a_herd_of_replicas_is_back_within_seconds(folder: Path, figure: Figures, transport: str) -> None:
    url = f"local:{folder}/plant" if transport == "local" else "tcp://127.0.0.1:0"
    async with contextlib.AsyncExitStack() as stack:
        host = await stack.enter_async_context(ours("uvloop"))
        url, _ = await host.ask("serve", url=url, objects={"plant": "Plant"}, limits=ROOM)
        herd = [await stack.enter_async_context(ours()) for _ in range(PROCESSES)]
        await asyncio.gather(*(each.ask("connect", url=url, name="plant", cls="Plant", count=EACH) for each in herd))
        assert await host.ask("links") == PROCESSES * EACH
        successor = await stack.enter_async_context(ours("uvloop"))
        await host.kill()
        for each in herd:
            for _ in range(EACH):
                await each.hear("state", state="SUSPECT")
        _, used = await successor.ask("memory")
        _, up = await successor.ask("serve", url=url, objects={"plant": "Plant"}, limits=ROOM)
        valid: list[float] = []
        for each in herd:
            valid += [(await each.hear("state", state="VALID"))["at"] - up for _ in range(EACH)]
        _, used_then = await successor.ask("memory")
        refusals = await successor.ask("refusals")
        assert await successor.ask("links") == PROCESSES * EACH
    figure("replicas", PROCESSES * EACH)
    figure("first of them valid after the new host is up", min(valid), "s")
    figure("last of them valid after the new host is up", max(valid), "s", at_most=5.0)
    figure("CPU of the host until then, its imports too", used_then - used, "s", at_most=1.0)
    assert refusals == {}
