"""Programs that tests start as processes of their own; they speak by lines on standard output."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PATHS = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'src')!r}]\n"

LISTEN = """
import asyncio
from everywire.transport import listen
from tests.transport.receivers import echo

async def main():
    async with listen(sys.argv[1], echo):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""

FEW_DESCRIPTORS = """
import asyncio, logging, os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
from everywire.transport import accepting, listen
from tests.transport.receivers import echo
from tests.harness import loop_factory

class Tell(logging.Handler):
    def emit(self, record):
        print("exhausted" if "cannot accept" in record.getMessage() else "odd", flush=True)

async def main():
    logging.getLogger("everywire.transport").addHandler(Tell())
    accepting._REST = float(sys.argv[3])
    loop = asyncio.get_running_loop()
    async with listen(sys.argv[1], echo):
        hoard = [os.open(os.devnull, os.O_RDONLY) for _ in range(int(sys.argv[4]))]
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        for descriptor in hoard:
            os.close(descriptor)
        await loop.run_in_executor(None, sys.stdin.read)

with asyncio.Runner(loop_factory=loop_factory(sys.argv[2])) as runner:
    runner.run(main())
"""

STARTERS = """
import asyncio, os
from everywire.errors import AddressInUse
from everywire.transport.local_names import claim

path, count = sys.argv[1], int(sys.argv[2])
start, answers, stop = os.pipe(), os.pipe(), os.pipe()

def starter():
    os.close(start[1]); os.close(stop[1])
    os.read(start[0], 1)
    try:
        name = asyncio.run(claim(path))
    except AddressInUse:
        os.write(answers[1], b"r")
        return
    except BaseException:
        os.write(answers[1], b"!")
        raise
    os.write(answers[1], b"w")
    os.read(stop[0], 1)
    name.release()

children = []
for _ in range(count):
    child = os.fork()
    if not child:
        starter()
        os._exit(0)
    children.append(child)
os.close(start[1])
told = b""
while len(told) < count:
    told += os.read(answers[0], count)
os.close(stop[1])
for child in children:
    os.waitpid(child, 0)
print(told.decode())
"""

STDIO = """
import asyncio
from everywire.transport import open_stream
from tests.harness import loop_factory

async def main():
    async with open_stream("stdio:") as stream:
        print("a stray line")
        while data := await stream.read():
            await stream.write(data.upper())
        await stream.write(repr(input if stream.peer.uid else stream.peer.transport).encode())

with asyncio.Runner(loop_factory=loop_factory(sys.argv[1])) as runner:
    runner.run(main())
"""

STDIO_ACCEPT = """
import asyncio
from everywire.errors import AddressInUse
from everywire.transport import accept, listen
from tests.transport.receivers import Accepted

async def main():
    served = asyncio.Event()
    async def handler(stream):
        await stream.write(await stream.read_exactly(3))
        served.set()
    async with listen("stdio:", handler) as listener:
        assert (listener.url, listener.refused) == ("stdio:", 0)
        try:
            await accept("stdio:", Accepted())
        except AddressInUse as error:
            sys.stderr.write(str(error))
        await served.wait()

asyncio.run(main())
"""


def command(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-c", PATHS + program, *map(str, arguments)]


@contextmanager
def started(program: str, *arguments: object) -> Generator[subprocess.Popen[str]]:
    """A running program that has said "ready"."""
    with subprocess.Popen(
        command(program, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


async def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return await asyncio.to_thread(process.stdout.readline)
