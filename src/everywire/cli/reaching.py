"""How the verbs come to remote objects: one attempt or some patience, and errors that name the near ones."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from everywire.cli.credentials import with_token
from everywire.cli.dbus.addresses import is_dbus
from everywire.cli.exits import listed, suggestion
from everywire.errors import AddressError, Code, Fault, LinkError, ModelError, RemoteProtocolError
from everywire.model import Contract, Object
from everywire.runtime.connecting import connect
from everywire.runtime.node import Node
from everywire.runtime.wires import ClientSession, Wire, wire_of

PATIENCE: Final = 15.0
"""Seconds that a single attempt may take; a host that accepts and then says nothing is given up after them."""
AGAIN: Final = 0.1
"""Seconds between attempts to reach a host that one waits for."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the verbs go: a URL, an object there, and how long to wait for them (0: one attempt)."""

    url: str
    name: str
    timeout: float
    json: bool


@asynccontextmanager
async def connected(target: Target) -> AsyncGenerator[Object]:
    """Give a replica without a class; an unknown name is answered with the near ones."""
    async with AsyncExitStack() as stack:
        try:
            async with _patience(target.url, target.timeout):
                wire = _remote_wire(target.url)
                room = await stack.enter_async_context(connect(wire, target.name, timeout=target.timeout))
        except Fault as fault:
            if fault.code is not Code.NOT_FOUND:
                raise await _explained(target.url, fault) from fault
            raise await _unknown(target) from fault
        except LinkError as error:
            raise await _explained(target.url, error) from error
        yield room


@asynccontextmanager
async def opened(url: str, timeout: float) -> AsyncGenerator[ClientSession]:
    """Give one connection without a replica; tries again for *timeout* seconds."""
    node = Node()
    node.open()
    try:
        async with _patience(url, timeout):
            try:
                session = await _reach(url, node, timeout)
            except LinkError as error:
                raise await _explained(url, error) from error
        try:
            yield session
        finally:
            await session.close()
    finally:
        await node.aclose()


async def contract_at(session: ClientSession, url: str, name: str) -> Contract:
    """Return what the host tells about the object *name*; raise Fault, ModelError or LinkError."""
    async with _patience(url, 0):
        return await session.contract(name)


async def contract_if_told(session: ClientSession, url: str, name: str) -> Contract | None:
    """Return what the host tells about an object; None when that cannot be read."""
    try:
        return await contract_at(session, url, name)
    except (Fault, ModelError, RemoteProtocolError, LinkError):
        return None


def tell_if_nothing(url: str, offered: Collection[str]) -> None:
    """Say on the standard error that a host shows no object, which may be news to a person."""
    if not offered:
        print(f"everywire: {url} offers no objects that you may see", file=sys.stderr)


async def _explained(url: str, error: Exception) -> Exception:
    """Return *error* with what else is to be known of it."""
    if not is_dbus(url):
        return error
    from everywire.cli.dbus.services import explained

    return await explained(url, error)


async def _unknown(target: Target) -> ModelError:
    async with opened(target.url, 0) as session:
        offered = session.offered or ()
    near = suggestion(target.name, offered) or _of_registry(target.url, offered)
    return ModelError(f"there is no object {target.name!r} at {target.url}; it offers {listed(offered)}.{near}")


def _of_registry(url: str, offered: Collection[str]) -> str:
    if "Registry" not in offered or url.startswith("registry+"):
        return ""
    return f" What is registered there is found at registry+{url}."


async def _reach(url: str, node: Node, timeout: float) -> ClientSession:
    wire, loop = _remote_wire(url), asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        try:
            return await wire.open(node)
        except LinkError:
            if loop.time() + AGAIN > deadline:
                raise
        await asyncio.sleep(AGAIN)


def _remote_wire(url: str) -> Wire:
    scheme = url.partition(":")[0].rpartition("+")[2]
    if scheme == "stdio":
        raise AddressError(
            f"{url} is this process's own input and output, where the verbs read and print; "
            "use local: or tcp:, or connect() in a program"
        )
    if scheme == "memory":
        raise AddressError(f"{url} is known within one process only, and this one serves nothing; use local: or tcp:")
    return wire_of(with_token(url))


@asynccontextmanager
async def _patience(url: str, timeout: float) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(timeout + PATIENCE):
            yield
    except TimeoutError:
        raise LinkError(
            f"{url} did not show the object within {timeout + PATIENCE:g} s; is it a host of objects?"
        ) from None
