"""Encoders and decoders compiled per member: the codec's general path as one `struct` call per run of fixed fields.

The generated source holds literals and our own identifiers only; names from classes and wires enter as data. Compiled
code is kept per list of types and shared by all objects; binding it to one object costs a few `struct.Struct`.
Whatever a generated decoder does not recognize it leaves to the general path (it returns None, or Odd for a reply).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import lru_cache, partial
from typing import Any, Final
from uuid import UUID

from everywire.codec.qdatastream import NO_TYPES, Reader, UnknownUserType, UserTypes
from everywire.errors import Code, Fault, ModelError
from everywire.model.compile import run_source
from everywire.model.types import EnumType, Float, Int
from everywire.remoteobjects.codec import Dialect
from everywire.remoteobjects.engine import Odd
from everywire.remoteobjects.wire.frames import Frame, kind_of
from everywire.remoteobjects.wire.looks import Wired, types_in, variant
from everywire.remoteobjects.wire.qttypes import enum_member, enum_number, lift

_TESTED: Final = {kind.__name__: kind for kind in (bool, int, float, str, bytes, date, datetime, time, timedelta, UUID)}
Types = tuple[Wired, ...]


def _invoke_frame(types: Types, text: str, serial: str, property_index: str, head: str = "head") -> Frame:
    frame = Frame(text)
    frame.fixed("HEAD", head)
    frame.fixed("I", str(len(types)))
    for place, look in enumerate(types):
        frame.value(place, look, f"a{place}")
    frame.fixed("ii", serial, property_index)
    return frame


def _helpers(types: Types, dialect: Dialect, known: UserTypes = NO_TYPES) -> dict[str, Any]:
    """Return what generated code calls; *known* are the types by C++ name that the peer has announced."""
    found: dict[str, Any] = dict(_TESTED)
    for place, look in enumerate(types):
        node = look.node
        if isinstance(node, (Int, Float)):
            found[f"convert{place}"] = node.convert
        if isinstance(node, EnumType):
            found[f"to_int{place}"] = partial(enum_number, node)
            found[f"from_int{place}"] = partial(enum_member, node)
        if kind_of(look)[0] == "general":
            inside = types_in(node) if look.exact else known
            found[f"general{place}"] = partial(variant, look, dialect=dialect, types=inside)
            found[f"read{place}"] = partial(_read_general, look, dialect)
    return found


class _FastReader(Reader):
    """Leaves values of unknown types to the general path, which knows what the peer has announced."""

    def _read_blob(self, type_name: str, *, key_count: int) -> object:
        raise UnknownUserType(type_name)


def _read_general(look: Wired, dialect: Dialect, data: bytes, start: int, end: int) -> tuple[Any, int]:
    reader = _FastReader(data, start, end, order=dialect.order, version=dialect.version)
    return lift(look.node, reader.read_variant()), reader.position


def _body(lines: list[str], indent: int = 1) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _condition(types: Types, names: str = "a") -> str | None:
    tests = [look.node.test(f"{names}{place}") for place, look in enumerate(types)]
    return None if any(test is None for test in tests) else " and ".join(str(test) for test in tests) or "True"


# What a host sends.


@lru_cache(maxsize=4096)
def _signal_source(types: Types, text: str) -> tuple[str, Frame]:
    frame = _invoke_frame(types, text, "-1", "-1")
    arguments = ", ".join(f"a{n}" for n in range(len(types)))
    return f"def encode({arguments}):\n{_body(frame.before)} return {frame.expression('p')}\n", frame


def signal_encoder(types: Types, head: bytes, dialect: Dialect) -> Callable[..., bytes]:
    """Return a function that makes the frame of a signal from its checked arguments."""
    source, frame = _signal_source(types, dialect.numbers.text)
    names = {**_helpers(types, dialect), **frame.bind("p", len(head), dialect.order), "head": head}
    return run_source(source, names)["encode"]  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def _change_source(look: Wired, text: str, *, notifies: bool) -> tuple[str, Frame, Frame]:
    change = Frame(text)
    change.fixed("HEAD", "change_head")
    change.value(0, look, "a0")
    notify = _invoke_frame((look,), text, "-1", "index", "notify_head")
    frames = change.expression("c") + (f" + {notify.expression('n')}" if notifies else "")
    return f"def encode(a0):\n{_body(change.before)} return {frames}\n", change, notify


def change_encoder(
    look: Wired, change_head: bytes, notify_head: bytes | None, index: int, dialect: Dialect
) -> Callable[[Any], bytes]:
    """Return a function that makes both frames of a property's new value: PropertyChange, then the notify signal.

    A constant property has no notify signal; should its source change it, the replica is told all the same.
    """
    source, change, notify = _change_source(look, dialect.numbers.text, notifies=notify_head is not None)
    order = dialect.order
    names = {**_helpers((look,), dialect), **change.bind("c", len(change_head), order)}
    names.update(notify.bind("n", len(notify_head or b""), order))
    names.update(change_head=change_head, notify_head=notify_head, index=index)
    return run_source(source, names)["encode"]  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def _reply_source(look: Wired | None, text: str) -> tuple[str, Frame]:
    frame = Frame(text)
    frame.fixed("HEADi", "head", "serial")
    if look is None:
        frame.fixed("IB", "0", "1")
        return f"def encode(serial, value):\n return {frame.expression('p')}\n", frame
    frame.value(0, look, "a0")
    test = look.node.test("a0")
    guard = "a0 = check(a0)" if test is None else f"if not ({test}): a0 = check(a0)"
    return f"def encode(serial, a0):\n {guard}\n{_body(frame.before)} return {frame.expression('p')}\n", frame


def reply_encoder(look: Wired | None, head: bytes, what: str, dialect: Dialect) -> Callable[[int, Any], bytes]:
    """Return a function that makes the frame of a result; it raises Fault(INTERNAL) when the result does not fit."""
    source, frame = _reply_source(look, dialect.numbers.text)
    names = {**_helpers((look,) if look else (), dialect), **frame.bind("p", len(head), dialect.order), "head": head}
    names["check"] = _result_check(look, what)
    return run_source(source, names)["encode"]  # type: ignore[no-any-return]


def _result_check(look: Wired | None, what: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        try:
            return None if look is None else look.node.convert(value)
        except ModelError as error:
            raise Fault(Code.INTERNAL, f"the result of {what} does not fit its type: {error}") from error

    return check


# What a host receives, and a node hears.


def _read_values(
    types: Types, text: str, tail: str = "", tail_names: tuple[str, ...] = (), *, count: bool, narrow: bool = True
) -> tuple[list[str], list[str]]:
    """Return the statements that read *types* from `data` at `p`, and the formats they unpack at once.

    *narrow* checks numbers against their bounds; a host leaves that to the gate, which checks every argument.
    """
    formats = ["I" if count else ""]
    targets: list[list[str]] = [["n"] if count else []]
    tests = [[f"n != {len(types)}"] if count else []]
    steps: list[list[str]] = [[]]
    for place, look in enumerate(types):
        kind, code = kind_of(look)
        if kind == "general":
            steps[-1].append(f"a{place}, p = read{place}(data, p, end)")
        else:
            formats[-1] += code
            targets[-1] += [f"t{place}", "_", f"{'l' if kind in ('str', 'bytes') else 'a'}{place}"]
            tests[-1].append(f"t{place} != {int(look.number)}")
            if kind == "enum":
                steps[-1].append(f"a{place} = from_int{place}(a{place})")
            elif narrow and (statement := _narrowing(place, look)):
                steps[-1].append(statement)
            if kind not in ("str", "bytes"):
                continue
            steps[-1].append(f"q = p + l{place}")
            decode = f".decode('{text}', 'surrogatepass')" if kind == "str" else ""
            steps[-1] += [f"a{place} = data[p:q]{decode}", "p = q"]
        formats.append("")
        targets.append([])
        tests.append([])
        steps.append([])
    formats[-1] += tail
    targets[-1] += tail_names
    lines: list[str] = []
    for number, code in enumerate(formats):
        if code:
            lines.append(f"{', '.join(targets[number])}, = u{number}(data, p)")
            lines.append(f"p += s{number}")
        if tests[number]:
            lines.append(f"if {' or '.join(tests[number])}: return odd")
        lines += steps[number]
    lines.append("if p != end: return odd")
    return lines, formats


def _narrowing(place: int, look: Wired) -> str | None:
    """Return the statement that refuses what the Qt type can hold and ours cannot; None when they hold the same."""
    node = look.node
    if not isinstance(node, (Int, Float)):
        return None
    if node.low is None and node.high is None and (node.bits == 64 or (isinstance(node, Int) and node.bits != 8)):
        return None
    convert, test = f"a{place} = convert{place}(a{place})", node.test(f"a{place}")
    return convert if test is None else f"if not ({test}): {convert}"


def _unpackers(formats: list[str], dialect: Dialect) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for number, code in enumerate(formats):
        layout = struct.Struct(dialect.order + code)
        names[f"u{number}"], names[f"s{number}"] = layout.unpack_from, layout.size
    return names


def _tuple(types: Types) -> str:
    return "(" + "".join(f"a{n}, " for n in range(len(types))) + ")"


@lru_cache(maxsize=4096)
def invoke_decoder(types: Types, event: Any, dialect: Dialect, *, token: bool) -> Callable[[Any, bytes, int, int], Any]:
    """Return `decode(route, data, start, end)` for a call's or signal's arguments, making *event*(route, arguments).

    With *token* the event gets the serial as its third field. None means: not recognized, ask the general path.
    """
    text = dialect.numbers.text
    lines, formats = _read_values(types, text, "ii", ("serial", "_"), count=True, narrow=not token)
    made = f"event(route, {_tuple(types)}{', serial' if token else ''})"
    source = f"def decode(route, data, p, end):\n{_body(lines)} return {made}\n"
    names = {**_helpers(types, dialect), **_unpackers(formats, dialect), "odd": None, "event": event}
    return run_source(source, names)["decode"]  # type: ignore[no-any-return]


def invoke_start(look: Wired, head: bytes, dialect: Dialect) -> tuple[bytes, int]:
    """Return the bytes before the one argument of an invoke, and the frame's size; nothing and 0 when that varies."""
    kind, code = kind_of(look)
    if kind not in ("fixed", "enum"):
        return b"", 0
    size = struct.calcsize(f"<I{len(head)}sI{code}ii")
    return dialect.numbers.size.pack(size - 4) + head, size


@lru_cache(maxsize=4096)
def change_decoder(look: Wired, event: Any, dialect: Dialect) -> Callable[[Any, bytes, int, int], Any]:
    """Return `decode(route, data, start, end)` for a property's new value, making *event*(route, (value,))."""
    lines, formats = _read_values((look,), dialect.numbers.text, count=False)
    source = f"def decode(route, data, p, end):\n{_body(lines)} return event(route, (a0,))\n"
    names = {**_helpers((look,), dialect), **_unpackers(formats, dialect), "odd": None, "event": event}
    return run_source(source, names)["decode"]  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def reply_decoder(look: Wired | None, dialect: Dialect) -> Callable[[bytes, int, int], Any]:
    """Return `decode(data, start, end)` for a call's result; Odd means: not recognized, ask the general path."""
    if look is None:
        return _read_nothing
    lines, formats = _read_values((look,), dialect.numbers.text, count=False)
    source = f"def decode(data, p, end):\n{_body(lines)} return a0\n"
    names = {**_helpers((look,), dialect), **_unpackers(formats, dialect), "odd": Odd}
    return run_source(source, names)["decode"]  # type: ignore[no-any-return]


def _read_nothing(data: bytes, start: int, end: int) -> Any:
    return None if data[start:end] == b"\0\0\0\0\1" else Odd


# What a node sends.


_CALL: Final = """\
def make(channel, check, waiting_for, call_of):
 head = p_size = most = pending = frames = next_serial = write = join = loop = {no_packers}None
 def slot({arguments}):
  {guard}
  if head is None: return channel.unavailable()
  serial = next_serial()
  {prepare}
  frame = {frame}
  {bound}
  call = call_of(loop=loop)
  call.link = channel
  if pending:
   join(frame)
  else:
   if frames: join(frame)
   else: write(frame)
   if not channel.sweeping: channel.sweep()
  pending[serial] = (waiting_for, call)
  return call
 def bind(names):
  nonlocal head, p_size, most, pending, frames, next_serial, write, join, loop{packers}
  head = names["head"]
  if head is None: return
  p_size, pending, frames, next_serial = names["p_size"], names["pending"], names["frames"], names["next_serial"]
  write, join, loop, most = names["write"], names["join"], names["loop"], names["most"]
  {bind_packers}
 return slot, bind
"""
"""The function behind a replica's slot: check, encode, queue, return the pending call.

The first call of an idle link is written at once, those behind it are joined.
"""


@lru_cache(maxsize=4096)
def _call_source(types: Types, text: str) -> tuple[str, Frame]:
    frame = _invoke_frame(types, text, "serial", "-1")
    arguments = "".join(f"a{n}, " for n in range(len(types)))
    condition = _condition(types)
    check = f"{arguments}= check(({arguments}))" if types else "pass"
    packers = [f"p{n}" for n in range(len(frame.formats))]
    source = _CALL.format(
        arguments=arguments,
        no_packers="".join(f"{packer} = " for packer in packers),
        guard=check if condition is None else f"if not ({condition}): {check}",
        prepare="; ".join(frame.before) or "pass",
        frame=frame.expression("p"),
        bound="if len(frame) > most: return channel.too_large(len(frame))" if frame.tails else "pass",
        packers="".join(f", {packer}" for packer in packers),
        bind_packers="; ".join(f"{packer} = names['{packer}']" for packer in packers),
    )
    return source, frame


def slot_maker(
    types: Types, dialect: Dialect, known: UserTypes = NO_TYPES
) -> tuple[Callable[..., Any], Callable[[bytes], dict[str, Any]]]:
    """Return what makes the function behind a slot of a replica, and what binds it to a frame head.

    `make(channel, check, waiting_for, call_of)` returns the slot, a closure that encodes, queues and returns its
    pending call, and its `bind(names)`; `packers(head)` gives the names of one link's frame head. *known* are the
    types by C++ name that the host has announced.
    """
    source, frame = _call_source(types, dialect.numbers.text)
    made = run_source(source, _helpers(types, dialect, known))["make"]

    def packers(head: bytes) -> dict[str, Any]:
        return {**frame.bind("p", len(head), dialect.order), "head": head}

    return made, packers


def call_frame(
    types: Types, head: bytes, serial: int, arguments: tuple[Any, ...], dialect: Dialect, known: UserTypes = NO_TYPES
) -> bytes:
    """Return the frame of one call; for calls too rare to compile."""
    values = b"".join(
        variant(look, value, dialect, types_in(look.node) if look.exact else known)
        for look, value in zip(types, arguments, strict=True)
    )
    order = dialect.order
    body = head + struct.pack(order + "I", len(types)) + values + struct.pack(order + "ii", serial, -1)
    return dialect.numbers.size.pack(len(body)) + body
