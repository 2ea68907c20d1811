"""The D-Bus engine under the laws, messages that a well-behaved peer may send, and a second writer of their bytes."""

from __future__ import annotations

import struct
from typing import Any, Final

from hypothesis import strategies as st

from everywire.dbus.codec import Kind, Message, Node, Variant, parse_signature
from everywire.dbus.engine import Engine
from tests.laws.engines import Subject, shown

MAX_FRAME: Final = 1024
GUID: Final = "0123456789abcdef0123456789abcdef"
UID: Final = 1000

# ------------------------------------------------------------------------------------- a writer that shares no code
_FIXED: Final = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "h": "I", "b": "I"}
_ALIGN: Final = {**dict.fromkeys("yvg", 1), **dict.fromkeys("nq", 2), **dict.fromkeys("biuhsoa", 4)}


def write_body(signature: str, body: tuple[Any, ...], order: str) -> bytes:
    """Return *body* as bytes, written from the specification, in either byte order."""
    out = bytearray()
    for node, value in zip(parse_signature(signature), body, strict=True):
        _write(out, node, value, order)
    return bytes(out)


def _pad(out: bytearray, code: str) -> None:
    out += bytes(-len(out) % _ALIGN.get(code, 8))


def _write(out: bytearray, node: Node, value: Any, order: str) -> None:
    code = node.code
    _pad(out, code)
    if code in _FIXED:
        out += struct.pack(order + _FIXED[code], value)
    elif code in "so":
        raw = value.encode()
        out += struct.pack(order + "I", len(raw)) + raw + b"\0"
    elif code == "g":
        out += bytes((len(value),)) + value.encode() + b"\0"
    elif code == "v":
        _write(out, Node("g"), value.signature, order)
        _write(out, parse_signature(value.signature)[0], value.value, order)
    elif code == "a":
        items = value.items() if isinstance(value, dict) else value
        at = len(out)
        out += bytes(4)
        _pad(out, node.parts[0].code)
        begin = len(out)
        for item in items:
            _write(out, node.parts[0], item, order)
        out[at : at + 4] = struct.pack(order + "I", len(out) - begin)
    else:
        for part, inner in zip(node.parts, value, strict=True):
            _write(out, part, inner, order)


def write_message(message: Message, serial: int, order: str) -> bytes:
    """Return *message* as bytes, its fields in the order of their codes."""
    body = write_body(message.signature, message.body, order)
    fields: list[tuple[int, Variant]] = []
    for code, signature, value in (
        (1, "o", message.path),
        (2, "s", message.interface),
        (3, "s", message.member),
        (4, "s", message.error_name),
        (5, "u", message.reply_serial),
        (6, "s", message.destination),
        (7, "s", message.sender),
        (8, "g", message.signature),
    ):
        if value:
            fields.append((code, Variant(signature, value)))
    mark = ord("l") if order == "<" else ord("B")
    head = write_body("yyyyuua(yv)", (mark, message.kind, message.flags, 1, len(body), serial, fields), order)
    return head + bytes(-len(head) % 8) + body


# ------------------------------------------------------------------------------------------------------------ values
_NUMBERS: Final = {"y": (0, 255), "n": (-(2**15), 2**15 - 1), "q": (0, 2**16 - 1), "i": (-(2**31), 2**31 - 1)}
_WIDE: Final = {"u": (0, 2**32 - 1), "x": (-(2**63), 2**63 - 1), "t": (0, 2**64 - 1)}
_TEXTS: Final = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8)
_PATHS: Final = st.sampled_from(["/", "/org/acme/Plant", "/a/_1"])
BASIC: Final = "ybnqiuxtdsog"
SIGNATURES: Final = st.recursive(
    st.sampled_from([*BASIC, "v"]),
    lambda inner: (
        inner.map(lambda item: f"a{item}")
        | st.lists(inner, min_size=1, max_size=3).map(lambda items: f"({''.join(items)})")
        | st.tuples(st.sampled_from(BASIC.replace("d", "")), inner).map(lambda pair: f"a{{{pair[0]}{pair[1]}}}")
    ),
    max_leaves=4,
)
"""Complete types; a float is no key here, for NaN equals nothing."""


def values_of(node: Node) -> st.SearchStrategy[Any]:
    """Return a strategy for values of *node* as bodies hold them."""
    code = node.code
    if code in _NUMBERS or code in _WIDE:
        return st.integers(*{**_NUMBERS, **_WIDE}[code])
    match code:
        case "b":
            return st.booleans()
        case "d":
            return st.floats(allow_nan=False)
        case "s":
            return _TEXTS
        case "o":
            return _PATHS
        case "g":
            return st.sampled_from(["", "s", "a{sv}", "(id)as"])
        case "v":
            inner = SIGNATURES.filter(lambda signature: "v" not in signature)
            return inner.flatmap(lambda text: values_of(parse_signature(text)[0]).map(lambda v: Variant(text, v)))
        case "a" if node.parts[0].code == "y":
            return st.binary(max_size=20)
        case "a" if node.parts[0].code == "{":
            key, value = node.parts[0].parts
            return st.dictionaries(values_of(key), values_of(value), max_size=3)
        case "a":
            return st.lists(values_of(node.parts[0]), max_size=3)
        case _:
            return st.tuples(*map(values_of, node.parts)).map(list)


def _bodies(signatures: tuple[str, ...]) -> st.SearchStrategy[tuple[str, tuple[Any, ...]]]:
    signature = "".join(signatures)
    return st.tuples(st.just(signature), st.tuples(*map(values_of, parse_signature(signature))))


BODIES: Final = st.lists(SIGNATURES, max_size=3).map(tuple).flatmap(_bodies)
_BUS_NAMES: Final = st.sampled_from(["", "org.acme.Plant", ":1.42"])
_FIELDS: Final[dict[Kind, dict[str, Any]]] = {
    Kind.CALL: {"path": _PATHS, "member": st.just("Boost"), "interface": st.sampled_from(["", "a.B1"])},
    Kind.RETURN: {"reply_serial": st.integers(1, 2**32 - 1)},
    Kind.ERROR: {"reply_serial": st.integers(1, 2**32 - 1), "error_name": st.just("org.acme.Error.TooHot")},
    Kind.SIGNAL: {"path": _PATHS, "member": st.just("Overheated"), "interface": st.just("org.acme.Thermostat1")},
}


def _messages(kind: Kind) -> st.SearchStrategy[Message]:
    return st.builds(
        lambda body, **fields: Message(kind=kind, signature=body[0], body=body[1], **fields),
        BODIES,
        sender=_BUS_NAMES,
        destination=_BUS_NAMES,
        flags=st.integers(0, 7),
        **_FIELDS[kind],
    )


MESSAGES: Final = st.sampled_from(Kind).flatmap(_messages)
ORDERS: Final = st.sampled_from("<>")
FRAMES: Final = st.builds(write_message, MESSAGES, st.integers(1, 2**32 - 1), ORDERS)
_LARGE: Final = st.builds(
    lambda size: write_message(
        Message(kind=Kind.CALL, path="/a", member="Take", signature="ay", body=(bytes(size),)), 7, "<"
    ),
    st.integers(MAX_FRAME, 3 * MAX_FRAME),
)


# ------------------------------------------------------------------------------------------------------- the subjects
class DBusRig:
    """An engine of one role."""

    def __init__(self, role: str, *, bus: bool = False) -> None:
        self.engine = Engine(role, max_frame=MAX_FRAME, uid=UID, guid=GUID, anonymous=True, bus=bus)

    def show(self, event: Any) -> object:
        return shown(event)


_EXTERNAL: Final = str(UID).encode().hex()
_ANSWERS: Final = [
    f"OK {GUID}\r\nAGREE_UNIX_FD\r\n",
    f"REJECTED EXTERNAL ANONYMOUS\r\nOK {GUID}\r\nERROR\r\n",
]
_OPENINGS: Final = [
    f"\0AUTH EXTERNAL {_EXTERNAL}\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n",
    "\0AUTH\r\nAUTH DBUS_COOKIE_SHA1 30\r\nAUTH ANONYMOUS 61\r\nBEGIN\r\n",
    f"\0AUTH EXTERNAL\r\nDATA\r\nCANCEL\r\nAUTH EXTERNAL\r\nDATA {_EXTERNAL}\r\nNONSENSE\r\nBEGIN\r\n",
]


def _streams(openings: list[str]) -> st.SearchStrategy[bytes]:
    messages = st.lists(FRAMES | _LARGE, max_size=4).map(b"".join)
    return st.builds(lambda opening, rest: opening.encode() + rest, st.sampled_from(openings), messages)


SUBJECTS: Final = (
    Subject("dbus_client", lambda: DBusRig("client"), _streams(_ANSWERS)),
    Subject("dbus_client_of_a_bus", lambda: DBusRig("client", bus=True), _streams(_ANSWERS)),
    Subject("dbus_server", lambda: DBusRig("server"), _streams(_OPENINGS)),
)
