"""The objects that the programs of these tests offer and use. No tests."""

from __future__ import annotations

import asyncio
import os
import struct
from typing import Final

from everywire import Object, Property, prop, signal, slot

STAMP: Final = struct.Struct(">qd")
"""What a block of `Feed` begins with: its number, and when it was made by the clock that all processes share."""


async def later(seconds: float) -> None:
    """Return after so much time: for what has a rhythm, or is tested by what happens meanwhile; not to wait for it."""
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    loop.call_later(seconds, lambda: passed.done() or passed.set_result(None))
    await passed


class Feed(Object):
    """What a publisher tells faster than a stopped subscriber takes it."""

    block: Property[bytes] = prop(b"")
    serial: Property[int] = prop(0)

    @signal
    def told(self, number: int, data: bytes) -> None: ...

    @slot
    async def take(self, data: bytes) -> int:
        return len(data)


class Journal(Object):
    """Writes down each call before it answers, where it outlives the process."""

    path: Property[str] = prop("")
    calls: Property[int] = prop(0)

    @slot
    async def note(self, number: int) -> int:
        self._write(number)
        return number

    @slot
    async def note_slowly(self, number: int) -> int:
        self._write(number)
        await later(number % 7 * 0.001)
        return number

    def _write(self, number: int) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, b"%d\n" % number)
        finally:
            os.close(file)


class Plant(Object):
    """Three values of which a restart changes one."""

    level: Property[int] = prop(1)
    name: Property[str] = prop("mill")
    ratio: Property[float] = prop(0.5)

    @slot
    async def add(self, left: int, right: int) -> int:
        return left + right
