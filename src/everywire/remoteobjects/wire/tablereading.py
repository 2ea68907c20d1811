"""What models of others send, read with care: answers as rows and sizes, signals, and who takes an answer at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from everywire.codec.qdatastream import Reader, Size, TypeId
from everywire.codec.qdatastream.names import number_on_wire
from everywire.errors import Code, Fault, ModelError, RemoteProtocolError
from everywire.model import Member
from everywire.model.compile import compile_check
from everywire.model.types import ANY
from everywire.remoteobjects.codec import Dialect
from everywire.remoteobjects.codec.cells import PLAIN, Entry, Place
from everywire.remoteobjects.codec.pages import read_rows
from everywire.remoteobjects.codec.tables import TABLE_TYPES
from everywire.remoteobjects.engine import Heard, Odd
from everywire.remoteobjects.wire.qttypes import lift
from everywire.remoteobjects.wire.replicating import Route
from everywire.runtime.replica import shape
from everywire.tables import TableIndex, TableRow, TableSize
from everywire.tables.cache import MOST_COLUMNS
from everywire.tables.words import Path


class Step:
    """What stands for a caller where the channel itself asks: a result is the next step."""

    def __init__(self, then: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
        self.finished = False
        self._then, self._failed = then, failed

    def done(self) -> bool:
        """Return whether the answer has come."""
        return self.finished

    def set_result(self, value: Any) -> None:
        """Go on."""
        self.finished = True
        self._then(value)

    def set_exception(self, error: Exception) -> None:
        """Give up."""
        self.finished = True
        self._failed(error)

    @property
    def value(self) -> None:
        """Nothing: nobody waits for it."""
        return

    @value.setter
    def value(self, value: Any) -> None:
        """Take the result; a link without a loop sets it so."""
        self.set_result(value)


class Answer:
    """What stands for a call of a slot while it waits: a result is taken before the next event is looked at."""

    def __init__(self, call: Any, taker: Callable[[Any, Any], object] | None) -> None:
        self.call, self._taker = call, taker

    def done(self) -> bool:
        """Return whether there is a result, or a failure."""
        return bool(self.call.done())

    def set_result(self, value: Any) -> None:
        """Let the result be taken, then let the caller have it."""
        if self._taker is not None:
            self._taker(self.call, value)
        self.call.set_result(value)

    def set_exception(self, error: BaseException) -> None:
        """Let the caller have the failure."""
        self.call.set_exception(error)

    # What a link without a loop does with a call that is answered.

    @property
    def finished(self) -> bool:
        """Whether there is a result, or a failure."""
        return self.done()

    @finished.setter
    def finished(self, _finished: bool) -> None:
        """Do nothing: the value has said it."""

    @property
    def value(self) -> Any:
        """The result."""
        return self.call.value

    @value.setter
    def value(self, value: Any) -> None:
        self.set_result(value)


def route_to(tell: Callable[[Any], None], dialect: Dialect, *, several: bool) -> Route:
    """Return where a signal or property goes, read by the types of models."""

    def decode(route: Route, data: bytes, start: int, end: int) -> Any:
        reader = Reader(data, start, end, order=dialect.order, version=dialect.version, types=TABLE_TYPES)
        if several:
            raw = tuple(reader.read_items(reader.read_variant))
            reader.take(8)  # serial, index of the property
        else:
            raw = (reader.read_variant(),)
        reader.expect_end()
        return Heard(route, (raw,))

    return Route(decode, lambda raw: (raw,), tell)


def bound_slot(member: Member, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function* as the slot *member* of a replica."""
    check = compile_check(member)
    return shape(member, lambda *arguments: function(*check(arguments)))


def reply_decoder(lift_: Callable[[Any], Any], dialect: Dialect) -> Callable[[bytes, int, int], Any]:
    """Return what reads a reply; *lift_* makes a result of it, or raises ModelError."""

    def decode(data: bytes, start: int, end: int) -> Any:
        reader = Reader(data, start, end, order=dialect.order, version=dialect.version, types=TABLE_TYPES)
        try:
            raw = reader.read_variant()
            reader.expect_end()
            return lift_(raw)
        except (RemoteProtocolError, ModelError):
            return Odd  # the general path says what is wrong

    return decode


def rows_decoder(parent: Path, first: int, dialect: Dialect) -> Callable[[bytes, int, int], Any]:
    """Return what reads an answer with rows; what is not as plain as nearly all are is left to the general path."""
    order, version, way = dialect.order, dialect.version, steps(parent)
    user = number_on_wire(TypeId.USER, version)

    def decode(data: bytes, start: int, end: int) -> Any:
        reader = Reader(data, start, end, order=order, version=version)

        def general(position: int) -> tuple[Any, int]:
            inner = Reader(data, position, end, order=order, version=version)
            return lift(ANY, inner.read_variant()), inner.position

        try:
            is_named = reader.read_int("u32") == user and reader.read_bool() is False
            if not is_named or reader.read_c_string() not in _ENTRIES:
                return Odd
            rows = read_rows(data, reader.position, end, order, way, first, general)
        except (RemoteProtocolError, ModelError):
            return Odd
        return Odd if rows is None else [TableRow(*row) for row in rows]

    return decode


_ENTRIES: Final = frozenset({"DataEntries", "QtPrivate::DataEntries"})


def lifted(lift_: Callable[[Any], Any], raw: Any) -> Any:
    """Return the result in a reply of the general path; raise Fault when it is none."""
    try:
        return lift_(raw)
    except ModelError as error:
        raise Fault(Code.INTERNAL, f"the model's answer does not fit: {error}") from error


def size_in(raw: Any) -> TableSize:
    """Return the size in an answer."""
    if not isinstance(raw, Size):
        raise ModelError("the model did not say how large it is")
    return TableSize(max(0, raw.height), min(max(0, raw.width), MOST_COLUMNS))


def headers_in(raw: Any) -> list[Any]:
    """Return the headers in an answer."""
    if not isinstance(raw, list):
        raise ModelError("the model gave no headers")
    return [lift(ANY, value) for value in cast("list[Any]", raw)]


def rows_in(raw: Any, parent: Path, first: int) -> list[TableRow]:
    """Return cells, which come one by one, as rows; those that nobody asked for are left out."""
    if not isinstance(raw, list):
        raise ModelError("the model gave no rows")
    rows: list[list[Entry]] = []
    above, row, number = steps(parent), list[Entry](), first - 1
    for entry in cast("list[Any]", raw):
        if type(entry) is not Entry:
            raise ModelError("the model gave something else than cells")
        places = entry.places
        if not places or places[:-1] != above:
            raise ModelError("the model gave rows that nobody asked for")
        own, column = places[-1]
        if own == number + 1:
            row, number = list[Entry](), own
            rows.append(row)
        if own != number or column != len(row):
            raise ModelError("the model gave cells out of order")
        row.append(entry)
    return [
        TableRow(
            tuple(tuple(map(_lifted, entry.values)) for entry in row),
            tuple(entry.flags for entry in row),
            row[0].children,
        )
        for row in rows
    ]


def _lifted(value: Any) -> Any:
    return value if type(value) in PLAIN else lift(ANY, value)


def steps(path: Path) -> tuple[tuple[int, int], ...]:
    """Return the way to a row."""
    return tuple((row, 0) for row in path)


def numbered(count: int) -> tuple[str, ...]:
    """Return headers of columns that have no others."""
    return tuple(str(n + 1) for n in range(count))


def _places(raw: Any) -> Sequence[Place]:
    places = cast("Sequence[Any]", raw)
    if not isinstance(raw, (tuple, list)) or not all(isinstance(place, Place) for place in places):
        raise ModelError("a signal of a model without the place that it is about")
    return places


def path_in(raw: Any) -> Path | None:
    """Return the rows on the way to a parent; None where that is no first column."""
    places = _places(raw)
    return None if any(place.column for place in places) else tuple(place.row for place in places)


def cell_in(raw: Any) -> TableIndex | None:
    """Return the cell that a signal is about; None where the way to it leads through another column than the first."""
    places = _places(raw)
    parent = path_in(places[:-1])
    return None if parent is None or not places else TableIndex((*parent, places[-1].row), places[-1].column)


def integer(value: Any) -> int:
    """Return a number in a signal."""
    if type(value) is not int:
        raise ModelError(f"a signal of a model with a {type(value).__name__} where a number belongs")
    return value


def roles_in(raw: Any) -> tuple[int, ...]:
    """Return the roles that a model has."""
    if not isinstance(raw, (tuple, list)):
        raise ModelError("the model does not say which roles it has")
    return tuple(integer(role) for role in cast("Sequence[Any]", raw))


def role_names_in(raw: Any) -> dict[int, str]:
    """Return the names of roles; there may be none."""
    found = cast("dict[Any, Any]", raw) if isinstance(raw, dict) else {}
    if not all(isinstance(name, bytes) for name in found.values()):
        raise ModelError("the model has a role whose name is no text")
    return {integer(role): name.decode(errors="replace") for role, name in found.items()}
