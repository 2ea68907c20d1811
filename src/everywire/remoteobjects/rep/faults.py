"""What is wrong with a .rep file, with its place."""

from __future__ import annotations

from typing import Final

from everywire.errors import ModelError

_SHOWN: Final = 100
"""Characters of a line that an error shows."""
_MOST_SAID: Final = 500
"""Characters of what an error says: words of a file may be as long as the file."""


class RepError(ModelError):
    """A .rep file cannot be read; the text names the place, shows the line, and says what to do."""

    def __init__(self, message: str, text: str, offset: int, file: str = "") -> None:
        """Say *message* about the character at *offset* of *text*."""
        if len(message) > _MOST_SAID:
            message = f"{message[: _MOST_SAID // 2]}…{message[-_MOST_SAID // 2 :]}"
        self.message, self.file = message, file
        begin = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", begin)
        self.line = text.count("\n", 0, offset) + 1
        """Counted from one, as the column."""
        self.column = offset - begin + 1
        whole = text[begin : len(text) if end < 0 else end]
        first = max(0, self.column - _SHOWN // 2) if len(whole) > _SHOWN else 0
        shown = whole[first : first + _SHOWN]
        indent = "".join(mark if mark == "\t" else " " for mark in shown[: self.column - 1 - first])
        super().__init__(f"{file or '<rep>'}:{self.line}:{self.column}: {message}\n  {shown}\n  {indent}^")
