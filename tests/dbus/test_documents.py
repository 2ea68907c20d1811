"""The tables of docs/wires/dbus.md are those of the code; `EVERYWIRE_WRITE_DOCS=1` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from everywire.dbus.codec.errors import ERROR_TABLE, FREEDESKTOP, OURS
from everywire.dbus.wire.names import NAME_TABLE
from everywire.dbus.wire.signatures import TYPE_TABLE, VARIANT_TABLE, TypeRow

DOCUMENT = Path(__file__).parents[2] / "docs" / "wires" / "dbus.md"


def table(*rows: Iterable[str]) -> str:
    """Return rows, the first being the heads, as Markdown."""
    head, *rest = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rest)) + "\n"


def short(name: str) -> str:
    return f"`{name.removeprefix(FREEDESKTOP)}`" if name.startswith(FREEDESKTOP) else f"`{name}`"


def errors() -> str:
    head = ("code", "sent as", "also understood")
    rows = [
        (f"`{row.code.name}`", short(row.sent), ", ".join(short(n) for n in row.understood if not n.startswith(OURS)))
        for row in ERROR_TABLE
    ]
    words = f"Names without dots begin with `{FREEDESKTOP}`; every code is also understood as `{OURS}` + its name."
    return f"{words}\n\n{table(head, *rows)}"


def types(*heads: str, rows: Iterable[TypeRow]) -> str:
    return table(heads, *((f"`{row.python}`", f"`{row.signature}`", row.meaning) for row in rows))


TABLES = {
    "names": table(("Python", "D-Bus", "for example"), *((r.python, r.dbus, f"`{r.example}`") for r in NAME_TABLE)),
    "types": types("Python", "D-Bus", "", rows=TYPE_TABLE),
    "variants": types("Python", "in a variant", "", rows=VARIANT_TABLE),
    "errors": errors(),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_of_the_document_are_those_of_the_code(name: str) -> None:
    before, mark, rest = DOCUMENT.read_text(encoding="utf-8").partition(f"<!-- generated: {name} -->\n")
    found, end, behind = rest.partition("<!-- end -->")
    assert mark
    assert end
    if os.environ.get("EVERYWIRE_WRITE_DOCS"):
        DOCUMENT.write_text(before + mark + TABLES[name] + end + behind, encoding="utf-8")
    else:
        assert found == TABLES[name], "run this test with EVERYWIRE_WRITE_DOCS=1"
