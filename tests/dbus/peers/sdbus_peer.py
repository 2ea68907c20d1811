"""sdbus (systemd's library) as a peer on a bus: `sdbus_peer.py serve|use ADDRESS`; it needs a bus."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from boiler import Boiler
from sdbus import (
    DbusFailedError,
    DbusInterfaceCommonAsync,
    DbusPropertyEmitsChangeFlag,
    SdBusBaseError,
    SdBusUnmappedMessageError,
    dbus_method_async,
    dbus_property_async,
    dbus_signal_async,
    request_default_bus_name_async,
    sd_bus_open_user,
    set_default_bus,
)
from speech import INTERFACE, PATH, REFUSED, SERVICE, Ear, meant, raised, returned, say


class Refused(DbusFailedError):
    """An error with a name of its own."""

    dbus_error_name = REFUSED


class Plant(DbusInterfaceCommonAsync, interface_name=INTERFACE):
    """The boiler as sdbus declares it; one class for both roles."""

    def __init__(self) -> None:
        super().__init__()
        self.boiler = Boiler()

    @dbus_property_async("d", flags=DbusPropertyEmitsChangeFlag)
    def level(self) -> float:
        return self.boiler.values["Level"]

    @level.setter
    def level_setter(self, value: float) -> None:
        self.boiler.values["Level"] = value

    @dbus_property_async("s", flags=DbusPropertyEmitsChangeFlag)
    def label(self) -> str:
        return self.boiler.values["Label"]

    @label.setter
    def label_setter(self, value: str) -> None:
        self.boiler.values["Label"] = value

    @dbus_property_async("(dd)", flags=DbusPropertyEmitsChangeFlag)
    def spot(self) -> tuple[float, float]:
        return self.boiler.values["Spot"]

    @spot.setter_private
    def spot_setter(self, value: tuple[float, float]) -> None:
        self.boiler.values["Spot"] = value

    @dbus_property_async("a{sv}", flags=DbusPropertyEmitsChangeFlag)
    def table(self) -> dict[str, Any]:
        return self.boiler.values["Table"]

    @table.setter_private
    def table_setter(self, value: dict[str, Any]) -> None:
        self.boiler.values["Table"] = value

    @dbus_signal_async("is", ["count", "why"])
    def fired(self) -> tuple[int, str]:
        raise NotImplementedError

    @dbus_signal_async("(dd)", ["spot"])
    def moved(self) -> tuple[float, float]:
        raise NotImplementedError

    @dbus_method_async("i", "i")
    async def add_one(self, number: int) -> int:
        say(event="called", member="AddOne")
        return self.boiler.add_one(number)

    @dbus_method_async("s", "si")
    async def split(self, text: str) -> tuple[str, int]:
        return self.boiler.split(text)

    @dbus_method_async("(dd)", "(dd)")
    async def move(self, spot: tuple[float, float]) -> tuple[float, float]:
        await self.spot.set_async(spot)
        self.moved.emit(spot)
        return spot

    @dbus_method_async("as", "a{si}")
    async def tally(self, words: list[str]) -> dict[str, int]:
        return self.boiler.tally(words)

    @dbus_method_async("v", "v")
    async def wrap(self, value: tuple[str, Any]) -> tuple[str, Any]:
        return value

    @dbus_method_async("s", "s")
    async def shift(self, gear: str) -> str:
        return self.boiler.shift(gear)

    @dbus_method_async("a(is)", "a(is)")
    async def rows(self, rows: list[tuple[int, str]]) -> list[tuple[int, str]]:
        return rows

    @dbus_method_async("ay", "ay")
    async def data(self, data: bytes) -> bytes:
        return data

    @dbus_method_async("ynqiuxtdbs", "ynqiuxtdbs")
    async def basics(
        self, a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: float, i: bool, j: str
    ) -> tuple[int, int, int, int, int, int, int, float, bool, str]:
        return a, b, c, d, e, f, g, h, i, j

    @dbus_method_async("h", "s")
    async def read_all(self, source: int) -> str:
        return self.boiler.read_all(source)  # sdbus gives a duplicate, which is ours to close

    @dbus_method_async("s", "h")
    async def open_text(self, text: str) -> int:
        reading = self.boiler.open_text(text)
        asyncio.get_running_loop().call_soon(os.close, reading)  # sdbus sends a duplicate
        return reading

    @dbus_method_async("s", "")
    async def refuse(self, why: str) -> None:
        raise Refused(why)

    @dbus_method_async("i", "")
    async def fire(self, count: int) -> None:
        for number in range(count):
            self.fired.emit((number, "asked"))


def attribute(member: str) -> str:
    """AddOne -> add_one."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in member).removeprefix("_")


def many(member: str, results: Any) -> tuple[Any, ...]:
    """The results as a tuple; sdbus gives one result bare and several as a tuple, as it does a structure."""
    if results is None:
        return ()
    return results if member in ("Split", "Basics") else (results,)


class Service:
    """Offers the boiler."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant

    async def do_change(self, name: str, value: str) -> None:
        await getattr(self.plant, attribute(name)).set_async(meant(value))

    async def do_fire(self, count: int) -> None:
        for number in range(count):
            self.plant.fired.emit((number, "asked"))


class Client:
    """Uses a boiler through a proxy."""

    def __init__(self) -> None:
        self.plant = Plant.new_proxy(SERVICE, PATH)
        self.listeners: list[asyncio.Task[None]] = []

    async def do_listen(self) -> None:
        for what in (self._hear("Fired"), self._hear("Moved"), self._watch()):
            self.listeners.append(asyncio.create_task(what))
        await asyncio.sleep(0)  # each sends its match rule,
        await self.plant.dbus_ping()  # so the bus has them when this is answered

    async def _hear(self, member: str) -> None:
        async for values in getattr(self.plant, attribute(member)):
            # sdbus gives a signal's one argument bare, and so a structure as if it were several arguments.
            say(event="heard", member=member, values=repr((values,) if member == "Moved" else values))

    async def _watch(self) -> None:
        async for _, changed, _ in self.plant.properties_changed:
            say(event="changed", values=repr({name: value for name, (_, value) in changed.items()}))

    async def do_call(self, member: str, arguments: str = "()") -> Any:
        results = await self.tried(getattr(self.plant, attribute(member))(*meant(arguments)), lambda value: value)
        return results if isinstance(results, dict) and "raised" in results else returned(many(member, results))

    async def do_get(self, name: str) -> Any:
        return await self.tried(getattr(self.plant, attribute(name)).get_async())

    async def do_get_all(self) -> Any:
        return await self.tried(self.plant.properties_get_all_dict())

    async def do_set(self, name: str, value: str) -> Any:
        return await self.tried(getattr(self.plant, attribute(name)).set_async(meant(value)))

    async def do_introspect(self) -> Any:
        return await self.tried(self.plant.dbus_introspect())

    async def do_read_all(self, text: str) -> Any:
        reading = Boiler().open_text(text)
        try:
            return await self.tried(self.plant.read_all(reading), lambda text: returned((text,)))
        finally:
            os.close(reading)

    async def do_open_text(self, text: str) -> Any:
        descriptor = await self.plant.open_text(text)
        return returned((Boiler().read_all(descriptor),))

    async def tried(self, call: Any, told: Any = returned) -> Any:
        try:
            return told(await call)
        except SdBusUnmappedMessageError as error:
            return raised(error.args[0], str(error.args[1]))
        except SdBusBaseError as error:
            return raised(getattr(error, "dbus_error_name", type(error).__name__), str(error))


class AsyncEar(Ear):
    """Requests whose answers are coroutines."""

    def obey(self, request: dict[str, Any]) -> None:
        number, verb = request.pop("id"), request.pop("do")
        asyncio.get_running_loop().create_task(self._answer(number, verb, request)).add_done_callback(ended)

    async def _answer(self, number: int, verb: str, arguments: dict[str, Any]) -> None:
        say(id=number, result=await getattr(self._actor, f"do_{verb}")(**arguments))


def ended(task: asyncio.Task[None]) -> None:
    """A request that failed by our own mistake ends the program, which the test reports."""
    if task.exception() is not None:
        asyncio.get_running_loop().call_exception_handler({"message": "request", "exception": task.exception()})
        os._exit(1)


async def main() -> None:
    role, address = sys.argv[1:]
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = address
    set_default_bus(sd_bus_open_user())
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    actor: Service | Client
    if role == "serve":
        plant = Plant()
        plant.export_to_dbus(PATH)
        await request_default_bus_name_async(SERVICE)
        actor = Service(plant)
    else:
        actor = Client()
    ear = AsyncEar(actor)
    loop.add_reader(0, lambda: ear.readable() or over.set())
    say(event="ready")
    await over.wait()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
