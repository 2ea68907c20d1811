"""The table of docs/wires/remoteobjects.md says what the tests of this folder show, and no more."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from tests.interop import matrix

DOCUMENT = Path(__file__).parents[2] / "docs" / "wires" / "remoteobjects.md"
BEGIN, END = "<!-- generated: interop -->\n", "<!-- end -->"


def collect() -> str:
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"tests.interop.{file.stem}")
    return matrix.table()


def test_the_table_of_the_document_is_what_the_tests_show() -> None:
    wanted = f"\n{collect()}\n"
    before, mark, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    found, end, behind = rest.partition(END)
    assert mark
    assert end
    if os.environ.get("EVERYWIRE_WRITE_DOCS"):
        DOCUMENT.write_text(before + mark + wanted + end + behind, encoding="utf-8")
    else:
        assert found == wanted, "run this test with EVERYWIRE_WRITE_DOCS=1"


def test_no_cell_is_both_shown_and_impossible() -> None:
    collect()
    assert not matrix.TESTED.keys() & matrix.IMPOSSIBLE.keys()


def test_there_is_no_hole_but_those_of_qt() -> None:
    collect()
    cells = {
        matrix.Cell(feature, role, peer) for feature in matrix.Feature for role in matrix.Role for peer in matrix.PEERS
    }
    assert not cells - matrix.TESTED.keys() - matrix.IMPOSSIBLE.keys()
