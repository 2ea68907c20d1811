"""`Tokens`: who may log in, and as what, kept in a file. Checks secrets; how they travel is each wire's business.

A token is the text ``NAME.SECRET``. The file holds only what checks it (scrypt), the role, and when it expires; an
entry may hold the subject of a client certificate instead. Changes of the file, by `everywire token` or by hand, act
on the next call: a link whose entry is not the one that it logged in with any more has lost its login. A file that
cannot be read lets nobody in.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import secrets
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from everywire.errors import Code, Fault, ModelError, TokenError
from everywire.model import Caller, Role
from everywire.runtime import audit
from everywire.runtime.attempts import Attempts
from everywire.runtime.scram import COST, Verifier, make_verifier, matches
from everywire.runtime.tokenfile import NAME, Grant, Stamp, Table, locked, new_secret, read_table, stamp_of, write_table

__all__ = ("Grant", "Login", "Tokens")

log: Final = logging.getLogger("everywire.tokens")

MOST_REMEMBERED: Final = 1024
"""Tokens that were checked and need not be derived again while their entries stay as they are."""
MOST_WAITING: Final = 256
"""Tokens that wait to be derived; scrypt takes one at a time, some tens of milliseconds each."""
LONGEST_TOKEN: Final = 512
_UNSETTLED: Final = 50_000_000
"""Nanoseconds within which a file may change twice under one time stamp."""
_UNKNOWN: Final = (-1,)
_UNSETTLED_STAMP: Final = (-2,)


class Tokens:
    """The logins in *file*, which need not exist yet; raises TokenError when it cannot be used.

    What the file later becomes never raises: while it is broken or open to others nobody can log in, links that have
    lose their login, and the log says why.
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self.file: Final = Path(file)
        self.attempts: Final = Attempts()
        """Failed logins by address, of all wires."""
        self._table = Table()
        self._stamp: Stamp = _UNKNOWN
        self._complaint = ""
        self._revision = 0
        self._next_expiry: float | None = None
        self._secret = new_secret()
        self._checked: dict[bytes, Grant] = {}
        self._deriving: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            weakref.WeakKeyDictionary()
        )
        self._waiting = 0
        self._read()
        if self._complaint:
            raise TokenError(self._complaint)

    # Who may log in.

    def grant(self, name: str) -> Grant | None:
        """Return the present entry *name*; None when there is none or it has expired."""
        self._read()
        found = self._table.grants.get(name)
        return None if found is None or _expired(found) else found

    def of_certificate(self, subject: str) -> Grant | None:
        """Return the entry of a client certificate."""
        self._read()
        found = next((grant for grant in self._table.grants.values() if grant.certificate == subject), None)
        return None if found is None or _expired(found) else found

    def holds(self, grant: Grant) -> bool:
        """Return whether *grant* is still as it was when somebody logged in with it; looks at the file each time."""
        return self.grant(grant.name) == grant

    @property
    def revision(self) -> int:
        """Changes when entries have changed or expired: whoever remembers a login should ask `holds` again."""
        self._read()
        if self._next_expiry is not None and self._next_expiry <= time.time():
            self._changed()
        return self._revision

    def verifier(self, name: str) -> Verifier:
        """Return what checks the secret of *name*, which may have expired meanwhile.

        For a name without an entry it is one that nothing fits and that nobody can tell from a real one.
        """
        self._read()
        found = self._table.grants.get(name)
        if found is not None and found.verifier is not None:
            return found.verifier
        own = self._table.secret or self._secret
        salt = hmac.digest(own, f"salt {name}".encode("utf-8", "replace"), "sha256")[:16]
        return Verifier(salt=salt, cost=COST, stored_key=secrets.token_bytes(32), server_key=secrets.token_bytes(32))

    def why_not(self, name: str) -> str:
        """Return, for the audit trail only, why a login as *name* fails."""
        found = self._table.grants.get(name)
        if found is None or found.verifier is None:
            return "unknown name" if not self._complaint else "the file of tokens cannot be used"
        return "expired" if _expired(found) else "wrong secret"

    async def check(self, token: str, *, address: str = "") -> Grant | None:
        """Return the entry that *token* belongs to; None when it is wrong, revoked or expired.

        The first check takes scrypt's time, in a thread and one at a time; later ones of the same token do not.
        Raises Fault(RESOURCE_EXHAUSTED) when too many logins from *address* (``host:port``) have failed lately, or too
        many tokens wait to be checked.
        """
        name, _, secret = token.partition(".")
        if not secret or len(token) > LONGEST_TOKEN or not NAME.fullmatch(name):
            return None
        digest = hmac.digest(self._secret, token.encode("utf-8", "replace"), "sha256")
        if (known := self._known(name, digest)) is not None:
            return known
        self.attempts.check(address)
        if self._waiting >= MOST_WAITING:
            raise Fault(Code.RESOURCE_EXHAUSTED, "too many logins at once: try again later", may_have_run=False)
        self._waiting += 1
        try:
            return await self._check(name, secret, digest, address)
        finally:
            self._waiting -= 1

    async def _check(self, name: str, secret: str, digest: bytes, address: str) -> Grant | None:
        loop = asyncio.get_running_loop()
        async with self._deriving.setdefault(loop, asyncio.Semaphore(1)):
            if (known := self._known(name, digest)) is not None:  # another request brought it meanwhile
                return known
            self.attempts.check(address)  # others that waited with us may have failed
            grant, verifier = self.grant(name), self.verifier(name)
            fits = await asyncio.to_thread(matches, secret, verifier)
        if not fits or grant is None or self.grant(name) != grant:
            self.attempts.failed(address)
            return None
        if len(self._checked) >= MOST_REMEMBERED:
            self._checked.clear()
        self._checked[digest] = grant
        return grant

    def _known(self, name: str, digest: bytes) -> Grant | None:
        grant = self.grant(name)
        return grant if grant is not None and self._checked.get(digest) == grant else None

    # What `everywire token` does.

    @property
    def grants(self) -> Mapping[str, Grant]:
        """All entries by name, also those that have expired."""
        self._read()
        return dict(self._table.grants)

    def add(self, name: str, role: Role, *, expires: float | None = None) -> str:
        """Make an entry and return its token, which is kept nowhere. Takes scrypt's time.

        Raises ModelError when the name is taken, TokenError when the file cannot be written.
        """
        secret = secrets.token_urlsafe(32)
        verifier = make_verifier(secret, secrets.token_bytes(16))
        self._add(Grant(name=name, role=role, verifier=verifier, expires=expires))
        return f"{name}.{secret}"

    def add_certificate(self, name: str, role: Role, subject: str, *, expires: float | None = None) -> None:
        """Make an entry for whoever shows a verified client certificate with *subject* (RFC 4514 text)."""
        if not subject:
            raise ModelError("a certificate needs a subject, such as CN=panel,O=Acme")
        self._add(Grant(name=name, role=role, certificate=subject, expires=expires))

    def remove(self, name: str) -> None:
        """Take the entry *name* away, effective at once; raise ModelError when there is none."""
        with locked(self.file):
            table = read_table(self.file)
            grants = dict(table.grants)
            if grants.pop(name, None) is None:
                raise ModelError(f"{self.file} has no entry {name!r}; it has {', '.join(grants) or 'none'}")
            write_table(self.file, Table(grants, table.secret))

    # Private.

    def _add(self, grant: Grant) -> None:
        if not NAME.fullmatch(grant.name):
            raise ModelError("the name of an entry has 1 to 64 letters, digits, - and _")
        if not isinstance(grant.role, Role):  # pyright: ignore[reportUnnecessaryIsInstance]  not every caller is checked
            raise ModelError(f"{grant.role!r} is no role; one is Role.VIEWER, Role.OPERATOR or Role.ADMIN")
        if grant.role is Role.STRANGER:
            raise ModelError("a stranger needs no entry: the role is viewer, operator or admin")
        with locked(self.file):
            table = read_table(self.file)
            if grant.name in table.grants:
                raise ModelError(f"{self.file} has an entry {grant.name!r} already; remove it first")
            for other in table.grants.values():
                if grant.certificate is not None and grant.certificate == other.certificate:
                    raise ModelError(f"{self.file} has that certificate already, as {other.name!r}; remove it first")
            write_table(self.file, Table({**table.grants, grant.name: grant}, table.secret or new_secret()))

    def _read(self) -> None:
        """Read the file again when it has changed."""
        stamp = stamp_of(self.file)
        if stamp == self._stamp:
            return
        try:
            table, complaint = read_table(self.file), ""
        except TokenError as error:
            table, complaint = Table(), str(error)
        if not stamp and self._table.grants:
            log.error("%s is gone; nobody can log in until it is back", self.file)
        elif complaint and complaint != self._complaint and self._stamp != _UNKNOWN:
            log.error("%s; nobody can log in until that is mended", complaint)
        # A file that changes twice under one time stamp, or could not be read for a moment, is read again.
        settled = not complaint and (not stamp or not 0 <= time.time_ns() - stamp[0] < _UNSETTLED)
        changed = table.grants != self._table.grants
        self._table, self._complaint, self._stamp = table, complaint, stamp if settled else _UNSETTLED_STAMP
        if changed:
            self._changed()

    def _changed(self) -> None:
        self._revision += 1
        now = time.time()
        times = [grant.expires for grant in self._table.grants.values() if grant.expires is not None]
        self._next_expiry = min((moment for moment in times if moment > now), default=None)


class Login:
    """The entry that somebody logged in with, to be looked at again for whatever is heard or said."""

    __slots__ = ("_grant", "_tokens")

    def __init__(self, tokens: Tokens | None = None, grant: Grant | None = None) -> None:
        self._tokens, self._grant = tokens, grant

    @property
    def holds(self) -> bool:
        """Whether the entry is still as it was, or none was needed."""
        return self._tokens is None or self._grant is None or self._tokens.holds(self._grant)

    def over(self, caller: Caller) -> Fault:
        """Leave a line about *caller*, whose login does not hold any more; return what it is told."""
        fault = Fault(Code.UNAUTHENTICATED, "the token or certificate was revoked or has expired", may_have_run=False)
        audit.denied("login", caller, reason=fault.message)
        return fault


def _expired(grant: Grant) -> bool:
    return grant.expires is not None and grant.expires <= time.time()
