"""Tables of data frames: pandas, which is real, and others by what they look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from everywire import Fault, ModelError, TableSource
from everywire.tables import ItemRole


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": ["a", "b", None],
            "count": np.array([1, 2, 3], dtype="int32"),
            "ratio": [0.5, float("nan"), 1.5],
            "when": pd.to_datetime(["2026-01-02 03:04:05", None, "2026-01-03 00:00:00"]),
            "took": pd.to_timedelta([1, 2, 3], unit="s"),
            "fine": [True, False, True],
            "maybe": pd.array([1, None, 3], dtype="Int64"),
        }
    )


async def test_a_frame_is_a_table_of_plain_values() -> None:
    table: TableSource[Any] = TableSource(frame())
    assert table.columns == ("name", "count", "ratio", "when", "took", "fine", "maybe")
    first, second, third = await table.rows(0, 3)
    assert first == {
        "name": "a",
        "count": 1,
        "ratio": 0.5,
        "when": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001  as the frame has it
        "took": timedelta(seconds=1),
        "fine": True,
        "maybe": 1,
    }
    assert (second["when"], second["maybe"], second["ratio"] != second["ratio"]) == (None, None, True)
    assert {type(value) for value in third.values()} <= {type(None), str, int, float, datetime, timedelta, bool}


async def test_only_the_page_that_is_asked_for_is_read() -> None:
    class Watched:
        """A frame that counts the rows that were read."""

        columns = ("n",)
        read = 0

        def __len__(self) -> int:
            return 1_000_000

        @property
        def iloc(self) -> Watched:
            return self

        def __getitem__(self, part: slice) -> Watched:
            self.part = part
            return self

        def itertuples(self, *, index: bool, name: None) -> Iterator[tuple[int]]:
            for n in range(self.part.start, self.part.stop):
                self.read += 1
                yield (n,)

    watched = Watched()
    table: TableSource[Any] = TableSource(watched)
    assert await table.rows(500_000, 3) == [{"n": 500_000}, {"n": 500_001}, {"n": 500_002}]
    assert watched.read == 3


async def test_others_write_into_a_frame_by_the_types_of_its_columns() -> None:
    data = frame()
    table: TableSource[Any] = TableSource(data, writable=["count", "ratio"])
    changes: list[Any] = []
    table.data_changed.connect(lambda *told: changes.append(told))
    await table.set_data(1, 1, 20)
    assert (data["count"].iloc[1], changes) == (20, [((), 1, 1, 1, 1, ())])
    with pytest.raises(Fault, match="count: expected int"):
        await table.set_data(1, 1, "many")
    with pytest.raises(Fault, match="name is not writable"):
        await table.set_data(1, 0, "x")


def test_after_a_frame_has_changed_one_says_so() -> None:
    data = pd.DataFrame({"n": [1, 2, 3]})
    table: TableSource[Any] = TableSource(data)
    told: list[str] = []
    table.rows_inserted.connect(lambda parent, first, last: told.append(f"{first} to {last}"))
    table.model_reset.connect(lambda: told.append("reset"))
    data.loc[3] = [4]
    table.inserted(3, 3)
    assert (table.row_count, table.cell(3), told) == (4, 4, ["3 to 3"])
    table.reset(pd.DataFrame({"m": ["x"]}))
    assert (table.columns, table.row_count, told[1:]) == (("m",), 1, ["reset"])


async def test_an_array_of_two_dimensions_is_a_table() -> None:
    data = np.array([[1.5, 2.5], [3.5, 4.5]])
    table: TableSource[Any] = TableSource(data, headers={"0": "x", "1": "y"}, writable=True)
    assert (table.columns, await table.rows(1, 1)) == (("x", "y"), [{"0": 3.5, "1": 4.5}])
    await table.set_data(0, 1, 9.0)
    assert data[0, 1] == 9.0
    times = np.array([[np.datetime64("2026-01-01T00:00:00.000000123")]])
    assert TableSource(times).cell(0, 0, ItemRole.EDIT) == datetime(2026, 1, 1)  # noqa: DTZ001


async def test_frames_with_slices_and_rows_are_tables() -> None:
    class Slices:
        """As polars has them."""

        columns = ("a", "b")

        def __init__(self, data: Sequence[tuple[Any, ...]]) -> None:
            self.data = data

        def __len__(self) -> int:
            return len(self.data)

        def slice(self, first: int, count: int) -> Slices:
            return type(self)(self.data[first : first + count])

        def rows(self) -> Sequence[tuple[Any, ...]]:
            return self.data

    class Listed(Slices):
        """As pyarrow has them."""

        columns: Any = ([1, 2], ["x", "y"])
        column_names = ("a", "b")
        rows: Any = property()

        def to_pylist(self) -> list[dict[str, Any]]:
            return [dict(zip(self.column_names, row, strict=True)) for row in self.data]

    for kind in (Slices, Listed):
        table: TableSource[Any] = TableSource(kind([(1, "x"), (2, "y")]))
        assert await table.rows(1, 5) == [{"a": 2, "b": "y"}]
        with pytest.raises(ModelError, match="does not take"):
            table.set(0, "a", 5)
