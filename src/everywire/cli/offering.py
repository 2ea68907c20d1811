"""What there is to type next: URLs, objects, members, values. Looks and never acts; every failure is an empty answer.

Each public function takes the words that click has read so far and the unfinished one.
"""

from __future__ import annotations

import ast
import asyncio
import logging
import os
import socket
import stat
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from everywire.cli.dbus.addresses import is_dbus, is_path
from everywire.cli.reaching import contract_at, opened
from everywire.cli.values import visible
from everywire.model import Contract, Kind, Member
from everywire.model.types import BOOL, EnumType, OptionalOf, Type
from everywire.runtime.wires import IMPLIED

BUDGET: Final = 1.0
"""Seconds for a connection."""
MOST: Final = 500
"""Offers that a person may still want to read; directory entries and files that are looked at."""
LARGEST_SOURCE: Final = 200_000
SCHEMES: Final = frozenset({*IMPLIED, "http+local", "dbus+local"})
"""Beginnings of addresses; beside those that imply their wire, the Unix sockets of HTTP and D-Bus."""
_OFFERED: Final = SCHEMES | {"qtro+ws", "qtro+wss"}

Words = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing to type; with *more* the same word goes on after it."""

    text: str
    help: str = ""
    more: bool = False


# -------------------------------------------------------------------------------------------------------------- URLs
def urls(_: Words, incomplete: str) -> Iterator[Offer]:
    """Yield schemes, and what seems to listen on this machine under the one that was typed."""
    scheme, colon, rest = incomplete.partition(":")
    if not colon:
        for known in sorted(_OFFERED - {"memory", "stdio"}):
            yield Offer(_begin(known), more=True)
    elif scheme == "dbus":
        yield from _on_bus(incomplete)
    elif scheme.endswith("local"):
        for offer in _paths(rest) if rest.startswith("/") else _socket_names():
            yield Offer(f"{scheme}:{offer.text}", more=offer.more)
    elif scheme == "localabstract":
        for name in sorted(_abstract_names()):
            yield Offer(f"{scheme}:{name}")
    elif _has_port(scheme):
        for port in sorted(_listening_ports()):
            yield Offer(f"{scheme}://127.0.0.1:{port}")


def places(_words: Words, _: str) -> Iterator[Offer]:
    """Yield beginnings of addresses to listen at."""
    for known in sorted(_OFFERED):
        begin = _begin(known)
        yield Offer(f"{begin}127.0.0.1:" if begin.endswith("//") else begin, more=not begin.startswith("stdio"))


def buses(words: Words, incomplete: str) -> Iterator[Offer]:
    """Yield what `urls` does of D-Bus."""
    yield from (offer for offer in urls(words, incomplete) if offer.text.startswith("dbus"))


def _on_bus(incomplete: str) -> Iterator[Offer]:
    """Yield buses, and behind ``?service=`` the names on the one that was typed."""
    from everywire.cli.dbus import offering as on_dbus

    url, mark, setting = incomplete.partition("?")
    if mark:
        settings, _, last = setting.rpartition("&")
        begin = f"{url}?{settings}&" if settings else f"{url}?"
        if not last.startswith("service="):
            yield Offer(f"{begin}service=", more=True)
            return
        for name, text in _within_budget(on_dbus.bus_names(url)):
            yield Offer(f"{begin}service={name}", text)
        return
    for bus in on_dbus.BUSES:
        yield Offer(bus)
        yield Offer(f"{bus}?service=", more=True)


def _begin(scheme: str) -> str:
    return f"{scheme}://" if _has_port(scheme) else f"{scheme}:"


def _has_port(scheme: str) -> bool:
    return not scheme.endswith("local") and scheme not in ("dbus", "localabstract", "memory", "stdio")


def _socket_names() -> Iterator[Offer]:
    """Yield the sockets of the temp directory by their short names, for Qt looks there; others by their paths."""
    temporary = Path(os.path.normpath(os.environ.get("TMPDIR") or "/tmp"))  # noqa: S108  see `transport.local_names`
    for path in _entries(temporary):
        if _is_socket(path):
            yield Offer(path.name)
    for folder in [*temporary.glob("everywire-*"), *map(Path, filter(None, [os.environ.get("XDG_RUNTIME_DIR")]))]:
        yield from (Offer(str(path)) for path in _entries(folder) if _is_socket(path))
        for inner in _entries(folder):
            yield from (Offer(str(path)) for path in _entries(inner) if _is_socket(path))


def _paths(typed: str) -> Iterator[Offer]:
    """Yield the sockets and directories that a path may lead to."""
    for path in _entries(Path(typed[: typed.rindex("/") + 1])):
        if _is_socket(path):
            yield Offer(str(path))
        elif path.is_dir():
            yield Offer(f"{path}/", more=True)


def _entries(folder: Path) -> list[Path]:
    """Return what is in *folder*, without what is hidden; nothing where this user may not look."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, MOST)]
    except OSError:
        return []
    return [folder / name for name in sorted(names) if not name.startswith(".")]


def _is_socket(path: Path) -> bool:
    """Return whether *path* is a socket that this user may use."""
    try:
        return stat.S_ISSOCK(path.lstat().st_mode) and os.access(path, os.W_OK)
    except OSError:  # gone meanwhile
        return False


def _abstract_names() -> Iterator[str]:
    """Yield the abstract names that somebody listens at: column 3 of the table has the flag of listeners."""
    for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]:
        parts = line.split(maxsplit=7)
        if len(parts) == 8 and parts[7].startswith("@") and int(parts[3], 16) & 0x10000:
            yield parts[7][1:]


def _listening_ports() -> Iterator[int]:
    """Yield this user's ports that loopback reaches."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        parts = line.split()
        host, _, port = parts[1].partition(":")
        mine = parts[3] == "0A" and int(parts[7]) == os.getuid()
        if mine and host in ("00000000", f"{int.from_bytes(socket.inet_aton('127.0.0.1'), 'little'):08X}"):
            yield int(port, 16)


# -------------------------------------------------------------------------------------------------- objects, members
def objects(words: Words, incomplete: str) -> Iterator[Offer]:
    """Yield the objects at the URL."""
    if is_dbus(words["url"]):
        from everywire.cli.dbus import offering as on_dbus

        yield from (Offer(name, text) for name, text in _within_budget(on_dbus.objects(words, incomplete)))
        return
    for name in _ask(words, _names):
        yield Offer(name)


def paths(words: Words, _: str) -> Iterator[Offer]:
    """Yield the paths of a D-Bus service."""
    from everywire.cli.dbus import offering as on_dbus

    yield from (Offer(path, text) for path, text in _within_budget(on_dbus.paths(words)))


def bus_names(words: Words, _: str) -> Iterator[Offer]:
    """Yield the names on a D-Bus."""
    from everywire.cli.dbus import offering as on_dbus

    yield from (Offer(name, text) for name, text in _within_budget(on_dbus.bus_names(words["url"])))


def members(words: Words, incomplete: str) -> Iterator[Offer]:
    """Yield every member that is not named yet."""
    return _members(words, incomplete, lambda member: True)


def properties(words: Words, incomplete: str) -> Iterator[Offer]:
    """Yield the properties that are not named yet."""
    return _members(words, incomplete, lambda member: member.kind is Kind.PROPERTY)


def writable(words: Words, incomplete: str) -> Iterator[Offer]:
    """Yield the properties that can be set."""
    return _members(words, incomplete, lambda member: member.writable)


def heard(words: Words, incomplete: str) -> Iterator[Offer]:
    """Yield the properties and signals that are not named yet."""
    return _members(words, incomplete, lambda member: member.kind is not Kind.SLOT)


def slots(words: Words, incomplete: str) -> Iterator[Offer]:
    """Yield the slots."""
    return _members(words, incomplete, lambda member: member.kind is Kind.SLOT)


def _members(words: Words, incomplete: str, fits: Callable[[Member], bool]) -> Iterator[Offer]:
    named: tuple[str, ...] = words.get("names") or ()
    found = _known(words)
    offered: Iterable[tuple[str, Member]] = found.items()
    if _is_any_service(words):
        from everywire.cli.dbus import offering as on_dbus

        offered = on_dbus.wanted_names(found, incomplete)
    for name, member in offered:
        if fits(member) and name not in named:
            yield Offer(name, visible(member.doc) or str(member))


# ------------------------------------------------------------------------------------------------------------ values
def values(words: Words, _: str) -> Iterator[Offer]:
    """Yield the values that the property can be set to, where they have names."""
    for word in _words_of(_known(words)[words["name"]].type):
        yield Offer(word)


def arguments(words: Words, incomplete: str) -> Iterator[Offer]:
    """Yield ``NAME=`` of the parameters that are still free, and values that have names."""
    member = _known(words)[words["slot"]]
    earlier: tuple[str, ...] = words.get("words") or ()
    given = {word.partition("=")[0] for word in earlier if "=" in word}
    free = [parameter for parameter in member.parameters if parameter.name not in given]
    free = free[sum("=" not in word for word in earlier) :]
    name, equals, _ = incomplete.partition("=")
    for parameter in free:
        if equals and parameter.name == name:
            yield from (Offer(f"{name}={word}") for word in _words_of(parameter.type))
        elif not equals:
            yield Offer(f"{parameter.name}=", str(parameter), more=True)
    if free and not equals:
        yield from map(Offer, _words_of(free[0].type))


def _words_of(node: Type) -> Iterable[str]:
    if isinstance(node, OptionalOf):
        return (*_words_of(node.item), "null")
    if isinstance(node, EnumType):
        return tuple(node.cls.__members__)
    return ("true", "false") if node == BOOL else ()


# ----------------------------------------------------------------------------------------------------------- classes
def classes(_: Words, incomplete: str) -> Iterator[Offer]:
    """Yield the classes of the present directory that look like objects; their modules are read, not imported."""
    module, colon, _rest = incomplete.partition(":")
    if not colon:
        yield Offer("everywire.cli.plant:", "a plant to try things on", more=True)
    for path in sorted(Path().glob("*.py"))[:MOST]:
        if path.stem.isidentifier() and path.stem.startswith(module) and path.stat().st_size < LARGEST_SOURCE:
            yield from (Offer(f"{path.stem}:{name}") for name in _object_classes(path.read_bytes()))
    if module == "everywire.cli.plant":
        from everywire.cli import plant

        source = Path(plant.__file__ or "").read_bytes()
        yield from (Offer(f"{module}:{name}") for name in _object_classes(source))


def _object_classes(source: bytes) -> Iterator[str]:
    """Yield the classes of a module that derive from `Object`, or from one of these."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return
    found = {"Object"}
    for item in body:
        if isinstance(item, ast.ClassDef) and found & {ast.unparse(base).rpartition(".")[2] for base in item.bases}:
            found.add(item.name)
            yield item.name


# ------------------------------------------------------------------------------------------------------------- files
def descriptions(_: Words, incomplete: str) -> Iterator[Offer]:
    """Yield files of introspection data, .rep files, directories where there may be some, and begins of addresses."""
    yield from (Offer(begin, more=True) for begin in ("dbus:session?service=", "dbus:system?service="))
    folder = incomplete[: incomplete.rfind("/") + 1]
    for path in _entries(Path(folder or ".")):
        if path.is_dir():
            yield Offer(f"{folder}{path.name}/", more=True)
        elif path.suffix in (".xml", ".rep"):
            yield Offer(f"{folder}{path.name}")


def accounts(_words: Words, _: str) -> Iterator[Offer]:
    """Yield the users of this machine."""
    import pwd

    yield from (Offer(entry.pw_name, entry.pw_gecos) for entry in islice(pwd.getpwall(), MOST))


def groups(_words: Words, _: str) -> Iterator[Offer]:
    """Yield the groups of this machine."""
    import grp

    yield from (Offer(entry.gr_name) for entry in islice(grp.getgrall(), MOST))


# ---------------------------------------------------------------------------------------------------------- the host
def _known(words: Words) -> Mapping[str, Member]:
    """Return the members of the object, by every name that they go by."""
    if _is_any_service(words):
        from everywire.cli.dbus import offering as on_dbus

        return _within_budget(on_dbus.contract(words))
    contract: Contract = _ask(words, _read_contract)
    return contract.members


def _is_any_service(words: Words) -> bool:
    """Return whether an object of D-Bus is meant by its path, whoever's it is."""
    return is_dbus(words["url"]) and is_path(words["object_name"])


def _ask(words: Words, question: Callable[[Words], Coroutine[Any, Any, T]]) -> T:
    """Ask the host at the URL, within the budget; raise whatever goes wrong."""
    return _within_budget(question(words))


def _within_budget(question: Coroutine[Any, Any, T]) -> T:
    logging.disable()

    async def asking() -> T:
        async with asyncio.timeout(BUDGET):
            return await question

    return asyncio.run(asking())


async def _names(words: Words) -> tuple[str, ...]:
    async with opened(words["url"], 0) as session:
        return session.offered or ()


async def _read_contract(words: Words) -> Contract:
    async with opened(words["url"], 0) as session:
        return await contract_at(session, words["url"], words["object_name"])
