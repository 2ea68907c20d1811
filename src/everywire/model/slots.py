"""Slots: methods that remote callers may call. Declares them and knows which cannot suspend; never calls one."""

from __future__ import annotations

import dis
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, overload

from everywire.errors import ModelError
from everywire.model.contract import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from everywire.model.objects import Object

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Object")

Method = Callable[Concatenate[S, P], Coroutine[Any, Any, R]]
Stream = Callable[Concatenate[S, P], AsyncIterator[R]]

MARK: Final = "__everywire_slot__"
"""The attribute that marks a function as a slot; its value is the timeout in seconds or None."""

READS: Final = "__everywire_reads__"
"""The attribute that marks a slot which changes nothing, so that whoever may read may call it."""


@overload
def slot(function: Method[S, P, R], /) -> Method[S, P, R]: ...
@overload
def slot(function: Stream[S, P, R], /) -> Stream[S, P, R]: ...
@overload
def slot(*, timeout: float | None = ..., reads: bool = ...) -> SlotDecorator: ...
def slot(function: Any = None, /, *, timeout: float | None = DEFAULT_TIMEOUT, reads: bool = False) -> Any:
    """Let remote callers call this method.

    It is ``async def``, because on a replica the call waits and can fail; an async generator is a stream, which a class
    without bodies declares as ``def readings(self) -> AsyncIterator[float]``. *timeout* in seconds is part of the
    contract: a run that takes longer is cancelled; None lets it take for ever. A slot that *reads* changes nothing, so
    policies let it be called by whoever may read properties.
    """
    if timeout is not None and not timeout > 0:
        raise ModelError("a slot's timeout is a number of seconds above 0, or None")

    def mark(method: Any) -> Any:
        if not can_be_slot(method):
            name = getattr(method, "__qualname__", repr(method))
            raise ModelError(f"the slot {name} must be 'async def': a remote call waits and can fail")
        setattr(method, MARK, timeout)
        if reads:
            setattr(method, READS, True)
        return method

    return mark if function is None else mark(function)


if TYPE_CHECKING:
    from typing import Protocol

    class SlotDecorator(Protocol):
        """What `slot(timeout=…)` and `slot(reads=True)` return."""

        @overload
        def __call__(self, function: Method[S, P, R], /) -> Method[S, P, R]: ...
        @overload
        def __call__(self, function: Stream[S, P, R], /) -> Stream[S, P, R]: ...
        def __call__(self, function: Any, /) -> Any: ...


def is_async(function: object) -> bool:
    """Return whether calling *function* gives something to await: coroutine functions and slots of replicas."""
    call = getattr(type(function), "__call__", None)  # noqa: B004  an object with an async __call__
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or hasattr(function, MARK)
        or inspect.iscoroutinefunction(call)
    )


def is_stream(function: object) -> bool:
    """Return whether *function* gives an async iterator: an async generator, or a plain function annotated so.

    The annotation may still be text here, so its word decides; reading the contract evaluates it.
    """
    if inspect.isasyncgenfunction(function):
        return True
    result = getattr(function, "__annotations__", {}).get("return")
    named = any(word in str(result) for word in ("AsyncIterator", "AsyncGenerator"))
    return named and not inspect.iscoroutinefunction(function)


def can_be_slot(function: object) -> bool:
    """Return whether *function* can be the body of a slot or stream."""
    return is_async(function) or is_stream(function)


def may_suspend(function: Any) -> bool:
    """Return whether a coroutine of *function* could wait for something; decided from its code, once, at publish.

    A coroutine that awaits nothing runs to its end at the first step, so it needs no task of its own
    (ARCHITECTURE 6.3). Whatever is not a plain coroutine function counts as waiting: a decorated one, for instance,
    because its code says nothing about what it wraps.
    """
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__") or not code.co_flags & inspect.CO_COROUTINE:
        return True
    return not _AWAITS.isdisjoint(code.co_code[::2])


# Every await, async for and async with compiles to one of these; inline caches between them read as zero.
_AWAITS: Final = frozenset(dis.opmap[name] for name in ("GET_AWAITABLE", "GET_AITER") if name in dis.opmap)
