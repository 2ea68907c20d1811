"""A .rep file as words, marks and comments; knows no declarations."""

from __future__ import annotations

import inspect
import string
from typing import Final

from everywire.remoteobjects.rep.faults import RepError

_FIRST: Final = frozenset(string.ascii_letters + "_")
_WORD: Final = frozenset(string.ascii_letters + string.digits + "_")
_LICENCE: Final = ("SPDX-License-Identifier", "Copyright", "QT_BEGIN_LICENSE")


def is_word(text: str) -> bool:
    """Return whether *text* is an identifier of C++."""
    return bool(text) and text[0] in _FIRST and _WORD.issuperset(text)


class Scanner:
    """Reads a text from its begin to its end; `offset` is the place of the next character."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text.replace("\r\n", "\n").removeprefix("\ufeff")
        self.file = file
        self.offset = 0
        self._line = (0, 1)

    def error(self, message: str, offset: int | None = None) -> RepError:
        """Return the error for the character at *offset*, by default the next one."""
        return RepError(message, self.text, self.offset if offset is None else offset, self.file)

    @property
    def line(self) -> int:
        """The number of the line, counted from one."""
        begin, line = self._line
        self._line = (self.offset, line + self.text.count("\n", begin, self.offset))
        return self._line[1]

    @property
    def next(self) -> str:
        """The next character; nothing at the end."""
        return self.text[self.offset : self.offset + 1]

    def skip(self) -> str:
        """Go to the next word or mark; return the comments that stand right before it."""
        doc: list[str] = []
        while True:
            begin = self.offset
            while self.next.isspace():
                self.offset += 1
            if self.text.count("\n", begin, self.offset) > 1:
                doc = []  # a comment with an empty line behind it is not about what follows
            comment = self._comment()
            if comment is None:
                return _clean(doc)
            doc += comment

    def trailing(self) -> str:
        """Return the comment on the rest of this line; stay when there is none."""
        begin = self.offset
        while self.next in (" ", "\t"):
            self.offset += 1
        comment = self._comment()
        if comment is None:
            self.offset = begin
        return _clean(comment or [])

    def end(self) -> None:
        """Go over the semicolon at the end of a declaration, which need not be there."""
        place = self.offset
        while self.text.startswith((" ", "\t"), place):
            place += 1
        if self.text.startswith(";", place):
            self.offset = place + 1

    def take(self, mark: str) -> bool:
        """Skip to the next mark, and over it if it is *mark*; return whether it was."""
        self.skip()
        found = self.text.startswith(mark, self.offset)
        self.offset += len(mark) * found
        return found

    def expect(self, mark: str, where: str) -> None:
        """Go over *mark*, which must come next."""
        if not self.take(mark):
            raise self.error(f"expected {mark!r} {where}, not {self.shown()}")

    def shown(self) -> str:
        """Return what comes next, for an error."""
        if not self.next:
            return "the end of the file"
        return repr(self._ahead() or self.next)

    def word(self, what: str, least: int = 1) -> str:
        """Return the next word, which is *what* of at *least* so many characters."""
        self.skip()
        word = self._ahead()
        if not is_word(word):
            raise self.error(f"expected {what}, not {self.shown()}")
        if len(word) < least:
            raise self.error(f"{word!r} is too short: repc wants {what} to have {least} characters or more")
        self.offset += len(word)
        return word

    def peek(self) -> str:
        """Return the next word, and stay before it; nothing if a mark comes next."""
        self.skip()
        word = self._ahead()
        return word if is_word(word) else ""

    def until(self, marks: str, what: str) -> str:
        """Return the text up to the first of *marks* and stay there; that is how repc reads what is in parentheses."""
        begin = self.offset
        found = [place for mark in marks if (place := self.text.find(mark, begin)) >= 0]
        if not found:
            raise self.error(f"{what} does not end: {' or '.join(map(repr, marks))} is missing", begin)
        self.offset = min(found)
        return self.text[begin : self.offset]

    def rest_of_line(self) -> str:
        """Return the rest of the line."""
        begin, end = self.offset, self.text.find("\n", self.offset)
        self.offset = len(self.text) if end < 0 else end
        return self.text[begin : self.offset].rstrip()

    def _ahead(self) -> str:
        end = self.offset
        while end < len(self.text) and self.text[end] in _WORD:
            end += 1
        return self.text[self.offset : end]

    def _comment(self) -> list[str] | None:
        """Return the lines of the comment that comes next; None when none does."""
        if self.text.startswith("//", self.offset):
            line = self.rest_of_line()[2:]
            line = line.removeprefix("/").removeprefix("!").removeprefix("<").removeprefix(" ")
            return [] if _is_licence(line) else [line]
        if not self.text.startswith("/*", self.offset):
            return None
        end = self.text.find("*/", self.offset + 2)
        if end < 0:
            raise self.error("the comment does not end: '*/' is missing")
        inner = self.text[self.offset + 2 : end]
        self.offset = end + 2
        return [] if _is_licence(inner) else [_bare(line) for line in inner.strip("*!").split("\n")]


def _clean(lines: list[str]) -> str:
    """Return a comment as a docstring would be: without the indent that its lines share."""
    return inspect.cleandoc("\n".join(lines).strip("\n"))


def _is_licence(text: str) -> bool:
    return any(word in text for word in _LICENCE)


def _bare(line: str) -> str:
    """Return a line of a comment without the star that many put before it."""
    bare = line.strip()
    return bare.removeprefix("*").removeprefix(" ") if bare.startswith("*") else line.rstrip()
