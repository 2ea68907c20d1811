"""Qt programs as child processes of a test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.programs import Program as QtProgram
from tests.programs import program

__all__ = ("QtProgram", "qt_program")

PEERS: Final = Path(__file__).parent / "peers"
ADVICE: Final = "`make demo QT=1` installs PySide6; QtCore and QtNetwork need libglib2.0-0 and libegl1 on Debian"


@asynccontextmanager
async def qt_program(name: str, *arguments: str) -> AsyncIterator[QtProgram]:
    """Run the peer *name* (see `peers/`) until the end of the block."""
    command = (sys.executable, "-X", "faulthandler", PEERS / f"{name}.py", *arguments)
    async with program(name, *command, advice=f"no Qt program, no interoperability test: {ADVICE}") as running:
        yield running
