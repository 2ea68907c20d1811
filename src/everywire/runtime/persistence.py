"""Values that replicas keep: what a replica shows before its source was ever found, and where that lies meanwhile.

A replica of a class begins with the defaults of the class, over them the values that were kept of properties marked
PERSISTED. A `PersistedStore` keeps bytes; what they mean is decided here, value by value: one that does not fit its
type any more is left out with a `StoreWarning`, and the default stays.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from everywire.codec.json import decode, encode, lifted, lowered
from everywire.errors import ModelError, StoreWarning
from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.model.marks import Persisted
from everywire.model.properties import is_computed, is_property
from everywire.model.state import State
from everywire.model.types import child_type

if TYPE_CHECKING:
    from everywire.runtime.replica import ReplicaLink

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of what a store holds for one replica."""
PLAIN: Final = re.compile(r"[^A-Za-z0-9_.-]")


class PersistedStore(Protocol):
    """Where replicas keep their values. Called from one thread at a time for each replica; it may block."""

    def load(self, name: str, kind: str) -> bytes | None:
        """Return what was saved last for the object *name* of the class *kind*; None when there is nothing.

        An OSError is told as a `StoreWarning`.
        """
        ...

    def save(self, name: str, kind: str, data: bytes) -> None:
        """Keep *data* in the place of what was saved before; an OSError is told as a `StoreWarning`."""
        ...


class FileStore:
    """Keeps values in files of a *folder* of its own, which it makes: mode 0700, and 0600 for each file.

    A file is replaced as a whole, so that processes that share a folder read an old or a new one and never a part; of
    two that save at once one is the last. A file that others could write is not believed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder: Final = Path(folder).expanduser()

    def load(self, name: str, kind: str) -> bytes | None:
        """Return what was saved; None when nothing was, or nothing that can be believed."""
        file = self._file(name, kind)
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            descriptor = os.open(file, flags)
        except FileNotFoundError:
            return None
        except OSError as error:
            _unusable(f"cannot read {file}: {error.strerror}")
            return None
        with os.fdopen(descriptor, "rb") as opened:
            problem = _distrust(os.fstat(descriptor))
            data = b"" if problem else opened.read(MOST_BYTES + 1)
        if problem or len(data) > MOST_BYTES:
            _unusable(f"{file} {problem or f'is longer than {MOST_BYTES} bytes'}")
            return None
        return data

    def save(self, name: str, kind: str, data: bytes) -> None:
        """Replace the file of the object."""
        from everywire.runtime.tokenfile import replace_private  # it needs hashes that others do not

        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_private(self._file(name, kind), data, follow=False)  # nobody can lead us to another file

    def _file(self, name: str, kind: str) -> Path:
        """Return a file's path: readable, and by its digest one for each name and class."""
        digest = hashlib.sha256(f"{kind}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return self.folder / f"{PLAIN.sub('_', name)[:64]}-{digest}.json"


def _distrust(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "is not a file"
    if os.name == "posix" and (found.st_mode & 0o022 or found.st_uid not in (0, os.geteuid())):
        return "could have been written by others: give it to this user, mode 0600"
    return ""


def _unusable(why: str) -> None:
    warnings.warn(f"kept values are left out: {why}", StoreWarning, stacklevel=2)


def persisted(contract: Contract) -> tuple[Member, ...]:
    """Return the properties whose values replicas keep."""
    kept = (m for m in contract.of_kind(Kind.PROPERTY) if any(isinstance(mark, Persisted) for mark in m.marks))
    return tuple(kept)


class Keeper:
    """Keeps the values of one replica; *changed*, when given, is called when there is something to save."""

    def __init__(
        self, replica: ReplicaLink, store: PersistedStore, changed: Callable[[], object] | None = None
    ) -> None:
        self._replica, self._store, self._changed = replica, store, changed
        self._contract = contract_of(_class_of(replica))
        self._members = persisted(self._contract)
        self._lock = threading.Lock()
        self._number = self._saved = 0
        """Of the last change, and of the last one that was saved."""
        if not self._members:
            marked = "Property[Annotated[float, PERSISTED]]"
            raise ModelError(f"{self._contract.name} has nothing to keep: mark properties, as in {marked}")

    def restore(self) -> dict[str, Any]:
        """Return the kept values by property; in any thread."""
        name = self._replica.name
        try:
            data = self._store.load(name, self._contract.name)
            if data is None:
                return {}
            found: Any = decode(data)
            if not isinstance(found, dict):
                raise ModelError("it is no table of values")
        except (ModelError, OSError) as error:
            _unusable(f"those of {name} cannot be read: {error}")
            return {}
        return dict(self._fitting(cast("dict[str, Any]", found)))

    def listen(self) -> None:
        """Take note of changes from now on; the replica has been made."""
        state: State = self._replica.instance._everywire
        for member in self._members:
            state.listen(member.name, self._note, first=True)
        self._replica.state_changed.connect(self._became)

    def to_save(self) -> tuple[int, bytes] | None:
        """Return what has to be saved; None when nothing has changed since the last time."""
        if self._number <= self._saved:
            return None
        values: dict[str, Any] = self._replica.instance._everywire.values
        kept = {m.name: lowered(m.type, values[m.name]) for m in self._members if m.name in values}
        return self._number, encode(kept)

    def save(self, work: tuple[int, bytes] | None) -> None:
        """Save what `to_save` gave, unless something newer was; in any thread. A failure is a `StoreWarning`."""
        if work is None:
            return
        number, data = work
        with self._lock:
            if number <= self._saved:
                return
            try:
                self._store.save(self._replica.name, self._contract.name, data)
                self._saved = number
            except OSError as error:
                warnings.warn(f"values of {self._replica.name} are not kept: {error}", StoreWarning, stacklevel=2)

    def _note(self, _value: object) -> None:
        self._number += 1
        if self._changed is not None:
            self._changed()

    def _became(self, state: Any) -> None:
        """Keep also those values of a source that equal the defaults: another version of the class has others."""
        if self._number == 0 and state.value == "valid":
            self._note(None)

    def _fitting(self, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for member in self._members:
            if member.name in found:
                try:
                    yield member.name, member.type.convert(lifted(member.type, found[member.name]))
                except ModelError as error:
                    _unusable(f"{self._replica.name}.{member.name}: {error}")


def begin(replica: ReplicaLink, kept: Mapping[str, Any]) -> None:
    """Make the replica of a class before its source was found: with the class's defaults, and over them *kept*."""
    from everywire.runtime.replica import ReplicaState

    cls = _class_of(replica)
    instance = replica.create(contract_of(cls), lambda _: cls)
    values: dict[str, Any] = instance._everywire.values
    handles = cls.__everywire_declared__.values()
    for handle in handles:
        if is_property(handle) and child_type(handle.member.type) is None:
            values[handle.name] = kept[handle.name] if handle.name in kept else handle.initial()
    for handle in handles:
        if is_computed(handle):
            with suppress(Exception):  # it needs what only a source has: then there is no value yet
                values[handle.name] = handle._evaluate(instance)
    replica.become(ReplicaState.DEFAULT)


def _class_of(replica: ReplicaLink) -> type[Object]:
    if replica.cls is None:
        raise ModelError("a replica before its source, and one whose values are kept, needs a class: connect(…, Class)")
    return replica.cls
