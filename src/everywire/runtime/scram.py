"""Proof of a shared secret without sending it: SCRAM (RFC 5802, RFC 7677) with scrypt (RFC 7914) for its `Hi`.

Both sides add a fresh nonce, so a recorded login proves nothing the next time; the client also learns that the server
knows the secret. Pure: nonces are arguments.

    client-first   n,,n=panel,r=CLIENTNONCE
    server-first   r=CLIENTNONCESERVERNONCE,s=SALT,i=16384
    client-final   c=biws,r=CLIENTNONCESERVERNONCE,p=PROOF
    server-final   v=SIGNATURE
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

import msgspec

from everywire.errors import Code, Fault, RemoteProtocolError

MECHANISM: Final = "SCRAM-SHA-256-SCRYPT"
"""SCRAM-SHA-256 but for the derivation of the salted password."""

COST: Final = 16384
"""scrypt's N; r is 8 and p is 1: 16 MiB and some tens of milliseconds for each guess."""
LEAST_COST: Final = 1 << 12
"""The least that a client derives for a server: a false one must not learn a proof that is cheap to guess from."""
MOST_COST: Final = 1 << 17
"""The most that a client derives for a server: 128 MiB."""
LEAST_NONCE: Final = 16
"""Characters that each side adds to the nonce, at least."""

_CLIENT_FIRST: Final = re.compile(r"n,,n=(?P<name>[A-Za-z0-9_-]{1,64}),r=(?P<nonce>[!-+\--~]{16,128})")
_SERVER_FIRST: Final = re.compile(
    r"r=(?P<nonce>[!-+\--~]{32,256}),s=(?P<salt>[A-Za-z0-9+/=]{8,128}),i=(?P<cost>[0-9]{1,7})"
)
_CLIENT_FINAL: Final = re.compile(r"c=biws,r=(?P<nonce>[!-+\--~]{32,256}),p=(?P<proof>[A-Za-z0-9+/=]{44})")
_SERVER_FINAL: Final = re.compile(r"v=(?P<signature>[A-Za-z0-9+/=]{44})")


_USED: Final = "-"
"""In place of a nonce whose one try is over; no message can hold it."""


class Verifier(msgspec.Struct, frozen=True, kw_only=True):
    """What a server keeps of a secret: enough to check it, not enough to log in with it (RFC 5802 section 3)."""

    salt: bytes
    cost: int
    stored_key: bytes
    server_key: bytes


def make_verifier(secret: str, salt: bytes, cost: int = COST) -> Verifier:
    """Return what checks *secret*. Takes scrypt's time."""
    salted = _salted(secret, salt, cost)
    client_key = _hmac(salted, b"Client Key")
    return Verifier(salt=salt, cost=cost, stored_key=_hash(client_key), server_key=_hmac(salted, b"Server Key"))


def matches(secret: str, verifier: Verifier) -> bool:
    """Return whether *secret* is the one that *verifier* was made of. Takes scrypt's time."""
    made = make_verifier(secret, verifier.salt, verifier.cost)
    return hmac.compare_digest(made.stored_key, verifier.stored_key)


class Client:
    """The side that proves that it knows *secret*; *nonce* is fresh and random."""

    def __init__(self, name: str, secret: str, nonce: str) -> None:
        self._secret, self._nonce = secret, nonce
        self._bare = f"n={name},r={nonce}"
        self._signature = b""

    def first(self) -> bytes:
        """Return the client's first message."""
        return f"n,,{self._bare}".encode()

    def final(self, server_first: bytes) -> bytes:
        """Answer the server's first message with the proof; raise RemoteProtocolError. Takes scrypt's time."""
        text = _text(server_first)
        match = _SERVER_FIRST.fullmatch(text)
        if match is None or not match["nonce"].startswith(self._nonce):
            raise RemoteProtocolError("the host began the login wrongly")
        salt, cost = _decode(match["salt"]), int(match["cost"])
        if len(match["nonce"]) < len(self._nonce) + LEAST_NONCE or len(salt) < 8:
            raise RemoteProtocolError("the host adds too little of its own to the login")
        if not LEAST_COST <= cost <= MOST_COST or cost & (cost - 1):
            raise RemoteProtocolError(f"the host demands scrypt with N={cost}")
        salted = _salted(self._secret, salt, cost)
        client_key = _hmac(salted, b"Client Key")
        bare = f"c=biws,r={match['nonce']}"
        spoken = f"{self._bare},{text},{bare}".encode()
        proof = _xor(client_key, _hmac(_hash(client_key), spoken))
        self._signature = _hmac(_hmac(salted, b"Server Key"), spoken)
        return f"{bare},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final: bytes) -> None:
        """Take the server's last message; raise RemoteProtocolError unless it, too, knows the secret."""
        match, expected = _SERVER_FINAL.fullmatch(_text(server_final)), self._signature
        if match is None or not expected or not hmac.compare_digest(_decode(match["signature"]), expected):
            raise RemoteProtocolError("the host does not know the secret: it is not the one that gave the token")


class Server:
    """The side that checks; *nonce* is fresh and random. Every failure is the same Fault(UNAUTHENTICATED)."""

    def __init__(self, nonce: str) -> None:
        self._own_nonce = nonce
        self._spoken = self._nonce = ""
        self.verifier: Verifier | None = None
        """What the proof is checked with; None before the client's first message."""

    @staticmethod
    def name_in(client_first: bytes) -> str:
        """Return who wants to log in."""
        return _matched(_CLIENT_FIRST, client_first)["name"]

    def first(self, client_first: bytes, verifier: Verifier) -> bytes:
        """Answer the client's first message, once."""
        nonce = _matched(_CLIENT_FIRST, client_first)["nonce"]
        if self._nonce:
            raise refused()  # a second exchange under one nonce of ours
        self._nonce, self.verifier = nonce + self._own_nonce, verifier
        answer = f"r={self._nonce},s={base64.b64encode(verifier.salt).decode()},i={verifier.cost}"
        self._spoken = f"{_text(client_first).removeprefix('n,,')},{answer}"
        return answer.encode()

    def final(self, client_final: bytes) -> bytes:
        """Check the client's proof; return the server's own. A second try needs a new exchange."""
        verifier, nonce, self._nonce = self.verifier, self._nonce, _USED
        match = _matched(_CLIENT_FINAL, client_final)
        if verifier is None or not hmac.compare_digest(match["nonce"], nonce):
            raise refused()
        spoken = f"{self._spoken},c=biws,r={match['nonce']}".encode()
        proof = _decode(match["proof"])
        if len(proof) != 32:
            raise refused()
        client_key = _xor(proof, _hmac(verifier.stored_key, spoken))
        if not hmac.compare_digest(_hash(client_key), verifier.stored_key):
            raise refused()
        return b"v=" + base64.b64encode(_hmac(verifier.server_key, spoken))


def refused() -> Fault:
    """Return the one answer to every login that fails: it does not say why."""
    return Fault(Code.UNAUTHENTICATED, "the token is wrong, expired or revoked", may_have_run=False)


def _matched(pattern: re.Pattern[str], message: bytes) -> re.Match[str]:
    try:
        match = pattern.fullmatch(_text(message))
    except RemoteProtocolError:
        match = None
    if match is None:
        raise refused()
    return match


def _salted(secret: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=cost, r=8, p=1, maxmem=256 * cost * 8, dklen=32)


def _text(message: bytes) -> str:
    try:
        return message.decode("ascii")
    except UnicodeDecodeError:
        raise RemoteProtocolError("a message of the login is not ASCII") from None


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _xor(one: bytes, two: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, two, strict=True))
