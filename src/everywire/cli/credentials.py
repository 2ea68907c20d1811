"""The environment variable EVERYWIRE_TOKEN: the file of the token that the verbs log in with. Never prints a token."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import quote

from everywire.cli.dbus.addresses import is_dbus

VARIABLE: Final = "EVERYWIRE_TOKEN"
"""It names a file and never holds the token itself: other programs can see an environment."""


def with_token(url: str) -> str:
    """Return *url* with the setting ``token=FILE`` of the environment, unless it has one of its own.

    D-Bus knows who everybody is, and has no tokens.
    """
    file = os.environ.get(VARIABLE, "")
    address, _, settings = url.partition("?")
    if not file or is_dbus(url) or any(setting.startswith("token=") for setting in settings.split("&")):
        return url
    mine = f"token={quote(file, safe='/:@,~+')}"
    return f"{address}?{settings}&{mine}" if settings else f"{address}?{mine}"
