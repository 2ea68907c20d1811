"""The audit trail: one line of JSON for each denial, to the logger `everywire.audit`. Decides nothing.

A line says who was denied what and why. It is pure ASCII of at most `LONGEST_LINE` bytes, and nothing that a stranger
sent can break out of it or change how it looks: what is not printable is escaped in the text itself, everything else
beyond ASCII by JSON, and long texts are cut. Where the lines go is the program's choice of a logging handler; without
one Python writes them to the standard error.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from everywire.model import Caller

log: Final = logging.getLogger("everywire.audit")

LONGEST_LINE: Final = 1024
LONGEST: Final = 128
"""Characters of one text in a line; less when the line would become too long."""


def denied(what: str, caller: Caller, **details: object) -> None:
    """Leave one line: *what* was denied ("call", "login", "origin", …), to whom, and *details* that say why."""
    if not log.isEnabledFor(logging.WARNING):
        return
    line: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "denied": what,
        "caller": caller.identity,
        "wire": caller.wire,
        "address": caller.address,
        **details,
    }
    log.warning("%s", _bounded(line))


def _bounded(line: dict[str, Any]) -> str:
    import json  # not before somebody is denied something

    longest = LONGEST
    while True:
        texts = {key: value if isinstance(value, bool | int) else _cut(value, longest) for key, value in line.items()}
        told = json.dumps(texts, separators=(",", ":"))
        if len(told) <= LONGEST_LINE or not longest:
            return told[:LONGEST_LINE]
        longest //= 2


def _cut(value: object, longest: int) -> str:
    """Return *value* as a text of at most *longest* characters; what a terminal would obey or hide is escaped."""
    text = value[: longest + 1] if isinstance(value, str) else str(value)[: longest + 1]
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return shown if len(text) <= longest and len(shown) <= longest else f"{shown[: max(0, longest - 3)]}..."
