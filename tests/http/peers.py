"""What tests of HTTP share: an object, a served node, and a client that sees every byte. No fixtures."""

from __future__ import annotations

import asyncio
import enum
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from everywire import (
    Code,
    Fault,
    Limits,
    Node,
    Object,
    Property,
    Tokens,
    computed,
    current_call,
    prop,
    signal,
    slot,
    u8,
)
from everywire.http import Http
from everywire.http.serving import HttpServer

QUICK = Limits(drain=0.2, handshake=5.0)


class Mode(enum.Enum):
    OFF = 0
    HEAT = 1


@dataclass(frozen=True)
class Reading:
    celsius: float
    sensor: str = ""


class Thermostat(Object):
    """Keeps one room warm."""

    target: Property[float] = prop(21.0, writable=True, unit="Cel", minimum=5, maximum=35)
    current: Property[float] = prop(20.0, unit="Cel")
    mode: Property[Mode] = prop(Mode.OFF, writable=True)
    anything: Property[Any] = prop(None, writable=True)

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.seen: list[object] = []

    @computed(target, current)
    def error(self) -> float:
        return self.target - self.current

    @signal
    def overheated(self, celsius: float, sensor: str) -> None:
        """A sensor is above the limit."""

    @slot
    async def boost(self, minutes: u8 = 10) -> int:
        """Heat at full power."""
        self.seen.append(minutes)
        return minutes * 60

    @slot
    async def wait(self, answer: str = "done") -> str:
        self.seen.append("began")
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        self.seen.append("ended")
        return answer

    @slot
    async def stop(self) -> None:
        self.seen.append("stopped")

    @slot
    async def refuse(self, code: str) -> None:
        raise Fault(Code[code], "because")

    @slot
    async def crash(self) -> None:
        raise ValueError("the password is swordfish")

    @slot
    async def lie(self) -> int:
        return "much"  # type: ignore[return-value]

    @slot
    async def who(self) -> str:
        call = current_call()
        return f"{call.caller.identity} calls {call.object}.{call.member.name} over {call.caller.wire}"

    @slot
    async def echo(self, value: Any) -> Any:
        return value

    @slot
    async def describe(self, readings: list[Reading]) -> dict[str, Reading]:
        return {reading.sensor: reading for reading in readings}

    @slot(timeout=0.05)
    async def late(self) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            self.seen.append("late ended")
        return 1

    @slot
    async def readings(self, count: int, fail: bool = False) -> AsyncIterator[float]:
        try:
            for number in range(count):
                yield float(number)
            if fail:
                raise ValueError("the password is swordfish")
            if count > 3:
                await self.go.wait()
        finally:
            self.seen.append("closed")


@asynccontextmanager
async def served(
    wire: Http | str = "http://127.0.0.1:0",
    *,
    limits: Limits = QUICK,
    tokens: Tokens | None = None,
    policy: Any = None,
    **objects: Object,
) -> AsyncIterator[Served]:
    """Serve *objects* by their names for the time of the block."""
    async with Node(limits=limits, tokens=tokens, policy=policy) as node:
        for name, source in objects.items():
            node.publish(source, name)
        (url,) = await node.serve(wire)
        (server,) = node._servers
        assert isinstance(server, HttpServer)
        yield Served(node, server, url)


@dataclass
class Served:
    """A node on HTTP, and how tests reach it."""

    node: Node
    server: HttpServer
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @asynccontextmanager
    async def connection(self, context: ssl.SSLContext | None = None) -> AsyncIterator[Raw]:
        """Open one connection."""
        if self.url.startswith("http+"):
            streams = await asyncio.open_unix_connection(self.url.partition(":")[2])
        else:
            streams = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, limit=1 << 22)
        try:
            yield Raw(*streams)
        finally:
            streams[1].close()

    async def ask(
        self, line: str, *headers: str, body: Any = None, context: ssl.SSLContext | None = None, head: bool = False
    ) -> Answer:
        """Send one request on a connection of its own: a line such as ``GET /objects``."""
        async with self.connection(context) as raw:
            await raw.send(line, *headers, body=body)
            return await raw.answer(head=head or line.startswith("HEAD"))

    async def call(self, path: str, arguments: Any = None, *headers: str) -> Answer:
        """POST to a slot."""
        return await self.ask(f"POST /objects/{path}", *headers, body=[] if arguments is None else arguments)

    async def idle(self) -> None:
        """Return when no connection is left."""
        await until(lambda: not self.server._state.connections)


@dataclass
class Answer:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    lines: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        """The status and code of a problem, which it has to be."""
        assert self.headers["content-type"] == "application/problem+json", self
        told = self.json
        assert told["status"] == self.status
        assert told["type"] == "about:blank"
        assert told["title"]
        assert told["detail"]
        assert isinstance(told["may_have_run"], bool)
        return self.status, told["code"]


class Raw:
    """A connection on which tests write what they like."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, line: str, *headers: str, body: Any = None) -> None:
        """Send a request; *body* is bytes, or data that becomes JSON."""
        given = {header.partition(":")[0].lower() for header in headers}
        own = [] if "host" in given else ["Host: 127.0.0.1"]
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            if "content-type" not in given:
                own.append("Content-Type: application/json")
            if not given & {"content-length", "transfer-encoding"}:
                own.append(f"Content-Length: {len(data)}")
        else:
            data = b""
        head = "\r\n".join([f"{line} HTTP/1.1", *own, *headers, "", ""])
        self.write(head.encode("latin-1") + data)

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, *, head: bool = False) -> Answer:
        """Read one answer to its end."""
        answer = await self.head()
        if head or answer.status in (204, 304):
            return answer
        if "content-length" in answer.headers:
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        else:
            answer.body = b"".join([chunk async for chunk in self.chunks()])
        return answer

    async def head(self) -> Answer:
        """Read the head of an answer."""
        async with asyncio.timeout(10):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        lines = raw.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return Answer(int(lines[0].split()[1]), headers, lines=lines)

    async def chunk(self) -> bytes:
        """Read one chunk of a chunked body; empty at its end."""
        async with asyncio.timeout(10):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read a chunked body to its end."""
        while data := await self.chunk():
            yield data

    async def ended(self) -> bytes:
        """Read what is left until the server hangs up."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


class Events:
    """The events of an event stream."""

    def __init__(self, raw: Raw) -> None:
        self._raw, self._rest = raw, b""

    async def block(self) -> str | None:
        """Return the next block of lines; None at the end."""
        while b"\n\n" not in self._rest:
            data = await self._raw.chunk()
            if not data:
                return None
            self._rest += data
        block, _, self._rest = self._rest.partition(b"\n\n")
        return block.decode()

    async def next(self) -> Any:
        """Return the data of the next event; None at the end."""
        while (block := await self.block()) is not None:
            lines = [line.removeprefix("data: ") for line in block.split("\n") if line.startswith("data: ")]
            if lines:
                return json.loads("\n".join(lines))
        return None


async def until(condition: Callable[[], object]) -> None:
    """Return when *condition* holds; the loop turns meanwhile."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)
