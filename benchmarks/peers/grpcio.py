# pyright: basic
"""grpc.aio over a Unix socket with a generic handler: gRPC's own path without generated protobuf code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from struct import Struct
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]
import uvloop

from benchmarks.loops import AwaitedCalls, awaited, served
from benchmarks.peer import Peer

SERVICE: Final = "benchmarks.Counter"
_NUMBER: Final = Struct("<q")


def _encode(number: int) -> bytes:
    return _NUMBER.pack(number)


def _decode(data: bytes) -> int:
    number: int = _NUMBER.unpack(data)[0]
    return number


async def _add_one(number: int, _context: Any) -> int:
    return number + 1


def _address(directory: Path) -> str:
    return f"unix:{directory / 'counter'}"


@asynccontextmanager
async def _serve(directory: Path) -> AsyncGenerator[None]:
    method = grpc.unary_unary_rpc_method_handler(_add_one, request_deserializer=_decode, response_serializer=_encode)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"AddOne": method}),))
    server.add_insecure_port(_address(directory))
    await server.start()
    yield
    await server.stop(None)


@asynccontextmanager
async def _connect(directory: Path) -> AsyncGenerator[AwaitedCalls]:
    async with grpc.aio.insecure_channel(_address(directory)) as channel:
        await asyncio.wait_for(channel.channel_ready(), 5)
        add_one = channel.unary_unary(f"/{SERVICE}/AddOne", request_serializer=_encode, response_deserializer=_decode)
        # A call of grpc.aio starts when it is made, so the window needs no tasks.
        yield AwaitedCalls(add_one, add_one)


PEERS = {"grpcio": Peer(served(_serve, uvloop.new_event_loop), awaited(_connect, uvloop.new_event_loop))}
