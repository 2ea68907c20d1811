"""What every server of the suite `http` offers: the same paths, the same JSON."""

from __future__ import annotations

import asyncio
import socket
from time import perf_counter_ns
from typing import Any, Final

from benchmarks.actor import Order, Stage

OBJECT: Final = "/objects/counter"
VALUE: Final = f"{OBJECT}/properties/value"
"""GET: the number 21.5."""
ADD_ONE: Final = f"{OBJECT}/slots/add_one"
"""POST of `{"number": 41}`: 42."""
TICKED: Final = f"{OBJECT}/signals/ticked"
"""GET of an event stream; the data of each event is `[1]`, `[2]` and so on."""


class Ticker:
    """Tells numbers to whoever listens to a server that has no signals: a queue for each, as its users write it."""

    def __init__(self) -> None:
        self.queues: set[asyncio.Queue[int]] = set()

    def tell(self, number: int) -> None:
        """Put the number into every queue."""
        for queue in self.queues:
            queue.put_nowait(number)


def obey_bursts(stage: Stage, tell: Any) -> None:
    """When a burst is ordered, have *tell* called with each of its numbers, so many per turn; answer when it began."""
    tasks: set[asyncio.Task[None]] = set()

    async def burst(first: int, count: int, per_turn: int) -> None:
        begun = perf_counter_ns()
        for start in range(first, first + count, per_turn):
            for number in range(start, min(start + per_turn, first + count)):
                tell(number)
            await asyncio.sleep(0)
        stage.done(begun)

    def obey(order: Order) -> None:
        task = asyncio.ensure_future(burst(order["first"], order["count"], order["per_turn"]))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    stage.obey_in_loop(obey)


async def run_uvicorn(stage: Stage, app: Any) -> None:
    """Run *app* on uvicorn's own server with httptools, the parser that everywire uses too, until killed."""
    import uvicorn

    config = uvicorn.Config(app, http="httptools", access_log=False, log_level="warning")
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        port = listening.getsockname()[1]
        stage.ready(port=port)  # connections wait in the backlog until uvicorn is up
        await uvicorn.Server(config).serve([listening])
