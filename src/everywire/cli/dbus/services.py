"""How the verbs reach a bus and a service on it, and what they say when that fails: near names, the next step."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

from everywire.cli.dbus.addresses import BusUrl, parse
from everywire.cli.exits import suggestion
from everywire.dbus.codec import INTERACTIVE, NO_AUTO_START, Kind, Message, check_path
from everywire.dbus.introspection import Node
from everywire.dbus.introspection import parse as parse_introspection
from everywire.dbus.session import BUS, Connection
from everywire.errors import Code, Fault, LinkError, ModelError, RemoteProtocolError
from everywire.runtime.limits import Limits

INTROSPECTABLE: Final = "org.freedesktop.DBus.Introspectable"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
ANSWER: Final = 25.0
"""Seconds within which a service answers, as elsewhere on D-Bus."""
REFUSED_BY_BUS: Final = "the policy of the bus does not allow it to this user"
AGAIN: Final = 0.1
"""Seconds between attempts to reach a bus that one waits for."""


class Service:
    """A service on a bus, or the program at the other end of a link without a bus."""

    def __init__(self, connection: Connection, url: BusUrl, *, start: bool = True) -> None:
        self.connection, self.url, self.name = connection, url, url.service
        self._flags = 0 if start else NO_AUTO_START

    @property
    def title(self) -> str:
        """What to call it in a sentence."""
        return self.name or self.url.url

    def message(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: tuple[Any, ...] = (),
        fds: tuple[Any, ...] = (),
        flags: int = 0,
    ) -> Message:
        """Return a call of a method."""
        return Message(
            kind=Kind.CALL,
            destination=self.name,
            path=check_path(path),
            interface=interface,
            member=member,
            signature=signature,
            body=body,
            fds=fds,
            flags=self._flags | flags,
        )

    async def ask(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: tuple[Any, ...] = (),
        *,
        fds: tuple[Any, ...] = (),
        timeout: float | None = ANSWER,
        interactive: bool = False,
    ) -> Message:
        """Call a method and return the answer; *interactive* allows it to ask a person for permission."""
        flags = INTERACTIVE if interactive else 0
        call = self.message(path, interface, member, signature, body, fds, flags)
        return await self.connection.ask(call, timeout=timeout)

    async def introspect(self, path: str, *, timeout: float = ANSWER) -> Node:
        """Return what the service tells about the object at *path*; raise Fault or RemoteProtocolError."""
        answer = await self.ask(path, INTROSPECTABLE, "Introspect", timeout=timeout)
        if answer.signature != "s":
            raise RemoteProtocolError(f"{self.title} answers Introspect with {answer.signature!r} and not with a text")
        return parse_introspection(answer.body[0])


@asynccontextmanager
async def on_bus(url: BusUrl, timeout: float, limits: Limits | None = None) -> AsyncGenerator[Connection]:
    """Give a connection to the bus or program at *url*; try again for *timeout* seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    more: dict[str, Any] = {} if limits is None else {"limits": limits}
    while True:
        try:
            connection = await Connection.open(url.address, bus=url.is_bus, **more)
            break
        except (LinkError, RemoteProtocolError) as error:
            if loop.time() + AGAIN > deadline:
                raise _no_bus(url, error) from error
        await asyncio.sleep(AGAIN)
    async with connection:
        yield connection


@asynccontextmanager
async def reached(url: BusUrl, timeout: float, *, start: bool = True) -> AsyncGenerator[Service]:
    """Give the service of *url*, which owns its name or can be started by the bus; wait *timeout* seconds for it."""
    if url.is_bus and not url.service:
        raise ModelError(f"{url.url} is a bus: name a service on it, as in '{url.of_service('org.acme.Climate')}'")
    async with on_bus(url, timeout) as connection:
        if url.is_bus:
            await _wait_for_service(connection, url, timeout)
        yield Service(connection, url, start=start)


async def explained(text: str, error: Exception) -> Exception:
    """Return why *error* met who went to the URL *text*: near names where the service is not there."""
    url = parse(text)
    try:
        async with on_bus(url, 0) as connection:
            if url.service:
                await _wait_for_service(connection, url, 0)
    except LinkError as reason:
        return reason
    return error


async def _wait_for_service(connection: Connection, url: BusUrl, timeout: float) -> None:
    """Return when somebody owns the name or the bus can start who does; raise LinkError that names near ones."""
    if url.service == BUS or await connection.owner(url.service):
        return
    startable = await connection.names(activatable=True)
    if url.service in startable:
        return
    if timeout > 0 and await _appears(connection, url.service, timeout):
        return
    known = {name for name in (*await connection.names(), *startable) if not name.startswith(":")}
    raise LinkError(f"{url.service} is not on {url.place}; {_what_to_do(url, known)}")


def _what_to_do(url: BusUrl, known: Collection[str]) -> str:
    near = suggestion(url.service, known)
    return f"start it first, or see 'everywire list {url.url}' for what is.{near}"


async def _appears(connection: Connection, name: str, timeout: float) -> bool:
    """Wait until somebody owns *name*; return whether that was in time."""
    appeared = asyncio.Event()

    def heard(_: str, new: str) -> None:
        if new:
            appeared.set()

    following = await connection.follow(name, heard)
    try:
        if following.owner:
            return True
        async with asyncio.timeout(timeout):
            await appeared.wait()
    except TimeoutError:
        return False
    finally:
        following.close()
    return True


def _no_bus(url: BusUrl, error: Exception) -> LinkError:
    """Return the error for a bus that cannot be reached, with what to do about it."""
    cause = error.__cause__
    if not isinstance(cause, OSError) or not cause.errno:
        return error if isinstance(error, LinkError) else LinkError(str(error))
    if cause.errno in (errno.EACCES, errno.EPERM):
        advice = "it, or a folder on the way to it, is not for this user"
    elif url.address == "session":
        advice = "the login that started it may be over; 'dbus-run-session -- COMMAND' gives a command a bus of its own"
    elif url.address == "system":
        advice = "start it with 'systemctl start dbus'; containers often have none"
    elif url.is_bus:
        advice = "is the dbus-daemon that listens there running?"
    else:
        advice = "start the program that listens there first"
    return LinkError(f"no connection to {url.place}: {os.strerror(cause.errno)}; {advice}")


def is_refused_by_bus(error: Exception | None) -> bool:
    """Return whether the bus, and not the service, refused a call: it says so at such length that it hides the rest."""
    return isinstance(error, Fault) and "Rejected send" in error.message


def told(service: Service, error: Exception) -> Exception:
    """Return *error*, which a call met, with the next step where there is one."""
    if not isinstance(error, Fault):
        return error
    match error.code:
        case Code.DEADLINE_EXCEEDED if "disconnected" not in error.message:  # as buses say of who ended with the call
            return Fault(error.code, f"{error.message}: it runs and does not answer, or the method takes longer")
        case Code.PERMISSION_DENIED if is_refused_by_bus(error):
            advice = "another may, such as root; --debug shows its words"
            return Fault(error.code, f"{REFUSED_BY_BUS}; {advice}")
        case Code.UNAVAILABLE if service.url.is_bus:
            return Fault(error.code, f"{service.title}: {error.message}")
        case _:
            return error
