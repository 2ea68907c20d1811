"""`everywire list` on D-Bus: the names on a bus; of a service its objects, by path or, where they are ours, by name."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from typing import Final

from everywire.cli.dbus.addresses import BusUrl, parse
from everywire.cli.dbus.names import list_names
from everywire.cli.dbus.objects import EVERYWIRE
from everywire.cli.dbus.services import reached
from everywire.cli.dbus.trees import tell_cut, tell_unreadable
from everywire.cli.dbus.walking import Found, Walk, walk
from everywire.cli.printing import columns, on_terminal, print_json, print_table, styled
from everywire.cli.values import visible
from everywire.dbus.wire.described import described
from everywire.dbus.wire.names import name_of
from everywire.errors import ModelError

GAPS: Final = 6
"""Columns between the three of a table."""
LEAST: Final = 20
"""Columns that a description has at least."""


async def list_on_bus(url: str, *, timeout: float, json: bool, unique: bool, activatable: bool) -> None:
    """Print the names on a bus, or the objects of a service."""
    where = parse(url)
    if where.is_bus and not where.service:
        await list_names(where, timeout=timeout, json=json, unique=unique, activatable=activatable)
        return
    if unique or activatable:
        raise ModelError(f"--unique and --activatable are for the names on a bus: everywire list {where.url}")
    async with reached(where, timeout) as service:
        found = await walk(service, where.path or "/")
        tell_unreadable(service, found)
    objects = [here for here in found.objects.values() if here.own]
    rows = rows_of(found, where)
    if json:
        print_json(
            [
                {"name": name, "class": cls, "doc": doc, "path": here.path, "interfaces": [*here.interfaces]}
                for (name, cls, doc), here in zip(rows, objects, strict=True)
            ]
        )
    else:
        print_objects(rows)
    tell_cut(found, url)
    if not objects:
        print(f"everywire: {service.title} shows no objects that you may see", file=sys.stderr)


def print_objects(rows: Sequence[tuple[str, str, str]]) -> None:
    """Print a table of objects; where a terminal is too narrow for whole names, a block for each."""
    beside = max((len(word) for _, cls, _ in rows for word in cls.split()), default=0)
    about = LEAST if any(doc for _, _, doc in rows) else 0
    if not on_terminal() or max((len(name) for name, _, _ in rows), default=0) + beside + about + GAPS <= columns():
        print_table(("OBJECT", "CLASS", "DESCRIPTION"), rows, whole="OBJECT")
        return
    for name, cls, doc in rows:
        print(styled(visible(name), bold=True))
        print("".join(f"    {styled(visible(word), fg='cyan')}\n" for word in cls.split(", ")), end="", flush=True)
        print("".join(f"    {line}\n" for line in textwrap.wrap(visible(doc), max(columns() - 4, LEAST))), end="")


def rows_of(found: Walk, url: BusUrl) -> list[tuple[str, str, str]]:
    """Return name, class and description of each object that has interfaces of its own."""
    objects = [here for here in found.objects.values() if here.own]
    return [(_name(here, url.base), _class(here), _doc(here)) for here in objects]


def _name(here: Found, base: str) -> str:
    """Return the name of an object of ours, the path of any other."""
    return name_of(here.path, base) if EVERYWIRE in here.interfaces else here.path


def _class(here: Found) -> str:
    """Return what an object of ours is; of any other its interfaces."""
    if EVERYWIRE in here.interfaces:
        return described(here.interfaces[name] for name in here.own).contract.name
    return ", ".join(here.own)


def _doc(here: Found) -> str:
    docs = (here.interfaces[name].doc for name in here.own)
    return next((doc.strip().partition("\n")[0] for doc in docs if doc.strip()), "")
