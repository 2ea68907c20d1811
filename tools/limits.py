"""Writes the table of limits into docs/limits.md, from their fields and the texts beside them. `--check` only looks."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "limits.md"
SOURCE = ROOT / "src" / "everywire" / "runtime" / "limits.py"
BEGIN, END = "<!-- limits: begin -->\n", "<!-- limits: end -->\n"
UNITS = {" * KIB": " KiB", " * MIB": " MiB"}


def rows() -> list[tuple[str, str, str]]:
    """Return name, default and meaning of each limit."""
    module = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (limits,) = (node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "Limits")
    found: list[tuple[str, str, str]] = []
    for node, text in zip(limits.body, limits.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if not (isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)):
                raise SystemExit(f"{node.target.id} has no text beside it in {SOURCE.name}")
            found.append((node.target.id, default(node), " ".join(str(text.value.value).split())))
    return found


def default(node: ast.AnnAssign) -> str:
    """Return a default as a reader writes it: with its unit, seconds for every float."""
    assert node.value is not None
    text = ast.unparse(node.value)
    for code, unit in UNITS.items():
        text = text.replace(code, unit)
    if isinstance(node.value, ast.Constant) and isinstance(node.value.value, float):
        per_second = "per_second" in ast.unparse(node.target)
        return f"{node.value.value:g}" + ("/s" if per_second else " s")
    return f"`{text}`" if "." in text else text


def table() -> str:
    """Return the table as it has to stand on the page."""
    lines = ["| `Limits.` | default | what it bounds, and what happens there |", "|---|---|---|"]
    lines += [f"| `{name}` | {value} | {text} |" for name, value, text in rows()]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page with the present table in it."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE.name} needs the lines {BEGIN.strip()} and {END.strip()}")
    return before + BEGIN + table() + END + after


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it would change."""
    wanted = page()
    changed = wanted != PAGE.read_text(encoding="utf-8")
    if "--check" in arguments:
        return int(changed)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
