"""The floor of the suite `scaling`: an asyncio.Protocol that unpacks a call and packs its answer, and nothing else."""

from __future__ import annotations

import asyncio
import gc

from benchmarks import machine
from benchmarks.actor import Order, Stage
from benchmarks.actors.loops import run_on
from benchmarks.actors.scaling_clients import CALL, NAME, answer_to
from everywire.remoteobjects.codec import Handshake, Init, ObjectInfo, ObjectList, encode_packet

_GREETING = encode_packet(Handshake("QtRO 2.0")) + encode_packet(ObjectList((ObjectInfo(NAME, "Counter"),)))
_ATTACHED = encode_packet(Init(NAME, ()))


class Raw(asyncio.Protocol):
    """One connection; frames come whole, as one is sent at a time."""

    __slots__ = ("_write",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._write = transport.write  # type: ignore[attr-defined]
        self._write(_GREETING)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if len(data) == CALL.size:
            number, serial = CALL.unpack(data)[5:7]
            self._write(answer_to(number, serial))
        else:
            self._write(_ATTACHED)


async def _host(stage: Stage) -> None:
    def obey(_order: Order) -> None:
        gc.collect()
        stage.done({"resident": machine.resident_bytes(), "heap": None})

    await asyncio.get_running_loop().create_unix_server(Raw, str(stage.directory / NAME), backlog=512)
    stage.obey_in_loop(obey)
    stage.ready()
    await asyncio.Event().wait()


ROLES = {"host": lambda stage: run_on(stage.options["loop"], _host(stage))}
