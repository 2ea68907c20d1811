"""Running a role on the event loop that the suite chose."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def run_on(loop: str, role: Coroutine[Any, Any, None]) -> None:
    """Run *role* on `uvloop` or, for any other name, on the loop of the standard library."""
    factory = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(role)
