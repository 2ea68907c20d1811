"""A child process whose standard input and output are a connection; its standard error is ours.

The child ends when its input ends. One that does not is asked to (SIGTERM), and killed at last. POSIX only.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

from everywire.errors import LinkError, UnsupportedPlatform
from everywire.transport.readiness import DescriptorEnds, ReadinessLink
from everywire.transport.shapes import Peer, Receiver

GRACE: Final = 2.0
"""Seconds that a child has to end after its input has, and again after SIGTERM."""
_LOOK: Final = 0.01  # seconds between looks at a child where the system has no descriptor for it


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments; never a shell's line. *env* and *cwd* are as for `subprocess.Popen`."""

    arguments: tuple[str, ...]
    env: Mapping[str, str] | None = None
    cwd: str | None = None

    @property
    def name(self) -> str:
        """The command as a shell would take it; for messages."""
        return shlex.join(self.arguments)


@final
class Child:
    """A running child; `ended` must be awaited once its connection is gone."""

    def __init__(self, command: Command, process: subprocess.Popen[bytes]) -> None:
        self.command = command
        self._process = process

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def ended(self) -> int:
        """Wait until the child has ended, which it is made to; return its exit code, negative for a signal."""
        try:
            for act in (self._process.terminate, self._process.kill):
                try:
                    async with asyncio.timeout(GRACE):
                        return await self._exited()
                except TimeoutError:
                    act()
            return await self._exited()
        except BaseException:
            self._process.kill()
            self._process.wait()  # at once, after that signal
            raise

    async def _exited(self) -> int:
        code = self._process.poll()
        if code is not None:
            return code
        if hasattr(os, "pidfd_open"):
            await _readable(os.pidfd_open(self._process.pid))
        while (code := self._process.poll()) is None:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(_LOOK)
        return code


def start(
    command: Command, receiver: Receiver, *, write_limit: int, released: Callable[[], None] | None = None
) -> tuple[ReadinessLink, Child]:
    """Start the child and run the receiver on its input and output; LinkError when it cannot be started.

    `released` is called when the connection is gone. The child runs as this process's user, which is its identity.
    """
    if os.name != "posix":
        raise UnsupportedPlatform("the input and output of a child need POSIX descriptors; use tcp://127.0.0.1:PORT")
    if not command.arguments:
        raise LinkError("a command needs at least the name of a program")
    try:
        process = subprocess.Popen(  # noqa: S603  # the program's own words, never a shell's or a peer's
            command.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=None if command.env is None else dict(command.env),
            cwd=command.cwd,
        )
    except OSError as error:
        raise LinkError(f"cannot start {command.name}: {error.strerror}") from error
    reader, writer = process.stdout, process.stdin
    assert reader is not None
    assert writer is not None
    os.set_blocking(writer.fileno(), False)

    def release() -> None:
        writer.close()
        reader.close()

    link = ReadinessLink(
        DescriptorEnds(reader.fileno(), writer.fileno(), writer.close, release),
        receiver,
        Peer(transport="stdio", uid=os.geteuid(), gid=os.getegid(), pid=process.pid, loopback=True),
        write_limit=write_limit,
        released=released,
    )
    child = Child(command, process)
    try:
        link.start()
    except BaseException:
        process.kill()
        process.wait()
        raise
    return link, child


async def _readable(descriptor: int) -> None:
    """Wait until *descriptor* is readable, and close it."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        loop.remove_reader(descriptor)
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, tell)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
