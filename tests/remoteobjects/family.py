"""Objects with objects inside, which the tests of children on Qt Remote Objects share."""

from __future__ import annotations

from everywire import Object, Property, i32, prop, signal, slot


class Valve(Object):
    open: Property[bool] = prop(False, writable=True)

    @signal
    def turned(self, by: i32) -> None: ...

    @slot
    async def turn(self, by: i32) -> i32:
        return by + 1


class Pump(Object):
    speed: Property[i32] = prop(3, writable=True)
    valve: Property[Valve] = prop(factory=Valve)
    spare: Property[Pump | None] = prop(None)

    @slot
    async def add_one(self, number: i32) -> i32:
        return number + 1


class Hall(Object):
    level: Property[float] = prop(0.5)
    pump: Property[Pump | None] = prop(None)

    @slot
    async def settle(self) -> None: ...


def hall_with_pump() -> Hall:
    hall = Hall()
    hall.pump = Pump()
    return hall
