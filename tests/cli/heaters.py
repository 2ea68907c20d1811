"""`heater.py` as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def heater(address: str, name: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run the heater as *name* on the bus at *address*, or listening there itself."""
    command = [sys.executable, str(Path(__file__).with_name("heater.py")), address, *([name] if name else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
        process.communicate(timeout=15)
