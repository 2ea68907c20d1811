"""Who asks: what the connection establishes, and the token that a request shows. Decides nothing about objects."""

from __future__ import annotations

from typing import Final

from everywire.errors import Code, Fault
from everywire.http.exchange import Exchange
from everywire.http.problems import CHALLENGE, Problem
from everywire.model import Caller
from everywire.runtime import audit
from everywire.runtime.tokens import Grant, Login, Tokens
from everywire.transport import Peer
from everywire.transport.address import bracketed, is_loopback, unmapped

_FORWARDED: Final = (
    b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip",
)  # fmt: skip
"""Headers of proxies. With one of them the other end of the connection is not who asks."""

_INVALID: Final = (b"www-authenticate", b'Bearer realm="everywire", error="invalid_token"')


def connected(exchange: Exchange) -> Caller:
    """Return who asks, as far as the connection itself says; behind a proxy that is nobody."""
    peer = _peer(exchange)
    if any(name in exchange.headers for name in _FORWARDED):
        return Caller(wire="http", encrypted=peer.encrypted, address=peer.address)
    return Caller(
        wire="http",
        identity=(peer.subject or "anonymous") if peer.uid is None else f"uid:{peer.uid}",
        uid=peer.uid,
        loopback=peer.loopback,
        encrypted=peer.encrypted,
        address=peer.address,
    )


async def log_in(exchange: Exchange, caller: Caller, tokens: Tokens | None) -> None:
    """Give *exchange* its caller and its login; raise Problem when one is needed and missing or wrong.

    Without *tokens* nobody logs in. With them a user whom the system vouches for need not, nor a listed certificate.
    """
    exchange.caller, exchange.login = caller, Login()
    if tokens is None:
        return
    shown = exchange.headers.get(b"authorization")
    if shown is None and caller.uid is not None:
        return
    if shown is not None:
        grant = await _bearer(exchange, caller, tokens, shown.decode("latin-1"))
    else:
        grant = _certificate(caller, tokens)
    exchange.caller, exchange.login = _as(caller, grant), Login(tokens, grant)


def _certificate(caller: Caller, tokens: Tokens) -> Grant:
    certified = caller.identity != "anonymous"
    grant = tokens.of_certificate(caller.identity) if certified else None
    if grant is None:
        reason = "the certificate is not listed" if certified else "no token"
        raise _denied(caller, reason, "this server wants a token: Authorization: Bearer NAME.SECRET", CHALLENGE)
    return grant


async def _bearer(exchange: Exchange, caller: Caller, tokens: Tokens, shown: str) -> Grant:
    scheme, _, token = shown.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _denied(caller, "not a Bearer token", "log in by Authorization: Bearer NAME.SECRET", CHALLENGE)
    if not caller.encrypted and not _peer(exchange).loopback:
        detail = "the token came without encryption, so others may know it now: replace it, and use https"
        raise _denied(caller, "a token without encryption", detail, _INVALID)
    token = token.strip()
    name = token.partition(".")[0]
    try:
        grant = await tokens.check(token, address=caller.address)
    except Fault as fault:
        audit.denied("login", caller, reason=fault.message, name=name)
        wait = ((b"retry-after", b"60"),)
        raise Problem(429, fault.message, fault.code, headers=wait, counted="logins") from None
    if grant is None:
        raise _denied(caller, tokens.why_not(name), "this token is wrong, revoked or expired", _INVALID, name=name)
    return grant


def _as(caller: Caller, grant: Grant) -> Caller:
    """Return *caller* as the login makes it: from now on that is who asks, and no user of this machine."""
    return Caller(
        wire="http",
        identity=grant.identity,
        role=grant.role,
        loopback=caller.loopback,
        encrypted=caller.encrypted,
        address=caller.address,
    )


def _denied(caller: Caller, reason: str, detail: str, challenge: tuple[bytes, bytes], **details: str) -> Problem:
    audit.denied("login", caller, reason=reason, **details)
    return Problem(401, detail, Code.UNAUTHENTICATED, headers=(challenge,), counted="logins")


def _peer(exchange: Exchange) -> Peer:
    """Return the other end of the connection; of what somebody else's server accepted only the address is known."""
    if exchange.line is not None:
        return exchange.line.peer
    client = exchange.scope.get("client")
    if not client or not client[0]:
        return Peer(transport="asgi", encrypted=exchange.encrypted)
    host = unmapped(str(client[0]))
    return Peer(
        transport="asgi",
        address=f"{bracketed(host)}:{client[1]}",
        loopback=is_loopback(host),
        encrypted=exchange.encrypted,
    )
