"""The cache of a table's replica against a model of its source: whatever it holds is what the source had."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from everywire.model import MISSING
from everywire.tables import LayoutHint, Orientation, TableRow, TableSize
from everywire.tables.cache import PAGE, Span, TableCache
from everywire.tables.notices import Changed, Inserted, Moved, Notice, Rearranged, Removed, Reset, merged, moved_index

ROLES = (0, 2)
Path = tuple[int, ...]


@dataclass(eq=False)
class Node:
    """A row of the model: a number that is never used twice, and the rows below it."""

    value: int
    below: list[Node] = field(default_factory=list)


def row_of(node: Node) -> TableRow:
    return TableRow(((node.value, -node.value), (f"{node.value}", None)), (33, 35), bool(node.below))


def below(root: list[Node], path: Path) -> list[Node] | None:
    for number in path:
        if number >= len(root):
            return None
        root = root[number].below
    return root


def tell(cache: TableCache, notice: Notice) -> None:
    match notice:
        case Inserted(parent, first, last):
            cache.inserted(parent, first, last)
        case Removed(parent, first, last):
            cache.removed(parent, first, last)
        case Moved():
            cache.moved(notice.parent, notice.first, notice.last, notice.destination, notice.row)
        case Changed():
            rows, columns = Span(notice.first, notice.last), Span(notice.first_column, notice.last_column)
            cache.changed(notice.parent, rows, columns, notice.roles)
        case Rearranged(parents, _):
            cache.rearranged(parents)
        case Reset():
            cache.reset()
        case _:
            raise AssertionError(notice)


def copied(root: list[Node]) -> list[Node]:
    return [Node(node.value, copied(node.below)) for node in root]


class CachedTable(RuleBasedStateMachine):
    """A source that changes, a link that delays, and a cache that hears notices and answers in order."""

    @initialize(count=st.integers(0, 30), kept=st.sampled_from([1, 10_000]))
    def begin(self, count: int, kept: int) -> None:
        self.number = 0
        self.root: list[Node] = [self.new() for _ in range(count)]
        self.link: deque[tuple[Any, list[Node]]] = deque()
        """What was sent and not heard, each with the source as it was then."""
        self.asked: deque[tuple[Any, ...]] = deque()
        self.cache = TableCache(kept)
        self.heard = copied(self.root)
        """The source as it was when it sent the last thing heard."""

    def new(self) -> Node:
        self.number += 1
        return Node(self.number)

    def some_path(self, data: st.DataObject, depth: int = 2) -> Path:
        path: list[int] = []
        rows = self.root
        while rows and len(path) < depth and data.draw(st.booleans()):
            path.append(data.draw(st.integers(0, len(rows) - 1)))
            rows = rows[path[-1]].below
        return tuple(path)

    def told(self, notice: Notice) -> None:
        self.link.append((notice, copied(self.root)))

    # What happens at the source.

    @rule(data=st.data(), count=st.integers(1, 5))
    def insert(self, data: st.DataObject, count: int) -> None:
        parent = self.some_path(data)
        rows = below(self.root, parent)
        assert rows is not None
        at = data.draw(st.integers(0, len(rows)))
        rows[at:at] = [self.new() for _ in range(count)]
        self.told(Inserted(parent, at, at + count - 1))

    @rule(data=st.data(), count=st.integers(1, 5))
    def remove(self, data: st.DataObject, count: int) -> None:
        parent = self.some_path(data)
        rows = below(self.root, parent)
        if not rows:
            return
        at = data.draw(st.integers(0, len(rows) - 1))
        last = min(len(rows) - 1, at + count - 1)
        del rows[at : last + 1]
        self.told(Removed(parent, at, last))

    @rule(data=st.data(), count=st.integers(1, 4))
    def move(self, data: st.DataObject, count: int) -> None:
        parent, target = self.some_path(data), self.some_path(data)
        rows, there = below(self.root, parent), below(self.root, target)
        if not rows or there is None:
            return
        first = data.draw(st.integers(0, len(rows) - 1))
        last = min(len(rows) - 1, first + count - 1)
        row = data.draw(st.integers(0, len(there)))
        depth = len(parent)
        inside = target[:depth] == parent and len(target) > depth and first <= target[depth] <= last
        if inside or (there is rows and first <= row <= last + 1):
            return
        moved = rows[first : last + 1]
        del rows[first : last + 1]
        at = row - len(moved) if there is rows and row > last else row
        there[at:at] = moved
        self.told(Moved(parent, first, last, target, row))

    @rule(data=st.data(), roles=st.sampled_from([(), (0,), (0, 2)]))
    def change(self, data: st.DataObject, roles: tuple[int, ...]) -> None:
        parent = self.some_path(data)
        rows = below(self.root, parent)
        if not rows:
            return
        first = data.draw(st.integers(0, len(rows) - 1))
        last = data.draw(st.integers(first, len(rows) - 1))
        for node in rows[first : last + 1]:
            self.number += 1
            node.value = self.number
        self.told(Changed(parent, first, last, 0, 1, () if roles == (0,) else roles))

    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        parent = self.some_path(data)
        rows = below(self.root, parent)
        assert rows is not None
        rows.reverse()
        self.told(Rearranged((parent,) if parent else (), LayoutHint.NONE))

    @rule(count=st.integers(0, 5))
    def reset(self, count: int) -> None:
        self.root = [self.new() for _ in range(count)]
        self.told(Reset())

    # What the replica asks, and what it hears.

    @rule(data=st.data(), roles=st.sampled_from([(0,), (2,), ROLES]))
    def ask_rows(self, data: st.DataObject, roles: tuple[int, ...]) -> None:
        parent = self.some_path(data)
        first = data.draw(st.integers(0, 40))
        self.asked.append((parent, first, first + data.draw(st.integers(0, 20)), roles))

    @rule(data=st.data())
    def ask_size(self, data: st.DataObject) -> None:
        self.asked.append((self.some_path(data),))

    @rule()
    def answer(self) -> None:
        if not self.asked:
            return
        parent, *rest = self.asked.popleft()
        rows = below(self.root, parent)
        if not rest:
            found: Any = TableSize(len(rows or ()), 2 if rows is not None else 0)
        else:
            first, last, roles = rest
            found = [
                TableRow(
                    tuple(tuple(values[ROLES.index(role)] for role in roles) for values in row_of(node).values),
                    row_of(node).flags,
                    bool(node.below),
                )
                for node in (rows or [])[first : last + 1]
            ]
        self.link.append(((parent, rest, found), copied(self.root)))

    @rule(count=st.integers(1, 10))
    def hear(self, count: int) -> None:
        for _ in range(min(count, len(self.link))):
            said, self.heard = self.link.popleft()
            if isinstance(said, tuple):
                parent, rest, found = said
                if not rest:
                    self.cache.sized(parent, found)
                else:
                    first, _, roles = rest
                    self.cache.filled(parent, first, roles, found)
            else:
                tell(self.cache, said)

    @invariant()
    def what_is_known_is_true(self) -> None:
        count = self.check((), self.heard)
        assert self.cache.rows <= max(count, self.cache.kept)

    def check(self, path: Path, rows: list[Node]) -> int:
        """Compare what is known below *path*; return how many rows there are."""
        size = self.cache.size(path)
        assert size is None or size.rows == len(rows)
        count = len(rows)
        for number, node in enumerate(rows):
            here = (*path, number)
            expected = row_of(node)
            for column, values in enumerate(expected.values):
                for role, value in zip(ROLES, values, strict=True):
                    known = self.cache.value(here, column, role)
                    assert known is MISSING or known == value
            for role in ROLES:
                known = self.cache.values(here, role) is not None
                assert known == (self.cache.missing(path, number, number, (role,)) == [])
            children = self.cache.has_children(here)
            assert children is None or children == bool(node.below)
            count += self.check(here, node.below)
        assert self.cache.values((*path, len(rows)), 0) is None
        return count


TestCachedTable = CachedTable.TestCase


# ------------------------------------------------------------------------------------------------------- what to ask
def rows(first: int, last: int) -> list[TableRow]:
    return [TableRow(((n, n),), (33,)) for n in range(first, last + 1)]


def test_what_is_asked_for_is_what_is_missing_in_pages() -> None:
    cache = TableCache()
    cache.sized((), TableSize(1000, 1))
    assert cache.missing((), 0, 9999, ROLES) == [Span(n, n + PAGE - 1) for n in range(0, 1000, PAGE)]
    cache.filled((), 100, ROLES, rows(100, 199))
    assert cache.missing((), 0, 299, ROLES) == [Span(0, 99), Span(200, 299)]
    assert cache.missing((), 100, 199, ROLES) == []
    assert cache.missing((), 100, 199, (1,)) == [Span(100, 199)]
    assert cache.missing((), 1000, 1010, ROLES) == []


def test_small_gaps_are_asked_for_again() -> None:
    cache = TableCache()
    cache.sized((), TableSize(100, 1))
    cache.filled((), 3, ROLES, rows(3, 8))
    cache.filled((), 40, ROLES, rows(40, 59))
    assert cache.missing((), 0, 79, ROLES) == [Span(0, 39), Span(60, 79)]


def test_the_rows_used_last_are_kept() -> None:
    cache = TableCache(2 * PAGE)
    cache.sized((), TableSize(10_000, 1))
    cache.filled((), 0, ROLES, rows(0, 99))
    for first in range(100, 5000, 100):
        assert cache.value((7,), 0, 0) == 7  # looked at again and again
        cache.filled((), first, ROLES, rows(first, first + 99))
        assert cache.rows <= 2 * PAGE
    assert cache.value((4999,), 0, 0) == 4999
    assert cache.value((3000,), 0, 0) is MISSING


def test_a_cell_that_changed_is_not_known_and_its_neighbours_are() -> None:
    cache = TableCache()
    cache.sized((), TableSize(2, 2))
    cache.filled((), 0, ROLES, [TableRow(((1, 2), (3, 4)), (33, 33)), TableRow(((5, 6), (7, 8)), (33, 33))])
    cache.changed((), Span(0, 0), Span(1, 1), (0,))
    assert cache.value((0,), 1, 0) is MISSING
    assert [cache.value((0,), 0, 0), cache.value((0,), 1, 2), cache.value((1,), 1, 0)] == [1, 4, 7]
    assert cache.missing((), 0, 1, (0,)) == [Span(0, 0)]
    assert cache.missing((), 0, 1, (2,)) == []


def test_columns_that_were_inserted_make_rows_unknown() -> None:
    cache = TableCache()
    cache.sized((), TableSize(2, 1))
    cache.filled((), 0, ROLES, rows(0, 1))
    cache.columns_inserted((), 0, 1)
    assert cache.size(()) == TableSize(2, 3)
    assert cache.rows == 0


def test_headers_are_kept_until_they_change_or_move() -> None:
    cache = TableCache()
    cache.titled(Orientation.HORIZONTAL, 0, (0, 3), ["a", "tip a", "b", "tip b"])
    cache.titled(Orientation.VERTICAL, 5, (0,), ["five", "six"])
    assert cache.header(1, Orientation.HORIZONTAL, 3) == "tip b"
    cache.headers_changed(Orientation.HORIZONTAL, 0, 0)
    assert cache.header(0, Orientation.HORIZONTAL, 0) is MISSING
    assert cache.header(1, Orientation.HORIZONTAL, 0) == "b"
    cache.inserted((), 6, 6)
    assert cache.header(5, Orientation.VERTICAL, 0) == "five"
    assert cache.header(6, Orientation.VERTICAL, 0) is MISSING


@pytest.mark.parametrize("first, last", [(-1, 3), (5, 2), (-3, -1)])
def test_nonsense_from_a_stranger_changes_nothing(first: int, last: int) -> None:
    cache = TableCache()
    cache.sized((), TableSize(10, 1))
    cache.filled((), 0, ROLES, rows(0, 9))
    cache.inserted((), first, last)
    cache.removed((), first, last)
    cache.columns_inserted((), first, last)
    cache.moved((), first, last, (3,), 0)
    assert (cache.rows, cache.size(())) == (10, TableSize(10, 1))


def test_sizes_that_no_table_has_are_bounded() -> None:
    cache = TableCache()
    cache.sized((), TableSize(2**70, -5))
    assert cache.size(()) == TableSize(2**31 - 1, 0)


def test_an_answer_with_another_size_than_was_told_makes_all_below_unknown() -> None:
    cache = TableCache()
    cache.sized((), TableSize(10, 1))
    cache.filled((), 0, ROLES, rows(0, 9))
    cache.sized((), TableSize(9, 1))
    assert (cache.rows, cache.size(())) == (0, TableSize(9, 1))


# ----------------------------------------------------------------------------------------------------------- notices
def applied(values: list[int], notice: Notice, new: Any) -> list[int]:
    match notice:
        case Inserted(_, first, last):
            return values[:first] + [new() for _ in range(last - first + 1)] + values[first:]
        case Removed(_, first, last):
            return values[:first] + values[last + 1 :]
        case _:
            raise AssertionError(notice)


@pytest.mark.parametrize(
    "before, after, one",
    [
        (Inserted((), 3, 4), Inserted((), 5, 5), Inserted((), 3, 5)),
        (Inserted((), 3, 4), Inserted((), 3, 3), Inserted((), 3, 5)),
        (Inserted((), 3, 4), Inserted((), 7, 7), None),
        (Inserted((), 3, 4), Inserted((1,), 5, 5), None),
        (Removed((), 3, 4), Removed((), 3, 5), Removed((), 3, 7)),
        (Removed((), 3, 4), Removed((), 1, 2), Removed((), 1, 4)),
        (Removed((), 3, 4), Removed((), 0, 0), None),
        (Changed((), 1, 2, 0, 1), Changed((), 3, 4, 0, 1), Changed((), 1, 4, 0, 1)),
        (Changed((), 1, 2, 0, 1), Changed((), 1, 2, 2, 2), Changed((), 1, 2, 0, 2)),
        (Changed((), 1, 2, 0, 1), Changed((), 5, 6, 0, 1), None),
        (Changed((), 1, 2, 0, 1, (0,)), Changed((), 3, 4, 0, 1, (2,)), None),
        (Inserted((), 3, 4), Reset(), Reset()),
        (Reset(), Inserted((), 3, 4), Reset()),
    ],
)
def test_two_notices_become_one_where_that_says_the_same(before: Notice, after: Notice, one: Notice | None) -> None:
    assert merged(before, after) == one
    if isinstance(one, (Inserted, Removed)):
        values = list(range(20))
        twice = applied(applied(values, before, lambda: -1), after, lambda: -1)
        assert twice == applied(values, one, lambda: -1)


@pytest.mark.parametrize(
    "path, notice, there",
    [
        ((3,), Inserted((), 0, 1), (5,)),
        ((3,), Inserted((), 4, 9), (3,)),
        ((3, 2), Inserted((), 3, 3), (4, 2)),
        ((3, 2), Inserted((3,), 0, 0), (3, 3)),
        ((3,), Removed((), 0, 1), (1,)),
        ((3,), Removed((), 3, 3), None),
        ((3, 2), Removed((), 2, 4), None),
        ((3, 2), Removed((3,), 0, 0), (3, 1)),
        ((1,), Moved((), 1, 1, (), 4), (3,)),
        ((3,), Moved((), 1, 1, (), 4), (2,)),
        ((1, 7), Moved((), 1, 1, (4,), 0), (3, 0, 7)),
        ((4, 0), Moved((), 1, 1, (4,), 0), (3, 1)),
        ((0, 5), Moved((0,), 5, 5, (), 0), (0,)),
        ((3,), Reset(), None),
        ((3,), Changed((), 0, 9, 0, 0), (3,)),
    ],
)
def test_a_row_is_followed_through_notices(path: Path, notice: Notice, there: Path | None) -> None:
    assert moved_index(path, notice) == there
