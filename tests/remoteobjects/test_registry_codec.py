"""Entries of a registry as bytes, in the dialects of Qt 5 and Qt 6."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire import RemoteProtocolError
from everywire.remoteobjects.codec import (
    DIALECTS,
    QTRO_1_3,
    QTRO_2_0,
    CallKind,
    Dialect,
    Init,
    InitDynamic,
    Invoke,
    UserTyped,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.codec.registry import (
    ADD_SOURCE,
    REGISTRY,
    REGISTRY_TYPES,
    Location,
    read_location,
    read_table,
    registry_definition,
    written_location,
    written_table,
)

PAIR = "std::pair<QString,QRemoteObjectSourceLocationInfo>"
TABLE = "QHash<QString,QRemoteObjectSourceLocationInfo>"
HALL = Location("hall", "Thermostat", "tcp://127.0.0.1:65213")


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.protocol)
def test_an_entry_and_a_table_come_back(dialect: Dialect) -> None:
    call = Invoke(REGISTRY, CallKind.METHOD, ADD_SOURCE, (written_location(HALL, dialect),))
    body = encode_packet(call, dialect)[4:]
    packet = decode_packet(body, from_host=False, types=REGISTRY_TYPES, dialect=dialect)
    assert isinstance(packet, Invoke)
    assert read_location(packet.arguments[0]) == HALL
    table = Init(REGISTRY, (written_table((HALL, Location("x", "", "local:y")), dialect),))
    shown = decode_packet(encode_packet(table, dialect)[4:], from_host=True, types=REGISTRY_TYPES, dialect=dialect)
    assert isinstance(shown, Init)
    assert read_table(shown.values[0]) == {"hall": HALL, "x": Location("x", "", "local:y")}


@pytest.mark.parametrize(
    "dialect, pair, table",
    [
        (
            QTRO_2_0,
            b"std::pair<QString,QRemoteObjectSourceLocationInfo>",
            b"QHash<QString,QRemoteObjectSourceLocationInfo>",
        ),
        (QTRO_1_3, b"QRemoteObjectSourceLocation", b"QRemoteObjectSourceLocations"),
    ],
)
def test_types_have_the_names_that_the_peers_qt_knows(dialect: Dialect, pair: bytes, table: bytes) -> None:
    entry = encode_packet(Invoke(REGISTRY, CallKind.METHOD, 0, (written_location(HALL, dialect),)), dialect)
    assert pair + b"\0" in entry
    packet = InitDynamic(REGISTRY, registry_definition(dialect), (written_table((HALL,), dialect),))
    assert table + b"\0" in encode_packet(packet, dialect)


def test_an_entry_has_the_bytes_of_qt() -> None:
    written = written_location(Location("a", "B", "tcp://h:1"), QTRO_2_0)
    assert written.payload == b"\2\0\0\0a\0" + b"\2\0\0\0B\0" + b"\x09\0\0\0tcp://h:1"


@pytest.mark.parametrize("value", [None, 7, (), ("x",), ("x", {}), ("x", {"typeName": 1, "hostUrl": "y"}), {"a": 1}])
def test_what_is_no_entry_is_none(value: object) -> None:
    assert read_location(value) is None


@pytest.mark.parametrize("value", [None, [], "x", {"a": 1}, {1: {"typeName": "", "hostUrl": ""}}])
def test_what_is_no_table_is_none(value: object) -> None:
    assert read_table(value) is None


@given(st.binary(max_size=200), st.sampled_from(sorted(DIALECTS)), st.sampled_from([*REGISTRY_TYPES, PAIR, TABLE]))
def test_whatever_the_bytes_of_an_entry_are_there_is_a_value_or_the_protocols_error(
    payload: bytes, protocol: str, name: str
) -> None:
    dialect = DIALECTS[protocol]
    frame = encode_packet(Invoke(REGISTRY, CallKind.METHOD, 0, (UserTyped(name, payload),)), dialect)
    try:
        packet = decode_packet(frame[4:], from_host=True, types=REGISTRY_TYPES, dialect=dialect)
    except RemoteProtocolError:
        return
    assert isinstance(packet, Invoke)
    read_location(packet.arguments[0])
    read_table(packet.arguments[0])
