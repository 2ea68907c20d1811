"""What can be a slot, and which slots cannot suspend."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import types
from collections.abc import AsyncIterator
from typing import Any

import pytest

from everywire.errors import ModelError
from everywire.model import Object, slot
from everywire.model.slots import MARK, can_be_slot, is_async, is_stream, may_suspend


async def direct(self: Any) -> int:
    return 1


async def nested_only(self: Any) -> object:
    async def inner() -> None:
        await asyncio.Event().wait()

    return inner


async def many_constants(self: Any) -> list[int]:
    found = [n for n in range(300) if n % 7]
    with contextlib.suppress(ValueError):
        found.append(int("5") if found else 0)
    return sorted(found, key=lambda n: -n)


async def awaits(self: Any) -> int:
    return await direct(self)


async def iterates(self: Any, source: Any) -> None:
    async for _ in source:
        pass


async def enters(self: Any, manager: Any) -> None:
    async with manager:
        pass


async def comprehends(self: Any, source: Any) -> list[Any]:
    return [item async for item in source]


async def gathers(self: Any) -> Any:
    return [await direct(self) for _ in range(2)]


async def streams(self: Any) -> AsyncIterator[int]:
    yield 1


def declares(self: Any) -> AsyncIterator[int]:
    raise NotImplementedError


def plain(self: Any) -> int:
    return 1


@types.coroutine
def old_style(self: Any) -> Any:
    yield


@functools.wraps(direct)
async def wrapped(self: Any) -> int:
    return await direct(self)


class Callable:
    async def __call__(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("function", [direct, nested_only, many_constants])
def test_a_coroutine_that_awaits_nothing_cannot_suspend(function: Any) -> None:
    assert not may_suspend(function)
    coroutine = function(None)
    with pytest.raises(StopIteration):
        coroutine.send(None)


@pytest.mark.parametrize(
    "function",
    [
        awaits,
        iterates,
        enters,
        comprehends,
        gathers,
        streams,
        declares,
        plain,
        old_style,
        wrapped,
        Callable(),
        functools.partial(direct, None),
        print,
    ],
)
def test_everything_else_counts_as_waiting(function: Any) -> None:
    assert may_suspend(function)


def test_what_gives_something_to_await_is_async() -> None:
    assert all(map(is_async, (direct, awaits, streams, Callable(), functools.partial(direct, None))))
    assert not any(map(is_async, (plain, declares, print, Callable)))
    marked = functools.partial(plain)
    setattr(marked, MARK, None)
    assert is_async(marked)


def test_streams_are_known_by_body_or_annotation() -> None:
    assert is_stream(streams)
    assert is_stream(declares)
    assert not is_stream(direct)
    assert not is_stream(print)
    assert can_be_slot(declares)
    assert not can_be_slot(plain)


def test_a_slot_stays_a_function_and_knows_its_timeout() -> None:
    class Pump(Object):
        @slot
        async def stop(self) -> int:
            return 5

        @slot(timeout=None)
        async def wait(self) -> None:
            """Wait."""

    assert asyncio.run(Pump().stop()) == 5
    assert getattr(Pump.stop, MARK) == 30.0
    assert getattr(Pump.wait, MARK) is None


def test_a_slot_that_is_not_async_is_refused() -> None:
    with pytest.raises(ModelError, match="the slot plain must be 'async def'"):
        slot(plain)  # type: ignore[call-overload]
    with pytest.raises(ModelError, match="the slot 5 must be"):
        slot(5)  # type: ignore[call-overload]


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_a_timeout_is_above_zero(timeout: float) -> None:
    with pytest.raises(ModelError, match="a number of seconds above 0, or None"):
        slot(timeout=timeout)
