"""What the verbs do with remote objects: list, get, set, call, watch. Prints results; reports errors by raising."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from everywire.cli.arguments import bind, read_value
from everywire.cli.exits import listed
from everywire.cli.inner import Place, place_of, places_in
from everywire.cli.looping import needing_a_reader
from everywire.cli.printing import print_json, print_table
from everywire.cli.reaching import Target, connected, contract_if_told, opened, tell_if_nothing
from everywire.cli.tables import is_table, print_rows
from everywire.cli.values import jsonable, to_text, visible
from everywire.errors import ModelError
from everywire.model import Kind, Object, contract_of
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
    """Print the named properties, or all; a single named one without its name, and a table's rows."""
    async with connected(target) as room:
        wanted = [place_of(room, name, Kind.PROPERTY) for name in names]
        table: Any = room if not names else wanted[0].value if len(wanted) == 1 else None
        if is_table(table):
            await print_rows(target, table)
            return
        if target.json:
            own = [Place(member.name, room, member) for member in contract_of(room).of_kind(Kind.PROPERTY)]
            values = {place.path: jsonable(place.value) for place in wanted or own}  # children and all
            print_json(next(iter(values.values())) if len(names) == 1 else values)
            return
        if len(wanted) == 1 and not isinstance(wanted[0].value, Object):
            print(to_text(wanted[0].value, wanted[0].member.unit))
            return
        places = [inner for place in wanted for inner in _opened(place)] or places_in(room, Kind.PROPERTY)
        rows = [_row(place) for place in places]
    print_table(("PROPERTY", "VALUE", "", ""), rows)


def _opened(place: Place) -> Iterator[Place]:
    """Yield a property, or for one that holds an object those of that."""
    if isinstance(place.value, Object):
        return places_in(place.value, Kind.PROPERTY, prefix=f"{place.path}.")
    return iter((place,))


def _row(place: Place) -> tuple[str, str, str, str]:
    member = place.member
    text = to_text(place.value, member.unit)
    return visible(place.path), text, "writable" if member.writable else "", _first_line(member.doc)


async def set_property(target: Target, name: str, text: str) -> None:
    """Push a value and print the one that the source then holds."""
    async with connected(target) as room:
        _, owner, member = place_of(room, name, Kind.PROPERTY)
        if not member.writable:
            writable = [known.name for known in contract_of(owner).of_kind(Kind.PROPERTY) if known.writable]
            raise ModelError(f"{name} is read-only; {contract_of(owner).name} lets you set {listed(writable)}")
        value = await members(owner)[member.name].push(read_value(name, member.parameters[0], text))
    _print_value(target, value, member.unit)


async def call(target: Target, name: str, words: Sequence[str], *, count: int | None) -> None:
    """Call a slot and print its result; print one line for each item of a stream, at most *count*."""
    async with connected(target) as room:
        _, owner, member = place_of(room, name, Kind.SLOT)
        answer = members(owner)[member.name](*bind(member, words))
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
        kinds = (Kind.PROPERTY, Kind.SIGNAL)
        wanted = [place_of(room, name, *kinds) for name in names] or [*places_in(room, *kinds)]
        if not wanted:
            raise ModelError(f"{contract_of(room).name} has neither properties nor signals to watch")
        width = max((len(place.path) for place in wanted), default=0)
        heard: _Heard = asyncio.Queue()
        for place in wanted:
            _listen(place, heard)
        forget = link_of(room).state_changed.connect(lambda _: _tell_state(target, link_of(room), heard))
        for place in wanted:
            if place.member.kind is Kind.PROPERTY:
                _print_news(target, place, (place.value,), width)
        try:
            with needing_a_reader():
                await _print_all_news(target, heard, count, width)
        finally:
            forget()


_Heard = asyncio.Queue[tuple[Place, tuple[Any, ...]] | Exception]
"""What a watch has heard and not printed yet; an error ends it."""


async def _print_all_news(target: Target, heard: _Heard, count: int | None, width: int) -> None:
    while count is None or count > 0:
        news = await heard.get()
        if isinstance(news, Exception):
            raise news
        _print_news(target, *news, width)
        count = None if count is None else count - 1


def _listen(place: Place, heard: _Heard) -> None:
    def hear(*arguments: Any) -> None:
        heard.put_nowait((place, arguments))

    bound = members(place.owner)[place.member.name]
    if place.member.kind is Kind.PROPERTY:
        bound.on_change(hear)
    else:
        bound.connect(hear)


def _print_news(target: Target, place: Place, arguments: tuple[Any, ...], width: int) -> None:
    member = place.member
    named = {p.name: value for p, value in zip(member.parameters, arguments, strict=True)}
    signal = member.kind is Kind.SIGNAL
    if target.json:
        print_json({"member": place.path, **({"arguments": named} if signal else {"value": arguments[0]})})
        return
    told = " ".join(f"{name}={to_text(value)}" for name, value in named.items())
    told = told if signal else to_text(arguments[0], member.unit)
    print(f"{visible(place.path):{width}}  {visible(told)}".rstrip(), flush=True)


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
