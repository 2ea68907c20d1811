"""Our Qt programs in C++ as child processes of a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tests.interop.building import qt_programs
from tests.programs import Program, program

__all__ = ("cpp_host", "cpp_node")


def cpp_host(qt: str) -> AbstractAsyncContextManager[Program]:
    """A program of *qt* ("Qt 6.4", "Qt 5.15") that offers objects."""
    return _running(qt, "qtro_host")


def cpp_node(qt: str) -> AbstractAsyncContextManager[Program]:
    """A program of *qt* that uses objects."""
    return _running(qt, "qtro_node")


@asynccontextmanager
async def _running(qt: str, name: str) -> AsyncIterator[Program]:
    folder = await asyncio.to_thread(qt_programs, qt)
    async with program(f"{name} of {qt}", folder / name, advice="") as running:
        yield running
