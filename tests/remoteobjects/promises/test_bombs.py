"""R5: small bytes that want to become much, by depth, by count or by name, are refused soon and for little memory."""

from __future__ import annotations

import contextlib
import json
import struct
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import pytest

from everywire.codec.qdatastream import Opaque, Reader, TypeId, Writer
from everywire.codec.qdatastream.names import parse_type_name
from everywire.errors import EverywireError, RemoteProtocolError
from everywire.model.description import read_description
from everywire.remoteobjects.codec import CallKind, ClassDefinition, InitDynamic, decode_packet, encode_packet
from everywire.remoteobjects.engine import Broken, Engine, Skipped, invoke_head
from everywire.remoteobjects.rep.faults import RepError
from everywire.remoteobjects.rep.parsing import parse
from everywire.runtime.limits import DEFAULT_LIMITS, KIB, MIB
from tests.harness import unmeasured
from tests.remoteobjects.promises.conftest import Figures

SOON: Final = 50.0
LITTLE: Final = 4.0
SIZE: Final = 256 * KIB
DEPTHS: Final = (1_000, 100_000)


def u32(*numbers: int) -> bytes:
    """Numbers as QDataStream has them, least byte first."""
    return struct.pack(f"<{len(numbers)}I", *numbers)


def user(name: str, value: bytes = b"") -> bytes:
    """A variant of a user type."""
    text = name.encode() + b"\0"
    return u32(65536) + b"\0" + u32(len(text)) + text + value


LEVELS: Final = {
    "lists": u32(9) + b"\0" + u32(1),
    "maps": u32(8) + b"\0" + u32(1, 0),
    "hashes": u32(28) + b"\0" + u32(1, 0),
    "variants": u32(41) + b"\0",
    "templates": user("QList<QVariant>", u32(1)),
    "pairs": user("QPair<QVariant,QVariant>"),
    "children": user("QRemoteObjectPackets::QRO_", u32(0) + b"\0"),
    "sequences": user("QRemoteObjectPackets::QSQ_", u32(8) + b"QVariant" + u32(8)),
    "associations": user("QRemoteObjectPackets::QAS_", u32(8) + b"QVariant" + u32(8)),
}
"""One level of each kind of nesting."""


def frame(arguments: bytes) -> bytes:
    """A call with one argument, however broken."""
    body = invoke_head("it", CallKind.METHOD, 0) + u32(1) + arguments + struct.pack("<ii", 5, -1)
    return u32(len(body)) + body


def document(kind: int, data: bytes) -> bytes:
    """A variant of a JSON or CBOR document: a byte array in a value of its own."""
    return u32(kind) + b"\0" + u32(len(data)) + data


def bombs() -> dict[str, bytes]:
    """What a caller can put into one argument."""
    found = {
        f"{depth} {kind}": level * min(depth, DEFAULT_LIMITS.frame // len(level) - 1)
        for kind, level in LEVELS.items()
        for depth in DEPTHS
    }
    for depth in DEPTHS:
        found[f"{depth} arrays of JSON"] = document(48, b"[" * depth + b"]" * depth)
        found[f"{depth} objects of JSON"] = document(48, b'{"a":' * depth + b"1" + b"}" * depth)
        found[f"{depth} arrays of CBOR"] = document(53, b"\x81" * depth + b"\0")
        found[f"{depth} tags of CBOR"] = document(53, b"\xc6" * depth + b"\0")
        found[f"{depth} templates in a name"] = user("QList<" * depth + "int" + ">" * depth)
        found[f"{depth} commas in a name"] = user("QPair<int" + ",int" * depth + ">")
    found["a list of a billion empty lists"] = u32(9) + b"\0" + u32(10**9) + (u32(9) + b"\0" + u32(0)) * 10
    found["a billion items that take no bytes"] = user("QList<QPair<Empty,Empty>>", u32(10**9))
    return found


def refused(data: bytes) -> None:
    """A host's engine breaks the link, or passes the frame by, or leaves the value closed."""
    (event,) = Engine(host=True).receive_data(data)[-1:]
    assert type(event) in (Broken, Skipped) or type(event.arguments[0]) is Opaque, event


def cost(act: Callable[[], object]) -> tuple[float, float]:
    """Return the milliseconds of CPU that *act* takes, best of three, and the MiB that it has at its worst moment."""
    times: list[float] = []
    for _ in range(3):
        with unmeasured():
            begun = time.process_time()
            act()
            times.append((time.process_time() - begun) * 1000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        act()
        return min(times), (tracemalloc.get_traced_memory()[1] - before) / MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("what", bombs())
def test_a_bomb_in_an_argument_is_refused(what: str, figure: Figures) -> None:
    data = frame(bombs()[what])
    took, grown = cost(lambda: refused(data))
    figure("refused after", took, "ms", at_most=SOON)
    figure("memory beyond the frame", max(grown - len(data) / MIB, 0), "MiB", at_most=LITTLE)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_bomb_in_a_text_is_refused(depth: int, figure: Figures) -> None:
    """What a file, or a host's description of its objects, may hold."""
    texts: dict[str, Callable[[], Any]] = {
        "templates in a .rep": lambda: parse(f"class A\n{{\n  PROP({'QList<' * depth}int{'>' * depth} x)\n}};\n"),
        "parentheses in a .rep": lambda: parse("class A\n{\n  SLOT(void a" + "(" * depth + ")" * depth + ")\n};\n"),
        "braces in a .rep": lambda: parse("POD A {" * depth),
        "comments in a .rep": lambda: parse("/*" * depth),
        "quotes in a .rep": lambda: parse('class A { PROP(QString a="' + '\\"' * depth),
        "arrays in a description": lambda: read_description(b"[" * depth),
        "types in a description": lambda: read_description(
            json.dumps({"name": "A", "members": []}).encode()[:-2] + b'{"list":' * depth
        ),
        "a name of a type": lambda: parse_type_name("QList<" * depth + "int" + ">" * depth),
    }
    for what, act in texts.items():

        def attempt(act: Callable[[], Any] = act) -> None:
            with contextlib.suppress(EverywireError, RepError):
                assert act() is None

        took, grown = cost(attempt)
        figure(f"{depth} {what}, refused after", took, "ms", at_most=SOON)
        figure(f"{depth} {what}, memory", grown, "MiB", at_most=LITTLE + 32 * depth / MIB)


def test_sound_values_cost_a_bounded_multiple_of_their_bytes(figure: Figures) -> None:
    """What a peer may send: small values by the hundred thousand, each of which is an object of Python.

    50 ms for 64 KiB, as of every input: a frame of 4 MiB of them holds its host up for a while, the next one again.
    """
    many = {
        "empty lists": (9, u32(9) + b"\0" + u32(0)),
        "empty maps": (9, u32(8) + b"\0" + u32(0)),
        "doubles": (9, u32(6) + b"\0" + bytes(7) + b"\x40"),
        "texts of one character": (9, u32(10) + b"\0" + u32(2) + "ß".encode("utf-16-le")),
    }
    for what, (number, item) in many.items():
        count = SIZE // len(item)
        data = frame(u32(number) + b"\0" + u32(count) + item * count)

        def receive(data: bytes = data, count: int = count) -> None:
            (event,) = Engine(host=True).receive_data(data)
            assert len(event.arguments[0]) == count

        took, grown = cost(receive)
        figure(f"256 KiB of {what}, memory", grown, "MiB", at_most=LITTLE)
        figure(f"256 KiB of {what}, read in", took, "ms of CPU", at_most=4 * SOON)


def test_a_map_whose_keys_have_one_hash_is_refused(figure: Figures) -> None:
    """Numbers that are equal modulo 2**61 - 1 have one hash in Python, and a QUuid is a number of 128 bits."""
    count = 64 * KIB // 20
    writer = Writer()
    for step in range(count):
        writer.write_as(TypeId.QUUID, UUID(int=step * (2**61 - 1)))
        writer.write_as(TypeId.INT, 1)
    data = user("QMap<QUuid,int>", u32(count) + writer.to_bytes())

    def read() -> None:
        with pytest.raises(RemoteProtocolError, match="collide"):
            Reader(data).read_variant()

    took, grown = cost(read)
    figure(f"{count} keys of one hash in 64 KiB, refused after", took, "ms", at_most=SOON)
    figure("memory", grown, "MiB", at_most=LITTLE)


def test_a_definition_of_many_members_is_read_in_time(figure: Figures) -> None:
    """A host may describe a class of as many members as a frame holds."""
    from everywire.remoteobjects.codec import MethodDef

    definition = ClassDefinition("T", methods=tuple(MethodDef(f"m{n}(int)", "void", ("a",)) for n in range(20_000)))
    body = encode_packet(InitDynamic("it", definition, ()))[4:]
    took, _ = cost(lambda: decode_packet(body, from_host=True))
    figure(f"a class of 20,000 methods in {len(body) // 1024} KiB, read in", took, "ms", at_most=2000)
