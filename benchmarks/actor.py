"""One role of a suite with several processes: `python -m benchmarks.actor MODULE ROLE OPTIONS`.

MODULE is one of `benchmarks.actors`; its `ROLES` are functions of a `Stage`. A role says when it is ready, then answers
each order, one line of JSON each way, until the harness kills it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, final

from benchmarks import machine
from benchmarks.answers import Answers
from benchmarks.peer import Missing

Order = dict[str, Any]


@final
class Stage:
    """What a role plays on: its options, the orders it is given and the answers it gives."""

    def __init__(self, options: dict[str, Any], answers: Answers) -> None:
        self.options = options
        self.directory = Path(options["directory"])
        self._answers = answers

    def ready(self, *processes: int, **facts: Any) -> None:
        """Say that the role can be reached, with the facts that the harness needs, and processes that work for it."""
        self._answers.tell(ready={"processes": [os.getpid(), *processes], **facts})

    def done(self, result: Any = None) -> None:
        """Answer the last order."""
        self._answers.tell(done=result)

    @property
    def orders_from(self) -> int:
        """The descriptor that is readable when `order` has one; for the role's event loop."""
        return sys.stdin.fileno()

    def order(self) -> Order:
        """Read the next order; ends the process when the harness has gone."""
        line = sys.stdin.readline()
        if not line:
            raise SystemExit(0)
        order: Order = json.loads(line)
        return order

    def obey_in_loop(self, obey: Callable[[Order], None]) -> None:
        """Call *obey* in the running asyncio loop for each order from now on."""
        # One order is answered before the next is given, so a line never hides behind another in the buffer.
        asyncio.get_running_loop().add_reader(self.orders_from, lambda: obey(self.order()))


def main(arguments: Sequence[str]) -> None:
    """Play the role until the harness kills this process."""
    module, role, text = arguments
    options = json.loads(text)
    machine.die_with_parent()
    machine.raise_descriptor_limit()
    if options["cores"]:
        os.sched_setaffinity(0, options["cores"])
    answers = Answers.on_stdout()
    try:
        roles: dict[str, Callable[[Stage], None]] = import_module(f"benchmarks.actors.{module}").ROLES
        roles[role](Stage(options, answers))
    except ImportError as error:
        answers.tell(missing=str(error).partition(" (")[0])  # without the path of the module
    except Missing as reason:
        answers.tell(missing=str(reason))


if __name__ == "__main__":
    main(sys.argv[1:])
