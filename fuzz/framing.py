"""Streams of frames: taken apart, put together again, and changed so that most frames stay frames."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Final

Mutate = Callable[[bytes, int], bytes]
"""Changes bytes in any way, to at most so many."""

ODD_NUMBERS: Final = tuple(
    struct.pack(order + code, number)
    for order in "<>"
    for code, numbers in (
        ("I", (0, 1, 2**28, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 1024, 65536)),
        ("q", (-1, 2**63 - 1)),
        ("H", (0, 255, 65535)),
    )
    for number in numbers
)


def split(stream: bytes, order: str) -> list[bytes]:
    """Return the bodies of the frames of *stream*; what is no whole frame is the last."""
    bodies: list[bytes] = []
    while len(stream) >= 4:
        end = 4 + struct.unpack_from(order + "I", stream)[0]
        if end > len(stream):
            break
        bodies.append(stream[4:end])
        stream = stream[end:]
    return [*bodies, stream] if stream else bodies


def join(bodies: list[bytes], order: str) -> bytes:
    """Return the stream with these frames."""
    return b"".join(struct.pack(order + "I", len(body)) + body for body in bodies)


def mutated_frames(stream: bytes, order: str, most: int, rng: random.Random, mutate: Mutate) -> bytes:
    """Change one frame, or the order of them; one time in eight the bytes, sizes too."""
    bodies = split(stream, order)
    if not bodies or rng.randrange(8) == 0:
        return mutate(stream, most)
    place = rng.randrange(len(bodies))
    match rng.randrange(8):
        case 0:
            bodies.insert(place, rng.choice(bodies))
        case 1:
            del bodies[place]
        case 2:
            rng.shuffle(bodies)
        case _:
            bodies[place] = mutate(bodies[place], max(most - len(stream), 0) + len(bodies[place]) + 16)
    return join(bodies, order)[:most]


def mutator(rng: random.Random) -> Mutate:
    """Return a mutator of our own: bits, bytes, odd numbers, pieces repeated, moved, cut and left out."""

    def mutate(data: bytes, most: int) -> bytes:
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            _change(changed, rng)
        return bytes(changed[:most])

    return mutate


def _change(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    end = min(start + rng.choice((1, 2, 4, 8, 32, 256)), len(data))
    match rng.randrange(8):
        case 0 if start < len(data):
            data[start] ^= 1 << rng.randrange(8)
        case 1 if start < len(data):
            data[start] = rng.randrange(256)
        case 2 | 3:
            number = rng.choice(ODD_NUMBERS)
            data[start : start + len(number)] = number
        case 4:
            data[start:end] = data[start:end] * rng.choice((2, 3, 50))
        case 5:
            del data[start:end]
        case 6:
            piece = data[start:end]
            at = rng.randrange(len(data) + 1)
            data[at:at] = piece
        case _:
            data[start:start] = rng.randbytes(rng.randrange(1, 9))
