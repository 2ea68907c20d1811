"""A program of ours that offers a pump until it is killed: `ours.py URL`."""

from __future__ import annotations

import asyncio
import json
import sys

from everywire import Node
from tests.interop.sources import Pump


async def offer(url: str) -> None:
    async with Node() as node:
        node.publish(Pump(), "pump")
        (where,) = await node.serve(url)
        sys.stdout.write(json.dumps({"event": "ready", "url": where}) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(offer(sys.argv[1]))
