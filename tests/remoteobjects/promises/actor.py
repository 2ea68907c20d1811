"""A program of ours that a test drives by lines of JSON: a host, or a user of objects. Run by `machinery.ours`.

It tells facts with the time at which they happened, by CLOCK_MONOTONIC, which is the same in all processes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from everywire import Code, Fault, Limits, Node, Object, ReplicaState, Tokens, connect, link_of  # noqa: E402
from everywire.runtime.limits import MIB  # noqa: E402
from tests.conformance.programs import resident_bytes  # noqa: E402
from tests.harness import loop_factory  # noqa: E402
from tests.remoteobjects.promises import things  # noqa: E402

GLANCE: Final = 0.05
"""Seconds between two looks at the memory."""


def say(**facts: object) -> None:
    """Tell the test something."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


class Actor:
    """What a test can ask for, one method each."""

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self.node: Node | None = None
        self.objects: dict[str, Object] = {}
        self.replicas: list[Object] = []
        self.heard: list[Hearing] = []

    async def do_serve(
        self,
        url: str,
        objects: dict[str, str],
        limits: dict[str, Any] | None = None,
        values: dict[str, dict[str, Any]] | None = None,
        tokens: str | None = None,
    ) -> Any:
        """Publish objects, name -> class, with first values; return the address and when it was there."""
        node = Node(limits=Limits(**{"drain": 0.0, **(limits or {})}), tokens=Tokens(tokens) if tokens else None)
        self.node = await self.stack.enter_async_context(node)
        for name, cls in objects.items():
            self.objects[name] = getattr(things, cls)()
            for prop, value in (values or {}).get(name, {}).items():
                setattr(self.objects[name], prop, value)
            self.node.publish(self.objects[name], name)
        (address,) = await self.node.serve(url)
        return address, time.monotonic()

    async def do_set(self, name: str, prop: str, value: Any) -> None:
        setattr(self.objects[name], prop, value)

    async def do_memory(self) -> Any:
        """Return the bytes that this process occupies, and the seconds of CPU that it has used."""
        return resident_bytes(), time.process_time()

    async def do_refusals(self) -> Any:
        assert self.node is not None
        return dict(self.node.refusals)

    async def do_links(self) -> int:
        """Return how many links the host has."""
        assert self.node is not None
        (server,) = self.node._servers
        return len(server.sessions)  # type: ignore[attr-defined]

    async def do_feed(self, name: str, by: str, size: int, rate: float, seconds: float, first: int = 1) -> Any:
        """Publish blocks at a rate, which is kept by their number, however late single ones are.

        Returns their number, and the memory before, at most within the first 6 s, and at most in all.
        """
        feed: Any = self.objects[name]
        before = resident_bytes()
        early = most = before
        loop = asyncio.get_running_loop()
        begun, count, looked = loop.time(), 0, 0.0
        while (now := loop.time()) - begun < seconds:
            while count < (now - begun) * rate and count < rate * seconds:
                tell(feed, by, first + count, size)
                count += 1
                if count % 8 == 0:
                    await asyncio.sleep(0)
            if now - looked > GLANCE:
                looked, used = now, resident_bytes()
                most = max(most, used)
                early = max(early, used) if now - begun <= 6 else early
            await things.later(0.001)
        feed.serial = first + count - 1
        return {"count": count, "before": before, "early": early, "most": max(most, resident_bytes())}

    async def do_connect(self, url: str, name: str, cls: str, count: int = 1) -> None:
        """Connect replicas, each with a connection of its own, all at once; they tell their states."""
        options: Any = {"timeout": 15.0}

        async def one() -> Object:
            return await self.stack.enter_async_context(connect(url, name, getattr(things, cls), **options))

        for replica in await asyncio.gather(*(one() for _ in range(count))):
            self.replicas.append(replica)
            number = len(self.replicas) - 1
            link_of(replica).state_changed.connect(lambda state, number=number: tell_state(number, state))
            if isinstance(replica, things.Feed):
                self.heard.append(Hearing(replica))

    async def do_reset(self) -> None:
        """Forget what the replicas have heard."""
        self.heard = [Hearing(hearing.replica) for hearing in self.heard]

    async def do_caught_up(self, last: int) -> Any:
        """Wait until the first replica has *last*; return what it has heard, and its gap."""
        (hearing,) = self.heard
        await things.Feed.serial.wait_for(hearing.replica, lambda serial: serial == last)
        at = time.monotonic()
        return {
            "at": at,
            "gap": link_of(hearing.replica).gap,
            "signals": hearing.signals,
            "ordered": hearing.ordered,
            "blocks": hearing.blocks,
            "block": things.STAMP.unpack_from(hearing.replica.block)[0] if hearing.replica.block else 0,
            "p50": hearing.delay(0.5),
            "p99": hearing.delay(0.99),
        }

    async def do_flood(self, size: int, rate: float, seconds: float) -> Any:
        """Call a host that may have stopped; return how many calls were refused here, and the growth of memory."""
        replica: Any = self.replicas[0]
        before, refused, count, calls = resident_bytes(), 0, 0, []
        most, loop = before, asyncio.get_running_loop()
        begun = loop.time()
        while loop.time() - begun < seconds:
            while count < (loop.time() - begun) * rate and count < rate * seconds:
                count += 1
                try:
                    calls.append(replica.take(bytes(size)))
                except Fault as fault:
                    refused += fault.code is Code.RESOURCE_EXHAUSTED and not fault.may_have_run
                most = max(most, resident_bytes())
            await things.later(0.001)
        say(event="flooded", growth=most - before)
        ends = await asyncio.gather(*calls)
        return {"refused": refused, "answered": ends.count(size), "calls": count}


class Hearing:
    """What one replica of a feed has heard: how much, in which order, how late."""

    def __init__(self, replica: Any) -> None:
        self.replica = replica
        self.signals = self.blocks = 0
        self.ordered = True
        self._last = 0
        self._delays: list[float] = []
        things.Feed.block.on_change(replica, self._block)
        replica.told.connect(self._told)

    def _block(self, block: bytes) -> None:
        self.blocks += 1
        self._take(block)

    def _told(self, number: int, data: bytes) -> None:
        self.signals += 1
        self._take(data)

    def _take(self, data: bytes) -> None:
        number, at = things.STAMP.unpack_from(data)
        self._delays.append(time.monotonic() - at)
        self.ordered = self.ordered and number > self._last
        self._last = number

    def delay(self, share: float) -> float:
        """Return the delay that *share* of all did not exceed."""
        delays = sorted(self._delays)
        return delays[int(share * (len(delays) - 1))] if delays else 0.0


def tell(feed: Any, by: str, number: int, size: int) -> None:
    """Publish one block, as a property or a signal."""
    block = things.STAMP.pack(number, time.monotonic()) + bytes(size - things.STAMP.size)
    if by == "property":
        feed.block = block
    else:
        feed.told.emit(number, block)


def tell_state(number: int, state: ReplicaState) -> None:
    """Tell a new state of a replica."""
    say(event="state", replica=number, state=state.name, at=time.monotonic())


async def obey(actor: Actor, request: dict[str, Any]) -> None:
    """Do what a line asks for, and answer."""
    number, verb = request.pop("id"), request.pop("do")
    try:
        say(id=number, result=await getattr(actor, f"do_{verb}")(**request))
    except Exception:  # noqa: BLE001  the test reports it
        say(id=number, error=traceback.format_exc())


async def main() -> None:
    """Obey each line of standard input, several at once, until it ends."""
    actor = Actor()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MIB)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb", buffering=0))
    say(event="ready")
    async with asyncio.TaskGroup() as group:
        while line := await reader.readline():
            group.create_task(obey(actor, json.loads(line)))
    await actor.stack.aclose()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory(sys.argv[1])) as runner:
        runner.run(main())
