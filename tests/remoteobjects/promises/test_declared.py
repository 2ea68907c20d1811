"""R3: a length that a peer declares reserves nothing: who declares too much is cut, and what it sends costs nothing."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import Final

import pytest

from everywire.remoteobjects.codec import Handshake, ObjectInfo, ObjectList, encode_packet
from everywire.runtime.limits import DEFAULT_LIMITS, KIB, MIB
from tests.programs import Program
from tests.remoteobjects.promises.conftest import Figures
from tests.remoteobjects.promises.machinery import PIECE, ours, pour

LENGTHS: Final = (2**28, 2**31 - 1, 2**32 - 1)
STREAM: Final = 300 * MIB
"""What would be sent to a host that goes on reading."""
IN_BUFFERS: Final = DEFAULT_LIMITS.frame
"""What may be on its way, in buffers of the kernel, when the host hangs up."""
GROWTH: Final = 2.0

_TEXT: Final = struct.pack("<I", 8) + "feed".encode("utf-16-le")
_TAKE: Final = struct.pack("<H", 6) + _TEXT + struct.pack("<ii", 0, 0)
_LIST, _MAP, _STRING, _BYTES, _STRINGS = (struct.pack("<IB", number, 0) for number in (9, 8, 10, 12, 11))
_ONE: Final = struct.pack("<I", 1)
PLACES: Final = {
    "name": struct.pack("<H", 6),
    "count of arguments": _TAKE,
    "list": _TAKE + _ONE + _LIST,
    "list in a list": _TAKE + _ONE + _LIST + _ONE + _LIST,
    "map": _TAKE + _ONE + _MAP,
    "text": _TAKE + _ONE + _STRING,
    "bytes": _TAKE + _ONE + _BYTES,
    "list of texts": _TAKE + _ONE + _STRINGS,
    "name of a type": _TAKE + _ONE + struct.pack("<IB", 65536, 0),
}
"""What stands before each length or count in a call: QDataStream's own, inside of a frame of the right size."""


def frames(place: str) -> list[bytes]:
    """Small frames whose values claim to be huge, also by the marker 0xFFFFFFFE for a length of 64 bits."""
    counts = [struct.pack("<I", length) for length in LENGTHS]
    counts += [struct.pack("<Iq", 0xFFFFFFFE, length) for length in (2**32, 2**63 - 1, -1)]
    bodies = [PLACES[place] + count + bytes(24) for count in counts]
    return [struct.pack("<I", len(body)) + body for body in bodies]


async def memory(running: Program) -> float:
    """Return the MiB that a program occupies."""
    resident, _ = await running.ask("memory")
    return float(resident) / MIB


@pytest.mark.parametrize("protocol", ["2.0", "1.3"])
@pytest.mark.parametrize("transport", ["local", "tcp"])
async def test_a_host_cuts_who_declares_more_than_a_frame_may_have(
    folder: Path, figure: Figures, transport: str, protocol: str
) -> None:
    order = "<" if protocol == "2.0" else ">"
    async with ours() as host:
        url = f"local:{folder}/feed" if transport == "local" else "tcp://127.0.0.1:0"
        address, _ = await host.ask("serve", url=f"{url}?protocol={protocol}", objects={"feed": "Feed"})
        address = address.partition("?")[0]
        await pour(address, struct.pack(order + "I", LENGTHS[0]), STREAM)  # so that everything is imported
        before = await memory(host)
        for length in LENGTHS:
            taken = await pour(address, struct.pack(order + "I", length), STREAM)
            figure(f"taken of a frame of {length} bytes", taken / KIB, "KiB", at_most=IN_BUFFERS / KIB)
        figure("growth of the host", await memory(host) - before, "MiB", at_most=GROWTH)
        assert (await host.ask("refusals"))["protocol"] == 1 + len(LENGTHS)


async def test_a_host_cuts_who_declares_more_than_the_frame_has(folder: Path, figure: Figures) -> None:
    async with ours() as host:
        address, _ = await host.ask("serve", url=f"local:{folder}/feed", objects={"feed": "Feed"})
        await pour(address, struct.pack("<I", LENGTHS[0]), STREAM)
        before, taken, count = await memory(host), 0, 1
        for place in PLACES:
            for frame in frames(place):
                taken = max(taken, await pour(address, frame, STREAM))
                count += 1
        figure("places and counts tried", count - 1)
        figure("taken after a count beyond the frame", taken / KIB, "KiB", at_most=IN_BUFFERS / KIB)
        figure("growth of the host", await memory(host) - before, "MiB", at_most=GROWTH)
        assert (await host.ask("refusals"))["protocol"] == count


async def test_a_replica_leaves_a_host_that_declares_too_much(folder: Path, figure: Figures) -> None:
    """It comes back again and again, as to any host that is lost, and pays nothing for what it is sent."""
    attempts = asyncio.Queue[int]()
    greeting = encode_packet(Handshake("QtRO 2.0")) + encode_packet(ObjectList((ObjectInfo("feed", "Feed"),)))

    async def hostile(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length, taken = LENGTHS[attempts.qsize() % 3], 0
        try:
            writer.write(greeting + struct.pack("<I", length))
            while taken < STREAM:
                writer.write(bytes(PIECE))
                await writer.drain()
                taken += PIECE
        except ConnectionError:
            pass
        finally:
            writer.close()
            attempts.put_nowait(taken)

    server = await asyncio.start_unix_server(hostile, folder / "host")
    async with server, ours() as caller:
        connecting = asyncio.ensure_future(caller.ask("connect", url=f"local:{folder}/host", name="feed", cls="Feed"))
        taken = await attempts.get()
        before = await memory(caller)
        for _ in range(8):
            taken = max(taken, await attempts.get())
        figure("taken by a replica", taken / KIB, "KiB", at_most=IN_BUFFERS / KIB)
        figure("growth of the replica", await memory(caller) - before, "MiB", at_most=GROWTH)
        connecting.cancel()
