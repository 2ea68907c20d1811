"""`Tokens`: who may log in, and as what, kept in a file. Checks secrets; how they travel is each wire's business.

A token is the text ``NAME.SECRET``. The file holds only what checks it (scrypt), the role, and when it expires; an
entry may hold the subject of a client certificate instead. Changes of the file, by `everywire token` or by hand, act
on the next call: a link whose entry is not the one that it logged in with any more has lost its login.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import secrets
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from everywire.errors import ModelError
from everywire.model import Role
from everywire.runtime.scram import Verifier, make_verifier, matches

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST_REMEMBERED: Final = 1024
"""Tokens that were checked and need not be derived again while the file stays as it is."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the file: exactly one of *verifier* and *certificate* is set."""

    name: str
    role: Role
    verifier: Verifier | None = None
    certificate: str | None = None
    """The subject of a client certificate that the listener has verified, as RFC 4514 text."""
    expires: float | None = None
    """Seconds since the epoch; None: never."""

    @property
    def identity(self) -> str:
        """The name for policy and audit."""
        return f"token:{self.name}" if self.certificate is None else self.certificate


class Tokens:
    """The logins in *file*, which need not exist yet. Thread-safe as far as files are."""

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self.file: Final = Path(file)
        self._grants: dict[str, Grant] = {}
        self._stamp: tuple[int, ...] | None = None
        self._secret = secrets.token_bytes(32)
        self._checked: dict[bytes, Grant] = {}
        self._deriving = asyncio.Semaphore(1)
        self._read()

    # Who may log in.

    def grant(self, name: str) -> Grant | None:
        """Return the present entry *name*; None when there is none or it has expired."""
        self._read()
        found = self._grants.get(name)
        return None if found is None or _expired(found) else found

    def of_certificate(self, subject: str) -> Grant | None:
        """Return the entry of a client certificate."""
        self._read()
        found = next((grant for grant in self._grants.values() if grant.certificate == subject), None)
        return None if found is None or _expired(found) else found

    def holds(self, grant: Grant) -> bool:
        """Return whether *grant* is still as it was when somebody logged in with it."""
        return self.grant(grant.name) == grant

    async def check(self, token: str) -> Grant | None:
        """Return the entry that *token* belongs to; None when it is wrong, revoked or expired.

        The first check takes scrypt's time, in a thread and one at a time; later ones of the same token do not.
        """
        name, _, secret = token.partition(".")
        grant = self.grant(name)
        if grant is None or grant.verifier is None or not secret or len(token) > 512:
            return None
        digest = hmac.digest(self._secret, token.encode(), "sha256")
        if self._checked.get(digest) == grant:
            return grant
        async with self._deriving:
            if not await asyncio.to_thread(matches, secret, grant.verifier):
                return None
        if len(self._checked) >= MOST_REMEMBERED:
            self._checked.clear()
        self._checked[digest] = grant
        return grant

    # What `everywire token` does.

    @property
    def grants(self) -> Mapping[str, Grant]:
        """All entries by name, also those that have expired."""
        self._read()
        return dict(self._grants)

    def add(self, name: str, role: Role, *, expires: float | None = None) -> str:
        """Make an entry and return its token, which is kept nowhere; raise ModelError when the name is taken."""
        secret = secrets.token_urlsafe(32)
        verifier = make_verifier(secret, secrets.token_bytes(16))
        self._add(Grant(name=name, role=role, verifier=verifier, expires=expires))
        return f"{name}.{secret}"

    def add_certificate(self, name: str, role: Role, subject: str, *, expires: float | None = None) -> None:
        """Make an entry for whoever shows a verified client certificate with *subject*."""
        self._add(Grant(name=name, role=role, certificate=subject, expires=expires))

    def remove(self, name: str) -> None:
        """Take the entry *name* away, effective at once; raise ModelError when there is none."""
        grants = dict(self.grants)
        if grants.pop(name, None) is None:
            raise ModelError(f"{self.file} has no entry {name!r}; it has {', '.join(grants) or 'none'}")
        self._write(grants)

    # Private.

    def _add(self, grant: Grant) -> None:
        if not _NAME.fullmatch(grant.name):
            raise ModelError("the name of an entry has 1 to 64 letters, digits, - and _")
        grants = dict(self.grants)
        if grant.name in grants:
            raise ModelError(f"{self.file} has an entry {grant.name!r} already; remove it first")
        self._write({**grants, grant.name: grant})

    def _read(self) -> None:
        """Read the file again when it has changed; one that cannot be read lets nobody in."""
        stamp = _stamp_of(self.file)
        if stamp == self._stamp:
            return
        self._stamp, self._grants = stamp, {}
        self._checked.clear()
        if stamp is None:
            return
        try:
            entries = msgspec.json.decode(self.file.read_bytes(), type=dict[str, _Entry])
            self._grants = {name: _grant(name, entry) for name, entry in entries.items()}
        except (OSError, msgspec.MsgspecError, ValueError, KeyError) as error:
            raise ModelError(f"{self.file} is no file of tokens ({error}): nobody can log in") from None

    def _write(self, grants: Mapping[str, Grant]) -> None:
        data = msgspec.json.format(msgspec.json.encode({name: _entry(grant) for name, grant in grants.items()}))
        descriptor, temporary = tempfile.mkstemp(dir=self.file.parent, prefix=f".{self.file.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:  # mkstemp makes it readable by its owner only
                file.write(data + b"\n")
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.file)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._read()


class _Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An entry as the file has it."""

    role: str
    salt: bytes | None = None
    cost: int | None = None
    stored_key: bytes | None = None
    server_key: bytes | None = None
    certificate: str | None = None
    expires: float | None = None


def _grant(name: str, entry: _Entry) -> Grant:
    verifier = None
    if entry.salt and entry.cost and entry.stored_key and entry.server_key:
        verifier = Verifier(
            salt=entry.salt, cost=entry.cost, stored_key=entry.stored_key, server_key=entry.server_key
        )
    if (verifier is None) == (entry.certificate is None):
        raise ValueError(f"{name} needs either the keys of a token or a certificate")
    role = Role[entry.role.upper()]
    return Grant(name=name, role=role, verifier=verifier, certificate=entry.certificate, expires=entry.expires)


def _entry(grant: Grant) -> _Entry:
    entry = _Entry(role=grant.role.name.lower(), certificate=grant.certificate, expires=grant.expires)
    if (known := grant.verifier) is not None:
        entry.salt, entry.cost = known.salt, known.cost
        entry.stored_key, entry.server_key = known.stored_key, known.server_key
    return entry


def _expired(grant: Grant) -> bool:
    return grant.expires is not None and grant.expires <= time.time()


def _stamp_of(file: Path) -> tuple[int, ...] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
