"""What hosts have said to a registry: who claims which name, and which claim is the entry. Pure book-keeping.

Each name may be claimed by several hosts. The oldest claim is the entry that everybody sees; when it goes, with its
host's link or by its host's word, the next one takes its place. A claim belongs to the link that made it: no message
can take back another's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from everywire.errors import Code, Fault
from everywire.remoteobjects.codec.registry import Location
from everywire.runtime.node import MAX_NAME, RESERVED_NAMES

MOST_CLAIMS: Final = 16_384
"""Of one registry, altogether."""
LONGEST_URL: Final = 2048

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


class Change(NamedTuple):
    """What a claim made or dropped means to who looks: an entry goes, an entry comes, or one follows the other."""

    removed: Location | None = None
    added: Location | None = None


NO_CHANGE: Final = Change()


class Claims:
    """The claims on each name, oldest first; whoever claims may be anything that can be looked up."""

    def __init__(self, most: int = MOST_CLAIMS) -> None:
        self._most = most
        self._count = 0
        self._claims: dict[str, dict[object, Location]] = {}
        self._names: dict[object, dict[str, None]] = {}

    def __len__(self) -> int:
        return self._count

    @property
    def locations(self) -> Mapping[str, Location]:
        """The entries by name."""
        return {name: next(iter(claims.values())) for name, claims in self._claims.items()}

    def names_of(self, owner: object) -> Mapping[str, None]:
        """Return the names that *owner* claims, oldest claim first."""
        return self._names.get(owner, {})

    def add(self, owner: object, location: Location) -> Change:
        """Take a claim, which replaces what *owner* said before of that name; raise Fault(RESOURCE_EXHAUSTED)."""
        name, before = location.name, self._entry(location.name)
        if name not in self.names_of(owner):
            if self._count >= self._most:
                raise _full(f"the registry holds {self._most} entries already")
            self._count += 1
        self._claims.setdefault(name, {})[owner] = location
        self._names.setdefault(owner, {})[name] = None
        return self._change(name, before)

    def remove(self, owner: object, name: str) -> Change:
        """Drop what *owner* claims of *name*."""
        if name not in self.names_of(owner):
            return NO_CHANGE
        before = self._entry(name)
        self._count -= 1
        del self._claims[name][owner], self._names[owner][name]
        if not self._claims[name]:
            del self._claims[name]
        if not self._names[owner]:
            del self._names[owner]
        return self._change(name, before)

    def drop(self, owner: object, url: str | None = None) -> list[Change]:
        """Drop all that *owner* claims, or all that it claims at *url*."""
        names = [name for name in self.names_of(owner) if url is None or self._claims[name][owner].url == url]
        return [self.remove(owner, name) for name in names]

    def _entry(self, name: str) -> Location | None:
        return next(iter(self._claims.get(name, {}).values()), None)

    def _change(self, name: str, before: Location | None) -> Change:
        now = self._entry(name)
        return NO_CHANGE if now == before else Change(before, now)


def check_room(claims: Claims, owner: object, name: str, most: int) -> None:
    """Raise Fault(RESOURCE_EXHAUSTED) when one more claim, on *name*, would be more than *most* of one *owner*."""
    names = claims.names_of(owner)
    if len(names) >= most and name not in names:
        raise _full(f"one link may register {most} objects")


def check_location(location: Location) -> None:
    """Raise Fault(INVALID_ARGUMENT) for an entry that no host needs, or that would harm who prints it."""
    name, url = location.name, location.url
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name in RESERVED_NAMES:
        raise _wrong(f"{name[:80]!r} is no name for an object: it has 1 to {MAX_NAME} printable characters")
    if len(location.type_name) > MAX_NAME or not location.type_name.isprintable():
        raise _wrong(f"the class of {name!r} has more than {MAX_NAME} characters, or unprintable ones")
    if len(url) > LONGEST_URL or not _URL.fullmatch(url):
        raise _wrong(f"{url[:80]!r}, where {name!r} is said to be, is no URL of at most {LONGEST_URL} characters")


def _wrong(problem: str) -> Fault:
    return Fault(Code.INVALID_ARGUMENT, problem, may_have_run=False)


def _full(problem: str) -> Fault:
    return Fault(Code.RESOURCE_EXHAUSTED, problem, may_have_run=False)
