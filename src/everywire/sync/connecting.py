"""`connect` for programs without a loop: on a socket of the thread's own, or with the loop in the background."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from everywire.errors import ModelError, SignatureMismatch
from everywire.model import Object
from everywire.runtime.blocking import LONGEST_WAIT, BlockingLife, PumpedReplica, turn, workplace
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.replica import ReplicaState
from everywire.runtime.wires import Wire, wire_of

if TYPE_CHECKING:
    from everywire.runtime.persistence import Keeper, PersistedStore

S = TypeVar("S", bound=Object)

CONNECT_TIMEOUT = 10.0
"""Seconds that `connect` waits for the first valid state, attempts included."""


@overload
def connect(
    url: str | Wire,
    name: str,
    contract: type[S],
    *,
    timeout: float | None = ...,
    wait: bool = ...,
    store: PersistedStore | None = ...,
    limits: Limits = ...,
    background: bool = ...,
) -> AbstractContextManager[S]: ...
@overload
def connect(
    url: str | Wire,
    name: str,
    contract: None = None,
    *,
    timeout: float | None = ...,
    limits: Limits = ...,
    background: bool = ...,
) -> AbstractContextManager[Any]: ...
def connect(
    url: str | Wire,
    name: str,
    contract: type[Object] | None = None,
    *,
    timeout: float | None = CONNECT_TIMEOUT,
    wait: bool = True,
    store: PersistedStore | None = None,
    limits: Limits = DEFAULT_LIMITS,
    background: bool = False,
) -> AbstractContextManager[Any]:
    """Return a context manager that gives a replica of the object *name* at *url*; it belongs to this thread.

    As `everywire.connect`, but for a program without a loop: `sync.run` makes calls, and properties are read, signals
    and changes heard, while this thread is in `sync`. Qt Remote Objects works on a socket of the thread's own. With
    *background*, and on every other wire, the link lives in a loop of another thread: it is then served, and comes
    back, also while this thread does something else. Raises what `everywire.connect` raises.
    """
    if contract is not None and not _is_class(contract):
        raise ModelError("the third argument of connect is a class derived from Object, or nothing")
    wire = wire_of(url)
    if not background:
        replica = PumpedReplica(wire.url, name, contract)
        make = getattr(wire, "blocking", None)
        patient = timeout != 0 or not wait
        life: BlockingLife | None = None if make is None else make(replica, limits, patient=patient)
        if life is not None:
            return _Connected(replica, life, timeout, wait=wait, store=store)
    from everywire.sync.mirror import mirrored

    return mirrored(wire, name, contract, timeout=timeout, limits=limits, wait=wait, store=store)


class _Connected(AbstractContextManager[Any]):
    """One replica for the time of a `with` block."""

    def __init__(
        self,
        replica: PumpedReplica,
        life: BlockingLife,
        timeout: float | None,
        *,
        wait: bool,
        store: PersistedStore | None,
    ) -> None:
        self._replica, self._life, self._timeout = replica, life, timeout
        self._wait, self._store = wait, store
        self._keeper: Keeper | None = None
        replica.pump = life

    def __enter__(self) -> Any:
        life, replica = self._life, self._replica
        workplace.enter(life)
        try:
            self._begin()
            if not self._wait:
                return replica.instance
            self._wait_settled()
            if isinstance(replica.error, SignatureMismatch):
                raise replica.error
            if replica.state not in (ReplicaState.VALID, ReplicaState.SUSPECT):  # suspect: it was valid, and comes back
                raise replica.why_not_valid(life.offered, self._timeout)
        except BaseException:
            self._leave()
            raise
        return replica.instance

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _wait_settled(self) -> None:
        seconds = self._timeout or LONGEST_WAIT
        end = time.monotonic() + seconds
        while not self._life.settled and self._replica.state is not ReplicaState.SUSPECT:
            left = end - time.monotonic()
            if left <= 0 and self._timeout:
                return
            turn((self._life,), left if self._timeout else LONGEST_WAIT)

    def _begin(self) -> None:
        """Make the replica before its source was found, where that is wanted."""
        if self._wait and self._store is None:
            return
        from everywire.runtime.persistence import Keeper, begin

        keeper = None if self._store is None else Keeper(self._replica, self._store)
        begin(self._replica, {} if keeper is None else keeper.restore())
        if keeper is not None:
            keeper.listen()
            self._keeper = keeper

    def _leave(self) -> None:
        """End; kept values are saved now, as there is no loop that could do it meanwhile."""
        work = None if self._keeper is None else self._keeper.to_save()
        workplace.leave(self._life)
        self._life.close()
        if self._keeper is not None:
            self._keeper.save(work)


def _is_class(contract: object) -> bool:
    return isinstance(contract, type) and issubclass(contract, Object)
