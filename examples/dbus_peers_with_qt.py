"""D-Bus without a bus: an object here, and a PySide6 program that connects to it by itself, as another process."""

import asyncio
import sys
import tempfile

from everywire import Object, Property, i32, prop, serve, slot


class Room(Object):
    target: Property[float] = prop(21.0, writable=True)

    @slot
    async def boost(self, minutes: i32) -> i32:
        return minutes * 60


def qt_program(address: str) -> None:
    from PySide6.QtCore import QCoreApplication
    from PySide6.QtDBus import QDBusConnection, QDBusInterface

    _app = QCoreApplication([])
    peer = QDBusConnection.connectToPeer(address, "plant")
    room = QDBusInterface("", "/hall", "local.Room1", peer)
    room.setProperty("Target", 22.5)
    print("Qt reads", room.property("Target"), "and is answered", room.call("Boost", 5).arguments())


async def main(path: str) -> None:
    room = Room()
    async with serve(room, "hall", on=[f"dbus+local:{path}"]):
        child = await asyncio.create_subprocess_exec(sys.executable, __file__, f"unix:path={path}")
        await child.wait()
        print("the room has", room.target)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        qt_program(sys.argv[1]) if len(sys.argv) > 1 else asyncio.run(main(f"{directory}/plant"))
