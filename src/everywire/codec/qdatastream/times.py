"""QDate, QTime and QDateTime with their zones, as Python's date, time and datetime.

Qt counts milliseconds and has no "second occurrence of this hour" in its wall clock. So microseconds are cut to
milliseconds, and an hour that the clocks of a zone repeat or skip is sent with its offset instead of its zone: the
instant survives, which matters more than the name.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from everywire.codec.qdatastream.stream import ByteReader, ByteWriter, expect
from everywire.codec.qdatastream.types import Opaque
from everywire.errors import ModelError, RemoteProtocolError

JULIAN_DAY_OF_ORDINAL_0: Final = 1721425
NULL_DAY: Final = -(2**63)
NULL_TIME: Final = -1
MILLISECONDS_PER_DAY: Final = 86_400_000

SPEC_LOCAL, SPEC_UTC, SPEC_OFFSET, SPEC_ZONE = range(4)
"""Qt::TimeSpec, the byte after date and time."""

_ZONE_NAME: Final = re.compile(r"[A-Za-z0-9_+\-]{1,32}(/[A-Za-z0-9_+\-]{1,32}){0,3}")


_UNKNOWN_ZONE: Final = timezone(timedelta(0), "unknown")
"""Marks, by its identity, a zone that this machine has no rules for."""


def read_date(reader: ByteReader) -> date | Opaque | None:
    """A QDate: None when null, `Opaque` before year 1 and after year 9999."""
    start = reader.position
    day = reader.read_int("i64")
    if day == NULL_DAY:
        return None
    return _date(day) or Opaque("QDate", reader.taken_since(start))


def read_time(reader: ByteReader) -> time | None:
    """A QTime: None when null."""
    milliseconds = reader.read_int("i32")
    if milliseconds == NULL_TIME:
        return None
    if not 0 <= milliseconds < MILLISECONDS_PER_DAY:
        raise RemoteProtocolError(f"a QTime of {milliseconds} ms, a day has {MILLISECONDS_PER_DAY}")
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return time(hours, minutes, seconds, milliseconds * 1000)


def read_datetime(reader: ByteReader) -> datetime | Opaque | None:
    """A QDateTime: naive for local time; `Opaque` with an unknown zone or outside the years 1 to 9999."""
    start = reader.position
    day = reader.read_int("i64")
    clock = read_time(reader)
    zone = _read_zone(reader, reader.read_int("u8"))
    if day == NULL_DAY or clock is None:
        return None
    calendar = _date(day)
    if calendar is None or zone is _UNKNOWN_ZONE:
        return Opaque("QDateTime", reader.taken_since(start))
    return datetime.combine(calendar, clock, zone)


def write_date(writer: ByteWriter, value: date | None) -> None:
    """A QDate; null for None."""
    day = NULL_DAY if value is None else expect(value, date, "QDate").toordinal() + JULIAN_DAY_OF_ORDINAL_0
    writer.write_int("i64", day)


def write_time(writer: ByteWriter, value: time | None) -> None:
    """A QTime; null for None. A QTime has no zone, so neither may the value."""
    if value is not None and expect(value, time, "QTime").tzinfo is not None:
        raise ModelError(f"{value!r} has a time zone, QTime has none; send a datetime or drop the zone")
    _write_clock(writer, value)


def write_datetime(writer: ByteWriter, value: datetime | None) -> None:
    """A QDateTime; null for None, local time for a naive value."""
    if value is None:
        write_date(writer, None)
        _write_clock(writer, None)
        writer.write_int("u8", SPEC_LOCAL)
        return
    write_date(writer, expect(value, datetime, "QDateTime"))
    _write_clock(writer, value.time())
    _write_zone(writer, value)


def _date(julian_day: int) -> date | None:
    ordinal = julian_day - JULIAN_DAY_OF_ORDINAL_0
    return date.fromordinal(ordinal) if 1 <= ordinal <= date.max.toordinal() else None


def _read_zone(reader: ByteReader, spec: int) -> tzinfo | None:
    if spec == SPEC_LOCAL:
        return None
    if spec == SPEC_UTC:
        return UTC
    if spec == SPEC_OFFSET:
        return _fixed(reader.read_int("i32"))
    if spec == SPEC_ZONE:
        return _read_named_zone(reader)
    raise RemoteProtocolError(f"a QDateTime with time spec {spec}, known are 0 to 3")


def _read_named_zone(reader: ByteReader) -> tzinfo | None:
    """QTimeZone: mostly an IANA name, else one of the words below with data of its own (qtimezone.cpp)."""
    name = reader.read_string()
    if name == "OffsetFromUtc":
        reader.read_string()  # its identifier
        offset = reader.read_int("i32")
        reader.read_string()  # name
        reader.read_string()  # abbreviation
        reader.read_int("i32")  # territory
        reader.read_string()  # comment
        return _fixed(offset)
    if name == "AheadOfUtcBy":
        return _fixed(reader.read_int("i32"))
    if name == "QTimeZone::UTC":
        return UTC
    if name == "QTimeZone::LocalTime":
        return None
    return _zone(name)


def _fixed(seconds: int) -> timezone:
    if abs(seconds) >= 86_400:
        raise RemoteProtocolError(f"a QDateTime {seconds} s from UTC; a day or more is not an offset")
    return timezone(timedelta(seconds=seconds)) if seconds else UTC


def _zone(name: str) -> tzinfo:
    """The zone of this name. It becomes a file name in zoneinfo, so only harmless ones get there."""
    return _known_zone(name) if _ZONE_NAME.fullmatch(name) else _UNKNOWN_ZONE


@lru_cache(maxsize=512)
def _known_zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return _UNKNOWN_ZONE


def _write_clock(writer: ByteWriter, value: time | None) -> None:
    if value is None:
        writer.write_int("i32", NULL_TIME)
    else:
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        writer.write_int("i32", seconds * 1000 + value.microsecond // 1000)


def _write_zone(writer: ByteWriter, value: datetime) -> None:
    zone, offset = value.tzinfo, value.utcoffset()
    if offset is None:
        writer.write_int("u8", SPEC_LOCAL)
    elif isinstance(zone, timezone) and not offset:
        writer.write_int("u8", SPEC_UTC)
    elif isinstance(zone, ZoneInfo) and zone.key and _is_unambiguous(value):
        writer.write_int("u8", SPEC_ZONE)
        writer.write_string(zone.key)
    elif offset % timedelta(seconds=1):
        raise ModelError(f"{value!r} is no whole number of seconds from UTC, which Qt cannot express")
    else:
        writer.write_int("u8", SPEC_OFFSET)
        writer.write_int("i32", offset // timedelta(seconds=1))


def _is_unambiguous(value: datetime) -> bool:
    return value.replace(fold=0).utcoffset() == value.replace(fold=1).utcoffset()
