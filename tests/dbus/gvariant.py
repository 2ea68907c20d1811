"""Reads GVariant text, as gdbus and gsettings print values; types the text spells out are checked but not kept."""

from __future__ import annotations

import ast
import re
from typing import Any, Final

TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<annotation>@[a-z(){}\d]+)
    | (?P<text>b?'(?:[^'\\]|\\.)*'|b?"(?:[^"\\]|\\.)*")
    | (?P<word>[a-z]+\d*(?![\w.]))
    | (?P<number>[-+]?(?:0x[\da-fA-F]+|(?:\d+\.?\d*(?:e[-+]?\d+)?|inf|nan)))
    | (?P<mark>[()\[\]{}<>,:])
    )""",
    re.VERBOSE | re.DOTALL,
)
TYPES: Final = frozenset(
    ["boolean", "byte", "int16", "uint16", "int32", "uint32", "handle", "int64", "uint64", "double", "string",
     "objectpath", "signature"]
)  # fmt: skip
WORDS: Final = {"true": True, "false": False, "inf": float("inf"), "nan": float("nan"), "nothing": None}


def gvariant(text: str) -> Any:
    """Return the value of a GVariant text: tuples, lists, dicts, texts, bytes, numbers; a variant is its content."""
    reader = _Reader(text)
    value = reader.value()
    reader.end()
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        place = 0
        while place < len(text.rstrip()):
            found = TOKEN.match(text, place)
            assert found is not None, f"no GVariant text from here on: {text[place:]!r}"
            self._tokens.append((str(found.lastgroup), found.group(str(found.lastgroup))))
            place = found.end()
        self._place = 0

    def end(self) -> None:
        assert self._place == len(self._tokens), f"more than one value: {self._text!r}"

    def value(self) -> Any:
        kind, token = self._take()
        if kind == "annotation" or token in TYPES:
            return self.value()
        if kind == "word":
            return self.value() if token == "just" else WORDS[token]
        if kind == "number":
            return int(token, 16) if "0x" in token else float(token) if re.search(r"[.en]", token) else int(token)
        if kind == "text":
            return _unquoted(token)
        return self._container(token)

    def _container(self, mark: str) -> Any:
        if mark == "(":
            return tuple(self._items(")"))
        if mark == "[":
            return self._items("]")
        if mark == "<":
            content = self.value()
            assert self._take()[1] == ">"
            return content
        assert mark == "{", f"unexpected {mark} in {self._text!r}"
        entries: dict[Any, Any] = {}
        while self._peek() != "}":
            key = self.value()
            assert self._take()[1] in (":", ",")
            entries[key] = self.value()
            if self._peek() == ",":
                self._take()
        self._take()
        return entries

    def _items(self, end: str) -> list[Any]:
        items: list[Any] = []
        while self._peek() != end:
            items.append(self.value())
            if self._peek() == ",":
                self._take()
        self._take()
        return items

    def _peek(self) -> str:
        return self._tokens[self._place][1]

    def _take(self) -> tuple[str, str]:
        self._place += 1
        return self._tokens[self._place - 1]


def _unquoted(token: str) -> str | bytes:
    if token.startswith("b"):
        data: bytes = ast.literal_eval(token)
        return data
    return re.sub(r"\\(u[\da-f]{4}|U[\da-f]{8}|.)", _unescaped, token[1:-1], flags=re.DOTALL)


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}.get(code, code)
