"""QDataStream from peers that mean no good: nesting, counts, empty items, garbage, damage."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire.codec.qdatastream import (
    Typed,
    TypeId,
)
from everywire.codec.qdatastream.names import CORE
from everywire.codec.qdatastream.stream import Order
from everywire.errors import RemoteProtocolError
from tests.codec.streams import (
    EXACT,
    TYPES,
    blob,
    decode,
    encode,
    orders,
    u32,
    user,
    variants,
    versions,
)


# ------------------------------------------------------------------------------------------------------ hostile bytes
def nested_lists(depth: int) -> bytes:
    return (u32(9) + b"\0" + u32(1)) * depth + encode(None)


def test_sixty_four_levels_are_read_and_one_more_is_refused() -> None:
    value = decode(nested_lists(64))
    for _ in range(64):
        (value,) = value
    assert value is None
    with pytest.raises(RemoteProtocolError, match="too deeply"):
        decode(nested_lists(65))


@pytest.mark.parametrize(
    "one_level",
    [
        u32(9) + b"\0" + u32(1),
        u32(41) + b"\0",
        u32(8) + b"\0" + u32(1, 0),
        user("QList<QVariant>", u32(1)),
        user("QList<QList<QList<QVariant>>>", u32(1, 1, 1)),
        user("Pt"),
        user("QPair<QVariant,int>"),
    ],
    ids=["list", "variant", "map", "template", "templates", "gadget", "pair"],
)
def test_no_kind_of_nesting_reaches_the_recursion_limit(one_level: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="too deeply"):
        decode(one_level * 5000)


def test_nested_streams_do_not_start_counting_anew() -> None:
    data = encode(None, ">")
    for level in range(70):
        inner = blob(b"QVariant", order=">") + u32(1, order=">") + data
        order: Order = "<" if level == 69 else ">"
        data = user("QRemoteObjectPackets::QSQ_", blob(b"QVariantList", b"QVariant", inner, order=order), order)
    with pytest.raises(RemoteProtocolError, match="too deeply"):
        decode(data)


@pytest.mark.parametrize("count", [5, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF])
@pytest.mark.parametrize("number", [8, 9, 11, 28, 49, 4103])
def test_a_count_beyond_the_bytes_left_is_refused_at_once(number: int, count: int) -> None:
    with pytest.raises(RemoteProtocolError, match="items announced"):
        decode(u32(number) + b"\0" + u32(count) + b"abcd")


def test_a_length_never_reserves_memory() -> None:
    tracemalloc.start()
    try:
        for number in (10, 12, 13, 53):
            with pytest.raises(RemoteProtocolError):
                decode(u32(number) + b"\0" + u32(0x7FFFFFFE, 0) + b"abcd")
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("item", ["Empty", "std::pair<Empty,Empty>"])
def test_items_that_take_no_bytes_cannot_fill_memory(item: str) -> None:
    with pytest.raises(RemoteProtocolError, match="no bytes"):
        decode(user(f"QList<QList<{item}>>", u32(100) + u32(300) * 100))


@pytest.mark.parametrize(
    "key,data",
    [
        ("QVariantList", u32(0)),
        ("QVariantMap", u32(0)),
        ("QList<int>", u32(0)),
        ("QPair<QVariantList,int>", u32(0, 0)),
        ("Pt", encode(1) * 2),
        ("QVariant", encode([])),
    ],
)
def test_a_map_whose_keys_cannot_be_keys_is_refused(key: str, data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="keys"):
        decode(user(f"QMap<{key},int>", u32(1) + data + u32(7)))


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 3000 + b"]" * 3000,
        b"[" * 65 + b"]" * 65,
        b'"\xff"',
        b'["\\ud800"]',
        b"[1e999]",
        b"[" + b"1" * 9999 + b"]",
        b"{",
    ],
)
def test_json_that_cannot_be_read_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(u32(48) + b"\0" + blob(data))


@pytest.mark.parametrize("value", [None, True, 1, 2.5, "text", [1, "a"], {"a": [None]}])
def test_each_kind_of_json_value_comes_back(value: object) -> None:
    assert decode(encode(Typed(TypeId.QJSON_VALUE, value))) == value


def test_json_of_the_wrong_kind_is_refused() -> None:
    for number, data in ((46, b"[]"), (47, b"{}"), (48, b"1")):
        with pytest.raises(RemoteProtocolError, match="another kind"):
            decode(u32(number) + b"\0" + blob(data))
    assert decode(u32(45) + b"\0\x80") is None
    with pytest.raises(RemoteProtocolError, match="kind 6"):
        decode(u32(45) + b"\0\x06")


@pytest.mark.parametrize(
    "data",
    [
        u32(10) + b"\0" + blob(b"abc"),
        u32(17) + b"\0" + blob(b"\xff"),
        u32(57) + b"\0" + u32(0x110000),
        user("PySide::PyObjectWrapper", u32(0xFFFFFFFF)),
    ],
    ids=["odd QString", "QUrl", "char32_t", "pickle"],
)
def test_malformed_values_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(data)


def many(name: str, keys: list[bytes]) -> bytes:
    return user(f"QMap<{name},bool>", u32(len(keys)) + b"".join(key + b"\1" for key in keys))


def test_keys_made_to_share_a_hash_cannot_slow_a_map_down() -> None:
    prime = 2**61 - 1  # hash() of an integer is its remainder
    keys = [(prime * factor).to_bytes(16, "little") for factor in range(1, 50_000)]
    start = time.process_time()
    with pytest.raises(RemoteProtocolError, match="collide"):
        decode(many("QUuid", [UUID(bytes=key[::-1]).bytes_le for key in keys]))
    assert time.process_time() - start < 5  # a dict of them takes a minute
    few = [UUID(int=prime * factor).bytes_le for factor in range(1, 90)]
    assert len(decode(many("QUuid", few * 100))) == 89
    assert len(decode(many("QUuid", [UUID(int=number).bytes_le for number in range(5000)]))) == 5000


def test_streams_inside_each_other_are_not_copied_for_each_level() -> None:
    data = encode(b"x" * 1_000_000, ">")
    for level in range(30):
        inner = blob(b"QVariant", order=">") + u32(1, order=">") + data
        order: Order = "<" if level == 29 else ">"
        data = user("QRemoteObjectPackets::QSQ_", blob(b"QVariantList", b"QVariant", inner, order=order), order)
    tracemalloc.start()
    try:
        decode(data)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


PICTURE = u32(4102) + b"\0" + u32(1)


@pytest.mark.parametrize(
    "data",
    [
        PICTURE + b"GIF89a" + bytes(50),
        PICTURE + b"\x89PNG\r\n\x1a\n" + b"\xff\xff\xff\xffIDAT" + bytes(50),
        PICTURE + b"\x89PNG\r\n\x1a\n" + (bytes(4) + b"IDAT" + bytes(4)) * 1000,
        u32(4100) + b"\0" + b"\x0f" * 5000,
        u32(4098) + b"\0" + b"\x0f" + bytes(27) + u32(0x7FFFFFFF) + bytes(400),
        u32(4101) + b"\0" + blob("QPixmapIconEngine".encode("utf-16-le")) + u32(0x7FFFFFFF) + bytes(400),
        u32(4101) + b"\0" + blob("SvgIconEngine".encode("utf-16-le")) + bytes(400),
        u32(4110) + b"\0" + u32(1, 1, 1) + (u32(9) + b"\0" + u32(1)) * 5000,
    ],
    ids=["no PNG", "long chunk", "PNG without end", "palette", "stops", "icon", "unknown icon", "text format"],
)
def test_malformed_gui_types_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(data)


names = st.sampled_from([*CORE, *TYPES, "QSet<Pt>", "QMap<QVariant,int>", "PySide::PyObjectWrapper"]) | st.sampled_from(
    [f"QRemoteObjectPackets::{name}" for name in ("QSQ_", "QAS_", "QRO_")]
)
heads = st.sampled_from([int(type_id) for type_id in TypeId]).map(lambda number: u32(number) + b"\0")
garbage = st.one_of(
    st.binary(max_size=200),
    st.tuples(heads, st.binary(max_size=80)).map(b"".join),
    st.tuples(names, st.binary(max_size=80)).map(lambda pair: user(*pair)),
    st.tuples(st.lists(heads | names.map(user), max_size=80).map(b"".join), st.binary(max_size=40)).map(b"".join),
)


def only_protocol_errors(data: bytes, order: Order, version: int) -> None:
    with contextlib.suppress(RemoteProtocolError):
        decode(data, order, version)


@given(garbage, orders, versions)
def test_garbage_raises_nothing_but_protocol_errors(data: bytes, order: Order, version: int) -> None:
    only_protocol_errors(data, order, version)


@given(st.data(), variants | st.sampled_from(sorted(EXACT)).flatmap(lambda t: EXACT[t].map(lambda v: Typed(t, v))))
def test_damaged_values_raise_nothing_but_protocol_errors(data: st.DataObject, value: object) -> None:
    damaged = bytearray(encode(value))
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[position] = data.draw(st.integers(0, 255))
    only_protocol_errors(bytes(damaged), "<", 20)


@given(st.data(), variants)
def test_a_value_cut_short_is_always_noticed(data: st.DataObject, value: object) -> None:
    whole = encode(value)
    with pytest.raises(RemoteProtocolError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_names_that_a_peer_makes_up_are_not_kept() -> None:
    tracemalloc.start()
    try:
        for number in range(20):
            for long in (user(f"{number}" + "x" * 500_000), zoned(f"{number}" + "x" * 250_000)):
                with contextlib.suppress(RemoteProtocolError):
                    decode(long)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


def zoned(name: str) -> bytes:
    """A QDateTime in the zone *name*."""
    text = name.encode("utf-16-le")
    return u32(16) + b"\0" + (2_460_000).to_bytes(8, "little") + bytes(4) + b"\3" + u32(len(text)) + text
