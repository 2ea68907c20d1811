"""Finds an object by its name, wherever it is, and follows it to another host; Qt's registries and hosts do too."""

import asyncio

from everywire import Node, Object, Property, RemoteObjects, connect, link_of, prop


class Thermostat(Object):
    place: Property[str] = prop("")


async def host(node: Node, registry: str, place: str) -> None:
    room = Thermostat()
    room.place = place
    node.publish(room, "hall")
    await node.serve(RemoteObjects(url="tcp://127.0.0.1:0", registry=registry))


async def main() -> None:
    async with Node() as registry, Node() as first, Node() as second:
        (where,) = await registry.serve("registry+tcp://127.0.0.1:0")
        await host(first, where, "the cellar")
        async with connect(where, "hall", Thermostat) as hall:
            print("found in", hall.place)
            link_of(hall).state_changed.connect(lambda state: print(state.value))
            await first.aclose()
            await host(second, where, "the attic")
            await Thermostat.place.wait_for(hall, lambda place: place == "the attic")
            print("followed to", hall.place)


if __name__ == "__main__":
    asyncio.run(main())
