"""Reads what dbus-send and dbus-monitor print for the arguments of a message.

Texts are printed without any escape, so a text with quotation marks and line ends in it can be read wrong; tests that
need certainty about such texts ask busctl.
"""

from __future__ import annotations

import re
from typing import Any, Final

NUMBERS: Final = ("byte", "int16", "uint16", "int32", "uint32", "int64", "uint64")
TEXTS: Final = ("string", "object path", "signature")


def printed(text: str) -> list[Any]:
    """Return the arguments below the first line, which tells the message's header."""
    reader = _Reader(text.split("\n", 1)[1] if "\n" in text else "")
    return reader.until("")


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text

    def until(self, end: str) -> list[Any]:
        values: list[Any] = []
        while True:
            self._text = self._text.lstrip()
            if self._text.startswith(end) if end else not self._text:
                self._text = self._text[len(end) :]
                return values
            values.append(self._value())

    def _value(self) -> Any:
        if (word := self._word(TEXTS, r' "(.*?)"(?=\n|$)')) is not None:
            return word
        if (word := self._word(NUMBERS, r" (-?\d+)")) is not None:
            return int(word)
        if (word := self._word(("double",), r" (\S+)")) is not None:
            return float(word)
        if (word := self._word(("boolean",), r" (true|false)")) is not None:
            return word == "true"
        if self._word(("variant",), r"( +)") is not None:
            self._text = self._text.lstrip()
            return self._value()
        if (word := self._word(("array of bytes",), r' "(.*?)"(?=\n|$)')) is not None:
            return word.encode()
        if (word := self._word(("array of bytes",), r" \[([\s\da-f]*)\]")) is not None:
            return bytes.fromhex(word)
        if self._word(("array",), r"( \[)") is not None:
            return self._entries(self.until("]"))
        if self._word(("struct",), r"( \{)") is not None:
            return tuple(self.until("}"))
        if self._word(("dict entry",), r"(\()") is not None:
            return _Entry(self.until(")"))
        if self._word(("file descriptor",), r"(\n(?:\s+.*\n)*)") is not None:
            return "file descriptor"
        raise AssertionError(f"dbus-send printed something else: {self._text[:200]!r}")

    def _word(self, names: tuple[str, ...], content: str) -> str | None:
        found = re.match(f"(?:{'|'.join(names)}){content}", self._text, re.DOTALL)
        if found is None:
            return None
        self._text = self._text[found.end() :]
        return found[1]

    def _entries(self, items: list[Any]) -> Any:
        if items and all(isinstance(item, _Entry) for item in items):
            return dict(items)
        return items


class _Entry(list[Any]):
    """A key and a value."""
