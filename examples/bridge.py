"""A bridge: a replica is published again, so an object behind a local socket is reached over TCP as well."""

import asyncio
import tempfile

from everywire import Node, Object, Property, connect, prop, serve, slot


class Lamp(Object):
    brightness: Property[float] = prop(0.0, writable=True, minimum=0, maximum=1)

    @slot
    async def flash(self, times: int) -> str:
        return f"flashed {times} times"


async def main(url: str) -> None:
    lamp = Lamp()
    async with (
        serve(lamp, "lamp", on=[url]),  # the host, which could be any Qt program
        connect(url, "lamp", Lamp) as replica,
        Node() as bridge,
    ):
        bridge.publish(replica, "lamp")
        (address,) = await bridge.serve("tcp://127.0.0.1:0")
        async with connect(address, "lamp", Lamp) as far:
            print("pushed:", await Lamp.brightness.push(far, 0.5), "the lamp has:", lamp.brightness)
            print("called:", await far.flash(3))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(f"local:{directory}/lamp"))
