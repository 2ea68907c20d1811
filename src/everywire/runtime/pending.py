"""`PendingCall`: what calling a slot of a replica returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Protocol, TypeVar

R = TypeVar("R")


class Cancels(Protocol):
    """What a pending call tells when its caller gives up."""

    def cancelled(self, call: PendingCall[Any]) -> None:
        """Forget *call*, and ask the peer to stop it where the wire can."""
        ...


class PendingCall(asyncio.Future[R]):
    """A call on its way: awaitable more than once, and a coroutine for whoever insists on one.

    The request is queued when it is made. `create_task`, `TaskGroup`, `gather` and `wait_for` accept it. Cancelling
    it asks the host to stop the slot where the wire can say so. A failure that nobody awaits is reported by the loop.
    """

    __slots__ = ("link", "token")

    link: Cancels
    token: Any
    """By which the link finds it again."""

    def cancel(self, msg: Any = None) -> bool:
        """Give up; return False when the call is already done."""
        if not super().cancel(msg):
            return False
        link = getattr(self, "link", None)
        if link is not None:
            link.cancelled(self)
        return True

    # The protocol of collections.abc.Coroutine, by which `create_task` recognizes what it can run.

    def send(self, value: Any) -> Any:
        """Advance, as `Task` does with a coroutine; any number of tasks may, for nothing is kept between the steps."""
        if self.done():
            raise StopIteration(self.result())
        self._asyncio_future_blocking = True
        return self

    def throw(self, kind: Any, value: BaseException | None = None, traceback: TracebackType | None = None, /) -> Any:
        """Raise inside the wait; a cancelled task cancels the call."""
        error: BaseException = kind if isinstance(kind, BaseException) else (value or kind())
        if isinstance(error, asyncio.CancelledError):
            self.cancel()
        raise error.with_traceback(traceback or error.__traceback__)

    def close(self) -> None:
        """End the wait; the call itself goes on."""


def calls_of(loop: asyncio.AbstractEventLoop) -> Callable[[], PendingCall[Any]]:
    """Return what makes the calls of a replica in *loop*, also where that does not run: in a forked child."""
    made: partial[PendingCall[Any]] = partial(PendingCall, loop=loop)
    return made
