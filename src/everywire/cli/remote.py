"""What the verbs do with remote objects: list, get, set, call, watch. Prints results; reports errors by raising."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from everywire.cli.arguments import bind, member_named, read_value
from everywire.cli.exits import listed
from everywire.cli.looping import needing_a_reader
from everywire.cli.printing import print_json, print_table
from everywire.cli.reaching import Target, connected, contract_if_told, opened, tell_if_nothing
from everywire.cli.values import to_text, visible
from everywire.errors import ModelError
from everywire.model import Kind, Member, Object, contract_of
from everywire.runtime.replica import ReplicaLink, ReplicaState, link_of, members
from everywire.runtime.rhythm import is_locked_out


async def list_objects(url: str, *, timeout: float, json: bool) -> None:
    """Print the objects at *url* with the class of each, where the host tells it."""
    async with opened(url, timeout) as session:
        contracts = {name: await contract_if_told(session, url, name) for name in session.offered or ()}
    if json:
        known = {name: (c.name, c.doc) if c else (None, None) for name, c in contracts.items()}
        print_json([{"name": name, "class": cls, "doc": doc} for name, (cls, doc) in known.items()])
    else:
        rows = [(name, c.name if c else "?", _first_line(c.doc) if c else "") for name, c in contracts.items()]
        print_table(("OBJECT", "CLASS", "DESCRIPTION"), rows)
        tell_if_nothing(url, contracts)


async def get(target: Target, names: Sequence[str]) -> None:
    """Print the named properties, or all; a single named one without its name."""
    async with connected(target) as room:
        contract = contract_of(room)
        wanted = [member_named(contract, name, Kind.PROPERTY) for name in names] or contract.of_kind(Kind.PROPERTY)
        values = {member.name: members(room)[member.name].value for member in wanted}
    single = len(names) == 1
    if target.json:
        print_json(values[wanted[0].name] if single else values)
    elif single:
        print(to_text(values[wanted[0].name], wanted[0].unit))
    else:
        told = [(to_text(values[m.name], m.unit), "writable" if m.writable else "") for m in wanted]
        rows = [(m.name, *texts, _first_line(m.doc)) for m, texts in zip(wanted, told, strict=True)]
        print_table(("PROPERTY", "VALUE", "", ""), rows)


async def set_property(target: Target, name: str, text: str) -> None:
    """Push a value and print the one that the source then holds."""
    async with connected(target) as room:
        member = member_named(contract_of(room), name, Kind.PROPERTY)
        if not member.writable:
            writable = [known.name for known in contract_of(room).of_kind(Kind.PROPERTY) if known.writable]
            raise ModelError(f"{name} is read-only; {contract_of(room).name} lets you set {listed(writable)}")
        value = await members(room)[member.name].push(read_value(name, member.parameters[0], text))
    _print_value(target, value, member.unit)


async def call(target: Target, name: str, words: Sequence[str], *, count: int | None) -> None:
    """Call a slot and print its result; print one line for each item of a stream, at most *count*."""
    async with connected(target) as room:
        member = member_named(contract_of(room), name, Kind.SLOT)
        answer = members(room)[member.name](*bind(member, words))
        if member.stream:
            async with aclosing(answer):
                with needing_a_reader():
                    await _print_items(target, answer, count)
            return
        result = await answer
    if target.json or member.result is not None:
        _print_value(target, result)


async def watch(target: Target, names: Sequence[str], *, count: int | None) -> None:
    """Print the present values of the named properties and signals, or of all, then *count* changes and emissions."""
    async with connected(target) as room:
        contract = contract_of(room)
        kinds = (Kind.PROPERTY, Kind.SIGNAL)
        wanted = [member_named(contract, name, *kinds) for name in names]
        wanted = wanted or [member for kind in kinds for member in contract.of_kind(kind)]
        if not wanted:
            raise ModelError(f"{contract.name} has neither properties nor signals to watch")
        width = max((len(member.name) for member in wanted), default=0)
        heard: _Heard = asyncio.Queue()
        for member in wanted:
            _listen(room, member, heard)
        forget = link_of(room).state_changed.connect(lambda _: _tell_state(target, link_of(room), heard))
        for member in wanted:
            if member.kind is Kind.PROPERTY:
                _print_news(target, member, (members(room)[member.name].value,), width)
        try:
            with needing_a_reader():
                await _print_all_news(target, heard, count, width)
        finally:
            forget()


_Heard = asyncio.Queue[tuple[Member, tuple[Any, ...]] | Exception]
"""What a watch has heard and not printed yet; an error ends it."""


async def _print_all_news(target: Target, heard: _Heard, count: int | None, width: int) -> None:
    while count is None or count > 0:
        news = await heard.get()
        if isinstance(news, Exception):
            raise news
        _print_news(target, *news, width)
        count = None if count is None else count - 1


def _listen(room: Object, member: Member, heard: _Heard) -> None:
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


def _tell_state(target: Target, link: ReplicaLink, heard: _Heard) -> None:
    if link.error is not None and is_locked_out(link.error):  # a token that was revoked does not come back
        heard.put_nowait(link.error)
        return
    told = "is back" if link.state is ReplicaState.VALID else f"is {link.state.value}; waiting for it"
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


def _first_line(doc: str) -> str:
    return doc.strip().partition("\n")[0]
