"""Keeps a replica linked to its source: connects, attaches, notices the loss, and comes back for ever."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from everywire.errors import (
    EverywireError,
    Fault,
    LinkError,
    ModelError,
    RemoteProtocolError,
    SignatureMismatch,
    TokenError,
)
from everywire.runtime.node import Node
from everywire.runtime.replica import ReplicaLink, ReplicaState
from everywire.runtime.rhythm import FAR, LOCKED_OUT, NEAR, is_locked_out, is_near, pause
from everywire.runtime.wires import ClientSession, Wire

log: Final = logging.getLogger("everywire.link")


class Supervisor:
    """One replica's endless attempt to be valid.

    Not *patient*, it is one attempt until the replica was valid once; *endless*, it does not mind to be refused a login
    before that either.
    """

    def __init__(
        self, wire: Wire, node: Node, replica: ReplicaLink, *, patient: bool = True, endless: bool = False
    ) -> None:
        self._wire, self._node, self._replica = wire, node, replica
        self._patient, self._endless = patient, endless
        self._near = is_near(wire.url)
        self.session: ClientSession | None = None
        self.settled = asyncio.Event()
        """Set when the replica became valid, or can never be as things stand, or the only attempt failed."""

    async def run(self) -> None:
        """Connect and attach again and again; ends only by cancellation."""
        failures = 0
        while True:
            valid = False
            try:
                valid = await self._live_once()
            except (LinkError, RemoteProtocolError, Fault, TokenError, ModelError) as error:
                if isinstance(error, ModelError) and not self._replica.was_valid:
                    raise  # else the host came back as nothing that can be used, and may come back again
                self._lost(error)
                never_valid = self._replica.state is not ReplicaState.SUSPECT
                hopeless = never_valid and is_locked_out(error) and not self._endless
                if not self._patient or hopeless:
                    self.settled.set()
                    return
            finally:
                await self._close()
            failures = 0 if valid else failures + 1
            refused = failures > 0 and is_locked_out(self._replica.error)
            await asyncio.sleep(LOCKED_OUT if refused else self._pause(failures))

    async def _live_once(self) -> bool:
        """Return after the link is gone; True when the replica was valid on it."""
        self.session = session = await self._wire.open(self._node)
        if self._node.tasks.closed:  # meanwhile, and about to cancel this
            return False
        attach = self._node.tasks.spawn(session.attach(self._replica, patient=self._patient), awaited=True)
        lost = self._node.tasks.spawn(session.wait_lost(), awaited=True)
        try:
            await asyncio.wait((attach, lost), return_when=asyncio.FIRST_COMPLETED)
            if not attach.done():
                self._lost(_as_link_error(lost.result()))
                return False
            return await self._stay(attach, lost)
        finally:
            attach.cancel()
            lost.cancel()
            await asyncio.wait((attach, lost))
            if not attach.cancelled():
                attach.exception()

    async def _stay(self, attach: asyncio.Task[None], lost: asyncio.Task[Exception | None]) -> bool:
        try:
            await attach
        except SignatureMismatch as error:
            self._replica.become(ReplicaState.SIGNATURE_MISMATCH, error)
            self.settled.set()
            await lost  # a host that changes its mind is started again
            return False
        self._patient = True
        self.settled.set()
        self._lost(_as_link_error(await lost))
        return True

    async def _close(self) -> None:
        session, self.session = self.session, None
        self._replica.remote = None
        if session is not None:
            await session.close()

    def _lost(self, error: Exception) -> None:
        log.debug("%s: %s", self._replica.name, error)
        self._replica.become_lost(error)

    def _pause(self, failures: int) -> float:
        return pause(failures, near=self._near, first=NEAR, longest=FAR, scatter=random.uniform)


def _as_link_error(error: Exception | None) -> Exception:
    return error if isinstance(error, EverywireError) else LinkError("the host closed the connection")
