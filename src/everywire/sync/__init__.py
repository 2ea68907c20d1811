"""For programs without an event loop: replicas in a plain script, in any thread, and in a notebook.

```python
with sync.connect("local:climate", "hall", Thermostat) as room:
    print(room.current, sync.run(room.boost(5)))
```

Signals and changes are heard, by the same `connect` and `on_change`, while the calling thread is in `run`, reads a
property, or is in `process`; there is no other thread that could call anything. Where a thread with a loop is needed
after all, `background=True`, `serve` and `LoopThread` have one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from everywire.sync.connecting import connect
    from everywire.sync.running import descriptor, iterate, process, run, spawn, until
    from everywire.sync.serving import serve
    from everywire.sync.threads import LoopThread

_MODULES: Final = {
    "LoopThread": "everywire.sync.threads",
    "connect": "everywire.sync.connecting",
    "descriptor": "everywire.sync.running",
    "iterate": "everywire.sync.running",
    "process": "everywire.sync.running",
    "run": "everywire.sync.running",
    "serve": "everywire.sync.serving",
    "spawn": "everywire.sync.running",
    "until": "everywire.sync.running",
}

__all__ = ("LoopThread", "connect", "descriptor", "iterate", "process", "run", "serve", "spawn", "until")


if not TYPE_CHECKING:  # for checkers a name that is not here is an error

    def __getattr__(name: str) -> Any:
        module = _MODULES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(module), name)
        globals()[name] = value
        return value
