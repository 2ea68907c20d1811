"""Which event loops can carry links."""

from __future__ import annotations

from asyncio import AbstractEventLoop, get_running_loop

from everywire.errors import NeedsLoop


def loop_with_sockets() -> AbstractEventLoop:
    """Return the running loop; raise NeedsLoop when it is one without sockets, as PySide6.QtAsyncio's is."""
    loop = get_running_loop()
    if type(loop).__module__.startswith("PySide6.QtAsyncio"):
        raise NeedsLoop(
            "the event loop of PySide6.QtAsyncio has no sockets: leave the links to a loop in another thread, by "
            "sync.connect(…, background=True), sync.serve(…) or sync.LoopThread, or run the program on qasync's loop"
        )
    return loop
