"""The audit trail: one line of JSON for each denial, to the logger `everywire.audit`. Decides nothing.

A line says who was denied what and why. It is bounded, and nothing that a stranger sent can break out of it: JSON
escapes control characters, and every text is cut. Where the lines go is the program's choice of a logging handler;
without one Python writes them to the standard error.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

import msgspec

from everywire.model import Caller

log: Final = logging.getLogger("everywire.audit")

LONGEST: Final = 128
"""Characters of one text in a line."""


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
    bounded = {key: value if isinstance(value, (int, float)) else _cut(str(value)) for key, value in line.items()}
    log.warning("%s", msgspec.json.encode(bounded).decode())


def _cut(text: str) -> str:
    """Bound *text*; what is not printable is escaped, so that a terminal shows the line as it is."""
    cut = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)
