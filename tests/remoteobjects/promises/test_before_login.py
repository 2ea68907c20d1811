"""R15: whatever a stranger says, a host tells it nothing before its login: no name, no list, no error, no value."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import pytest

from everywire import Fault, Limits, Node, Role, Tokens
from everywire.remoteobjects.codec import (
    AddObject,
    CallKind,
    Handshake,
    Invoke,
    InvokeReply,
    Ping,
    Pong,
    PropertyChange,
    RemoveObject,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.codec.extension import HELLO, LOGIN_FIRST, NAME, WELCOME, Method, ask
from everywire.remoteobjects.codec.faults import read_fault_reply
from everywire.runtime.scram import MECHANISM
from tests.harness import soak
from tests.remoteobjects.promises.conftest import Figures
from tests.remoteobjects.promises.machinery import open_socket
from tests.remoteobjects.promises.things import Journal

pytestmark = pytest.mark.usefixtures("cheap_derivations")

GREETING: Final = encode_packet(Handshake("QtRO 2.0"))
LOGIN: Final = encode_packet(Pong(LOGIN_FIRST))
THE_END: Final = b"\xff\xff\xff\xff"
"""A frame that is too long: behind it the host hangs up, so that all that it had to say has come."""
SECRETS: Final = ("journal", "Journal", "noteSlowly", "note_slowly", "/secret")

REFUSALS: Final = {
    "UNAUTHENTICATED: the token is wrong, expired or revoked",
    "RESOURCE_EXHAUSTED: too many logins from this address have failed: wait a minute, then check the token",
    f"UNIMPLEMENTED: this host knows the mechanism {MECHANISM} only",
}
"""Why a login fails, for whoever tries: it tells nothing of names, secrets or objects."""

WORDS: Final[tuple[bytes, ...]] = (
    encode_packet(Ping(HELLO)),
    encode_packet(Ping("journal")),
    encode_packet(Pong(WELCOME)),
    encode_packet(AddObject("journal", dynamic=True)),
    encode_packet(AddObject("journal", dynamic=False)),
    encode_packet(RemoveObject("journal")),
    encode_packet(Invoke("journal", CallKind.METHOD, 0, (5,), 5)),
    encode_packet(Invoke("journal", CallKind.WRITE_PROPERTY, 0, ("/x",), -1)),
    encode_packet(PropertyChange("journal", 0, 5)),
    encode_packet(InvokeReply("journal", 1, 5)),
    encode_packet(Handshake("QtRO 2.0")),
    ask(Method.CONTRACT, "journal", serial=7),
    ask(Method.OPEN, "journal", "note", [], 1, serial=8),
    ask(Method.CANCEL, "journal", 5, serial=9),
    ask(Method.AUTHENTICATE, MECHANISM, b"n,,n=panel,r=" + b"x" * 24, serial=10),
    ask(Method.AUTHENTICATE, MECHANISM, b"n,,n=nobody,r=" + b"x" * 24, serial=11),
    ask(Method.AUTHENTICATE, MECHANISM, b"c=biws,r=x,p=x", serial=12),
    ask(Method.AUTHENTICATE, "PLAIN", b"panel", serial=13),
)
"""What a node may say, and what it may not, before its login."""


_OF_NODES: Final = {encode_packet(packet)[4] for packet in (Ping(""), AddObject("", dynamic=True), RemoveObject(""))}
_OF_NODES |= {ask(Method.CONTRACT, "")[4]}


def says(rng: random.Random) -> bytes:
    """Some words in any order, some of them damaged."""
    words = [bytearray(rng.choice(WORDS)) for _ in range(rng.randrange(1, 12))]
    if rng.random() < 0.7:  # else most end with their first word that only a host may say
        words = [word for word in words if word[4] in _OF_NODES]
    for word in words:
        if rng.random() < 0.2:
            word[rng.randrange(4, len(word))] = rng.randrange(256)
    return b"".join(words)


async def hears(url: str, words: bytes) -> bytes:
    """Return all that the host answers to *words*."""
    reader, writer = await open_socket(url)
    heard = b""
    try:
        writer.write(words + THE_END)
        while data := await reader.read(65536):
            heard += data
    except ConnectionError:
        pass
    finally:
        writer.close()
    return heard


def told(heard: bytes) -> set[str]:
    """Return what the frames of *heard* tell, without what is of chance in them; fails on one that may not be."""
    found: set[str] = set()
    while heard:
        size = 4 + int.from_bytes(heard[:4], "little")
        frame, heard = heard[:size], heard[size:]
        if frame in (GREETING, LOGIN):
            found.add("handshake" if frame == GREETING else "login first")
            continue
        refusal = read_fault_reply(frame[4:])
        packet = InvokeReply(*refusal) if refusal else decode_packet(frame[4:], from_host=True)
        assert isinstance(packet, InvokeReply), packet
        assert packet.name == NAME
        found.add(str(packet.value) if isinstance(packet.value, Fault) else "challenge")
    return found


async def test_whatever_a_stranger_says_it_learns_nothing(folder: Path, figure: Figures) -> None:
    seed = random.randrange(2**32)
    figure("seed", seed)
    rng, file, journal = random.Random(seed), folder / "tokens.json", Journal()
    Tokens(file).add("panel", Role.OPERATOR)
    journal.path = str(folder / "secret")
    before = [journal.path, journal.calls]
    found: set[str] = set()
    dialogues = soak(150, 5000)
    async with Node(limits=Limits(drain=0.0), tokens=Tokens(file)) as node:
        node.publish(journal, "journal")
        (url,) = await node.serve("tcp://127.0.0.1:0")
        for _ in range(dialogues):
            words = says(rng)
            heard = await hears(url, words)
            found |= told(heard)
            for secret in SECRETS:
                assert secret.encode() not in heard, words
                assert secret.encode("utf-16-le") not in heard, words
        assert [journal.path, journal.calls] == before
        assert not (folder / "secret").exists(), "a slot ran"
    figure("dialogues before a login", dialogues)
    figure("different things told before a login", len(found), at_most=3 + len(REFUSALS))
    assert found <= {"handshake", "login first", "challenge"} | REFUSALS, "constant, and free of data"


async def test_what_is_told_before_a_login_does_not_depend_on_what_there_is(folder: Path) -> None:
    file = folder / "tokens.json"
    Tokens(file).add("panel", Role.OPERATOR)
    heard: list[Any] = []
    words = b"".join(word for word in WORDS if MECHANISM.encode("utf-16-le") not in word)
    for names in ((), ("journal",), ("one", "two", "three")):
        async with Node(limits=Limits(drain=0.0), tokens=Tokens(file)) as node:
            for name in names:
                node.publish(Journal(), name)
            (url,) = await node.serve("tcp://127.0.0.1:0")
            heard.append(await hears(url, words))
    assert heard[0] == heard[1] == heard[2]
    assert heard[0].startswith(GREETING)
