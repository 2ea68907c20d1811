"""The host's end on a bus: its name, its connection, for ever made anew, and what goes to everybody."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from typing import Any, Final, Self

from everywire.dbus.codec import Kind
from everywire.dbus.endpoint.hosting import DBusHost
from everywire.dbus.endpoint.links import DBusLink, added_frame, own_signal, removed_frame
from everywire.dbus.endpoint.settings import LOOKS, Place
from everywire.dbus.endpoint.visiting import Visitors, executable_of
from everywire.dbus.session import BUS, Connection, Match, NameReply
from everywire.dbus.session.addresses import is_session, places_of
from everywire.dbus.session.subscribing import Following
from everywire.dbus.wire.hosting import DBusObject
from everywire.errors import AddressError, AddressInUse, Code, EverywireError, Fault, LinkError
from everywire.model import Caller
from everywire.runtime.limits import SlowPeer
from everywire.runtime.node import Node
from everywire.runtime.rhythm import is_near, pause

log: Final = logging.getLogger("everywire.dbus")

LAST_WORDS: Final = 2.0
"""Seconds that a closing server waits for a bus that does not answer."""


class BusServer(DBusHost):
    """The objects of a node on one bus, under one name."""

    def __init__(self, node: Node, place: Place) -> None:
        super().__init__(node, place)
        self.owner = ""
        """The unique name behind our name: our own, somebody else's, or empty while nobody has it."""
        self.visitors: Visitors | None = None
        """Who calls; None while there is no connection."""
        self._session = is_session(place.bus)
        self._everyone = _everyone(session=self._session)
        self._following: Following | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._near = all(is_near(str(at.address())) for at in places_of(place.bus))

    @classmethod
    async def join(cls, node: Node, place: Place) -> Self:
        """Connect and take the name; raises AddressError, AddressInUse, LinkError."""
        if not place.service or place.service.startswith(":"):
            raise AddressError(f"who serves on a bus needs a name there: add ?service=org.acme.Climate; {LOOKS}")
        server = cls(node, place)
        try:
            await server._connect(again=False)
            server._task = node.tasks.spawn(server._stay())
        except BaseException:
            await server.close()
            raise
        return server

    @property
    def owns_name(self) -> bool:
        """Whether who calls our name reaches us."""
        return self.visitors is not None and self.owner == self.visitors.connection.unique_name

    # What a node calls.

    def recheck(self) -> None:
        """Take objects from callers who may no longer see them, and show them to those who may now."""
        self._tell_everybody()
        super().recheck()

    async def stop_accepting(self) -> None:
        """Give the name back; who calls already is still answered."""
        self.closing = True
        if self.visitors is None or self.visitors.closing:
            return
        self.visitors.closing = True
        connection = self.visitors.connection
        try:
            async with asyncio.timeout(LAST_WORDS):
                await connection.release_name(self.place.service)
        except (TimeoutError, EverywireError) as error:
            log.debug("%s was not given back: %s", self.place.service, error)

    async def close(self) -> None:
        """End streams, send what waits, leave the bus."""
        await self.stop_accepting()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        visitors = self.visitors
        if visitors is not None:
            for visitor in visitors:
                visitor.streams.fail(Fault(Code.UNAVAILABLE, "the host closes"))
            self._left()
            try:
                async with asyncio.timeout(LAST_WORDS):
                    await visitors.connection.close()
            except TimeoutError:
                visitors.connection.abort()
                await visitors.connection.close()
        self.tree.close()

    # What links ask.

    def links(self) -> Iterable[DBusLink]:
        """Return the callers that something is known of."""
        return () if self.visitors is None else tuple(self.visitors)

    def everybody_hears(self, hosted: DBusObject) -> bool:
        """Return whether an object tells the bus, which gives it to whoever wants it: nobody there is a stranger."""
        try:
            return hosted.publication.policy.sees(self._everyone)
        except Exception:
            log.exception("the policy of %s cannot say what unknown callers may see: nothing", hosted.name)
            return False

    def show(self, hosted: DBusObject) -> None:
        """Tell about a new object."""
        if self.visitors is not None and self.everybody_hears(hosted):
            hosted.links[self.visitors.everybody] = None
            self.visitors.connection.outbox.put_notice(added_frame(self.tree, hosted, "", []))
        super().show(hosted)

    def hide(self, hosted: DBusObject) -> None:
        """Tell that an object is gone."""
        if self.visitors is not None and self.visitors.everybody in hosted.links:
            self.visitors.connection.outbox.put_notice(removed_frame(self.tree, hosted, ""))
            del hosted.links[self.visitors.everybody]
        super().hide(hosted)

    # Private: the connection.

    async def _connect(self, *, again: bool) -> None:
        """Connect, hear of who leaves, and ask for the name."""
        node, service = self.node, self.place.service
        connection = await Connection.open(self.place.bus, limits=node.limits, refusals=node.refusals)
        connection.host = visitors = Visitors(
            self, connection, trusted=self._session, guarded=node.tokens is not None
        )
        try:
            gone = Match(kind=Kind.SIGNAL, sender=BUS, interface=BUS, member="NameOwnerChanged", args={2: ""})
            await connection.match(gone, visitors.left)
            self._following = await connection.follow(service, self._owner_changed)
            self._serve(visitors)
            self.owner = self._following.owner
            await self._ask_for_name(connection, again=again)
        except BaseException as error:
            self._left()
            visitors.close()
            connection.abort()
            if isinstance(error, Fault):
                raise LinkError(f"{self.place.url}: the bus does not serve us: {error}") from error
            raise
        self.owner = self._following.owner

    def _serve(self, visitors: Visitors) -> None:
        """Let the objects be heard on a new connection."""
        self.visitors, connection = visitors, visitors.connection
        connection.on_paused, connection.on_resumed = self._paused, self._resumed
        connection.on_gap = self._tell_gap
        self._tell_everybody()

    def _left(self) -> None:
        """The connection is gone."""
        visitors, self.visitors, self.owner = self.visitors, None, ""
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None
        if visitors is not None:
            for hosted in self.tree.objects.values():
                hosted.links.pop(visitors.everybody, None)
            visitors.close()

    async def _stay(self) -> None:
        """Serve until the bus is lost, and again when it is back, for ever."""
        while self.visitors is not None:
            reason = await asyncio.shield(self.visitors.connection.closed)
            self._left()
            log.warning("%s lost the bus, and tries again: %s", self.place.service, reason)
            await self._come_back()

    async def _come_back(self) -> None:
        failures = 0
        while self.visitors is None:
            failures += 1
            await asyncio.sleep(pause(failures, near=self._near))
            try:
                await self._connect(again=True)
            except EverywireError as error:
                log.debug("%s is not on the bus again yet: %s", self.place.service, error)
            else:
                log.info("%s is on the bus again", self.place.service)

    # Private: the name.

    async def _ask_for_name(self, connection: Connection, *, again: bool) -> None:
        place = self.place
        try:
            answer = await connection.request_name(
                place.service, replace=place.replace, allow_replacement=place.allow_replacement, queue=place.queue
            )
        except Fault as fault:
            if fault.code is not Code.PERMISSION_DENIED:
                raise LinkError(f"the bus does not give us {place.service}: {fault}") from fault
            advice = "'everywire gen dbus-policy' writes what its configuration needs"
            raise LinkError(f"the bus does not let us own {place.service}: {fault.message}; {advice}") from fault
        if answer is not NameReply.EXISTS:
            return
        refusal = AddressInUse(await self._who_has_it(connection))
        if not again:
            raise refusal
        self.node.refusals["name_lost"] += 1
        log.warning("%s; our objects are reached as %s only", refusal, connection.unique_name)

    async def _who_has_it(self, connection: Connection) -> str:
        """Return who has our name, and what to do about it."""
        place, owner = self.place, await connection.owner(self.place.service)
        who = owner or "another program"
        try:
            found = await connection.credentials(owner) if owner else {}
        except Fault:
            found = {}
        pid = found.get("ProcessID")
        if isinstance(pid, int):
            executable = executable_of(pid)
            who += f" (pid {pid}{f', {executable}' if executable else ''})"
        if place.replace:
            advice = "it does not allow to be replaced: end it, or wait for its end with queue=yes"
        else:
            advice = "end it, choose another service, wait for its end with queue=yes, or take over with replace=yes"
        return f"{place.service} belongs to {who} already: {advice}"

    def _owner_changed(self, old: str, new: str) -> None:
        """Somebody has our name now, or nobody."""
        self.owner = new
        visitors = self.visitors
        if visitors is None:
            return
        own, service = visitors.connection.unique_name, self.place.service
        if new == own and old:
            log.info("%s is ours now", service)
        elif old == own and not self.closing:
            self.node.refusals["name_lost"] += 1
            by = f"replaced by {new}" if new else "taken away"
            log.warning("%s was lost, %s; our objects are reached as %s only", service, by, own)

    # Private: what goes to everybody.

    def _tell_everybody(self) -> None:
        """Let go to everybody what everybody may hear, and nothing else."""
        visitors = self.visitors
        if visitors is None:
            return
        for hosted in self.tree.objects.values():
            if self.everybody_hears(hosted):
                hosted.links[visitors.everybody] = None
            else:
                hosted.links.pop(visitors.everybody, None)

    def _tell_gap(self, signals: int) -> None:
        """Signals were dropped, because the bus did not read."""
        visitors = self.visitors
        if visitors is None:
            return
        for hosted in self.tree.objects.values():
            if visitors.everybody in hosted.links:
                visitors.connection.outbox.put(own_signal("", hosted.path, "Gap", "t", signals))
        for visitor in visitors:
            visitor.tell_gap(signals)

    def _paused(self) -> None:
        """The bus does not take what it is sent: it is not read, so that answers do not pile up."""
        visitors = self.visitors
        if visitors is None:
            return
        visitors.connection.pause_reading()
        for visitor in visitors:
            visitor.congested()
        if self._cut is None and self.node.limits.slow_peer is SlowPeer.DISCONNECT:
            self._cut = asyncio.get_running_loop().call_later(self.node.limits.write_deadline, self._give_up)

    def _resumed(self) -> None:
        """The bus reads again."""
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None
        visitors = self.visitors
        if visitors is None:
            return
        outbox = visitors.connection.outbox
        outbox.resume()
        for visitor in visitors:
            if not outbox.congested:
                visitor.relieved()
        if not outbox.congested:
            visitors.connection.resume_reading()

    def _give_up(self) -> None:
        self._cut = None
        self.node.refusals["write_deadline"] += 1
        if self.visitors is not None:
            self.visitors.connection.outbox.cut()


def _everyone(*, session: bool) -> Caller:
    """Return what is known of anybody on a bus: on that of a session they are the user themselves."""
    if session and hasattr(os, "getuid"):
        uid = os.getuid()
        return Caller(wire="dbus", identity=f"uid:{uid}", uid=uid)
    return Caller(wire="dbus")
