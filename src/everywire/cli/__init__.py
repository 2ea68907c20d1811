"""The command `everywire`: the common verbs for people and scripts. Not an API; programs use `everywire` itself."""

from __future__ import annotations

import os
import signal
import sys

__all__ = ("main",)


def main() -> None:
    """Run the command line of this process; exits with one of the codes of `everywire.cli.exits`."""
    # First of all, before anything is imported: there is nothing to close yet. Behind `&` in a script it is ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_at_once)
    from everywire.cli.ending import guarded

    sys.exit(guarded(_command))


def _end_at_once(number: int, _: object) -> None:
    os._exit(128 + number)


def _command() -> None:
    try:
        from everywire.cli.command import everywire
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        from everywire.errors import MissingExtra

        print(MissingExtra("cli"), file=sys.stderr)
        sys.exit(2)
    everywire(prog_name="everywire")
