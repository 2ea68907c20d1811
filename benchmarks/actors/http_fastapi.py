"""FastAPI on uvicorn in the suite `http`, as its documentation writes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel

from benchmarks.actor import Stage
from benchmarks.actors.http_paths import ADD_ONE, TICKED, VALUE, Ticker, obey_bursts, run_uvicorn
from benchmarks.actors.loops import run_on

app: Final = FastAPI()
ticker: Final = Ticker()


class Call(BaseModel):
    """The arguments of the slot."""

    number: int


@app.get(VALUE)
async def value() -> float:
    """Give the value."""
    return 21.5


@app.post(ADD_ONE)
async def add_one(call: Call) -> int:
    """Return the number after this one."""
    return call.number + 1


@app.get(TICKED, response_class=EventSourceResponse)
async def ticked() -> AsyncIterator[list[int]]:
    """Tell every number from now on."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    ticker.queues.add(queue)
    while True:
        yield [await queue.get()]


async def _serve(stage: Stage) -> None:
    obey_bursts(stage, ticker.tell)
    await run_uvicorn(stage, app)


ROLES = {"server": lambda stage: run_on("uvloop", _serve(stage))}
