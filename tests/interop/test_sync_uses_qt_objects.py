"""A program without a loop uses the objects of a real Qt program: PySide6's host, over local, abstract and TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from everywire import Code, Fault, Object, Property, ReplicaState, i32, link_of, prop, signal, slot, sync
from tests.interop.programs import qt_program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]


class Engine(Object):
    set_point: Property[i32] = prop(0, writable=True)
    level: Property[float] = prop(0.0)
    note: Property[str] = prop("", writable=True)

    @signal
    def fired(self, count: i32, why: str) -> None: ...

    @slot
    async def add_one(self, number: i32) -> i32: ...  # type: ignore[empty-body]

    @slot
    async def echo_text(self, value: str) -> str: ...  # type: ignore[empty-body]


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a blocking program beside the loop that talks to the Qt program."""
    return await asyncio.to_thread(function, *arguments)


@pytest.mark.parametrize("transport", ["local", "localabstract", "tcp"])
@pytest.mark.parametrize("background", [False, True], ids=["own_socket", "background"])
async def test_a_script_uses_a_qt_source(tmp_path: Path, transport: str, background: bool) -> None:
    address = "tcp://127.0.0.1:0" if transport == "tcp" else f"{transport}:{tmp_path}/qt"
    loop = asyncio.get_running_loop()
    async with qt_program("host") as qt:
        _, url = await qt.ask("serve", url=address, names=["engine"])

        def tell(signal_name: str, *arguments: Any) -> None:
            request = qt.ask("emit", name="engine", signal=signal_name, arguments=list(arguments))
            asyncio.run_coroutine_threadsafe(request, loop).result(10)

        def change(value: Any) -> None:
            request = qt.ask("set", name="engine", prop="setPoint", value=value)
            asyncio.run_coroutine_threadsafe(request, loop).result(10)

        def program() -> None:
            with sync.connect(url, "engine", Engine, background=background) as engine:
                assert (engine.set_point, engine.level, engine.note) == (5, 1.5, "free")
                assert [sync.run(call) for call in [engine.add_one(n) for n in range(64)]] == list(range(1, 65))
                assert sync.run(engine.echo_text("zwölf")) == "zwölf"
                assert sync.run(Engine.set_point.push(engine, 7)) == 7
                assert sync.run(Engine.note.push(engine, "written")) == "written"
                changes, heard = list[int](), sync.iterate(engine.fired, timeout=10)
                Engine.set_point.on_change(engine, changes.append)
                change(["int", 9])
                tell("fired", ["int", 3], ["str", "smoke"])
                assert next(heard) == (3, "smoke")
                assert (changes, engine.set_point) == ([9], 9)

        await in_thread(program)


async def test_a_script_knows_a_qt_source_without_its_class(tmp_path: Path) -> None:
    async with qt_program("host") as qt:
        _, url = await qt.ask("serve", url=f"local:{tmp_path}/qt", names=["plain"])

        def program() -> None:
            with sync.connect(url, "plain") as plain:
                assert sync.run(plain.loud("hush")) == "HUSH"
                assert sync.run(plain.add_one(1)) == 2
                assert plain.fixed == "stone"

        await in_thread(program)


async def test_a_qt_program_that_is_killed_and_started_again_is_found(tmp_path: Path) -> None:
    url = f"local:{tmp_path}/qt"
    loop = asyncio.get_running_loop()
    async with qt_program("host") as first:
        await first.ask("serve", url=url, names=["engine"])

        def lose_and_find(again: Any) -> None:
            with sync.connect(url, "engine", Engine) as engine:
                assert sync.run(engine.add_one(1)) == 2
                asyncio.run_coroutine_threadsafe(first.kill(), loop).result(10)
                with pytest.raises(Fault) as caught:
                    sync.run(engine.add_one(1))
                assert caught.value.code is Code.UNAVAILABLE
                asyncio.run_coroutine_threadsafe(again.ask("serve", url=url, names=["engine"]), loop).result(10)
                sync.until(lambda: link_of(engine).state is ReplicaState.VALID, 10)
                assert sync.run(engine.add_one(1)) == 2

        async with qt_program("host") as second:
            await in_thread(lose_and_find, second)
