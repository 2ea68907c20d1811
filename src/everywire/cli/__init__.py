"""The command `everywire`: the common verbs for people and scripts. Not an API; programs use `everywire` itself."""

from __future__ import annotations

import sys

from everywire.errors import MissingExtra

__all__ = ("main",)


def main() -> None:
    """Run the command line of this process; exits with one of the codes of `everywire.cli.exits`."""
    try:
        from everywire.cli.command import everywire
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit(_without_extra())
    everywire(prog_name="everywire")


def _without_extra() -> int:
    print(MissingExtra("cli"), file=sys.stderr)
    return 2
