"""How a process of a benchmark answers the harness: one line of JSON per order."""

from __future__ import annotations

import json
import os
from typing import TextIO


class Answers:
    """The only writer of this process' stdout."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @classmethod
    def on_stdout(cls) -> Answers:
        """Take stdout away from everybody else: descriptor 1 becomes stderr."""
        answers = cls(os.fdopen(os.dup(1), "w", encoding="utf-8"))
        os.dup2(2, 1)
        return answers

    def tell(self, **answer: object) -> None:
        """Write one answer at once."""
        self._stream.write(json.dumps(answer) + "\n")
        self._stream.flush()
