"""Values and descriptions as Python source: whatever a stranger wrote stays data inside of quotes."""

from __future__ import annotations

import enum
import math
import re
import textwrap
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Protocol, cast
from uuid import UUID

from everywire.model.types import DictOf, EnumType, Handle, ListOf, OptionalOf, StructOf, TupleOf, Type

WIDTH: Final = 120
"""Columns of a line of source."""


class Speller(Protocol):
    """Gives names as the place of the text has them."""

    def __call__(self, name: str) -> str:
        """Return what to write for *name* of the standard library or of ours."""
        ...

    def type(self, node: Type) -> str:
        """Return what to write for a type without parts, a struct or an enum."""
        ...


def literal(node: Type, value: Any, spell: Speller) -> str:
    """Return an expression for a checked *value* of the type *node*."""
    match node:
        case OptionalOf():
            return "None" if value is None else literal(node.item, value, spell)
        case ListOf():
            return f"[{', '.join(literal(node.item, item, spell) for item in value)}]"
        case TupleOf():
            nodes = node.items * len(value) if node.variadic else node.items
            return _tuple([literal(item, part, spell) for item, part in zip(nodes, value, strict=True)])
        case DictOf():
            items = (f"{literal(node.key, k, spell)}: {literal(node.value, v, spell)}" for k, v in value.items())
            return f"{{{', '.join(items)}}}"
        case StructOf():
            given = (f"{f.name}={literal(f.type, getattr(value, f.name), spell)}" for f in node.fields)
            return f"{spell.type(node)}({', '.join(given)})"
        case EnumType():
            name = spell.type(node)
            return f"{name}({value.value!r})" if node.flag else f"{name}.{value.name}"
        case Handle():  # no file yet
            return f'{spell("cast")}("{node.name}", None)'
        case _:
            return _plain(value, spell)


def factory_of(node: Type, spell: Speller) -> str:
    """Return what makes the value of a member nobody has set; nothing where that value can be shared."""
    if node.immutable or node.zero is None:
        return ""
    match node:
        case ListOf():
            return spell("list")
        case DictOf():
            return spell("dict")
        case _:
            return f"lambda: {literal(node, node.zero, spell)}"


def _plain(value: Any, spell: Speller) -> str:
    """Return an expression for a value that brings its type."""
    match value:
        case float() if not math.isfinite(value):
            return f'{spell("float")}("{value}")'
        case datetime() | date() | time():
            return f"{spell(type(value).__name__)}.fromisoformat({text(value.isoformat())})"
        case timedelta():
            return f"{spell('timedelta')}(microseconds={value // timedelta(microseconds=1)})"
        case UUID():
            return f"{spell('UUID')}({text(str(value))})"
        case str() if not isinstance(value, enum.Enum):
            return text(value)
        case bytes():
            shown = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in value)
            return f'b"{"".join(shown)}"'
        case list():
            return f"[{', '.join(_plain(item, spell) for item in cast('list[Any]', value))}]"
        case dict():
            items = cast("dict[str, Any]", value).items()
            return f"{{{', '.join(f'{text(key)}: {_plain(item, spell)}' for key, item in items)}}}"
        case _:
            return repr(value)


def _tuple(parts: list[str]) -> str:
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def text(value: str) -> str:
    """Return a literal of *value* in double quotes, on one line."""
    escaped = _escaped(value).replace('"', '\\"')
    return f'"{escaped}"'


def docstring(doc: str, indent: str, *, wrap: bool) -> Iterator[str]:
    """Yield the lines of a docstring that says *doc*; with *wrap* long lines are broken."""
    if not doc:
        return
    lines = doc.split("\n") if not wrap else list(_wrapped(doc, WIDTH - len(indent) - 3))
    lines = [_QUOTE.sub(r"\"", _escaped(line.rstrip())) for line in lines]
    if lines[-1].endswith('"'):
        lines[-1] = f'{lines[-1][:-1]}\\"'
    if lines[0].startswith('"'):
        lines[0] = f"\\{lines[0]}"
    if len(lines) == 1 and len(indent) + len(lines[0]) + 6 <= WIDTH:
        yield f'{indent}"""{lines[0]}"""'
    else:
        yield f'{indent}"""{lines[0]}'
        yield from (f"{indent}{line}" if line else "" for line in lines[1:])
        yield f'{indent}"""'


def pieces(doc: str, indent: str) -> Iterator[str]:
    """Yield literals, one a line, that together are *doc*."""
    width = WIDTH - len(indent) - 2
    *lines, last = doc.split("\n")
    for line in (*(f"{line}\n" for line in lines), last):
        parts = textwrap.wrap(line, width, replace_whitespace=False, drop_whitespace=False, expand_tabs=False)
        yield from (f"{indent}{text(part)}" for part in parts)


def _wrapped(doc: str, width: int) -> Iterator[str]:
    for line in doc.split("\n"):
        begin = line[: len(line) - len(line.lstrip())]
        more = f"{begin}    " if begin else ""
        yield from textwrap.wrap(line, width, subsequent_indent=more, break_long_words=False) or [""]


_QUOTE: Final = re.compile(r'"(?=")')
"""A quote that together with the next ones could end a docstring."""


def _escaped(value: str) -> str:
    """Return *value* for a literal, but for its quotes: backslashes and what cannot be seen are escaped."""
    shown = value.replace("\\", "\\\\")
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in shown)
