"""aiohttp's server in the suite `http`, as its documentation writes it."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from aiohttp import web

from benchmarks.actor import Stage
from benchmarks.actors.http_paths import ADD_ONE, TICKED, VALUE, Ticker, obey_bursts
from benchmarks.actors.loops import run_on

ticker: Final = Ticker()


async def value(_request: web.Request) -> web.Response:
    """Give the value."""
    return web.json_response(21.5)


async def add_one(request: web.Request) -> web.Response:
    """Return the number after this one."""
    call = await request.json()
    return web.json_response(call["number"] + 1)


async def ticked(request: web.Request) -> web.StreamResponse:
    """Tell every number from now on."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    queue: asyncio.Queue[int] = asyncio.Queue()
    ticker.queues.add(queue)
    while True:
        await response.write(f"data: {json.dumps([await queue.get()])}\n\n".encode())


async def _serve(stage: Stage) -> None:
    app = web.Application()
    app.add_routes([web.get(VALUE, value), web.post(ADD_ONE, add_one), web.get(TICKED, ticked)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    obey_bursts(stage, ticker.tell)
    stage.ready(port=runner.addresses[0][1])
    await asyncio.Event().wait()


ROLES = {"server": lambda stage: run_on("uvloop", _serve(stage))}
