"""A real browser: our page follows values, and a page of another origin can neither read nor change anything."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from everywire.http.guarding import Rules
from tests.http.conftest import Trail
from tests.http.peers import Served, Thermostat, served

pytestmark = [pytest.mark.interop, pytest.mark.soak, pytest.mark.timeout(120)]

ATTACK = """<!doctype html><title>evil</title><pre id="told"></pre>
<script>
const target = "TARGET", told = {};
const attempt = async (name, act) => {
  try { told[name] = String(await act()); } catch (e) { told[name] = "blocked"; } };
const send = (method, path, type, body) => fetch(target + path, { method, body,
  mode: type === "application/json" ? "cors" : "no-cors", headers: { "Content-Type": type } })
  .then(answer => answer.type + " " + answer.status);
const listens = make => new Promise((resolve, reject) => {
  const it = make(); it.onopen = () => resolve("open"); it.onmessage = () => resolve("heard"); it.onerror = reject; });
(async () => {
  await attempt("read", () => fetch(target + "/objects").then(answer => answer.text()));
  await attempt("json", () => send("POST", "/objects/hall/slots/stop", "application/json", "[]"));
  await attempt("put", () => send("PUT", "/objects/hall/properties/target", "application/json", "30"));
  await attempt("text", () => send("POST", "/objects/hall/slots/stop", "text/plain", "[]"));
  await attempt("form", () => send("POST", "/objects/hall/slots/stop", "application/x-www-form-urlencoded", "a=[]"));
  await attempt("beacon", () => navigator.sendBeacon(target + "/objects/hall/slots/stop", "[]"));
  await attempt("events", () => listens(() => new EventSource(target + "/objects/hall/events")));
  await attempt("socket", () => listens(() =>
    new WebSocket(target.replace("http", "ws") + "/objects/hall/events", "everywire.v1")));
  await attempt("script", () => new Promise((resolve, reject) => { const it = document.createElement("script");
    it.onload = () => resolve("loaded"); it.onerror = reject; it.src = target + "/objects";
    document.head.append(it); }));
  await attempt("image", () => new Promise((resolve, reject) => { const it = new Image();
    it.onload = () => resolve("loaded"); it.onerror = reject; it.src = target + "/objects/hall/slots/stop"; }));
  document.getElementById("told").textContent = JSON.stringify(told);
  document.title = "done";
})();
</script>"""


@asynccontextmanager
async def foreign_page(page: str) -> AsyncIterator[str]:
    """Serve a page from an origin that is not ours."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # a browser opens connections to spare
            await reader.readuntil(b"\r\n\r\n")
        body = page.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Browser:
    """A browser without a window, told what to do over its own WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, count(1)

    async def ask(self, method: str, session: str = "", **settings: Any) -> Any:
        """Send one command and return its answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": settings, **({"sessionId": session} if session else {})}
        await self._socket.send(json.dumps(message))
        while True:
            told = json.loads(await self._socket.recv())
            if told.get("id") == number:
                return told.get("result", {})

    async def see(self, url: str, until: str, then: str) -> Any:
        """Open a page, wait until the expression *until* is true in it, and return the expression *then*."""
        target = await self.ask("Target.createTarget", url=url)
        session = (await self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True))["sessionId"]
        look = f"(() => {{ try {{ return {until} ? [{then}] : null; }} catch {{ return null; }} }})()"
        while True:
            answer = await self.ask("Runtime.evaluate", session, expression=look, returnByValue=True)
            found = answer.get("result", {}).get("value")  # none while the page is on its way
            if found:
                return found[0]


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Browser]:
    """Run a browser for the time of the block."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "these tests need chromium: tools/debian.sh chromium:chromium"
    settings = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    settings.append(f"--user-data-dir={profile}")
    process = await asyncio.create_subprocess_exec(program, *settings, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        line = b""
        while b"DevTools listening on " not in line:
            line = await process.stderr.readline()
            assert line, "the browser has ended"
        url = line.decode().rpartition(" ")[2].strip()
        async with connect(url, max_size=None, proxy=None) as socket:
            yield Browser(socket)
    finally:
        process.kill()
        await process.communicate()


async def attack(host: Served, browser: Browser, *, allow: bool = False) -> dict[str, Any]:
    """Return what a page of another origin got."""
    async with foreign_page(ATTACK.replace("TARGET", host.url)) as url:
        if allow:
            host.server.rules = Rules(bound="127.0.0.1", origins=[url])
        told = await browser.see(url, "document.title === 'done'", "document.getElementById('told').textContent")
    return json.loads(told)  # type: ignore[no-any-return]


async def test_a_foreign_page_can_neither_read_nor_change_nor_listen(tmp_path: Path, trail: Trail) -> None:
    room = Thermostat()
    async with served(hall=room) as host, browsing(tmp_path) as browser:
        got = await attack(host, browser)
    readable = {name for name, what in got.items() if what not in ("blocked", "opaque 0")}
    assert readable <= {"beacon"}  # which only says that it was sent
    assert room.seen == []
    assert room.target == 21.0
    assert "origin" in {line["denied"] for line in trail.take()}


async def test_an_allowed_page_can(tmp_path: Path) -> None:
    room = Thermostat()
    async with served(hall=room) as host, browsing(tmp_path) as browser:
        got = await attack(host, browser, allow=True)
    assert got["read"].startswith('[{"name":"hall"')
    assert (got["json"], got["put"]) == ("cors 204", "cors 200")
    assert (got["events"], got["socket"]) == ("open", "open")
    assert room.seen == ["stopped"]  # by JSON, and not by the forms and texts
    assert room.target == 30.0


async def test_our_page_shows_values_as_they_change(tmp_path: Path) -> None:
    room = Thermostat()
    async with served(hall=room) as host, browsing(tmp_path) as browser:

        async def live() -> None:
            while not host.server.links:
                await asyncio.sleep(0)
            room.target = 33.0
            room.overheated.emit(44.5, "<b>roof</b>")

        changing = asyncio.ensure_future(live())
        cell = "document.querySelector('[data-member={}]').textContent"
        page = f"http://localhost:{host.port}/"
        signal = await browser.see(page, f"{cell.format('overheated')} !== ''", cell.format("overheated"))
        await changing
        assert signal == '[44.5,"<b>roof</b>"]'
        bold = "document.querySelectorAll('b').length"
        live = "document.querySelector('[data-state]').textContent === 'live'"
        assert await browser.see(page, live, bold) == 0
        untouched = f"[{cell.format('target')}, document.querySelectorAll('.new').length]"
        assert await browser.see(page, live, untouched) == ["33.0", 0]  # what has not changed does not flash
