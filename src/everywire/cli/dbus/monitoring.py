"""`everywire monitor`: the messages on a bus as they pass, a line each."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from everywire.cli.dbus.addresses import BusUrl, parse
from everywire.cli.dbus.raw import plain, shown
from everywire.cli.dbus.services import is_refused_by_bus, on_bus
from everywire.cli.looping import needing_a_reader
from everywire.cli.printing import print_json, styled
from everywire.dbus.codec import INTERACTIVE, NO_AUTO_START, NO_REPLY, check_bus_name
from everywire.dbus.session import Connection, Kind, Match, Message, MessageStream
from everywire.errors import Code, Fault, ModelError
from everywire.runtime.limits import DEFAULT_LIMITS

WORDS: Final = {Kind.CALL: "call", Kind.RETURN: "return", Kind.ERROR: "error", Kind.SIGNAL: "signal"}
FLAGS: Final = {NO_REPLY: "no-reply", NO_AUTO_START: "no-auto-start", INTERACTIVE: "interactive"}
COLOURS: Final = {Kind.CALL: "green", Kind.RETURN: "blue", Kind.ERROR: "red", Kind.SIGNAL: "magenta"}
LONGEST: Final = 300
"""Characters of a message's values for people."""
LARGEST: Final = 128 << 20
"""Bytes of a message that a monitor reads: whatever D-Bus carries."""


async def monitor(url: str, rules: Sequence[str], *, count: int | None, timeout: float, json: bool) -> None:
    """Print *count* messages that match one of the *rules*, or all that pass; a name stands for its messages."""
    where = parse(url)
    if not where.is_bus:
        raise ModelError(f"{url} is a link between two programs: only a bus lets others listen")
    wanted = [rule for text in (*rules, *([where.service] if where.service else [])) for rule in _rules(text)]
    async with on_bus(where, timeout, replace(DEFAULT_LIMITS, frame=LARGEST)) as connection:
        messages = await _listening(connection, where, wanted)
        with needing_a_reader():
            await _print_all(messages, connection.unique_name, count, json=json)


def _rules(text: str) -> Iterator[Match]:
    """Yield the rules that a word of the command line stands for; that of a name is: from or to it."""
    if "=" in text or not text:
        yield Match.parse(text)
        return
    check_bus_name(text)
    yield Match(kind=None, sender=text)
    yield Match(kind=None, destination=text)


async def _listening(connection: Connection, url: BusUrl, rules: Sequence[Match]) -> MessageStream:
    """Return the messages; where the bus allows nobody to see all, those signals that everybody may hear."""
    try:
        return await connection.monitor(*rules)
    except Fault as fault:
        if fault.code not in (Code.PERMISSION_DENIED, Code.UNIMPLEMENTED, Code.NOT_FOUND):
            raise
        signals = [rule for rule in rules if rule.kind in (None, Kind.SIGNAL) and not rule.destination]
        if rules and not signals:
            advice = f"only who may monitor {url.place}, such as root, sees calls"
            raise Fault(fault.code, f"{fault.message}: {advice}") from fault
        reason = "" if is_refused_by_bus(fault) else f" ({fault.message})"
        why = f"{url.place} does not let this user monitor it{reason}"
        print(f"everywire: {why}: only signals to all are shown; root may see all", file=sys.stderr, flush=True)
        return await _signals(connection, signals or [Match()])


async def _signals(connection: Connection, rules: Sequence[Match]) -> MessageStream:
    """Return the signals that match a rule, each once."""
    stream = MessageStream()
    last: Message | None = None

    def hear(message: Message) -> None:
        nonlocal last
        if message is not last:  # the callbacks of one message are called one after the other
            last = message
            stream.put(message)

    for rule in rules:
        await connection.match(replace(rule, kind=Kind.SIGNAL, eavesdrop=False), hear)
    connection.closed.add_done_callback(lambda closed: stream.end(closed.result()))
    return stream


async def _print_all(messages: MessageStream, own: str, count: int | None, *, json: bool) -> None:
    left, gap = count, 0
    while left is None or left > 0:
        try:
            message = await anext(messages)
        except StopAsyncIteration:
            return
        if message.destination == own:
            continue  # the bus takes our name away, for monitors have none
        if messages.gap > gap:
            print(f"everywire: {messages.gap - gap} messages came too fast to be shown", file=sys.stderr, flush=True)
            gap = messages.gap
        now = time.time()
        if json:
            print_json(as_json(message, now))
        else:
            print(line(message, now), flush=True)
        left = None if left is None else left - 1


def as_json(message: Message, now: float) -> dict[str, Any]:
    """Return a message as what it is for programs."""
    told: dict[str, Any] = {
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds"),
        "type": WORDS[message.kind],
        "serial": message.serial,
        "flags": [word for flag, word in FLAGS.items() if message.flags & flag],
    }
    if message.reply_serial:
        told["reply_serial"] = message.reply_serial
    for name in ("sender", "destination", "path", "interface", "member", "error_name"):
        if text := getattr(message, name):
            told[name] = text
    return {**told, "signature": message.signature, "body": plain(list(message.body))}


def line(message: Message, now: float) -> str:
    """Return a message on a line for people."""
    at = datetime.fromtimestamp(now).astimezone().strftime("%H:%M:%S.%f")[:-3]
    kind = styled(f"{WORDS[message.kind]:6}", fg=COLOURS[message.kind])
    route = f"{message.sender or '-'} → {message.destination or 'all'}"
    values = shown(message.signature, message.body)
    values = values if len(values) <= LONGEST else f"{values[:LONGEST]}…"
    number = f"#{message.reply_serial or message.serial}"
    match message.kind:
        case Kind.RETURN:
            what = f"{number} ({values})"
        case Kind.ERROR:
            what = f"{number} {message.error_name}({values})"
        case _:
            member = f"{message.interface}.{message.member}" if message.interface else message.member
            number = f"{number} " if message.wants_reply else ""
            what = f"{number}{message.path} {styled(member, bold=True)}({values})"
    return f"{at} {kind} {route}  {what}"
