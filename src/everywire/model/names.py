"""Names between Python and wires: one way from Python, proposals the other way. Knows words, not protocols."""

from __future__ import annotations

import keyword
import re
from typing import Final

# An acronym, a word, digits; letters outside of ASCII count as small ones.
_WORDS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\dA-Z_]+|[A-Z]+|\d+")


def camel(name: str) -> str:
    """Return ``set_point`` as ``setPoint``; leading, doubled and trailing underscores go."""
    first, *rest = [word for word in name.split("_") if word] or [name]
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def pascal(name: str) -> str:
    """Return ``set_point`` as ``SetPoint``."""
    text = camel(name)
    return text[:1].upper() + text[1:]


def snake(name: str) -> str:
    """Return ``setPoint`` as ``set_point`` and ``HTTPServer`` as ``http_server``: an acronym is one word."""
    return "_".join(_join_digits(_WORDS.findall(name))).lower() or name


def _join_digits(words: list[str]) -> list[str]:
    """Glue digits to the word before them: ``pt100`` is one word, as people write it."""
    joined: list[str] = []
    for word in words:
        if word.isdigit() and joined:
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def is_public(name: str) -> bool:
    """Return whether *name* can be an attribute of an object: an identifier, no keyword, no leading underscore."""
    return name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")


def proposal(wire_name: str) -> str:
    """Return the Python name proposed for a member of a foreign contract; the wire name itself if there is none."""
    name = snake(wire_name)
    return name if is_public(name) else wire_name
