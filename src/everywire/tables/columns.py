"""The columns of a source: which values a row has, of which types, and how one is changed. Knows no tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import msgspec

from everywire.errors import ModelError
from everywire.model.annotations import hints_of, type_of
from everywire.model.types import ANY, Type


@dataclass(frozen=True, slots=True)
class Column:
    """One value of each row."""

    name: str
    type: Type
    header: str
    writable: bool = False


class RowKind(Protocol):
    """How rows of one kind are read and changed."""

    def get(self, row: Any, name: str, place: int) -> Any:
        """Return the value of a column."""
        ...

    def put(self, row: Any, name: str, place: int, value: Any) -> Any:
        """Change a value; return the row, which is another one where rows cannot change."""
        ...


class StructRows:
    """Instances of a dataclass or msgspec struct; frozen ones are replaced."""

    def __init__(self, cls: type) -> None:
        self.cls = cls
        if issubclass(cls, msgspec.Struct):
            self._frozen = bool(cls.__struct_config__.frozen)
            self._replace: Callable[..., Any] = msgspec.structs.replace
        else:
            self._frozen = bool(cast("Any", cls).__dataclass_params__.frozen)
            self._replace = dataclasses.replace

    def get(self, row: Any, name: str, place: int) -> Any:
        return getattr(row, name)

    def put(self, row: Any, name: str, place: int, value: Any) -> Any:
        if self._frozen:
            return self._replace(row, **{name: value})
        setattr(row, name, value)
        return row


class MappingRows:
    """Dicts; a missing key is an empty cell."""

    def get(self, row: Mapping[str, Any], name: str, place: int) -> Any:
        return row.get(name)

    def put(self, row: Any, name: str, place: int, value: Any) -> Any:
        if not isinstance(row, MutableMapping):
            return {**row, name: value}
        row[name] = value
        return cast("Any", row)


class SequenceRows:
    """Tuples and lists, a value for each column."""

    def get(self, row: Sequence[Any], name: str, place: int) -> Any:
        return row[place] if place < len(row) else None

    def put(self, row: Any, name: str, place: int, value: Any) -> Any:
        if not isinstance(row, MutableSequence):
            return (*row[:place], value, *row[place + 1 :])
        row[place] = value
        return cast("Any", row)


class AnyRows:
    """Rows of any kind, each looked at by itself; they are not changed."""

    def get(self, row: Any, name: str, place: int) -> Any:
        if isinstance(row, Mapping):
            return cast("Mapping[str, Any]", row).get(name)
        if isinstance(row, Sequence):
            values = cast("Sequence[Any]", row)
            return values[place] if place < len(values) else None
        return getattr(row, name, None)

    def put(self, row: Any, name: str, place: int, value: Any) -> Any:
        raise ModelError("these rows belong to somebody else")


def kind_of(sample: Any) -> RowKind:
    """Return how *sample*, a row or the class of rows, is read; raise ModelError when nobody knows."""
    cls: Any = sample if isinstance(sample, type) else type(sample)
    if dataclasses.is_dataclass(cls) or issubclass(cls, msgspec.Struct):
        return StructRows(cast("type", cls))
    if issubclass(cls, Mapping):
        return MappingRows()
    if issubclass(cls, Sequence) and not issubclass(cls, (str, bytes)):
        return SequenceRows()
    raise ModelError(f"rows are dataclasses, msgspec structs, dicts or tuples, and {cls.__name__} is none of these")


def columns_of(
    sample: Any,
    names: Sequence[str] | None,
    headers: Mapping[str, str],
    writable: bool | Sequence[str],  # noqa: FBT001
    *,
    besides: Sequence[str] = (),
) -> tuple[Column, ...]:
    """Return the columns of rows such as *sample*, in the order of *names*; *besides* are no columns."""
    kind = kind_of(sample) if sample is not None else MappingRows()
    types = _types(kind, sample)
    chosen = [name for name in (names if names is not None else types) if name not in besides]
    if not chosen:
        raise ModelError("a table of no rows, or of plain tuples, needs columns=[…] or a type, TableSource[Reading]")
    if isinstance(kind, StructRows) and (unknown := [name for name in chosen if name not in types]):
        raise ModelError(f"{kind.cls.__name__} has no field {', '.join(unknown)}")
    if not isinstance(writable, bool) and (unknown := [name for name in writable if name not in chosen]):
        raise ModelError(f"writable names what is no column: {', '.join(unknown)}")
    if unknown := [name for name in headers if name not in chosen]:
        raise ModelError(f"headers name what is no column: {', '.join(unknown)}")
    written = chosen if writable is True else writable or ()
    return tuple(Column(name, _type(name, types), headers.get(name, name), name in written) for name in chosen)


def _types(kind: RowKind, sample: Any) -> dict[str, Any]:
    if isinstance(kind, StructRows):
        cls: Any = kind.cls
        hints = hints_of(cls)
        fields: Any = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else msgspec.structs.fields(cls)
        return {field.name: hints[field.name] for field in fields}
    return {str(name): Any for name in cast("Mapping[Any, Any]", sample)} if isinstance(sample, Mapping) else {}


def _type(name: str, types: Mapping[str, Any]) -> Type:
    try:
        return type_of(types[name]) if name in types else ANY
    except ModelError as error:
        raise ModelError(f"the column {name}: {error}") from None
