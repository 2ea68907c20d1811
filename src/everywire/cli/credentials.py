"""The environment variable EVERYWIRE_TOKEN: the file of the token that the verbs log in with. Never prints a token."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import quote

VARIABLE: Final = "EVERYWIRE_TOKEN"
"""It names a file and never holds the token itself: other programs can see an environment."""


def with_token(url: str) -> str:
    """Return *url* with the setting ``token=FILE`` of the environment, unless it has one of its own."""
    file = os.environ.get(VARIABLE, "")
    address, _, settings = url.partition("?")
    if not file or any(setting.startswith("token=") for setting in settings.split("&")):
        return url
    mine = f"token={quote(file, safe='/:@,~+')}"
    return f"{address}?{settings}&{mine}" if settings else f"{address}?{mine}"
