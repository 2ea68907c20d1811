"""Sources of ours for the classes of plant.rep and modern.rep, which do what those of cpp/sources.h do."""

from __future__ import annotations

from typing import Any, Final, cast

from everywire import contract_of
from everywire.tables import TableSource
from tests.interop import modern, plant
from tests.interop.modern import Chord, Key, Stops, Tone
from tests.interop.plant import Mode, Paint, Reading, Shade, Spot


class Valve(plant.Valve):
    async def turn(self, by: int) -> str:
        self.opening += by
        self.turned.emit(by)
        return f"turned by {by}"


class Pump(plant.Pump):
    def __init__(self, speed: int = 3) -> None:
        self.speed = speed
        self.valve = Valve()

    async def add_one(self, number: int) -> int:
        return number + 1

    async def shift(self, mode: Mode) -> Mode:
        self.mode = mode
        if mode is Mode.Failed:
            self.stalled.emit(self.speed, "worn")
        return mode


def short_table() -> TableSource[Any]:
    """The rows of the C++ programs' tables: a title and seconds."""
    return TableSource([("Prelude", 90), ("Aria", 240), ("Fugue", 180)], columns=["title", "seconds"])


class Hall(plant.Hall):
    def __init__(self) -> None:
        self.remembered: list[str] = []
        self.pump = Pump()
        self.rows = short_table()
        self.spot = Spot(1.5, "here")
        self.reading = Reading(7, Spot(2.5, "there"), [1, -2])
        self.paint = Paint(Shade.Bright, "sky")
        self.spots = [Spot(1, "a"), Spot(2, "b")]
        self.places = {"door": Spot(3, "c")}
        self.readings = [Reading(1, Spot(4, "d"), []), Reading(2, Spot(0, ""), [5])]

    async def add_one(self, number: int) -> int:
        return number + 1

    async def remember(self, what: str) -> None:
        self.remembered.append(what)

    async def move(self, spot: Spot, by: float) -> Spot:
        moved = Spot(spot.x_pos + by, spot.label)
        self.moved.emit(moved)
        return moved

    async def move_all(self, spots: list[Spot], by: float) -> list[Spot]:
        moved = [Spot(spot.x_pos + by, spot.label) for spot in spots]
        self.surveyed.emit(moved, {spot.label: spot for spot in moved})
        return moved

    async def by_label(self, spots: list[Spot]) -> dict[str, Spot]:
        return {spot.label: spot for spot in spots}

    async def read(self, reading: Reading) -> Reading:
        return Reading(reading.number + 1, reading.spot, reading.counts)

    async def lighter(self, shade: Shade) -> Shade:
        return Shade.Pale if shade is Shade.Dark else Shade.Bright

    async def repaint(self, paint: Paint) -> Paint:
        self.painted.emit(paint.shade, paint)
        return Paint(await self.lighter(paint.shade), paint.name)

    async def replace_pump(self, speed: int) -> None:
        self.pump = Pump(speed)

    async def remove_pump(self) -> None:
        self.pump = None


class Organ(modern.Organ):
    def __init__(self) -> None:
        self.chord = Chord(Key.Sharp, "C")
        self.chords = [self.chord, Chord(Key.Flat, "D")]

    async def pull(self, stops: Stops) -> Stops:
        self.stops |= stops
        self.played.emit(self.stops, self.chord)
        return self.stops

    async def transpose(self, chord: Chord) -> Chord:
        return Chord(Key.Plain, chord.name)

    async def shift(self, tone: Tone) -> Tone:
        return Tone.High if tone is Tone.Low else Tone.Low


async def _add_one(self: Any, number: int) -> int:
    return number + 1


async def _echo(self: Any, value: Any) -> Any:
    return value


_ECHOES: Final = [name for name in contract_of(plant.Kinds).members if name.startswith("echo_")]
_SLOTS: Final = {"add_one": _add_one, **dict.fromkeys(_ECHOES, _echo)}
Kinds: Final = cast("type[plant.Kinds]", type("Kinds", (plant.Kinds,), {**_SLOTS, "__module__": __name__}))
