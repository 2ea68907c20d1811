"""uvicorn with the least application that answers: what is left of every other figure of the suite `http` is theirs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.actors.http_paths import ADD_ONE, run_uvicorn
from benchmarks.actors.loops import run_on


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer both requests; there is no event stream."""
    if scope["type"] != "http":
        return
    body = b"21.5"
    if scope["path"] == ADD_ONE:
        body = b"%d" % (json.loads((await receive())["body"])["number"] + 1)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


ROLES = {"server": lambda stage: run_on("uvloop", run_uvicorn(stage, app))}
