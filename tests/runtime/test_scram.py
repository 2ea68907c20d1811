"""SCRAM: who knows the secret is let in, and nobody else, whatever bytes are sent, recorded and replayed."""

from __future__ import annotations

import base64
import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire.errors import Code, Fault, RemoteProtocolError
from everywire.runtime.scram import LEAST_COST, MOST_COST, Client, Server, make_verifier, matches

SECRET: Final = "correct-horse-battery-staple"
CLIENT_NONCE: Final = "c" * 24
SERVER_NONCE: Final = "s" * 24
VERIFIER: Final = make_verifier(SECRET, b"0123456789abcdef", LEAST_COST)
OTHER: Final = make_verifier("something else", b"0123456789abcdef", LEAST_COST)


def exchange(secret: str = SECRET, client_nonce: str = CLIENT_NONCE) -> tuple[Client, Server, bytes, bytes]:
    """An exchange up to the client's proof: both sides, and what the client said."""
    client, server = Client("panel", secret, client_nonce), Server(SERVER_NONCE)
    first = client.first()
    return client, server, first, client.final(server.first(first, VERIFIER))


PROVEN: Final = exchange()


def test_who_knows_the_secret_is_let_in_and_learns_that_the_host_knows_it_too() -> None:
    client, server, first, final = exchange()
    assert Server.name_in(first) == "panel"
    client.check(server.final(final))


def test_the_messages_are_those_of_rfc_5802() -> None:
    _, server, first, final = exchange()
    assert first == b"n,,n=panel,r=" + CLIENT_NONCE.encode()
    nonce = re.escape((CLIENT_NONCE + SERVER_NONCE).encode())
    assert re.fullmatch(rb"c=biws,r=" + nonce + rb",p=[A-Za-z0-9+/=]{44}", final)
    assert re.fullmatch(rb"v=[A-Za-z0-9+/=]{44}", server.final(final))


def test_the_secret_is_in_no_message_and_not_in_what_the_server_keeps() -> None:
    _, server, first, final = exchange()
    told = b"".join((first, final, server.final(final), VERIFIER.stored_key, VERIFIER.server_key))
    assert SECRET.encode() not in told
    assert base64.b64encode(SECRET.encode()) not in told


def test_a_wrong_secret_is_refused() -> None:
    _, server, _, final = exchange("wrong")
    with pytest.raises(Fault, match="wrong, expired or revoked") as refused:
        server.final(final)
    assert refused.value.code is Code.UNAUTHENTICATED
    assert not refused.value.may_have_run


def test_a_recorded_exchange_is_refused_by_every_later_one() -> None:
    _, _, first, final = PROVEN
    again = Server("t" * 24)
    again.first(first, VERIFIER)
    with pytest.raises(Fault):
        again.final(final)


def test_an_exchange_has_one_try() -> None:
    _, server, first, final = exchange()
    wrong = final[:-8] + b"AAAAAAA="
    with pytest.raises(Fault):
        server.final(wrong)
    with pytest.raises(Fault):
        server.final(final)
    with pytest.raises(Fault):
        server.first(first, VERIFIER)


def test_a_proof_before_the_first_message_is_refused() -> None:
    with pytest.raises(Fault):
        Server(SERVER_NONCE).final(PROVEN[3])


def test_a_host_that_does_not_know_the_secret_is_noticed() -> None:
    """A false host can only make up what it checks with, and so its own proof."""
    client, server = Client("panel", SECRET, CLIENT_NONCE), Server(SERVER_NONCE)
    client.final(server.first(client.first(), OTHER))
    with pytest.raises(RemoteProtocolError, match="does not know the secret"):
        client.check(b"v=" + base64.b64encode(bytes(32)))


def test_a_client_that_has_proven_nothing_believes_no_host() -> None:
    with pytest.raises(RemoteProtocolError, match="does not know the secret"):
        Client("panel", SECRET, CLIENT_NONCE).check(b"v=" + base64.b64encode(bytes(32)))


@pytest.mark.parametrize("cost", [0, 1, 2, LEAST_COST - 1, LEAST_COST // 2, LEAST_COST + 1, MOST_COST * 2, 9_999_999])
def test_a_client_derives_neither_for_next_to_nothing_nor_for_gigabytes(cost: int) -> None:
    first = f"r={CLIENT_NONCE}{SERVER_NONCE},s=MDEyMzQ1Njc4OWFi,i={cost}".encode()
    with pytest.raises(RemoteProtocolError, match=f"N={cost}"):
        Client("panel", SECRET, CLIENT_NONCE).final(first)


@pytest.mark.parametrize(
    "first",
    [
        f"r={SERVER_NONCE}{SERVER_NONCE},s=MDEyMzQ1Njc4OWFi,i=4096",
        f"r={CLIENT_NONCE}{'s' * 15},s=MDEyMzQ1Njc4OWFi,i=4096",
        f"r={CLIENT_NONCE}{SERVER_NONCE},s=MDEyMzQ1,i=4096",
        f"r={CLIENT_NONCE}{SERVER_NONCE},s=MDEyMzQ1Njc4OWF,i=4096",
        f"r={CLIENT_NONCE}{SERVER_NONCE},s=MDEyMzQ1Njc4OWFi,i=4096,m=x",
    ],
    ids=["not our nonce", "hardly a nonce of its own", "short salt", "no base64", "an extension"],
)
def test_a_host_that_begins_wrongly_gets_no_proof(first: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Client("panel", SECRET, CLIENT_NONCE).final(first.encode())


def test_a_proof_with_a_byte_too_many_is_refused() -> None:
    _, server, _, final = exchange()
    with pytest.raises(Fault):
        server.final(final[:-1] + b"A")  # 44 characters without padding: 33 bytes, the first 32 of them right


def test_a_secret_is_checked_without_an_exchange() -> None:
    assert matches(SECRET, VERIFIER)
    assert not matches("wrong", VERIFIER)


# ---------------------------------------------------------------------------------------------------------- any bytes
TEXT: Final = st.text("n,=rcpvsbiws+/0123456789AZaz-_\x00\n€", max_size=80).map(str.encode)
BYTES: Final = st.one_of(st.binary(max_size=200), TEXT)


def mutated(message: bytes) -> st.SearchStrategy[bytes]:
    """The message with one byte replaced, taken out, or put in."""
    place = st.integers(0, len(message) - 1)
    return st.tuples(place, st.integers(0, 2), st.integers(0, 255)).map(
        lambda found: message[: found[0]] + bytes([found[2]])[: found[1]] + message[found[0] + (found[1] < 2) :]
    )


def unauthenticated(fault: Fault) -> None:
    assert fault.code is Code.UNAUTHENTICATED


@given(BYTES)
def test_any_first_message_gets_an_answer_or_the_one_refusal(message: bytes) -> None:
    server = Server(SERVER_NONCE)
    try:
        name = Server.name_in(message)
        assert server.first(message, VERIFIER).startswith(b"r=")
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)
    except Fault as fault:
        unauthenticated(fault)


@given(st.one_of(BYTES, mutated(PROVEN[3])))
def test_any_other_proof_is_refused(message: bytes) -> None:
    server = Server(SERVER_NONCE)
    server.first(PROVEN[2], VERIFIER)
    try:
        server.final(message)
    except Fault as fault:
        unauthenticated(fault)
    else:
        # The one proof; base64 leaves two bits of its last character to the writer.
        assert message[:-2] == PROVEN[3][:-2]


@given(st.one_of(BYTES, st.binary(max_size=60).map(lambda rest: f"r={CLIENT_NONCE}".encode() + rest)))
def test_whatever_a_host_begins_with_a_client_has_an_answer_or_a_named_error(message: bytes) -> None:
    try:
        proof = Client("panel", SECRET, CLIENT_NONCE).final(message)
    except RemoteProtocolError:
        return
    assert proof.startswith(b"c=biws,r=")


@given(BYTES)
def test_whatever_a_host_ends_with_it_is_not_believed(message: bytes) -> None:
    client, _, _, _ = PROVEN
    with pytest.raises(RemoteProtocolError):
        client.check(message)
