"""The objects of a service, found by introspection from a path on, and by ObjectManager where there is one.

A service may say anything: that it has itself below itself, that there is no end, or nothing at all. So depth, objects
and time are bounded, every object is asked once, and one that cannot be read costs no other.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from everywire.cli.dbus.services import REFUSED_BY_BUS, Service, is_refused_by_bus
from everywire.dbus.codec import check_path
from everywire.dbus.introspection import Interface, Node
from everywire.dbus.wire.described import is_common
from everywire.errors import EverywireError, Fault, ModelError

MOST: Final = 2000
"""Objects that are looked at."""
DEEPEST: Final = 16
"""Elements of a path below that of the first object."""
AT_ONCE: Final = 32
"""Objects that are asked at a time."""
PATIENCE: Final = 5.0
"""Seconds for one object."""
LONGEST: Final = 20.0
"""Seconds in which to begin with another object."""
OBJECT_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"


@dataclass(slots=True)
class Found:
    """An object, or a place on the way to one: then it has no interfaces."""

    path: str
    interfaces: dict[str, Interface] = field(default_factory=dict[str, Interface])
    problem: EverywireError | None = None
    """Why it could not be read."""

    @property
    def error(self) -> str:
        """The same in words."""
        if is_refused_by_bus(self.problem):
            return REFUSED_BY_BUS
        return self.problem.message if isinstance(self.problem, Fault) else str(self.problem or "")

    @property
    def own(self) -> list[str]:
        """Names of the interfaces that make it what it is."""
        return [name for name in self.interfaces if not is_common(name)]

    @property
    def shown(self) -> list[str]:
        """Names of the interfaces that are worth a word."""
        return [*self.own, *([OBJECT_MANAGER] if OBJECT_MANAGER in self.interfaces else [])]


@dataclass(slots=True)
class Walk:
    """What was found; *cut* says in words why that may not be all."""

    objects: dict[str, Found]
    cut: str = ""


async def walk(service: Service, path: str = "/", *, hurry: float | None = None) -> Walk:
    """Return the objects at *path* and below it, in the order of their paths.

    In a *hurry*, which is a number of seconds, those that answer within it.
    """
    walker = _Walker(service, path, hurry or PATIENCE, hurry or LONGEST)
    await walker.run()
    return Walk(dict(sorted(walker.found.items(), key=lambda item: item[0].split("/"))), walker.cut)


class _Walker:
    """One walk: a level of the tree after the other."""

    def __init__(self, service: Service, path: str, patience: float, longest: float) -> None:
        self._service, self._root = service, check_path(path)
        self._patience, self._longest = patience, longest
        self._level = [path]
        self._asked: set[str] = set()
        self.found: dict[str, Found] = {}
        self.cut = ""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._longest
        while self._level:
            level, self._level = self._level, []
            for begin in range(0, len(level), AT_ONCE):
                if self._asked and loop.time() > end:
                    self.cut = f"it took longer than {self._longest:g} s"
                    return
                await asyncio.gather(*map(self._look, level[begin : begin + AT_ONCE]))

    async def _look(self, path: str) -> None:
        if path in self._asked:
            return
        self._asked.add(path)
        here = self._place(path)
        if here is None:
            return
        try:
            node = await self._service.introspect(path, timeout=self._patience)
        except EverywireError as error:
            if self._service.connection.closed.done():
                raise
            here.problem = error
            return
        self._take(path, node)
        if OBJECT_MANAGER in here.interfaces:
            await self._ask_manager(path)

    def _take(self, path: str, node: Node) -> None:
        """Take what *node* says about *path* and, as some services do at once, about those below it."""
        for place, inner in node.walk():
            full = path if inner is node else _joined(path, place, node)
            found = self._place(full)
            if found is None:
                continue
            found.interfaces.update((interface.name, interface) for interface in inner.interfaces)
            if inner is not node:
                self._later(full)

    async def _ask_manager(self, path: str) -> None:
        try:
            answer = await self._service.ask(path, OBJECT_MANAGER, "GetManagedObjects", timeout=self._patience)
        except Fault:
            return
        if answer.signature != "a{oa{sa{sv}}}":
            return
        for managed, interfaces in answer.body[0].items():
            found = self._place(managed)
            if found is not None:
                for name in interfaces:
                    found.interfaces.setdefault(name, Interface(name))
                self._later(managed)

    def _place(self, path: str) -> Found | None:
        """Return the object at *path*, noting it; None where it is none of ours, or beyond what is looked at."""
        if path in self.found:
            return self.found[path]
        below = path.removeprefix(self._root.rstrip("/")).split("/")[1:] if path != self._root else []
        if path != self._root and not path.startswith(f"{self._root.rstrip('/')}/"):
            return None
        if len(below) > DEEPEST:
            self.cut = f"below {DEEPEST} levels nothing was looked at"
            return None
        if len(self.found) >= MOST:
            self.cut = f"only {MOST} objects were looked at"
            return None
        try:
            made = self.found[check_path(path)] = Found(path)
        except ModelError:
            return None
        return made

    def _later(self, path: str) -> None:
        if path not in self._asked:
            self._level.append(path)


def _joined(path: str, place: str, node: Node) -> str:
    """Return the path of a node within what was said about *path*; *place* begins at the name of the outermost."""
    outermost = node.name if node.name.startswith("/") else "/"
    below = place.removeprefix(outermost).strip("/")
    return f"{path.rstrip('/')}/{below}"
