"""The file of tokens: its entries, and how it is read and rewritten. Lets nobody in and remembers nothing.

Only its owner may read and write it. It is replaced as a whole under a lock, so that readers see the old or the new
entries and two writers at once lose nothing.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from everywire.errors import TokenError, UnsupportedPlatform
from everywire.model import Role
from everywire.runtime.scram import LEAST_COST, MOST_COST, Verifier

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
POSIX: Final = os.name == "posix"
"""Whether files have modes and owners."""
MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a file: some ten thousand entries."""


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


class Table(msgspec.Struct, frozen=True):
    """What a file holds."""

    grants: Mapping[str, Grant] = {}
    secret: bytes = b""
    """Random, made once for each file: it makes up the salts of names that have no entry."""


Stamp = tuple[int, ...]
"""What changes when a file does."""


def stamp_of(file: Path) -> Stamp:
    """Return the file's stamp; an empty one when there is no such file, a short one when it cannot be looked at."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (error.errno or 0,)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size


def read_table(file: Path) -> Table:
    """Return what *file* holds, nothing when there is none; raise TokenError when it cannot be trusted or read."""
    data = read_private(file, MOST_BYTES)
    if data is None:
        return Table()
    try:
        return _table(msgspec.json.decode(data, type=_File))
    except (msgspec.MsgspecError, ValueError) as error:
        raise TokenError(f"{file} is no file of tokens ({error})") from None


def write_table(file: Path, table: Table) -> None:
    """Replace *file* by one that holds *table*; raise TokenError when that fails, and then the old one is there yet."""
    entries = {name: _entry(grant) for name, grant in table.grants.items()}
    data = msgspec.json.format(msgspec.json.encode(_File(secret=table.secret, entries=entries)))
    try:
        replace_private(file, data + b"\n")
    except OSError as error:
        raise TokenError(f"cannot write {file}: {error.strerror}") from error


def replace_private(file: Path, data: bytes, *, follow: bool = True) -> None:
    """Put a file of mode 0600 with *data* in the place of *file*, as a whole or, with an OSError, not at all.

    A link to a file stays one, unless it is not to be *follow*ed: then the file takes its place.
    """
    target = Path(os.path.realpath(file)) if follow else file
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(descriptor, "wb") as opened:  # mkstemp makes it readable by its owner only
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        Path(temporary).replace(target)
        temporary = None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


@contextmanager
def locked(file: Path) -> Generator[None, None, None]:
    """Keep other writers of *file* out, also those of other processes; readers never wait."""
    try:
        import fcntl
    except ModuleNotFoundError as error:
        raise UnsupportedPlatform("changing a file of tokens needs fcntl; on this system edit it on another") from error
    target = Path(os.path.realpath(file))
    try:
        descriptor = os.open(target.with_name(f".{target.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise TokenError(f"cannot write beside {file}: {error.strerror}; make its folder first, mode 0700") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_private(file: Path, most: int) -> bytes | None:
    """Return what *file* holds, None when there is none; raise TokenError unless it is this user's alone."""
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenError(f"cannot read {file}: {error.strerror}") from error
    try:
        _check_private(file, os.fstat(descriptor))  # of what was opened: the name may lead elsewhere a moment later
        with open(descriptor, "rb", closefd=False) as opened:
            data = opened.read(most + 1)
    except OSError as error:
        raise TokenError(f"cannot read {file}: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise TokenError(f"{file} is longer than {most} bytes: it is no file of tokens")
    return data


def _check_private(file: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise TokenError(f"{file} is not a file")
    if not POSIX:
        return
    if found.st_mode & 0o077:
        raise TokenError(f"{file} is open to others (mode {stat.S_IMODE(found.st_mode):04o}): chmod 600 {file}")
    if found.st_uid not in (0, os.geteuid()):
        raise TokenError(f"{file} belongs to another user (uid {found.st_uid}), who could change it: chown it")


def new_secret() -> bytes:
    """Return the `secret` of a new file."""
    return secrets.token_bytes(32)


class _Entry(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An entry as the file has it. Unknown fields are refused: a misspelt `expires` would never expire."""

    role: str
    salt: bytes | None = None
    cost: int | None = None
    stored_key: bytes | None = None
    server_key: bytes | None = None
    certificate: str | None = None
    expires: float | None = None


class _File(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    secret: bytes
    entries: dict[str, _Entry]


def _table(read: _File) -> Table:
    grants = {name: _grant(name, entry) for name, entry in read.entries.items()}
    subjects = [grant.certificate for grant in grants.values() if grant.certificate is not None]
    if len(set(subjects)) < len(subjects):
        raise ValueError("two entries have one certificate")
    if len(read.secret) < 16:
        raise ValueError("its secret is too short")
    return Table(grants, read.secret)


def _grant(name: str, entry: _Entry) -> Grant:
    if not NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 letters, digits, - and _")
    role = Role.__members__.get(entry.role.upper())
    if not role:
        raise ValueError(f"the role of {name} is none of viewer, operator, admin")
    if entry.expires is not None and not math.isfinite(entry.expires):
        raise ValueError(f"{name} expires at no time that there is")
    verifier = _verifier(name, entry)
    if (verifier is None) == (not entry.certificate):
        raise ValueError(f"{name} needs either the keys of a token or a certificate")
    return Grant(name=name, role=role, verifier=verifier, certificate=entry.certificate, expires=entry.expires)


def _verifier(name: str, entry: _Entry) -> Verifier | None:
    salt, cost, stored, server = entry.salt, entry.cost, entry.stored_key, entry.server_key
    if salt is None and cost is None and stored is None and server is None:
        return None
    if salt is None or cost is None or stored is None or server is None:
        raise ValueError(f"{name} has only a part of the keys of a token")
    if not LEAST_COST <= cost <= MOST_COST or cost & (cost - 1):
        raise ValueError(f"the cost of {name} is no power of two from {LEAST_COST} to {MOST_COST}")
    if not 8 <= len(salt) <= 64 or len(stored) != 32 or len(server) != 32:
        raise ValueError(f"the keys of {name} have the wrong length")
    return Verifier(salt=salt, cost=cost, stored_key=stored, server_key=server)


def _entry(grant: Grant) -> _Entry:
    entry = _Entry(role=grant.role.name.lower(), certificate=grant.certificate, expires=grant.expires)
    if (known := grant.verifier) is not None:
        entry.salt, entry.cost = known.salt, known.cost
        entry.stored_key, entry.server_key = known.stored_key, known.server_key
    return entry
