"""The application: mounted in another one below a path, alone under any server, and without a running node."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.applications import Starlette
from starlette.routing import Mount

from everywire import Node, connect
from everywire.http import asgi
from tests.http.peers import Answer, Thermostat, until
from tests.http.test_describing import TD_SCHEMA

PROGRAM = """
import asyncio
import uvicorn
from everywire import Node, Object, Property, prop, slot
from everywire.http import asgi

class Room(Object):
    target: Property[float] = prop(21.0, writable=True)
    @slot
    async def boost(self) -> int:
        return 600

node = Node()
node.publish(Room(), "hall")
app = asgi(node)
"""
MOUNTED = (
    PROGRAM
    + """
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(_):
    async with node:
        yield

things, app = app, FastAPI(lifespan=lifespan)
app.mount("/things", things)
"""
)


class Asked:
    """An application as a server calls it; the client is on this machine unless *client* says otherwise."""

    def __init__(self, app: Any, *, root: str = "", client: tuple[str, int] | None = ("127.0.0.1", 4711)) -> None:
        self.app, self.root, self.client = app, root, client

    async def __call__(self, line: str, *headers: tuple[str, str], body: bytes = b"") -> Answer:
        method, _, target = line.partition(" ")
        given = [(b"host", b"localhost"), *((n.encode(), v.encode()) for n, v in headers)]
        if body:
            given.append((b"content-type", b"application/json"))
        scope = {
            "type": "http", "method": method, "path": target, "raw_path": target.encode(), "root_path": self.root,
            "headers": given, "query_string": b"", "scheme": "http", "client": self.client, "server": ("127.0.0.1", 80),
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        pairs = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], pairs, b"".join(part["body"] for part in sent[1:]))


@asynccontextmanager
async def living(app: Any) -> AsyncIterator[list[Any]]:
    """Run the lifespan of an application around the block."""
    orders: asyncio.Queue[Any] = asyncio.Queue()
    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    orders.put_nowait({"type": "lifespan.startup"})
    task = asyncio.ensure_future(app({"type": "lifespan", "asgi": {"version": "3.0"}}, orders.get, send))
    await until(lambda: told)
    try:
        yield told
    finally:
        orders.put_nowait({"type": "lifespan.shutdown"})
        await task


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
async def test_it_mounts_below_a_path_and_its_links_stay_right(kind: Callable[..., Any]) -> None:
    async with Node() as node:
        node.publish(Thermostat(), "hall")
        outer = kind(routes=[Mount("/things", asgi(node))])
        ask = Asked(outer)
        (listed,) = (await ask("GET /things/objects")).json
        assert listed["href"] == "/things/objects/hall"
        assert (await ask(f"GET {listed['href']}/properties/target")).json == 21.0
        assert (await ask("PUT /things/objects/hall/properties/target", body=b"22")).json == 22.0
        assert (await ask("POST /things/objects/hall/slots/boost", body=b"[1]")).json == 60
        described = (await ask("GET /things/openapi.json")).json
        OpenAPIV31SpecValidator(described).validate()
        assert described["servers"] == [{"url": "/things"}]
        thing = (await ask("GET /things/.well-known/wot")).json
        jsonschema.Draft7Validator(TD_SCHEMA).validate(thing)
        assert thing["base"] == "http://localhost/things/"
        page = (await ask("GET /things/")).body.decode()
        assert 'src="/things/page.js"' in page
        assert 'data-events="/things/objects/hall/events"' in page
        assert (await ask("GET /things/nope")).problem == (404, "NOT_FOUND")
        assert (await ask("DELETE /things/objects")).problem == (405, "UNIMPLEMENTED")
        assert node.addresses == ()


async def test_a_server_may_itself_be_below_a_path() -> None:
    async with Node() as node:
        node.publish(Thermostat(), "hall")
        (listed,) = (await Asked(asgi(node), root="/a b")("GET /a b/objects")).json
        assert listed["href"] == "/a%20b/objects/hall"


async def test_objects_come_and_go_and_the_node_may_end() -> None:
    async with Node() as node:
        ask = Asked(asgi(node))
        assert (await ask("GET /objects")).json == []
        node.publish(Thermostat(), "hall")
        assert len((await ask("GET /objects")).json) == 1
        node.withdraw("hall")
        assert (await ask("GET /objects")).json == []
    assert (await ask("GET /objects")).problem == (503, "UNAVAILABLE")


async def test_who_is_not_on_this_machine_is_a_stranger() -> None:
    async with Node() as node:
        node.publish(Thermostat(), "hall")
        app = asgi(node)
        for client in (("192.0.2.7", 1), None, ("", 0), ("testclient", 50000)):
            assert (await Asked(app, client=client)("GET /objects")).json == []
        assert (await Asked(app)("GET /objects", ("x-forwarded-for", "192.0.2.7"))).json == []
        for client in (("127.0.0.1", 1), ("::1", 1), ("::ffff:127.0.0.1", 1)):
            assert len((await Asked(app, client=client)("GET /objects")).json) == 1


async def test_the_rules_for_pages_hold_there_too() -> None:
    async with Node() as node:
        node.publish(Thermostat(), "hall")
        ask = Asked(asgi(node, hosts=["plant.example"], origins=["https://panel.example"]))
        assert (await ask("GET /objects", ("origin", "http://evil.org"))).status == 403
        answer = await ask("GET /objects", ("origin", "https://panel.example"))
        assert answer.headers["access-control-allow-origin"] == "https://panel.example"


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
async def test_a_websocket_that_may_not_be_is_refused(extensions: dict[str, Any]) -> None:
    async with Node() as node:
        node.publish(Thermostat(), "hall")
        app = asgi(node)
        for path, headers in (("/objects/hall/events", [(b"origin", b"null")]), ("/objects/hall", []), ("/nope", [])):
            scope = {
                "type": "websocket", "path": path, "headers": [(b"host", b"localhost"), *headers], "scheme": "ws",
                "client": ("127.0.0.1", 1), "extensions": extensions, "root_path": "", "subprotocols": [],
            }  # fmt: skip
            sent: list[Any] = []
            await app(scope, none, recorded(sent))
            assert sent[0]["type"] == ("websocket.http.response.start" if extensions else "websocket.close")


async def none() -> Any:
    return {"type": "websocket.connect"}


def recorded(sent: list[Any]) -> Callable[[Any], Awaitable[None]]:
    async def send(message: Any) -> None:
        sent.append(message)

    return send


async def test_without_a_running_node_it_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    answer = await Asked(asgi(Node()))("GET /objects")
    assert answer.problem == (503, "UNAVAILABLE")
    assert "async with node" in answer.json["detail"]
    assert "async with node" in caplog.text


async def test_a_node_of_another_loop_is_not_used() -> None:
    node = Node()

    async def elsewhere() -> None:
        async with node:
            await asyncio.to_thread(lambda: asyncio.run(ask_it()))

    async def ask_it() -> None:
        assert (await Asked(asgi(node))("GET /objects")).problem == (503, "UNAVAILABLE")

    await elsewhere()


async def test_alone_it_runs_its_node() -> None:
    node = Node()
    node.publish(Thermostat(), "hall")
    app = asgi(node)
    async with living(app) as told:
        assert len((await Asked(app)("GET /objects")).json) == 1
    assert [message["type"] for message in told] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert node.closed


async def test_a_node_that_runs_already_is_left_to_who_runs_it() -> None:
    async with Node() as node:
        async with living(asgi(node)):
            pass
        assert not node.closed


async def test_a_node_that_cannot_run_fails_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async with Node() as node:
        pass
    async with living(asgi(node)) as told:
        assert told[0]["type"] == "lifespan.startup.failed"
    assert "cannot run" in caplog.text


@pytest.mark.parametrize("program, path", [(PROGRAM, ""), (MOUNTED, "/things")])
async def test_a_real_server_runs_it_by_hand(tmp_path: Path, program: str, path: str) -> None:
    (tmp_path / "plant.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "-m", "uvicorn", "plant:app", "--port", "0", "--log-level", "info"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            line = ""
            while "running on" not in line:
                line = await asyncio.to_thread(server.stderr.readline)
                assert line, "the server has ended"
            url = line.split()[-5] + path
            async with connect(url, "hall") as room:
                assert room.target == 21.0
                assert await room.boost() == 600
                await type(room).target.push(room, 25.0)
                await until(lambda: room.target == 25.0)
        finally:
            server.terminate()
            rest = await asyncio.to_thread(server.stderr.read)
        assert "Traceback" not in rest
