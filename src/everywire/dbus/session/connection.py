"""`Connection`: one end of a D-Bus connection on asyncio, to a bus or to a peer. Knows messages, no objects."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from everywire.dbus.codec import NO_AUTO_START, NO_REPLY, Kind, Message
from everywire.dbus.engine import Engine
from everywire.dbus.session.addresses import Place, no_connection, places_of
from everywire.dbus.session.handling import Handler, Handlers
from everywire.dbus.session.matching import BUS, BUS_PATH, Match
from everywire.dbus.session.messaging import TIMEOUT, Messaging
from everywire.dbus.session.names import NameReply, name_flags
from everywire.dbus.session.subscribing import (
    Following,
    MessageStream,
    OnMessage,
    OnOwner,
    Subscription,
    Subscriptions,
)
from everywire.errors import Code, Fault, LinkError, LocalProtocolError, RemoteProtocolError
from everywire.runtime.limits import DEFAULT_LIMITS, Limits, Refusals
from everywire.transport.descriptors import UnixFd
from everywire.transport.loops import loop_with_sockets
from everywire.transport.sockets import connect_tcp, connect_unix, peer_of

_RESULTS: Final = {
    "GetConnectionCredentials": "a{sv}",
    "GetNameOwner": "s",
    "ListActivatableNames": "as",
    "ListNames": "as",
    "ReleaseName": "u",
    "RequestName": "u",
}
"""The signatures of what a bus answers to what is asked here."""


class Connection(Messaging):
    """One end of a connection, to a bus or to a peer; `open` connects, `serve_peers` accepts.

    It lives once: after `closed` make another. Everything happens in the loop's thread.
    """

    def __init__(self, engine: Engine, *, bus: bool, limits: Limits, refusals: Refusals | None = None) -> None:
        super().__init__(engine, bus=bus, limits=limits, refusals=refusals)
        self.subscriptions = Subscriptions(self)
        self._handlers = Handlers(self)
        self.host = self._handlers

    @classmethod
    async def open(
        cls,
        address: str = "session",
        *,
        bus: bool = True,
        limits: Limits = DEFAULT_LIMITS,
        refusals: Refusals | None = None,
        timeout: float = 10.0,
    ) -> Self:
        """Connect to ``session``, ``system`` or a D-Bus address; not *bus*: to a peer, which gives no names.

        Raises AddressError, and LinkError when no place of the address answers as it should.
        """
        loop_with_sockets()
        failures: list[Exception] = []
        for place in places_of(address):
            try:
                async with asyncio.timeout(timeout):
                    return await cls._open_at(place, bus=bus, limits=limits, refusals=refusals)
            except TimeoutError:
                failures.append(LinkError(f"{place} accepted the connection but did not answer within {timeout:g} s"))
            except (LinkError, RemoteProtocolError) as error:
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        raise LinkError("; ".join(map(str, failures)))

    @classmethod
    async def _open_at(cls, place: Place, *, bus: bool, limits: Limits, refusals: Refusals | None) -> Self:
        address = place.address()
        try:
            if address.transport == "tcp":
                sock = await connect_tcp(address, 10.0)
            else:
                sock = await connect_unix(address, 10.0)
        except OSError as error:
            raise no_connection(place, error, 10.0) from error
        unix = address.transport != "tcp"
        uid = os.getuid() if hasattr(os, "getuid") else None
        engine = Engine("client", max_frame=limits.frame, uid=uid, anonymous=True, descriptors=unix, bus=bus)
        made = cls(engine, bus=bus, limits=limits, refusals=refusals)
        made.start(sock, peer_of(address.transport, sock))
        try:
            await made.ready(place)
        except BaseException:
            made.abort()
            raise
        return made

    async def ready(self, place: Place | None = None) -> None:
        """Wait until both ends agreed on who they are; a client of a bus gets its name."""
        await asyncio.shield(self._ready)
        if place is not None and place.guid and place.guid != self.guid:
            raise LinkError(f"{place} is answered by another server, {self.guid}: look its address up again")
        if self.is_bus:
            self.unique_name = await self._say_hello(self.peer.address if place is None else str(place))

    async def _say_hello(self, where: str) -> str:
        """Return the name that the bus gives us; raise LinkError where none is, or none that is for us."""
        call = Message(
            kind=Kind.CALL, destination=BUS, path=BUS_PATH, interface=BUS, member="Hello", flags=NO_AUTO_START
        )
        try:
            answer = await self.ask(call)
        except Fault as fault:
            if self.closed.done():
                why = "buses do so with users whom they are not for"
                raise LinkError(f"{where} hung up after the login: {why}, and this is uid {os.getuid()}") from fault
            raise _no_bus(where) from fault
        if answer.sender != BUS or answer.signature != "s":
            raise _no_bus(where)
        return str(answer.body[0])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Send what waits, then close."""
        self._closing = True
        if hasattr(self, "outbox"):
            self.outbox.flush()
            self._link.close()
        await asyncio.shield(self.closed)
        await self.tasks.aclose()

    # Calls and messages.

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        *body: Any,
        fds: tuple[UnixFd, ...] = (),
        timeout: float | None = TIMEOUT,
        flags: int = 0,
    ) -> tuple[Any, ...]:
        """Call a method and return its results; raises Fault by the table of errors, ModelError for odd arguments."""
        message = Message(
            kind=Kind.CALL,
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=body,
            fds=fds,
            flags=flags,
        )
        return (await self.ask(message, timeout=timeout)).body

    # Signals.

    def signalled(self, message: Message) -> None:
        """Give a signal to whom it concerns."""
        self.subscriptions.dispatch(message)

    def owned(self, name: str, sender: str) -> bool:
        """Return whether *sender* has, or had, the well-known *name*, as far as that is known."""
        return self.subscriptions.owned(name, sender)

    async def match(self, rule: Match, callback: OnMessage) -> Subscription:
        """Call *callback* with each message that matches *rule*, from the moment in which this returns."""
        return await self.subscriptions.add(rule, callback)

    async def messages(self, rule: Match) -> MessageStream:
        """Return the messages that match *rule*, to be read with ``async for``."""
        stream = MessageStream()
        stream.bind(await self.match(rule, stream.put))
        self._streams.add(stream)
        return stream

    async def follow(self, name: str, on_owner: OnOwner) -> Following:
        """Call *on_owner* with the old and the new unique name whenever the owner of *name* changes."""
        return await self.subscriptions.follow(name, on_owner)

    async def monitor(self, *rules: Match) -> MessageStream:
        """Become a monitor: return every message on the bus that matches one of *rules* (none: all).

        From now on the connection listens only. Raises Fault(PERMISSION_DENIED) where the bus does not allow it.
        """
        stream = MessageStream()

        def begin() -> None:
            self._monitor = stream  # before the next message is looked at: whoever answers one is thrown off the bus

        call = Message(
            kind=Kind.CALL,
            destination=BUS,
            path=BUS_PATH,
            interface=f"{BUS}.Monitoring",
            member="BecomeMonitor",
            signature="asu",
            body=([str(rule) for rule in rules], 0),
        )
        await self.ask(call, on_return=begin)
        self._streams.add(stream)
        return stream

    # Names, and the bus itself.

    async def request_name(
        self, name: str, *, replace: bool = False, allow_replacement: bool = False, queue: bool = False
    ) -> NameReply:
        """Ask for a well-known name."""
        flags = name_flags(replace=replace, allow_replacement=allow_replacement, queue=queue)
        (answer,) = await self.ask_bus("RequestName", "su", name, flags)
        try:
            return NameReply(answer)
        except ValueError as error:
            raise RemoteProtocolError(f"the bus answers RequestName with {answer}") from error

    async def release_name(self, name: str) -> bool:
        """Give a name, or a place in its queue, back; return whether there was one."""
        (answer,) = await self.ask_bus("ReleaseName", "s", name)
        return bool(answer == 1)

    async def names(self, *, activatable: bool = False) -> tuple[str, ...]:
        """Return the names on the bus, unique ones too; or those that the bus can start."""
        (found,) = await self.ask_bus("ListActivatableNames" if activatable else "ListNames", "")
        return tuple(found)

    async def owner(self, name: str) -> str:
        """Return the unique name behind *name*; empty when nobody has it."""
        try:
            (owner,) = await self.ask_bus("GetNameOwner", "s", name)
        except Fault as fault:
            if fault.code is Code.UNAVAILABLE and not self.closed.done():
                return ""
            raise
        return str(owner)

    async def credentials(self, name: str) -> dict[str, Any]:
        """Return what the bus knows of who owns *name*: UnixUserID, ProcessID, LinuxSecurityLabel and more."""
        (found,) = await self.ask_bus("GetConnectionCredentials", "s", name)
        return {key: variant.value for key, variant in found.items()}

    async def ask_bus(self, member: str, signature: str, *body: Any) -> tuple[Any, ...]:
        """Call the bus itself."""
        if not self.is_bus:
            raise LocalProtocolError(f"{member}: this connection leads to a peer, which gives no names")
        call = Message(
            kind=Kind.CALL,
            destination=BUS,
            path=BUS_PATH,
            interface=BUS,
            member=member,
            signature=signature,
            body=body,
            flags=NO_AUTO_START,
        )
        answer = await self.ask(call)
        if answer.signature != _RESULTS.get(member, answer.signature):
            raise RemoteProtocolError(f"the bus answers {member} with {answer.signature or 'nothing'}")
        return answer.body

    def tell_bus(self, member: str, signature: str, *body: Any) -> None:
        """Call the bus itself, without an answer; nothing when the connection is gone."""
        if not self.closed.done() and not self._closing and self._monitor is None:
            call = Message(
                kind=Kind.CALL,
                destination=BUS,
                path=BUS_PATH,
                interface=BUS,
                member=member,
                signature=signature,
                body=body,
                flags=NO_REPLY,
            )
            self.send(call)

    # Answering.

    def handle(self, path: str, handler: Handler, *, subtree: bool = False) -> Callable[[], None]:
        """Let *handler* answer calls at *path*, and with *subtree* below it; return what takes it away again."""
        return self._handlers.add(path, handler, subtree=subtree)


def _no_bus(where: str) -> LinkError:
    """Return the error for an address where a program listens for peers."""
    advice = "a program that listens by itself, without a bus, has an address such as dbus+local:/run/plant"
    return LinkError(f"{where} is no message bus: {advice} (bus=False for Connection.open)")
