"""`everywire list` of a bus: who is on it, and which services it can start."""

from __future__ import annotations

import asyncio
import contextlib
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from everywire.cli.dbus.addresses import BusUrl
from everywire.cli.dbus.services import on_bus
from everywire.cli.printing import print_json, print_table
from everywire.dbus.session import Connection
from everywire.errors import Fault

AT_ONCE: Final = 32
"""Questions that wait for the bus at a time."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a name: empty and None where the bus does not say."""

    name: str
    owner: str = ""
    """The unique name; empty where nobody owns it and the bus would start who does."""
    pid: int | None = None
    process: str = ""
    uid: int | None = None
    user: str = ""
    activatable: bool = False
    """Whether the bus starts it when somebody calls it."""


async def list_names(url: BusUrl, *, timeout: float, json: bool, unique: bool, activatable: bool) -> None:
    """Print the names on the bus; *unique* and *activatable* leave only such ones."""
    async with on_bus(url, timeout) as connection:
        found = await holders(connection, unique=unique, activatable=activatable)
    if json:
        print_json(found)
        return
    rows = [
        (
            holder.name,
            "itself" if holder.owner == holder.name else holder.owner or "-",
            "" if holder.pid is None else str(holder.pid),
            holder.process,
            holder.user or ("" if holder.uid is None else str(holder.uid)),
            "yes" if holder.activatable else "",
        )
        for holder in found
    ]
    print_table(("NAME", "OWNER", "PID", "PROCESS", "USER", "STARTABLE"), rows, numbers=("PID",), whole="NAME")


async def holders(connection: Connection, *, unique: bool = False, activatable: bool = False) -> list[Holder]:
    """Return the names on a bus with who has them, by name; without flags all but the unique ones."""
    startable = set(await connection.names(activatable=True))
    there = set(await connection.names())
    if unique or activatable:
        names = {name for name in there if name.startswith(":")} if unique else set[str]()
        names |= startable if activatable else set()
    else:
        names = {name for name in there if not name.startswith(":")} | startable
    ordered = sorted(names, key=_order)
    found: list[Holder | None] = []
    for begin in range(0, len(ordered), AT_ONCE):
        some = ordered[begin : begin + AT_ONCE]
        found += await asyncio.gather(*(_holder(connection, name, name in startable) for name in some))
    return [holder for holder in found if holder is not None]


async def _holder(connection: Connection, name: str, startable: bool) -> Holder | None:  # noqa: FBT001
    """Return who has *name*; None when it was given back meanwhile and the bus starts nobody for it."""
    owner = await connection.owner(name)
    if not owner:
        return Holder(name, activatable=True) if startable else None
    facts = await credentials(connection, name)
    pid, uid = facts.get("ProcessID"), facts.get("UnixUserID")
    return Holder(name, owner, pid, process_of(pid), uid, user_of(uid), startable)


async def credentials(connection: Connection, name: str) -> dict[str, Any]:
    """Return what the bus knows of who has *name*; nothing when it does not tell."""
    try:
        return await connection.credentials(name)
    except Fault:
        if connection.closed.done():
            raise
        return {}  # it has left, or the bus is too old for the question


def process_of(pid: int | None) -> str:
    """Return the name of a process; empty where it cannot be seen, as from within a container."""
    if pid is not None:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def user_of(uid: int | None) -> str:
    """Return the name of a user; empty where the system has none."""
    if uid is not None:
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(uid).pw_name
    return ""


def _order(name: str) -> tuple[bool, Sequence[int | str]]:
    """Well-known names by the alphabet, then unique ones by their numbers; the bus itself is among the former."""
    if not name.startswith(":"):
        return (False, [name])
    return (True, [int(part) if part.isdigit() else 0 for part in name[1:].split(".")])
