"""What fuzzing begins with: sessions that were recorded between us and Qt, whole and in parts, and .rep files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from fuzz.framing import join, split

CORPUS: Final = Path(__file__).parent / "corpus"
ORDERS: Final = {"2.0": "<", "1.3": ">"}
"""Version of the protocol -> order of its bytes."""


@cache
def sessions(sender: str, version: str) -> tuple[bytes, ...]:
    """Return what *sender*, ``node`` or ``host``, said in each recorded session of a version."""
    found = sorted(CORPUS.glob(f"*.{version}.{sender}"))
    return tuple(path.read_bytes() for path in found) + tuple(_converted(sender, version))


def _converted(sender: str, version: str) -> Iterator[bytes]:
    """Sessions of version 2.0 as packets of 1.3, as far as these can say the same."""
    if version != "1.3":
        return
    from everywire.errors import EverywireError
    from everywire.remoteobjects.codec import QTRO_1_3, Handshake, decode_packet, encode_packet

    for stream in sessions(sender, "2.0"):
        said = b""
        for body in split(stream, "<"):
            with contextlib.suppress(EverywireError):
                packet = decode_packet(body, from_host=sender == "host")
                packet = Handshake(QTRO_1_3.protocol) if isinstance(packet, Handshake) else packet
                said += encode_packet(packet, QTRO_1_3)
        yield said


def streams(sender: str, version: str, most: int = 2048) -> list[bytes]:
    """Return sessions in pieces of several frames; each piece of a host's begins with its handshake."""
    order, found = ORDERS[version], []
    for session in sessions(sender, version):
        bodies = split(session, order)
        first, piece = bodies[:1] if sender == "host" else [], list[bytes]()
        for body in bodies[len(first) :]:
            piece.append(body)
            if sum(map(len, piece)) > most:
                found.append(join([*first, *piece], order))
                piece = []
        found.append(join([*first, *piece], order))
    return found


def bodies(sender: str, version: str) -> list[bytes]:
    """Return the different frames of all sessions without their sizes."""
    return sorted({body for session in sessions(sender, version) for body in split(session, ORDERS[version])})


def rep_files() -> list[bytes]:
    """Return the .rep files of the corpus, and those that Qt's own compiler reads for our tests."""
    ours = CORPUS.parent.parent / "tests" / "interop" / "cpp"
    return [path.read_bytes() for path in (*sorted(CORPUS.glob("*.rep")), *sorted(ours.glob("*.rep")))]
