"""`connect` for programs without a loop: on a socket of the thread's own, or with the loop in the background."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar, overload

from everywire.errors import ModelError, SignatureMismatch
from everywire.model import Object
from everywire.runtime.blocking import LONGEST_WAIT, BlockingLife, PumpedReplica, turn, workplace
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.replica import ReplicaState
from everywire.runtime.wires import Wire, wire_of

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
        life: BlockingLife | None = None if make is None else make(replica, limits, patient=timeout != 0)
        if life is not None:
            return _Connected(replica, life, timeout)
    from everywire.sync.mirror import mirrored

    return mirrored(wire, name, contract, timeout=timeout, limits=limits)


class _Connected(AbstractContextManager[Any]):
    """One replica for the time of a `with` block."""

    def __init__(self, replica: PumpedReplica, life: BlockingLife, timeout: float | None) -> None:
        self._replica, self._life, self._timeout = replica, life, timeout
        replica.pump = life

    def __enter__(self) -> Any:
        life, replica = self._life, self._replica
        workplace.enter(life)
        try:
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

    def _leave(self) -> None:
        workplace.leave(self._life)
        self._life.close()


def _is_class(contract: object) -> bool:
    return isinstance(contract, type) and issubclass(contract, Object)
