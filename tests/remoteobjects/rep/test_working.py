"""Classes generated from a .rep file at work: as source and as replica of each other, over memory and over the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from everywire import Node, connect
from everywire.remoteobjects.generating import python_source
from everywire.remoteobjects.rep.parsing import parse
from everywire.tables import TableSource
from tests.remoteobjects.peers import QUICK
from tests.remoteobjects.rep.repc import CORPUS
from tests.remoteobjects.rep.test_generating import imported

URLS = pytest.mark.parametrize(
    "url", ["memory:{}", "local:{}/s", "local:{}/s?protocol=1.3"], ids=["memory", "QtRO 2.0", "QtRO 1.3"]
)


def module(name: str) -> Any:
    """What was generated from a file of the corpus; names are known at run time alone."""
    return imported(python_source(parse((CORPUS / f"{name}.rep").read_text())))


@URLS
async def test_slots_signals_and_overloads_of_a_generated_class(url: str, folder: Path) -> None:
    made = module("functions")

    class Source(made.Functions):  # type: ignore[misc, name-defined]
        async def words(self, intvalue: int) -> int:
            return intvalue + 1

        async def overload(self, one: int) -> None:
            self.overloaded_2.emit(one)

        async def overload_2(self, one: int, two: int) -> None:
            self.overloaded_3.emit(f"{one} {two}")

        async def references(self, text: str, number: int, bytes: bytes) -> bool:  # noqa: A002  the file's name
            return (text, number, bytes) == ("a", -1, b"\0")

        async def start(self, level: int = 3, why: str = "x", now: bool = False, speed: float = 1.5) -> None:
            self.time_updated.emit(level, int(speed * 2), int(now), len(why))

    async with Node(limits=QUICK) as node:
        node.publish(Source(), "it")
        await node.serve(url.format(folder))
        async with connect(url.format(folder), "it", made.Functions) as it:
            heard: list[tuple[object, ...]] = []
            it.overloaded.connect(lambda: heard.append(("overloaded",)))
            it.overloaded_2.connect(lambda value: heard.append((value,)))
            it.overloaded_3.connect(lambda text: heard.append((text,)))
            it.time_updated.connect(lambda *arguments: heard.append(arguments))
            assert await it.words(4000000000) == 4000000001
            assert await it.references("a", -1, b"\0") is True
            await it.overload(7)
            await it.overload_2(7, 8)
            await it.start(why="because")
            assert heard == [(7,), ("7 8",), (3, 3, 0, 7)]


@URLS
async def test_properties_with_structs_enums_and_flags(url: str, folder: Path) -> None:
    made, scoped = module("pods"), module("scoped")
    pods, flags = made.Pods(), scoped.Scoped()
    point = made.Point2(x_pos=1, y_pos=-2)
    pods.origin = point
    async with Node(limits=QUICK) as node:
        node.publish(pods, "pods")
        node.publish(flags, "flags")
        await node.serve(url.format(folder))
        async with (
            connect(url.format(folder), "pods", made.Pods) as replica,
            connect(url.format(folder), "flags", scoped.Scoped) as far,
        ):
            assert replica.origin == point
            await made.Pods.outline.push(replica, [point, point])
            assert pods.outline == replica.outline == [point, point]
            series = made.Series(name="a", lines=[], points={3: point}, quality=made.Quality.Good, note="b")
            await made.Pods.series.push(replica, {"one": series})
            assert pods.series == replica.series == {"one": series}
            await scoped.Scoped.level.push(far, scoped.Level.Deep)
            both = scoped.Options.First | scoped.Options.Third
            await scoped.Scoped.options.push(far, both)
            assert (flags.level, flags.options) == (far.level, far.options) == (scoped.Level.Deep, both)


@URLS
async def test_children_and_tables_of_a_generated_class(url: str, folder: Path) -> None:
    made = module("children")
    car = made.Car()
    car.engine, car.codriver = made.Engine(), made.Driver()
    car.engine.speed = 3.5
    car.tracks = TableSource([{"title": "Prelude"}])
    async with Node(limits=QUICK) as node:
        node.publish(car, "car")
        await node.serve(url.format(folder))
        async with connect(url.format(folder), "car", made.Car) as replica:
            assert replica.engine.speed == 3.5
            assert replica.codriver.engine is None
            await made.Driver.name.push(replica.codriver, "Ada")
            assert car.codriver.name == "Ada"
            if not url.startswith("memory"):
                assert (await replica.tracks.size_of()).rows == 1
