"""What a program shows of a boiler that another offers: the same for every pair of programs."""

from __future__ import annotations

from typing import Protocol

import pytest

from tests.dbus.programs import REFUSED, Peer, Raised

WHOLE = ("jeepney", "sdbus", "qt")
"""Programs that can carry every type of D-Bus; `pyside6` cannot."""


class Offering(Protocol):
    """Who offers the boiler, and lets things happen to it."""

    async def fire(self, count: int) -> None:
        """Emit `Fired` so often."""
        ...

    async def change(self, name: str, value: str) -> None:
        """Give a property another value."""
        ...


async def show(client: Peer, service: Offering, *, refused: str = REFUSED) -> None:
    """What every program can do."""
    await client.listen()
    assert await client.call("AddOne", 4) == (5,)
    assert await client.call("Shift", "IDLE") == ("FIRST",)
    assert await client.call("Data", b"\x00\xff") == (b"\x00\xff",)
    assert await client.read_all("through a pipe") == "through a pipe"
    with pytest.raises(Raised) as failed:
        await client.call("Refuse", "not today")
    assert failed.value.name == refused
    assert "not today" in failed.value.message
    await service.fire(3)
    assert [await client.heard("Fired") for _ in range(3)] == [(number, "asked") for number in range(3)]
    await client.set("Level", 2.5)
    assert await client.get("Level") == 2.5


async def show_types(client: Peer, service: Offering) -> None:
    """What programs with structures and integers of every size can do."""
    values = (1, -2, 3, -4, 5, -6, 7, 1.5, True, "é")
    assert await client.call("Split", "hall") == ("HALL", 4)
    assert await client.call("Basics", *values) == values
    assert await client.call("Move", (3.0, 4.0)) == ((3.0, 4.0),)
    assert await client.heard("Moved") == ((3.0, 4.0),)
    await client.call("Move", (5.0, 6.0))
    while await client.changed("Spot") != (5.0, 6.0):
        pass
    assert await client.call("Tally", ["a", "b", "a"]) == ({"a": 2, "b": 1},)
    assert await client.call("Rows", [(1, "a"), (2, "b")]) == ([(1, "a"), (2, "b")],)
    assert await client.open_text("through a pipe") == "through a pipe"
    await service.change("Label", "changed")
    assert await client.changed("Label") == "changed"
    assert await client.get("Spot") == (5.0, 6.0)
