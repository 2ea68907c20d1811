"""What the verbs do with remote objects: list, get, set, call, watch. Prints results; reports errors by raising."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from everywire.cli.arguments import bind, member_named, read_value
from everywire.cli.exits import listed, suggestion
from everywire.cli.printing import print_json, print_table
from everywire.cli.values import to_text, visible
from everywire.errors import Code, Fault, LinkError, ModelError, RemoteProtocolError
from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.runtime.connecting import connect
from everywire.runtime.node import Node
from everywire.runtime.replica import ReplicaLink, ReplicaState, link_of, members
from everywire.runtime.wires import ClientSession, wire_of

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


async def list_objects(url: str, *, timeout: float, json: bool) -> None:
    """Print the objects at *url* with the class of each, where the host tells it."""
    async with _open(url, timeout) as (session, node):
        contracts = {name: await _contract_of(session, node, url, name) for name in session.offered or ()}
    if json:
        known = {name: (c.name, c.doc) if c else (None, None) for name, c in contracts.items()}
        print_json([{"name": name, "class": cls, "doc": doc} for name, (cls, doc) in known.items()])
    else:
        rows = [(name, c.name if c else "?", _first_line(c.doc) if c else "") for name, c in contracts.items()]
        print_table(("OBJECT", "CLASS", "DESCRIPTION"), rows)


async def get(target: Target, names: Sequence[str]) -> None:
    """Print the named properties, or all; a single named one without its name."""
    async with _connected(target) as room:
        contract = contract_of(room)
        wanted = [member_named(contract, name, Kind.PROPERTY) for name in names] or contract.of_kind(Kind.PROPERTY)
        values = {member.name: members(room)[member.name].value for member in wanted}
    single = len(names) == 1
    if target.json:
        print_json(values[wanted[0].name] if single else values)
    elif single:
        print(to_text(values[wanted[0].name], wanted[0].unit))
    else:
        rows = [(m.name, to_text(values[m.name], m.unit), "writable" if m.writable else "", m.doc) for m in wanted]
        print_table(("PROPERTY", "VALUE", "", ""), rows)


async def set_property(target: Target, name: str, text: str) -> None:
    """Push a value and print the one that the source then holds."""
    async with _connected(target) as room:
        member = member_named(contract_of(room), name, Kind.PROPERTY)
        if not member.writable:
            raise ModelError(f"{name} is read-only")
        value = await members(room)[member.name].push(read_value(name, member.parameters[0], text))
    _print_value(target, value, member.unit)


async def call(target: Target, name: str, words: Sequence[str], *, count: int | None) -> None:
    """Call a slot and print its result; print one line for each item of a stream, at most *count*."""
    async with _connected(target) as room:
        member = member_named(contract_of(room), name, Kind.SLOT)
        answer = members(room)[member.name](*bind(member, words))
        if member.stream:
            async with aclosing(answer):
                await _print_items(target, answer, count)
            return
        result = await answer
    if target.json or member.result is not None:
        _print_value(target, result)


async def watch(target: Target, names: Sequence[str], *, count: int | None) -> None:
    """Print the present values of the named properties and signals, or of all, then *count* changes and emissions."""
    async with _connected(target) as room:
        contract = contract_of(room)
        kinds = (Kind.PROPERTY, Kind.SIGNAL)
        wanted = [member_named(contract, name, *kinds) for name in names]
        wanted = wanted or [member for kind in kinds for member in contract.of_kind(kind)]
        width = max((len(member.name) for member in wanted), default=0)
        heard: asyncio.Queue[tuple[Member, tuple[Any, ...]]] = asyncio.Queue()
        for member in wanted:
            _listen(room, member, heard)
        forget = link_of(room).state_changed.connect(lambda state: _tell_state(target, state))
        for member in wanted:
            if member.kind is Kind.PROPERTY:
                _print_news(target, member, (members(room)[member.name].value,), width)
        try:
            while count is None or count > 0:
                member, arguments = await heard.get()
                _print_news(target, member, arguments, width)
                count = None if count is None else count - 1
        finally:
            forget()


def _listen(room: Object, member: Member, heard: asyncio.Queue[tuple[Member, tuple[Any, ...]]]) -> None:
    def hear(*arguments: Any) -> None:
        heard.put_nowait((member, arguments))

    bound = members(room)[member.name]
    if member.kind is Kind.PROPERTY:
        bound.on_change(hear)
    else:
        bound.connect(hear)


def _print_news(target: Target, member: Member, arguments: tuple[Any, ...], width: int) -> None:
    named = {p.name: value for p, value in zip(member.parameters, arguments, strict=True)}
    signal = member.kind is Kind.SIGNAL
    if target.json:
        print_json({"member": member.name, **({"arguments": named} if signal else {"value": arguments[0]})})
        return
    told = " ".join(f"{name}={to_text(value)}" for name, value in named.items())
    told = told if signal else to_text(arguments[0], member.unit)
    print(f"{member.name:{width}}  {visible(told)}".rstrip(), flush=True)


def _tell_state(target: Target, state: ReplicaState) -> None:
    told = "is back" if state is ReplicaState.VALID else f"is {state.value}; waiting for it"
    print(f"everywire: {target.name} at {target.url} {told}", file=sys.stderr, flush=True)


def _print_value(target: Target, value: Any, unit: str = "") -> None:
    if target.json:
        print_json(value)
    else:
        print(to_text(value, unit), flush=True)


async def _print_items(target: Target, items: AsyncIterator[Any], count: int | None) -> None:
    left = count
    while left is None or left > 0:
        try:
            item = await anext(items)
        except StopAsyncIteration:
            return
        _print_value(target, item)
        left = None if left is None else left - 1


@asynccontextmanager
async def _connected(target: Target) -> AsyncGenerator[Object]:
    """Give a replica without a class; an unknown name is answered with the near ones."""
    async with AsyncExitStack() as stack:
        try:
            async with _patience(target.url, target.timeout):
                room = await stack.enter_async_context(connect(target.url, target.name, timeout=target.timeout))
        except Fault as fault:
            if fault.code is not Code.NOT_FOUND:
                raise
            raise await _unknown(target) from fault
        yield room


async def _unknown(target: Target) -> ModelError:
    async with _open(target.url, 0) as (session, _):
        offered = session.offered or ()
    return ModelError(
        f"there is no object {target.name!r} at {target.url}; "
        f"it offers {listed(offered)}.{suggestion(target.name, offered)}"
    )


@asynccontextmanager
async def _open(url: str, timeout: float) -> AsyncGenerator[tuple[ClientSession, Node]]:
    """Give one connection without a replica; tries again for *timeout* seconds."""
    node = Node()
    node.open()
    try:
        async with _patience(url, timeout):
            session = await _reach(url, node, timeout)
        try:
            yield session, node
        finally:
            await session.close()
    finally:
        await node.aclose()


async def _reach(url: str, node: Node, timeout: float) -> ClientSession:
    wire, loop = wire_of(url), asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        try:
            return await wire.open(node)
        except LinkError:
            if loop.time() + AGAIN > deadline:
                raise
        await asyncio.sleep(AGAIN)


@asynccontextmanager
async def _patience(url: str, timeout: float) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(timeout + PATIENCE):
            yield
    except TimeoutError:
        raise LinkError(f"{url} accepted the connection, but did not show the object in time") from None


async def _contract_of(session: ClientSession, node: Node, url: str, name: str) -> Contract | None:
    """Return what the host tells about an object; None when that cannot be read."""
    link = ReplicaLink(url, name, None, node)
    try:
        async with _patience(url, 0):
            await session.attach(link, patient=False)
    except (Fault, ModelError, RemoteProtocolError, LinkError):
        return None
    contract = contract_of(link.instance)
    link.close()
    return contract


def _first_line(doc: str) -> str:
    return doc.strip().partition("\n")[0]
