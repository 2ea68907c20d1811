"""A signal emitted in one process drives a slot in another: the thermostat is here, the pump in a child process."""

import asyncio
import sys
import tempfile

from everywire import Object, Property, connect, prop, serve, signal, slot


class Thermostat(Object):
    @signal
    def overheated(self, celsius: float) -> None: ...


class Pump(Object):
    running: Property[bool] = prop(True)

    @slot
    async def stop(self) -> None:
        self.running = False


async def serve_pump(url: str) -> None:
    async with serve(Pump(), "pump", on=[url]):
        await asyncio.to_thread(sys.stdin.read)  # until the parent goes


async def main(url: str) -> None:
    room = Thermostat()
    child = await asyncio.create_subprocess_exec(sys.executable, __file__, url, stdin=asyncio.subprocess.PIPE)
    async with connect(url, "pump", Pump) as pump:
        room.overheated.connect(pump.stop)
        room.overheated.emit(31.5)
        print("running:", await Pump.running.wait_for(pump, lambda running: not running))
    await child.communicate(b"")  # closes its standard input


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(serve_pump(sys.argv[1]) if len(sys.argv) > 1 else main(f"local:{directory}/pump"))
