"""Compiling a peer that is written in C: once per source and flags, as a shared library for ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.peer import Missing

FLAGS: Final = ("-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
CACHE: Final = Path(__file__).parent / ".cache"


def library(source: Path) -> ctypes.CDLL:
    """The compiled source, from the cache unless source or flags have changed. Raises Missing without a compiler."""
    key = hashlib.sha256(source.read_bytes() + " ".join(FLAGS).encode() + os.uname().machine.encode()).hexdigest()
    built = CACHE / f"{source.stem}-{key[:16]}.so"
    if not built.exists():
        _compile(source, built)
    return ctypes.CDLL(str(built))


def _compile(source: Path, built: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("there is no C compiler: no program cc")
    CACHE.mkdir(exist_ok=True)
    # Built beside its place and moved there: server and client may both get here, and neither may load half a file.
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        fresh = Path(directory) / built.name
        done = subprocess.run([compiler, *FLAGS, "-o", fresh, source], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"cc refused {source.name}: {done.stderr.strip().splitlines()[-1]}")
        fresh.replace(built)
