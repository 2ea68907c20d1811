"""Rows of what looks like a data frame: pandas, polars, pyarrow, arrays of two dimensions. None of them is imported."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Protocol, cast, overload
from uuid import UUID

from everywire.errors import ModelError
from everywire.model.types import ANY, BOOL, Float, Int, Type

_PLAIN: Final = (type(None), bool, int, float, str, bytes, datetime, date, time, timedelta, UUID)
_KINDS: Final[Mapping[str, Type]] = {"b": BOOL, "i": Int(), "u": Int(), "f": Float()}
_ABSENT: Final = frozenset({"NaTType", "NAType"})


class Frame(Protocol):
    """The least that a data frame or array has; what else it needs is looked for when it is given."""

    def __len__(self) -> int:
        """Return how many rows there are."""
        ...

    def __getitem__(self, place: Any, /) -> Any:
        """Return a column, or rows."""
        ...


class FrameRows(Sequence[tuple[Any, ...]]):
    """The rows of a frame as tuples of plain values, read when they are asked for."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.names = names_of(frame)

    def __len__(self) -> int:
        return len(self.frame)

    @overload
    def __getitem__(self, place: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, place: slice) -> list[tuple[Any, ...]]: ...
    def __getitem__(self, place: int | slice) -> tuple[Any, ...] | list[tuple[Any, ...]]:
        if isinstance(place, slice):
            first, end, step = place.indices(len(self))
            return self.page(first, end)[:: step or 1]
        if not 0 <= place < len(self):
            raise IndexError(place)
        return self.page(place, place + 1)[0]

    def page(self, first: int, end: int) -> list[tuple[Any, ...]]:
        """Return the rows from *first* to before *end*."""
        return [tuple(plain(value) for value in row) for row in _page(self.frame, first, end)]

    def put(self, row: int, column: int, value: Any) -> None:
        """Change a cell; raise ModelError where frames cannot change."""
        frame = self.frame
        try:
            if hasattr(frame, "iat"):
                frame.iat[row, column] = value
            else:
                frame[row, column] = value
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"this {type(frame).__name__} does not take {value!r}: {error}") from error

    def types(self) -> dict[str, Type]:
        """Return the types of the columns, as far as the frame tells."""
        return {name: _type(self.frame, place) for place, name in enumerate(self.names)}


def is_frame(rows: object) -> bool:
    """Return whether *rows* looks like a data frame, or an array of two dimensions."""
    if isinstance(rows, (list, tuple)):
        return False
    found: Any = rows
    named = any(hasattr(found, name) for name in ("columns", "column_names"))
    pages = any(hasattr(found, name) for name in ("iloc", "slice"))
    return (named and pages) or _is_array(found)


def names_of(frame: Any) -> tuple[str, ...]:
    """Return the names of the columns; those of arrays are their numbers."""
    if hasattr(frame, "column_names"):
        return tuple(map(str, frame.column_names))
    if hasattr(frame, "columns"):
        return tuple(map(str, frame.columns))
    return tuple(map(str, range(frame.shape[1])))


def plain(value: Any) -> Any:
    """Return a value of a frame as Python has it; what frames call not available is None."""
    if type(value) in _PLAIN or isinstance(value, enum.Enum):
        return value
    if type(value).__name__ in _ABSENT:
        return None
    for convert in ("to_pydatetime", "to_pytimedelta"):
        if hasattr(value, convert):
            return getattr(value, convert)()
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("M", "m"):
        value = value.astype(f"{'datetime64' if kind == 'M' else 'timedelta64'}[us]")
    if kind and getattr(value, "ndim", 0) == 0 and hasattr(value, "item"):
        return value.item()
    if hasattr(value, "tolist"):
        return value.tolist()
    return value


def _is_array(found: Any) -> bool:
    return hasattr(found, "tolist") and len(getattr(found, "shape", ())) == 2


def _page(frame: Any, first: int, end: int) -> Iterator[Sequence[Any]]:
    if hasattr(frame, "iloc"):
        yield from frame.iloc[first:end].itertuples(index=False, name=None)
    elif hasattr(frame, "slice"):
        part = frame.slice(first, max(0, end - first))
        if hasattr(part, "rows"):
            yield from part.rows()
        else:
            yield from (tuple(row.values()) for row in part.to_pylist())
    else:
        yield from cast("Sequence[Sequence[Any]]", frame[first:end])


def _type(frame: Any, place: int) -> Type:
    dtypes = getattr(frame, "dtypes", None)
    dtype = getattr(frame, "dtype", None) if dtypes is None else _at(dtypes, place)
    return _KINDS.get(getattr(dtype, "kind", ""), ANY)


def _at(dtypes: Any, place: int) -> Any:
    try:
        return dtypes.iloc[place] if hasattr(dtypes, "iloc") else dtypes[place]
    except (IndexError, KeyError, TypeError):
        return None
