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

from everywire.codec.qdatastream import Reader
from everywire.errors import Code, Fault, ModelError
from everywire.model.compile import run_source
from everywire.model.types import EnumType, Float, Int, Type
from everywire.remoteobjects.engine import Odd
from everywire.remoteobjects.wire.frames import Frame, kind_of
from everywire.remoteobjects.wire.qttypes import enum_member, enum_number, lift, qt_type, variant

_TESTED: Final = {kind.__name__: kind for kind in (bool, int, float, str, bytes, date, datetime, time, timedelta, UUID)}
Types = tuple[Type, ...]


def _invoke_frame(types: Types, serial: str, property_index: str, head: str = "head", names: str = "a") -> Frame:
    frame = Frame()
    frame.fixed("HEAD", head)
    frame.fixed("I", str(len(types)))
    for place, node in enumerate(types):
        frame.value(place, node, f"{names}{place}")
    frame.fixed("ii", serial, property_index)
    return frame


def _helpers(types: Types) -> dict[str, Any]:
    found: dict[str, Any] = dict(_TESTED)
    for place, node in enumerate(types):
        if isinstance(node, (Int, Float)):
            found[f"convert{place}"] = node.convert
        if isinstance(node, EnumType):
            found[f"to_int{place}"] = partial(enum_number, node)
            found[f"from_int{place}"] = partial(enum_member, node)
        elif kind_of(node)[0] == "general":
            found[f"general{place}"] = partial(variant, node)
            found[f"read{place}"] = partial(_read_general, node)
    return found


def _read_general(node: Type, data: bytes, start: int, end: int) -> tuple[Any, int]:
    reader = Reader(data, start, end)
    return lift(node, reader.read_variant()), reader.position


def _body(lines: list[str], indent: int = 1) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _condition(types: Types, names: str = "a") -> str | None:
    tests = [node.test(f"{names}{place}") for place, node in enumerate(types)]
    return None if any(test is None for test in tests) else " and ".join(str(test) for test in tests) or "True"


# What a host sends.


@lru_cache(maxsize=4096)
def _signal_source(types: Types) -> tuple[str, Frame]:
    frame = _invoke_frame(types, "-1", "-1")
    arguments = ", ".join(f"a{n}" for n in range(len(types)))
    return f"def encode({arguments}):\n{_body(frame.before)} return {frame.expression('p')}\n", frame


def signal_encoder(types: Types, head: bytes) -> Callable[..., bytes]:
    """Return a function that makes the frame of a signal from its checked arguments."""
    source, frame = _signal_source(types)
    return run_source(source, {**_helpers(types), **frame.bind("p", len(head)), "head": head})["encode"]  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def _change_source(node: Type) -> tuple[str, Frame, Frame]:
    change = Frame()
    change.fixed("HEAD", "change_head")
    change.value(0, node, "a0")
    notify = _invoke_frame((node,), "-1", "index", "notify_head")
    source = f"def encode(a0):\n{_body(change.before)} return {change.expression('c')} + {notify.expression('n')}\n"
    return source, change, notify


def change_encoder(node: Type, change_head: bytes, notify_head: bytes, index: int) -> Callable[[Any], bytes]:
    """Return a function that makes both frames of a property's new value: PropertyChange, then the notify signal."""
    source, change, notify = _change_source(node)
    names = {**_helpers((node,)), **change.bind("c", len(change_head)), **notify.bind("n", len(notify_head))}
    names.update(change_head=change_head, notify_head=notify_head, index=index)
    return run_source(source, names)["encode"]  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def _reply_source(node: Type | None) -> tuple[str, Frame]:
    frame = Frame()
    frame.fixed("HEADi", "head", "serial")
    if node is None:
        frame.fixed("IB", "0", "1")
        return f"def encode(serial, value):\n return {frame.expression('p')}\n", frame
    frame.value(0, node, "a0")
    test = node.test("a0")
    guard = "a0 = check(a0)" if test is None else f"if not ({test}): a0 = check(a0)"
    return f"def encode(serial, a0):\n {guard}\n{_body(frame.before)} return {frame.expression('p')}\n", frame


def reply_encoder(node: Type | None, head: bytes, what: str) -> Callable[[int, Any], bytes]:
    """Return a function that makes the frame of a result; it raises Fault(INTERNAL) when the result does not fit."""
    source, frame = _reply_source(node)
    names = {**_helpers((node,) if node else ()), **frame.bind("p", len(head)), "head": head}
    names["check"] = _result_check(node, what)
    return run_source(source, names)["encode"]  # type: ignore[no-any-return]


def _result_check(node: Type | None, what: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        try:
            return None if node is None else node.convert(value)
        except ModelError as error:
            raise Fault(Code.INTERNAL, f"the result of {what} does not fit its type: {error}") from error

    return check


# What a host receives, and a node hears.


def _read_values(
    types: Types, tail: str = "", tail_names: tuple[str, ...] = (), *, count: bool, narrow: bool = True
) -> tuple[list[str], list[str]]:
    """Return the statements that read *types* from `data` at `p`, and the formats they unpack at once.

    *narrow* checks numbers against their bounds; a host leaves that to the gate, which checks every argument.
    """
    formats = ["I" if count else ""]
    targets: list[list[str]] = [["n"] if count else []]
    tests = [[f"n != {len(types)}"] if count else []]
    steps: list[list[str]] = [[]]
    for place, node in enumerate(types):
        kind, code = kind_of(node)
        if kind == "general":
            steps[-1].append(f"a{place}, p = read{place}(data, p, end)")
        else:
            formats[-1] += code
            targets[-1] += [f"t{place}", "_", f"{'l' if kind in ('str', 'bytes') else 'a'}{place}"]
            tests[-1].append(f"t{place} != {int(qt_type(node).number)}")
            if kind == "enum":
                steps[-1].append(f"a{place} = from_int{place}(a{place})")
            elif narrow and (statement := _narrowing(place, node)):
                steps[-1].append(statement)
            if kind not in ("str", "bytes"):
                continue
            steps[-1].append(f"q = p + l{place}")
            text = ".decode('utf-16-le', 'surrogatepass')" if kind == "str" else ""
            steps[-1] += [f"a{place} = data[p:q]{text}", "p = q"]
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


def _narrowing(place: int, node: Type) -> str | None:
    """Return the statement that refuses what the Qt type can hold and *node* cannot; None when they hold the same."""
    if not isinstance(node, (Int, Float)):
        return None
    if node.low is None and node.high is None and (node.bits == 64 or (isinstance(node, Int) and node.bits != 8)):
        return None
    convert, test = f"a{place} = convert{place}(a{place})", node.test(f"a{place}")
    return convert if test is None else f"if not ({test}): {convert}"


def _unpackers(formats: list[str]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for number, code in enumerate(formats):
        layout = struct.Struct("<" + code)
        names[f"u{number}"], names[f"s{number}"] = layout.unpack_from, layout.size
    return names


def _tuple(types: Types) -> str:
    return "(" + "".join(f"a{n}, " for n in range(len(types))) + ")"


@lru_cache(maxsize=4096)
def invoke_decoder(types: Types, event: Any, *, token: bool) -> Callable[[Any, bytes, int, int], Any]:
    """Return `decode(route, data, start, end)` for a call's or signal's arguments, making *event*(route, arguments).

    With *token* the event gets the serial as its third field. None means: not recognized, ask the general path.
    """
    lines, formats = _read_values(types, "ii", ("serial", "_"), count=True, narrow=not token)
    made = f"event(route, {_tuple(types)}{', serial' if token else ''})"
    source = f"def decode(route, data, p, end):\n{_body(lines)} return {made}\n"
    return run_source(source, {**_helpers(types), **_unpackers(formats), "odd": None, "event": event})["decode"]  # type: ignore[no-any-return]


def invoke_start(node: Type, head: bytes) -> tuple[bytes, int]:
    """Return the bytes before the one argument of an invoke, and the frame's size; nothing and 0 when that varies."""
    kind, code = kind_of(node)
    if kind not in ("fixed", "enum"):
        return b"", 0
    size = struct.calcsize(f"<I{len(head)}sI{code}ii")
    return struct.pack("<I", size - 4) + head, size


@lru_cache(maxsize=4096)
def change_decoder(node: Type, event: Any) -> Callable[[Any, bytes, int, int], Any]:
    """Return `decode(route, data, start, end)` for a property's new value, making *event*(route, (value,))."""
    lines, formats = _read_values((node,), count=False)
    source = f"def decode(route, data, p, end):\n{_body(lines)} return event(route, (a0,))\n"
    return run_source(source, {**_helpers((node,)), **_unpackers(formats), "odd": None, "event": event})["decode"]  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def reply_decoder(node: Type | None) -> Callable[[bytes, int, int], Any]:
    """Return `decode(data, start, end)` for a call's result; Odd means: not recognized, ask the general path."""
    if node is None:
        return _read_nothing
    lines, formats = _read_values((node,), count=False)
    source = f"def decode(data, p, end):\n{_body(lines)} return a0\n"
    return run_source(source, {**_helpers((node,)), **_unpackers(formats), "odd": Odd})["decode"]  # type: ignore[no-any-return]


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
def _call_source(types: Types) -> tuple[str, Frame]:
    frame = _invoke_frame(types, "serial", "-1")
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


def slot_maker(types: Types) -> tuple[Callable[..., Any], Callable[[bytes], dict[str, Any]]]:
    """Return what makes the function behind a slot of a replica, and what binds it to a frame head.

    `make(channel, check, waiting_for, call_of)` returns the slot, a closure that encodes, queues and returns its
    pending call, and its `bind(names)`; `packers(head)` gives the names of one link's frame head.
    """
    source, frame = _call_source(types)
    made = run_source(source, _helpers(types))["make"]

    def packers(head: bytes) -> dict[str, Any]:
        return {**frame.bind("p", len(head)), "head": head}

    return made, packers


def call_frame(types: Types, head: bytes, serial: int, arguments: tuple[Any, ...]) -> bytes:
    """Return the frame of one call; for calls too rare to compile."""
    values = b"".join(variant(node, value) for node, value in zip(types, arguments, strict=True))
    body = head + struct.pack("<I", len(types)) + values + struct.pack("<ii", serial, -1)
    return struct.pack("<I", len(body)) + body
