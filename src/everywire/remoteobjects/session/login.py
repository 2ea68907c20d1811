"""The client's side of a login at an everywire host. Knows no files and no objects."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from everywire.errors import Code, Fault, RemoteProtocolError
from everywire.remoteobjects.codec.extension import NAME, Method
from everywire.runtime.scram import MECHANISM, Client

if TYPE_CHECKING:
    from everywire.remoteobjects.session.node import NodeSession


async def log_in(session: NodeSession, name: str, secret: str) -> None:
    """Prove that we know *secret* without sending it, and that the host does, too.

    Raises Fault(UNAUTHENTICATED) when either proof fails, RemoteProtocolError when the host speaks nonsense. The
    derivation takes scrypt's time in a thread.
    """
    client = Client(name, secret, secrets.token_urlsafe(24))
    first = await _ask(session, client.first())
    final = await asyncio.to_thread(client.final, first)
    proof = await _ask(session, final)
    try:
        client.check(proof)
    except RemoteProtocolError as error:
        raise Fault(Code.UNAUTHENTICATED, str(error), may_have_run=False) from None


async def _ask(session: NodeSession, message: bytes) -> bytes:
    answer: Any = await session.invoke(NAME, Method.AUTHENTICATE, MECHANISM, message)
    if not isinstance(answer, bytes):
        raise RemoteProtocolError("the host answered a login with something else than bytes")
    return answer
