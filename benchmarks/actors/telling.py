"""What each publisher on asyncio of the suite `dbus` does with an order: a burst, or numbers at a pace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter_ns

from benchmarks.actor import Order, Stage

Tell = Callable[[float], object]


async def rest() -> None:
    """One turn of the loop."""
    await asyncio.sleep(0)


async def publish(
    stage: Stage, tell: Mapping[str, Tell], pause: Callable[[], Awaitable[None]] = rest, most: int = 1 << 30
) -> None:
    """Obey, for ever. *tell* has what tells a number, by kind; *pause* is awaited after *most* of them or fewer."""
    orders: asyncio.Queue[Order] = asyncio.Queue()
    stage.obey_in_loop(orders.put_nowait)
    while True:
        order = await orders.get()
        match order["order"]:
            case "burst":
                numbers = range(order["first"], order["first"] + order["count"])
                stage.done(await _burst(tell[order["kind"]], numbers, min(order["per_turn"], most), pause))
            case "paced":
                await _paced(tell[order["kind"]], order["count"], order["interval"])
                stage.done()
            case _:
                stage.done()  # a subscriber is ready when it hears


async def _burst(tell: Tell, numbers: range, per_turn: int, pause: Callable[[], Awaitable[None]]) -> int:
    begun = perf_counter_ns()
    for start in range(0, len(numbers), per_turn):
        for number in numbers[start : start + per_turn]:
            tell(float(number))
        await pause()
    return begun


async def _paced(tell: Tell, count: int, interval: float) -> None:
    for _ in range(count):
        await asyncio.sleep(interval)
        tell(float(perf_counter_ns()))
