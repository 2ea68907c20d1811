"""The suite `stages`: where one call's time goes in everywire itself, without sockets, in calls alone and 64 at a time.

The client's and the host's sessions are real; their connections only keep the bytes. Each stage is timed by itself on
bytes that the stage before has made, so that the stages add up to about the whole, which is timed too.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from benchmarks import machine
from benchmarks.figures import Spread, figure, markdown
from benchmarks.options import parser
from benchmarks.timing import interleaved

DEPTHS: Final = (1, 64)
CALLS: Final = 1024


class Cable:
    """A connection that keeps what is written."""

    def __init__(self) -> None:
        from everywire.transport import Peer

        self.peer = Peer(transport="memory", uid=0, loopback=True)
        self.unsent = 0
        self.written: list[bytes] = []
        self.write = self.written.append

    def close(self) -> None:
        """Nothing to close."""

    abort = pause_reading = resume_reading = close

    def take(self) -> bytes:
        """Return, and forget, what was written."""
        data = b"".join(self.written)
        self.written.clear()
        return data


class Bench:
    """A published counter and its replica, joined by two cables."""

    def __init__(self, node: Any) -> None:
        from everywire import Object, slot
        from everywire.remoteobjects.endpoint.replicas import ReplicaSession
        from everywire.remoteobjects.endpoint.serving import HostServer
        from everywire.remoteobjects.endpoint.visiting import HostSession
        from everywire.runtime.replica import ReplicaLink

        class Counter(Object):
            @slot
            async def add_one(self, number: int) -> int:
                return number + 1

        node.publish(Counter(), "counter")
        self.host, self.client = Cable(), Cable()
        self.server_session = HostSession(HostServer(node, insecure=False))
        self.replica_session = ReplicaSession(node)
        self.server_session.connected(self.host)
        self.replica_session.connected(self.client)
        self.link = ReplicaLink("local:bench", "counter", Counter, node)

    async def attach(self) -> None:
        """Carry bytes both ways until the replica is valid."""
        attaching = asyncio.ensure_future(self.replica_session.attach(self.link, patient=True))
        while not attaching.done():
            self._carry()
            await asyncio.sleep(0)
        await attaching
        self._carry()
        self.add_one: Callable[[int], Any] = self.link.instance.add_one
        self.waiting: dict[int, Any] = self.link.channel.waiting

    def requests(self, depth: int) -> bytes:
        """Make *depth* calls; return their bytes."""
        for number in range(depth):
            self.add_one(number)
        self.replica_session.flush()
        return self.client.take()

    def replies(self, requests: bytes) -> bytes:
        """Let the host answer; return its bytes."""
        self.server_session.received(requests)
        return self.host.take()

    def _carry(self) -> None:
        if data := self.host.take():
            self.replica_session.received(data)
        if data := self.client.take():
            self.server_session.received(data)


def operations(bench: Bench, depth: int) -> dict[str, Callable[[], int]]:
    """Return what is timed for one depth: name -> a function that does CALLS calls' worth of one stage."""
    from everywire.remoteobjects.codec import CallKind
    from everywire.remoteobjects.engine import Engine, invoke_head
    from everywire.runtime.gate import drive, run_to_end

    session = bench.server_session
    requests = bench.requests(depth)
    kept = dict(bench.waiting)
    replies = bench.replies(requests)
    parser_ = Engine(host=True, routes=session._engine.routes)
    events = parser_.receive_data(requests)
    door = session._engine.routes[invoke_head("counter", CallKind.METHOD, 0)]
    rounds = CALLS // depth

    def slot_closure() -> int:
        for _ in range(rounds):
            bench.requests(depth)
            bench.waiting.clear()
        return CALLS

    def frame_and_decode() -> int:
        for _ in range(rounds):
            parser_.receive_data(requests)
        return CALLS

    def gate() -> int:
        for _ in range(rounds):
            run_to_end(drive(session, events))
            session.frames.clear()
        return CALLS

    def encode_reply() -> int:
        for number in range(CALLS):
            door.reply(number, number)
        return CALLS

    def host_session() -> int:
        for _ in range(rounds):
            session.received(requests)
            bench.host.written.clear()
        return CALLS

    def client_reply() -> int:
        for _ in range(rounds):
            for serial, (expected, _) in kept.items():
                bench.waiting[serial] = (expected, bench.replica_session.pending())
            bench.replica_session.received(replies)
        return CALLS

    def whole() -> int:
        for _ in range(rounds):
            bench.replica_session.received(bench.replies(bench.requests(depth)))
        return CALLS

    return {
        "replica: slot closure (check, encode, pending call, queue)": slot_closure,
        "host: frame and decode": frame_and_decode,
        "host: gate (limit, authorize, validate, invoke, reply)": gate,
        "of which: encode the reply": encode_reply,
        "host: all of its session": host_session,
        "replica: frame, decode, settle (and the pending call again)": client_reply,
        "all of ours, both sides": whole,
    }


async def measure(rounds: int, seconds: float, seed: int) -> dict[int, dict[str, Spread]]:
    """Return nanoseconds per call of each stage, by depth."""
    from everywire import Node

    found: dict[int, dict[str, Spread]] = {}
    for depth in DEPTHS:
        async with Node() as node:
            bench = Bench(node)
            await bench.attach()
            found[depth] = interleaved(operations(bench, depth), rounds=rounds, seconds=seconds, seed=seed)
            bench.waiting.clear()
            await asyncio.sleep(0)
            bench.replica_session.lost(None)
            bench.server_session.lost(None)
    return found


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the exit code is 0."""
    command = parser("stages", __doc__, rounds=9, seconds=0.0001)
    command.add_argument("--seconds", type=float, default=0.02, help="length of one sample")
    options = command.parse(arguments)
    found = asyncio.run(measure(options.rounds, options.seconds, options.seed))
    rows = [[name, *(figure(found[depth][name].median / 1000, 2) for depth in DEPTHS)] for name in found[DEPTHS[0]]]
    print(f"One call, int -> int, in microseconds of one core: median of {options.rounds} rounds, no sockets.\n")
    print("\n".join(f"* {key}: {value}" for key, value in (machine.facts() | machine.versions(["everywire"])).items()))
    print()
    print(markdown(["stage", *(f"{depth} at a time" for depth in DEPTHS)], rows))
    if options.json:
        figures = {
            str(depth): {name: asdict(spread) for name, spread in rows_.items()} for depth, rows_ in found.items()
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
