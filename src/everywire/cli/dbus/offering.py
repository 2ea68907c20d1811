"""What there is to type next on D-Bus: names on a bus, paths, members. Asks, and starts and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from everywire.cli.dbus.addresses import BusUrl, parse
from everywire.cli.dbus.listing import rows_of
from everywire.cli.dbus.names import holders
from everywire.cli.dbus.objects import BusObject, look
from everywire.cli.dbus.services import on_bus, reached
from everywire.cli.dbus.walking import walk
from everywire.dbus.wire.names import path_of
from everywire.model import Kind, Member

Words = Mapping[str, Any]
Pairs = list[tuple[str, str]]
"""Words to type, each with what it means."""

PATIENCE: Final = 0.3
"""Seconds for one object: what has not answered then is left out."""
BUSES: Final = ("dbus:session", "dbus:system")


async def bus_names(url: str) -> Pairs:
    """Return the names on the bus at *url*, each with the process that has it."""
    async with on_bus(parse(url), 0) as connection:
        found = await holders(connection)
    return [(each.name, each.process if each.owner else "starts when it is called") for each in found]


async def objects(words: Words, incomplete: str) -> Pairs:
    """Return the objects of a service: those of ours by name, unless a path was begun, others by path."""
    url = parse(words["url"])
    async with reached(url, 0, start=False) as service:
        found = await walk(service, url.path or "/", hurry=PATIENCE)
    told = [(name, doc or cls) for name, cls, doc in rows_of(found, url)]
    by_path = [(here.path, ", ".join(here.own)) for here in found.objects.values() if here.own]
    return by_path if incomplete.startswith("/") else told


async def paths(words: Words) -> Pairs:
    """Return the paths of a service's objects."""
    url = parse(words["url"])
    async with reached(url, 0, start=False) as service:
        found = await walk(service, "/", hurry=PATIENCE)
    return [(path, ", ".join(here.own)) for path, here in found.objects.items()]


async def contract(words: Words) -> dict[str, Member]:
    """Return the members of the object that is meant, by every name that they go by here."""
    found = await _looked(parse(words["url"]), words["object_name"])
    by_name = {each.name: each.member for each in found.of_kind(*Kind)}
    wire: dict[str, list[Member]] = {}
    for each in found.of_kind(*Kind):
        by_name[each.full_name] = each.member
        wire.setdefault(each.place.name, []).append(each.member)
    return {**{name: several[0] for name, several in wire.items() if len(several) == 1}, **by_name}


def wanted_names(members: Mapping[str, Member], incomplete: str) -> Iterator[tuple[str, Member]]:
    """Yield the names to offer: Python's, or where one of D-Bus was begun those of D-Bus."""
    for name, member in members.items():
        full, own = "." in name, name == member.name
        if own or ("." in incomplete and full) or (incomplete[:1].isupper() and not full):
            yield name, member


async def _looked(url: BusUrl, name: str) -> BusObject:
    async with reached(url, 0, start=False) as service:
        return await look(service, path_of(name, url.base))


__all__ = ("BUSES", "bus_names", "contract", "objects", "paths", "wanted_names")
