"""What the demo's processes have in common: each obeys orders on its standard input, a line of JSON each, in turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from everywire.cli.values import to_json
from everywire.errors import LinkError
from everywire.transport import ByteStream, open_stream

Order = Callable[..., Awaitable[Mapping[str, Any]]]


async def obey(orders: Mapping[str, Order]) -> None:
    """Answer ``{"do": "read", …}`` by what the order *read* returns; end when the one who gives orders is gone."""
    async with open_stream("stdio:") as stream:
        while (request := await _next(stream)) is not None:
            answer = await orders[request.pop("do")](**request)
            await stream.write(to_json(answer).encode() + b"\n")


async def _next(stream: ByteStream) -> dict[str, Any] | None:
    try:
        line = await stream.read_until(b"\n")
    except LinkError:
        return None
    request: dict[str, Any] = msgspec.json.decode(line)
    return request
