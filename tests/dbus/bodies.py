"""Values through real bytes: written by dbus-fast and from the specification, read by us and by dbus-fast. No tests."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from dbus_fast._private.unmarshaller import Unmarshaller

from everywire.dbus.codec import Kind, Message, Variant, marshal
from everywire.dbus.codec.bodies import read_body
from everywire.dbus.wire.types import compile_lift, compile_lower, signature_of
from everywire.model.types import ListOf, TupleOf, Type
from tests.laws.dbus import write_body, write_message

CARRIED = Message(kind=Kind.CALL, path="/org/acme/Plant", interface="org.acme.Plant1", member="Boost")


def lowered(node: Type, value: Any, signature: str | None = None, *, foreign: bool = False) -> Any:
    """Return *value* as a body holds it, checked against its signature by dbus-fast."""
    lower = compile_lower(node, signature, foreign=foreign)
    raw = value if lower is None else lower(value)
    Variant(signature or signature_of(node), listed(raw))  # dbus-fast verifies it, and wants lists for arrays
    return raw


def lifted(node: Type, raw: Any, signature: str | None = None) -> Any:
    """Return the checked value of what a body holds."""
    return node.convert(compile_lift(node, signature)(raw))


def arrivals(signature: str, raw: Any) -> Iterator[Any]:
    """Yield one value of a body as each reader gives it, from each writer's bytes in each byte order it can."""
    yield read_body(signature, marshal(signature, (raw,)), "<")[0]
    for order in "<>":
        yield read_body(signature, write_body(signature, (raw,), order), order)[0]
        frame = write_message(replaced(signature, raw), 1, order)
        message = Unmarshaller(io.BytesIO(frame)).unmarshall()
        assert message is not None
        yield message.body[0]


def replaced(signature: str, raw: Any) -> Message:
    """Return a message whose body is one value."""
    return Message(
        kind=CARRIED.kind,
        path=CARRIED.path,
        interface=CARRIED.interface,
        member=CARRIED.member,
        signature=signature,
        body=(raw,),
    )


def travelled(node: Type, value: Any) -> Iterator[Any]:
    """Yield *value* as it comes back from every writer and reader."""
    signature = signature_of(node)
    for raw in arrivals(signature, lowered(node, value)):
        yield lifted(node, raw)


def listed(raw: Any) -> Any:
    """Return what a body holds with lists where it has tuples."""
    if isinstance(raw, (list, tuple)):
        return [listed(item) for item in raw]
    return {key: listed(item) for key, item in raw.items()} if isinstance(raw, dict) else raw


def texts(raw: Any) -> Iterator[str]:
    """Yield every text in what a body holds."""
    if isinstance(raw, str):
        yield raw
    elif isinstance(raw, Variant):
        yield from texts(raw.value)
    elif isinstance(raw, dict):
        for key, item in raw.items():
            yield from (*texts(key), *texts(item))
    elif isinstance(raw, (list, tuple)):
        for item in raw:
            yield from texts(item)


def nested(node: Type, times: int, *, structs: bool) -> Type:
    """Return *node* in that many lists, or tuples of one."""
    for _ in range(times):
        node = TupleOf((node,)) if structs else ListOf(node)
    return node
