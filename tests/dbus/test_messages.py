"""Our reader beside libdbus: Debian's files of valid and invalid messages, and messages damaged in every way."""

from __future__ import annotations

import hashlib
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from everywire.dbus.codec import Kind, Message, Variant, decode_message, decode_plain, encode_message, frame_size
from everywire.dbus.codec.message import _template
from everywire.dbus.codec.names import _check_path
from everywire.errors import RemoteProtocolError
from tests.dbus.libdbus import Opinion, opinion
from tests.laws.dbus import write_message

PACKAGE: Final = "dbus-tests"


# ------------------------------------------------------------------------------------------ the files of dbus-tests
def message_files(kind: str) -> list[Path]:
    """The `.message-raw` files of the package, in its folders `<kind>-messages`; it has each twice."""
    if shutil.which("dpkg-query") is None:
        return []
    listed = subprocess.run(["dpkg-query", "-L", PACKAGE], capture_output=True, text=True, check=False).stdout
    files = [Path(line) for line in listed.splitlines() if re.search(rf"/{kind}-messages/[^/]+\.message-raw$", line)]
    return sorted({file.name: file for file in files}.values())


def raw_message(file: Path) -> bytes:
    """The bytes of a file; the annotated dump beside it, where there is one, must mean the same and be whole."""
    data = file.read_bytes()
    dump = file.with_name(f"{file.name}.hex")
    if dump.exists():
        text = dump.read_text(encoding="utf-8")
        assert bytes.fromhex(re.sub(r"#.*", "", text)) == data
        (digest,) = re.findall(r"^#sha1 ([0-9a-f]{40})$", text, re.MULTILINE)
        assert hashlib.sha1(data).hexdigest() == digest
    return data


VALID: Final = message_files("valid")
INVALID: Final = message_files("invalid")


def named(files: list[Path]) -> list[Any]:
    missing = pytest.mark.skip(f"`make test` as root installs the Debian package {PACKAGE}")
    return [pytest.param(file, id=file.name) for file in files] or [pytest.param(None, marks=missing)]


@pytest.mark.parametrize("file", named(VALID))
def test_every_valid_message_of_debian_is_read(file: Path) -> None:
    """One of them is of a kind that nobody knows: such a message is to be ignored, so it is read and dropped."""
    data = raw_message(file)
    assert frame_size(data) == len(data)
    message = decode_message(data)
    found = opinion(data)
    assert found.header is not None, found
    if found.header["type"] > max(Kind):
        assert message is None
    else:
        assert message is not None
        assert header_of(message) == found.header


@pytest.mark.parametrize("file", named(INVALID))
def test_every_invalid_message_of_debian_is_refused(file: Path) -> None:
    data = raw_message(file)
    assert opinion(data).refused
    assert isinstance(verdict(data), RemoteProtocolError)


# ------------------------------------------------------------------------------------------------- damaged messages
def verdict(data: bytes) -> Message | RemoteProtocolError | None:
    """What we make of bytes: a message, why not, or None for one that is not there yet or of a kind nobody knows.

    The short way leads nowhere, or to the same message.
    """
    if len(data) < 16:
        return None
    found: Message | RemoteProtocolError | None
    short = decode_plain(b"any" + data, 3, 3 + len(data))
    try:
        size = frame_size(data)
        found = decode_message(data[:size]) if size <= len(data) else None
    except RemoteProtocolError as error:
        found = error
    if short is not None:
        size = frame_size(data)
        assert repr(short) == repr((found, 3 + size))  # by their text, as NaN equals nothing
    return found


def header_of(message: Message) -> dict[str, Any]:
    """The header as libdbus tells it."""
    return {
        "path": message.path,
        "interface": message.interface,
        "member": message.member,
        "error_name": message.error_name,
        "destination": message.destination,
        "sender": message.sender,
        "signature": message.signature,
        "type": int(message.kind),
        "serial": message.serial,
        "reply_serial": message.reply_serial,
        "no_reply": message.flags & 1,
    }


def agree(data: bytes) -> Opinion:
    """Check that libdbus and we are of one mind about *data*."""
    theirs, ours = opinion(data), verdict(data)
    if theirs.header is None and not theirs.incomplete:
        assert isinstance(ours, RemoteProtocolError), f"libdbus refuses {data!r}: {theirs.refused}; we read {ours}"
    elif theirs.incomplete:  # we refuse what cannot become a message as soon as we see that
        assert ours is None or isinstance(ours, RemoteProtocolError)
    elif theirs.header is not None and theirs.header["type"] > max(Kind):
        assert ours is None, f"libdbus reads {data!r}; we refuse: {ours}"
    else:
        assert isinstance(ours, Message), f"libdbus reads {data!r}; we refuse: {ours}"
        assert header_of(ours) == theirs.header
    return theirs


BODIES: Final[tuple[tuple[str, tuple[Any, ...]], ...]] = (
    ("", ()),
    ("ynqiuxtdb", (1, -2, 3, -4, 5, -6, 7, 1.5, True)),
    ("sog", ("é\U0001f600", "/org/acme/hall", "a{sv}")),
    ("ayasai", (b"\x00\xff", ["a", "", "b"], [])),
    ("a{sv}v", ({"a": Variant("i", 1), "b": Variant("as", ["x"])}, Variant("(dd)", [1.0, 2.0]))),
    ("a(is)(y(q))a{u(ss)}", ([[1, "a"], [2, "b"]], [1, [2]], {7: ["k", "v"]})),
    ("aaaiaxv", ([[[1, 2]], []], [], Variant("v", Variant("v", Variant("s", "deep"))))),
)
HEADS: Final = (
    {"kind": Kind.CALL, "path": "/a", "member": "M"},
    {"kind": Kind.CALL, "path": "/", "interface": "a.b", "member": "M", "destination": "org.acme.Plant", "flags": 1},
    {"kind": Kind.RETURN, "reply_serial": 7, "destination": ":1.7"},
    {"kind": Kind.ERROR, "reply_serial": 7, "error_name": "org.acme.Error"},
    {"kind": Kind.SIGNAL, "path": "/a/b_1", "interface": "org.acme.Plant1", "member": "Moved"},
)
WHOLE: Final = [
    encode_message(Message(**head, signature=signature, body=body), serial)
    for serial, head in enumerate(HEADS, 1)
    for signature, body in BODIES
]


def field(code: int, signature: str, raw: bytes) -> bytes:
    """A header field."""
    return bytes((code, len(signature))) + signature.encode() + b"\0" + raw


def text(value: str) -> bytes:
    return len(value).to_bytes(4, "little") + value.encode() + b"\0"


def built(kind: int, fields: list[bytes], body: bytes = b"", serial: int = 1) -> bytes:
    """A little-endian message of these fields, right or wrong."""
    joined = b""
    for part in fields:
        joined += bytes(-len(joined) % 8) + part
    first = struct.pack("<cBBBIII", b"l", kind, 0, 1, len(body), serial, len(joined))
    return first + joined + bytes(-len(joined) % 8) + body


PATH, MEMBER, INTERFACE = field(1, "o", text("/a")), field(3, "s", text("M")), field(2, "s", text("a.b"))
REPLY, ERROR = field(5, "u", b"\x07\0\0\0"), field(4, "s", text("a.E"))
ODD_HEADERS: Final = {
    "a call with nothing": built(1, []),
    "a call without path": built(1, [MEMBER]),
    "a call without member": built(1, [PATH]),
    "a signal without interface": built(4, [PATH, MEMBER]),
    "an answer to nothing": built(2, []),
    "an answer to zero": built(2, [field(5, "u", bytes(4))]),
    "an error without name": built(3, [REPLY]),
    "a whole error": built(3, [REPLY, ERROR]),
    "a message of kind 0": built(0, [PATH, MEMBER]),
    "a message of kind 5": built(5, [PATH]),
    "kind 5 with a malformed body": built(5, [field(8, "g", b"\x01s\0")], b"\x01"),
    "serial 0": built(1, [PATH, MEMBER], serial=0),
    "a field twice": built(1, [PATH, PATH, MEMBER]),
    "an unknown field": built(1, [PATH, MEMBER, field(77, "(ii)", b"\0\0\0" + b"\0" * 8)]),
    "an unknown field twice": built(1, [PATH, MEMBER, field(77, "y", b"\1"), field(77, "y", b"\1")]),
    "field 0": built(1, [PATH, MEMBER, field(0, "y", b"\1")]),
    "a path as text": built(1, [field(1, "s", text("/a")), MEMBER]),
    "a member as path": built(1, [PATH, field(3, "o", text("/M"))]),
    "an invalid path": built(1, [field(1, "o", text("/a//b")), MEMBER]),
    "an invalid member": built(1, [PATH, field(3, "s", text("1M"))]),
    "an invalid interface": built(1, [PATH, MEMBER, field(2, "s", text("ab"))]),
    "an invalid destination": built(1, [PATH, MEMBER, field(6, "s", text("ab"))]),
    "a destination that begins with a digit": built(1, [PATH, MEMBER, field(6, "s", text("a.1b"))]),
    "a unique destination": built(1, [PATH, MEMBER, field(6, "s", text(":1.2"))]),
    "an empty destination": built(1, [PATH, MEMBER, field(6, "s", text(""))]),
    "an invalid sender": built(1, [PATH, MEMBER, field(7, "s", text("a..b"))]),
    "descriptors that did not come": built(1, [PATH, MEMBER, field(9, "u", b"\1\0\0\0")]),
    "no descriptors, announced": built(1, [PATH, MEMBER, field(9, "u", bytes(4))]),
    "the local path": built(4, [field(1, "o", text("/org/freedesktop/DBus/Local")), INTERFACE, MEMBER]),
    "the local interface": built(4, [PATH, field(2, "s", text("org.freedesktop.DBus.Local")), MEMBER]),
    "a body without signature": built(1, [PATH, MEMBER], b"\0\0\0\0"),
    "a signature without body": built(1, [PATH, MEMBER, field(8, "g", b"\x01y\0")]),
    "an empty signature": built(1, [PATH, MEMBER, field(8, "g", b"\x00\0")]),
    "a signature of an empty struct": built(1, [PATH, MEMBER, field(8, "g", b"\x02()\0")]),
    "a signature of a lone entry": built(1, [PATH, MEMBER, field(8, "g", b"\x04{ss}\0")], bytes(16)),
    "a reply serial inside of an unknown field": built(
        2, [field(77, "ay", b"\0\0\0\x0c\0\0\0" + bytes(4) + b"\x05\x01u\0\x09\0\0\0"), field(78, "y", b"\1"), REPLY]
    ),
    "a reply serial inside of an unknown field before the real one": built(
        2, [REPLY, field(77, "ay", b"\0\0\0\x0c\0\0\0" + bytes(4) + b"\x05\x01u\0\x09\0\0\0"), field(78, "y", b"\1")]
    ),
    "two reply serials": built(2, [REPLY, field(5, "u", b"\x09\0\0\0")]),
}


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in ODD_HEADERS.items()])
def test_odd_headers_are_judged_as_libdbus_judges_them(data: bytes) -> None:
    agree(data)


@pytest.mark.parametrize("data", WHOLE)
def test_whole_messages_are_read_alike(data: bytes) -> None:
    assert agree(data).header is not None


@pytest.mark.parametrize("data", WHOLE[::3])
def test_messages_that_end_too_early_are_incomplete_for_both(data: bytes) -> None:
    for end in range(len(data)):
        agree(data[:end])


@pytest.mark.parametrize("data", WHOLE)
def test_each_byte_replaced_is_judged_alike(data: bytes) -> None:
    for at in range(len(data)):
        for value in {0, 1, data[at] ^ 1, data[at] ^ 0x20, data[at] ^ 0x80, 0xFF}:
            agree(data[:at] + bytes((value,)) + data[at + 1 :])


@given(
    data=st.sampled_from(WHOLE),
    cuts=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 9), st.binary(max_size=9)), max_size=4),
)
def test_messages_damaged_at_several_places_are_judged_alike(data: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    for at, size, put in cuts:
        data = data[:at] + put + data[at + size :]
    agree(data)


@given(signature=st.text("ynqiuxtdbsoghav(){}", max_size=12), body=st.binary(max_size=40))
@example("a{sv}", bytes(4))
@example("a" * 33 + "y", bytes(4))
@example("(" * 33 + "y" + ")" * 33, bytes(8))
def test_any_signature_over_any_body_is_judged_alike(signature: str, body: bytes) -> None:
    raw = signature.encode()
    agree(built(1, [PATH, MEMBER, field(8, "g", bytes((len(raw),)) + raw + b"\0")], body))


@pytest.mark.parametrize("depth", [1, 10, 60, 61, 62, 63, 64, 65, 66, 70, 200])
def test_variants_in_variants_are_read_as_deep_as_libdbus_does(depth: int) -> None:
    body = b"\x01v\0" * (depth - 1) + b"\x01y\0" + b"\x05"
    agree(built(1, [PATH, MEMBER, field(8, "g", b"\x01v\0")], body))


@pytest.mark.parametrize("size", [(1 << 26) - 8, 1 << 26, (1 << 26) + 8, 1 << 27, 1 << 31])
def test_sizes_beyond_the_protocol_are_refused_before_anything_is_kept(size: int) -> None:
    body = size.to_bytes(4, "little")
    agree(built(1, [PATH, MEMBER, field(8, "g", b"\x02ax\0")], body))
    agree(struct.pack("<cBBBIII", b"l", 1, 0, 1, size, 1, 0))
    agree(struct.pack("<cBBBIII", b"l", 1, 0, 1, 0, 1, size))


@pytest.mark.parametrize("kind", Kind)
def test_the_short_way_is_taken_by_what_we_write(kind: Kind) -> None:
    names = {"path": "/a", "interface": "a.b", "member": "M", "error_name": "a.E"}
    answered = 7 if kind in (Kind.RETURN, Kind.ERROR) else 0
    message = Message(kind=kind, serial=9, reply_serial=answered, signature="si", body=("x", 1), **names)
    frame = encode_message(message, 9)
    assert decode_plain(frame, 0, len(frame)) == (message, len(frame))
    assert decode_plain(frame + frame, len(frame), 2 * len(frame)) == (message, 2 * len(frame))
    assert decode_plain(frame, 0, len(frame) - 1) is None


def test_long_headers_are_read_but_not_remembered() -> None:
    """A stranger may send thousands of them, each as long as a message may be."""
    before = _template.cache_info().currsize, _check_path.cache_info().currsize
    for length in range(2000, 2010):
        message = Message(kind=Kind.CALL, serial=1, path="/" + "a" * length, member="M")
        frame = write_message(message, 1, "<")
        assert decode_plain(frame, 0, len(frame)) is None
        assert decode_message(frame) == message
    assert (_template.cache_info().currsize, _check_path.cache_info().currsize) == before
