"""`everywire tree`: the objects of a service, or of all services on a bus, with their interfaces."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from everywire.cli.dbus.addresses import BusUrl, parse
from everywire.cli.dbus.names import holders
from everywire.cli.dbus.services import Service, on_bus, reached, told
from everywire.cli.dbus.walking import Found, Walk, walk
from everywire.cli.printing import columns, on_terminal, print_json, styled
from everywire.cli.values import to_text, visible

GAP: Final = 2
WIDEST: Final = 64
"""Columns of a path beside which interfaces still stand in their column."""
LEAST: Final = 24
"""Columns that interfaces have at least beside their path."""


async def tree(url: str, path: str | None, *, timeout: float, json: bool) -> None:
    """Print the objects of a service, or of every service on a bus, at *path* and below it."""
    where = parse(url)
    if where.is_bus and not where.service:
        await _forest(where, path or "/", timeout=timeout, json=json)
        return
    async with reached(where, timeout) as service:
        found = await walk(service, path or where.path or "/")
        tell_unreadable(service, found)
    if json:
        print_json(_plain(found))
    else:
        print("\n".join(lines(found.objects)), flush=True)
    tell_cut(found, url)


async def _forest(url: BusUrl, path: str, *, timeout: float, json: bool) -> None:
    """Print the trees of all services that run; one that cannot be read costs no other."""
    trees: dict[str, Any] = {}
    async with on_bus(url, timeout) as connection:
        for holder in await holders(connection):
            if not holder.owner:
                continue
            service = Service(connection, BusUrl(url.url, url.address, url.is_bus, holder.name), start=False)
            found = await walk(service, path)
            if json:
                trees[holder.name] = _plain(found)
                continue
            print(styled(visible(holder.name), bold=True))
            print(textwrap.indent("\n".join(lines(found.objects)), "  "), end="\n\n", flush=True)
            tell_cut(found, f"{url.url}?service={holder.name}")
    if json:
        print_json(trees)


def tell_unreadable(service: Service, found: Walk) -> None:
    """Raise the error of a service of which nothing could be read."""
    (first, *others) = found.objects.values()
    if first.problem is not None and not others:
        raise told(service, first.problem)


def tell_cut(found: Walk, url: str) -> None:
    """Say on the standard error why this may not be all."""
    if found.cut:
        advice = f"name a path to see a part: everywire tree '{url}' PATH"
        print(f"everywire: this is not all: {found.cut}; {advice}", file=sys.stderr)


def _plain(found: Walk) -> list[dict[str, Any]]:
    return [
        {"path": here.path, "interfaces": [*here.interfaces], **({"error": here.error} if here.error else {})}
        for here in found.objects.values()
    ]


# ----------------------------------------------------------------------------------------------------------- drawing
def lines(objects: Mapping[str, Found]) -> Iterator[str]:
    """Yield the lines that show *objects* as a tree; paths are whole, to be copied."""
    children = _children(objects)
    root = next(iter(objects))
    while len(children.get(root, ())) == 1 and not _says(objects.get(root)):
        (root,) = children[root]  # a way without crossings and without anything to see
    drawn = list(_drawn(root, children, "", ""))
    broad = min(WIDEST, max(len(stem) + len(path) for stem, _, path in drawn))
    for stem, below, path in drawn:
        yield from _line(stem, below, path, objects.get(path), broad)


def _children(objects: Mapping[str, Found]) -> dict[str, list[str]]:
    """Return the paths below each path, with the places between that nobody told of."""
    root = next(iter(objects))
    children: dict[str, list[str]] = {}
    for path in objects:
        below = path
        while below != root:
            above = below.rpartition("/")[0] or "/"
            inner = children.setdefault(above, [])
            if below in inner:
                break
            inner.append(below)
            below = above
    return children


def _drawn(path: str, children: Mapping[str, list[str]], stem: str, below: str) -> Iterator[tuple[str, str, str]]:
    """Yield what stands before each path, before further lines of it, and the path."""
    inner = sorted(children.get(path, ()))
    yield stem, below + ("│  " if inner else "   "), path
    for place, child in enumerate(inner):
        last = place == len(inner) - 1
        yield from _drawn(child, children, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))


def _line(stem: str, below: str, path: str, found: Found | None, broad: int) -> Iterator[str]:
    words = _words(found)
    beside = columns() - broad - GAP
    head = styled(stem, dim=True) + visible(path)
    if not words:
        yield head
        return
    if len(stem) + len(path) > broad or (on_terminal() and beside < LEAST):
        yield head
        yield from (f"{styled(below, dim=True)}   {styled(word, fg='cyan')}" for word in words)
        return
    room = beside if on_terminal() else sys.maxsize  # each object on one line, for grep
    first, *others = textwrap.wrap(", ".join(words), max(room, LEAST), break_on_hyphens=False, break_long_words=False)
    gap = " " * (broad - len(stem) - len(path) + GAP)
    yield f"{head}{gap}{styled(first, fg='cyan')}"
    for line in others:
        yield f"{styled(below.ljust(broad), dim=True)}{' ' * GAP}{styled(line, fg='cyan')}"


def _words(found: Found | None) -> list[str]:
    if found is None:
        return []
    return [f"({to_text(found.error)})"] if found.error else [visible(name) for name in found.shown]


def _says(found: Found | None) -> bool:
    return bool(_words(found))
