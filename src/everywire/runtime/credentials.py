"""The token of who connects: where it comes from, and that nobody else can read it. Says nothing to anybody."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from everywire.errors import AddressError, TokenError
from everywire.transport import Address, parse_address

SETTING: Final = "token"
"""The setting of an address that names the file of a token; the token itself never stands in an address."""
_LOOKS_LIKE_ONE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{32,}")
MOST_BYTES: Final = 4096
"""Of a file with one token."""


class Credential(msgspec.Struct, frozen=True):
    """Where a client's token is: *token* itself, or a *file* that is read again for each login."""

    token: str = ""
    file: str = ""

    def __repr__(self) -> str:
        return f"<the token of {self.file}>" if self.file else "<a token>" if self.token else "<no token>"

    def __bool__(self) -> bool:
        return bool(self.token or self.file)

    def read(self) -> tuple[str, str]:
        """Return name and secret; raise TokenError when the file is missing, open to others, or holds no token."""
        return split(self.token) if self.token else read_token(self.file)


def separated(url: str, token: str = "", settings: Collection[str] = ()) -> tuple[Address, Credential]:
    """Return the address *url* without the setting `token`, and the credential that this or *token* gives.

    *settings* are the names of those that the wire knows. Raises AddressError for what is no address, and when both are
    given.
    """
    address = parse_address(url, settings=(SETTING, *settings))
    file = address.settings.get(SETTING, "")
    if SETTING not in address.settings:
        return address, Credential(token=token)
    if token or not file:
        raise AddressError(f"{url!r}: token= names a file that holds a token; give it once, here or beside the address")
    rest = {name: value for name, value in address.settings.items() if name != SETTING}
    return replace(address, settings=MappingProxyType(rest)), Credential(file=file)


def read_token(file: str | os.PathLike[str]) -> tuple[str, str]:
    """Return name and secret of the token in *file*; raise TokenError."""
    from everywire.runtime.tokenfile import read_private  # not before a login

    name = os.fspath(file)
    data = read_private(Path(name), MOST_BYTES)
    if data is None and _LOOKS_LIKE_ONE.fullmatch(name):
        raise TokenError("a file that holds the token is wanted, not the token itself: others can read addresses")
    if data is None:
        raise TokenError(f"there is no file {name}; 'everywire token add NAME --role operator' makes a token")
    try:
        return split(data.decode("ascii").strip())
    except (UnicodeDecodeError, TokenError):
        raise TokenError(f"{name} holds no token; one looks like NAME.SECRET, alone in its file") from None


def wanted(url: object, address: Address, settings: str) -> str:
    """Return what to do when the host at *url* demands a login; *settings* is the class that takes a token itself."""
    mark = "&" if address.settings else "?"
    return f'{url} needs a token: add {mark}token=FILE to the address, or token="NAME.SECRET" to {settings}'


def split(token: str) -> tuple[str, str]:
    """Return name and secret of *token*; raise TokenError, which does not repeat it."""
    from everywire.runtime.tokenfile import NAME

    name, _, secret = token.partition(".")
    if not NAME.fullmatch(name) or not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise TokenError("that is no token; one looks like NAME.SECRET")
    return name, secret
