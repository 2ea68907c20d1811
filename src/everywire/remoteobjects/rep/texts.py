"""Types, parameters and values in the words of C++ as repc reads them, which is character by character."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from everywire.remoteobjects.rep.tree import ParameterDecl

EMPTY: Final = "{}"
"""What behind a type is the value that C++ gives it by itself; parentheses would not do."""

_ESCAPES: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\", ")": "\\051", "/": "\\057"}
"""Characters that a text in quotes cannot have: repc stops at any closing parenthesis, and takes // for a comment."""
_UNESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Qualified(NamedTuple):
    """A type without what stands around it."""

    type: str
    const: bool
    reference: bool


@lru_cache(maxsize=1024)
def qualified(text: str) -> Qualified:
    """Take ``const QString &`` apart."""
    bare = text.strip()
    reference = bare.endswith("&")
    bare = bare.removesuffix("&").rstrip()
    const = bare.startswith("const ")
    return Qualified(bare.removeprefix("const ").strip(), const, reference)


def with_qualifiers(parameter: ParameterDecl) -> str:
    """Return the type of a parameter as it is written."""
    return f"{'const ' if parameter.const else ''}{parameter.type}{' &' if parameter.reference else ''}"


def without_comments(text: str) -> str:
    """Return *text* on one line: repc takes line breaks and comments out, and puts nothing in their place."""
    return "".join(line.partition("//")[0] for line in text.replace("\r\n", "\n").split("\n"))


def parameters_in(text: str) -> Iterator[ParameterDecl]:
    """Yield the parameters of a list without its parentheses.

    A blank outside of ``< >`` ends the type, and what follows up to the comma, its blanks left out, is the name.
    """
    kind, name = "", ""
    const = reference = ended = False
    depth = 0
    for mark in f"{text},":
        depth += (mark == "<") - (mark == ">")
        if mark == "," and depth <= 0:
            if kind or text.strip():
                yield ParameterDecl(kind, name, const, reference)
            kind, name = "", ""
            const = reference = ended = False
        elif mark == "&":
            reference = True
        elif mark.isspace() and depth <= 0:
            if kind == "const":
                kind, const = "", True
            else:
                ended = ended or bool(kind)
        elif ended and mark not in "<>":
            name += mark
        else:
            kind += mark


def quoted(value: str) -> str:
    """Return a literal of C++ for *value*."""
    return f'"{"".join(_ESCAPES.get(mark) or _printable(mark) for mark in value)}"'


def _printable(mark: str) -> str:
    return mark if mark.isprintable() else "".join(f"\\{byte:03o}" for byte in mark.encode("utf-8", "replace"))


def unquoted(literal: str) -> str | None:
    """Return the value of a literal of C++; None when it is none, or one with parts that only a compiler knows."""
    if len(literal) < 2 or literal[0] != '"' or literal[-1] != '"':
        return None
    found = bytearray()
    marks = iter(literal[1:-1])
    for mark in marks:
        if mark == '"':
            return None
        if mark != "\\":
            found += mark.encode("utf-8", "replace")
            continue
        escape = _escape(next(marks, ""), marks)
        if escape is None:
            return None
        found += escape
    try:
        return found.decode()
    except UnicodeDecodeError:
        return None


def outside_quotes(text: str) -> tuple[str, bool]:
    """Return *text* with blanks for what is in quotes, and whether the last quote is open."""
    shown: list[str] = []
    inside = escaped = False
    for mark in text:
        shown.append(" " if inside else mark)
        if escaped:
            escaped = False
        elif mark == '"':
            inside = not inside
        else:
            escaped = inside and mark == "\\"
    return "".join(shown), inside


def _escape(mark: str, marks: Iterator[str]) -> bytes | None:
    """Return what a backslash and *mark* mean; octal numbers are read if they have three digits."""
    if mark in tuple("\"\\'?"):
        return mark.encode()
    if mark and mark in "01234567":
        digits = mark + next(marks, "") + next(marks, "")
        return bytes((int(digits, 8) & 0xFF,)) if len(digits) == 3 and set(digits) <= set("01234567") else None
    return _UNESCAPES[mark].encode() if mark in _UNESCAPES else None
