"""A D-Bus service until Ctrl-C, for `busctl --user`, `gdbus`, QtDBus and `everywire show`."""

import asyncio
import contextlib
import sys
from dataclasses import dataclass

from everywire import Code, Fault, Object, Property, prop, serve, slot, u8


@dataclass(frozen=True)
class Color:
    red: u8
    green: u8
    blue: u8


class Lamp(Object):
    """A lamp of any color."""

    brightness: Property[float] = prop(0.0, writable=True, minimum=0, maximum=1)
    color: Property[Color] = prop(Color(255, 255, 255), writable=True)

    @slot
    async def flash(self, times: u8 = 3) -> tuple[u8, str]:
        if not self.brightness:
            raise Fault(Code.FAILED_PRECONDITION, "the lamp is off")
        return times, "as wanted"


async def main(url: str) -> None:
    async with serve(Lamp(), "hall", on=[url]) as node:
        print("hall is served at", *node.addresses, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "dbus:session?service=org.acme.Lights"))
