"""What `everywire doctor` says about D-Bus: the buses of this login and system, and a link without one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable

from everywire.cli.checks import Finding, State
from everywire.cli.dbus.addresses import parse
from everywire.errors import LinkError, MissingExtra

Attempt = Callable[[str, Awaitable[None], str], Awaitable[Finding]]
"""What tries a thing: its name, the thing, and what to say when it works."""

SESSION_ADVICE = "'dbus-run-session -- PROGRAM' gives a program and its children a bus; a desktop's login has one"
SYSTEM_ADVICE = "'systemctl start dbus' where systemd runs; containers have none unless they are given the host's"


async def findings(folder: str, use: Callable[[str], Awaitable[None]], attempt: Attempt) -> AsyncIterator[Finding]:
    """Yield what is known of each; *use* serves and uses an object at a URL, *attempt* tries a thing in time."""
    try:
        parse("dbus:session")
    except MissingExtra as missing:
        for what in ("dbus:session", "dbus:system", "dbus+local:"):
            yield Finding(what, State.MISSING, "not installed", str(missing))
        return
    told = "served, pushed, called, heard"
    yield await attempt("dbus+local:", use(f"dbus+local:{folder}/d"), told)
    service = f"everywire.Doctor.p{os.getpid()}"
    found = await _reached("dbus:session", SESSION_ADVICE)
    yield found or await attempt("dbus:session", use(f"dbus:session?service={service}"), told)
    found = await _reached("dbus:system", SYSTEM_ADVICE)
    yield found or Finding("dbus:system", State.WORKS, "reached; to own a name there needs a policy: gen dbus-policy")


async def _reached(bus: str, advice: str) -> Finding | None:
    """Return why a bus cannot be reached; None when it can."""
    from everywire.cli.dbus.services import on_bus

    url = parse(bus)
    try:
        async with on_bus(url, 0) as connection:
            await connection.names()
    except LinkError as error:
        named = os.environ.get(f"DBUS_{url.address.upper()}_BUS_ADDRESS")
        found = str(error).partition("; ")[0].partition(": start the program")[0]
        if named:
            return Finding(bus, State.WARNING, f"{found} ({named})", advice)
        return Finding(bus, State.MISSING, found, advice)
    return None
