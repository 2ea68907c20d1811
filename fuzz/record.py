"""`python -m fuzz.record`: records sessions between us and Qt into the corpus, both ways round."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final

from everywire import Fault, Node, Object, connect, link_of
from everywire.tables import Table, TableSource
from fuzz.seeds import CORPUS
from tests.interop.cpp_programs import cpp_host, cpp_node
from tests.interop.programs import qt_program
from tests.interop.recorder import Recorder, recorded
from tests.interop.samples import Boiler, Everything
from tests.interop.test_we_use_qt_objects import VALUES

ANSWERS: Final[dict[str, Any]] = {
    "add_one": 1, "echo_big": 2**40, "echo_real": 0.5, "echo_truth": True, "echo_text": "ä", "echo_data": b"\0",
    "echo_names": ["a"], "echo_list": [1, "b"], "echo_map": {"a": 1}, "echo_variant": {"a": [None, 1.5, "x"]},
    "echo_numbers": [1, 2],
}  # fmt: skip
"""Slots of the Qt program's engine, and an argument for each."""


def kept(name: str, recorder: Recorder, version: str = "2.0") -> None:
    """Write both directions of a session."""
    for sender, said in (("node", recorder.from_node), ("host", recorder.from_host)):
        Path(CORPUS / f"{name}.{version}.{sender}").write_bytes(said)
        print(f"{name}.{version}.{sender}: {len(said)} bytes")


async def we_use_cpp(qt: str, version: str) -> None:
    """Replicas of ours, and what a C++ program says: children, structures, a model."""
    async with cpp_host(qt) as host:
        _, url = await host.ask("serve", url="tcp://127.0.0.1:0", names=["hall", "kinds", "plain", "table"])
        for name in ("hall", "kinds", "plain"):
            async with recorded(url) as recorder, connect(recorder.url, name) as replica:
                assert link_of(replica).state.name == "VALID"
                kept(f"we_use_cpp_{name}", recorder, version)
        async with recorded(url) as recorder, connect(recorder.url, "table", Table) as table:
            assert len(await table.fetch()) == 3
            await table.fetch_headers()
            await host.ask("insert", name="table", path=[], first=1, rows=[[["QString", "Gigue"], ["int", 60]]])
            await Table.row_count.wait_for(table, lambda count: count == 4)
            assert len(await table.fetch()) == 4
            kept("we_use_cpp_table", recorder, version)


async def cpp_uses_us(qt: str, version: str) -> None:
    """What a C++ program asks of a host of ours."""
    rows = TableSource([("Prelude", 90), ("Aria", 240)], columns=["title", "seconds"])
    async with Node() as node, cpp_node(qt) as program:
        node.publish(Boiler(), "boiler")
        node.publish(rows, "rows")
        (url,) = await node.serve(f"tcp://127.0.0.1:0?protocol={version}")
        async with recorded(url.partition("?")[0]) as recorder:
            await program.ask("connect", url=recorder.url)
            await program.ask("acquire", name="boiler")
            await program.hear("state", object="boiler", state="Valid")
            await program.ask("ask", name="boiler", slot="boost(int)", arguments=[["int", 3]], wait=True)
            await program.ask("acquire_model", name="rows", prefetch=True)
            await program.hear("initialized", object="rows")
            await program.ask("cell", name="rows", path=[[0, 0]], role=0)
            await program.ask("header", name="rows", section=0, orientation=1, role=0)
        kept("cpp_uses_us", recorder, version)


async def we_use_qt() -> None:
    """Replicas of ours and all that a Qt host answers them."""
    async with qt_program("host") as qt:
        _, url = await qt.ask("serve", url="tcp://127.0.0.1:0", names=["engine", "plain", "holder"])
        async with recorded(url) as recorder, connect(recorder.url, "engine") as engine:
            for name, (_, told) in VALUES.items():
                await qt.ask("set", name="engine", prop=name, value=told)
            await qt.ask("emit", name="engine", signal="fired", arguments=[["int", 3], ["str", "why"]])
            for slot, argument in ANSWERS.items():
                await getattr(engine, slot)(argument)
            with contextlib.suppress(Fault):
                await engine.broken()
            await type(engine).set_point.push(engine, 12)
            kept("we_use_engine", recorder)
        for name in ("plain", "holder"):
            async with recorded(url) as recorder, connect(recorder.url, name) as thing:
                assert await thing.add_one(1) == 2
                kept(f"we_use_{name}", recorder)


async def qt_uses_us() -> None:
    """Replicas of Qt and all that a host of ours answers them."""
    things: dict[str, Object] = {"boiler": Boiler(), "everything": Everything()}
    async with Node() as node, qt_program("node") as qt:
        for name, thing in things.items():
            node.publish(thing, name)
        (url,) = await node.serve("tcp://127.0.0.1:0")
        async with recorded(url) as recorder:
            await qt.ask("connect", url=recorder.url)
            await qt.ask("heartbeat", milliseconds=50)
            for name in things:
                await qt.ask("acquire", name=name)
                await qt.hear("state", state="Valid")
            boiler: Any = things["boiler"]
            boiler.current = 33.0
            answer = await qt.ask("ask", name="boiler", slot="boost(int)", arguments=[["int", 3]], wait=True)
            assert answer["finished"]
            await qt.ask("call", name="boiler", slot="pushSetPoint", arguments=[["float", 24.5]])
            await qt.ask("set", name="boiler", prop="setPoint", value=["float", 25.5])
            words = ["str", "enough"]
            for slot, arguments in (
                ("addHeat(double)", [["float", 5.0]]),
                ("refuse()", []),
                ("stop(QString)", [words]),
            ):
                await qt.ask("ask", name="boiler", slot=slot, arguments=arguments, wait=True)
            await asyncio.sleep(0.2)  # for a heartbeat
            await qt.ask("release", name="boiler")
            assert (await qt.ask("get", name="everything", prop="number"))[0] == "int"
        kept("qt_uses_us", recorder)


async def we_use_us() -> None:
    """What only our own ends say to each other: contracts, streams, faults."""
    async with Node() as node:
        node.publish(Boiler(), "boiler")
        (url,) = await node.serve("tcp://127.0.0.1:0")
        async with recorded(url) as recorder, connect(recorder.url, "boiler") as boiler:
            assert await boiler.boost(3) == 180
            for refused in (boiler.refuse(), boiler.fail()):
                with contextlib.suppress(Fault):
                    await refused
            assert [hour async for hour in boiler.forecast(40)][-1] == 39.0
            waiting = boiler.later()
            await asyncio.sleep(0)
            waiting.cancel()
            await boiler.stop("x")
            kept("we_use_us", recorder)


async def main() -> None:
    """Record all of them anew."""
    CORPUS.mkdir(exist_ok=True)
    for record in (we_use_qt, qt_uses_us, we_use_us):
        await record()
    for qt, version in (("Qt 6.4", "2.0"), ("Qt 5.15", "1.3")):
        await we_use_cpp(qt, version)
        await cpp_uses_us(qt, version)


if __name__ == "__main__":
    asyncio.run(main())
