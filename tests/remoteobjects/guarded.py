"""A host that demands logins, and peers that know how to log in packet by packet. No tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from everywire import (
    Limits,
    Node,
    Object,
    Policy,
    Property,
    RemoteObjects,
    Tokens,
    current_call,
    prop,
    signal,
    slot,
)
from everywire.remoteobjects.codec import (
    Handshake,
    Ping,
    Pong,
)
from everywire.remoteobjects.codec.extension import HELLO, LOGIN_FIRST, Method, ask
from everywire.runtime.scram import MECHANISM, Client
from tests.remoteobjects.peers import RawPeer, raw_node

QUICK: Final = Limits(drain=0.0)
NONCE: Final = "n" * 24


class Machine(Object):
    target: Property[float] = prop(21.0, writable=True)

    @signal
    def beeped(self, number: int) -> None: ...

    @slot
    async def who(self) -> str:
        caller = current_call().caller
        return f"{caller.identity} {None if caller.role is None else caller.role.name}"

    @slot
    async def wait(self) -> None:
        await asyncio.Event().wait()

    @slot
    async def count(self) -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()


WHO: Final = 1  # pushTarget comes first


class Guarded:
    """A node with tokens, its address, and what its audit trail says."""

    def __init__(self, node: Node, tokens: Tokens, source: Machine, caplog: pytest.LogCaptureFixture) -> None:
        self.node, self.tokens, self.source = node, tokens, source
        self.url = ""
        self._caplog = caplog

    @property
    def denials(self) -> list[dict[str, Any]]:
        lines = [record.getMessage() for record in self._caplog.records if record.name == "everywire.audit"]
        assert all(len(line) <= 1024 for line in lines)
        return [json.loads(line) for line in lines]

    def wire(self, token: str) -> RemoteObjects:
        return RemoteObjects(url=self.url, token=token)

    async def denied(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many lines, and for the end of their links; there must be no more."""
        while len(self.denials) < count:
            await asyncio.sleep(0)
        assert len(self.denials) == count, self.denials
        return self.denials

    async def nobody_left(self) -> None:
        (server,) = self.node._servers
        while server.sessions:  # type: ignore[attr-defined]
            await asyncio.sleep(0)


@asynccontextmanager
async def guarding(
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    on: str = "tcp://127.0.0.1:0",
    limits: Limits = QUICK,
    policy: Policy | None = None,
) -> AsyncIterator[Guarded]:
    tokens = Tokens(folder / "tokens.json")
    async with Node(limits=limits, policy=policy, tokens=tokens) as node:
        guarded = Guarded(node, tokens, Machine(), caplog)
        node.publish(guarded.source, "it")
        (guarded.url,) = await node.serve(on)
        yield guarded


@asynccontextmanager
async def stranger(url: str) -> AsyncIterator[RawPeer]:
    """A link before its login, after the handshake."""
    async with raw_node(url, greeted=False) as peer:
        assert await peer.packet() == Handshake("QtRO 2.0")
        yield peer


async def begin(peer: RawPeer, name: str = "panel", secret: str = "wrong") -> tuple[Client, bytes]:
    """Say hello and send the first message; return the client and the host's answer."""
    client = Client(name, secret, NONCE)
    await peer.send(Ping(HELLO), authenticate(client.first(), serial=1))
    assert await peer.packet() == Pong(LOGIN_FIRST)
    answer = await peer.result(1)
    assert isinstance(answer, bytes)
    return client, answer


def authenticate(message: object, *, serial: int, mechanism: object = MECHANISM) -> bytes:
    return ask(Method.AUTHENTICATE, mechanism, message, serial=serial)


async def log_in(peer: RawPeer, token: str) -> None:
    client, answer = await begin(peer, *token.split("."))
    await peer.send(authenticate(client.final(answer), serial=2))
    client.check(await peer.result(2))
