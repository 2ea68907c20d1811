"""One replica and its object: how it attaches, hears changes and signals, and what it does when the owner goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from everywire.dbus.codec import Kind, Message, Variant
from everywire.dbus.endpoint.carrying import Caller
from everywire.dbus.endpoint.collecting import Collecting
from everywire.dbus.endpoint.fetching import Fetching
from everywire.dbus.endpoint.shared import Service, ask_at_once, checked_answer
from everywire.dbus.introspection import Interface, parse
from everywire.dbus.session import Match, Subscription
from everywire.dbus.wire.declaring import Declared, declared_in
from everywire.dbus.wire.fitting import assumed, fit_foreign, fit_host, foreign_description, is_ours, own_interfaces
from everywire.dbus.wire.replicating import OBJECT, PROPERTIES, Reading, View, host_values
from everywire.errors import Code, Fault, LinkError, ModelError, RemoteProtocolError
from everywire.model import Contract, Object, contract_of
from everywire.model.building import build_class
from everywire.model.description import read_description
from everywire.runtime.channel import GRACE, Channel
from everywire.runtime.children import childless
from everywire.runtime.limits import Refusals
from everywire.runtime.pending import calls_of
from everywire.runtime.replica import ReplicaLink, ReplicaState

log: Final = logging.getLogger("everywire.dbus")

INTROSPECTABLE: Final = "org.freedesktop.DBus.Introspectable"
CHANGED: Final = ("PropertiesChanged", "sa{sv}as")


class Holder(Protocol):
    """What an attachment needs of the session or collection that it belongs to."""

    @property
    def refusals(self) -> Refusals:
        """Counts what was not taken."""
        ...

    def lost(self, reason: Exception) -> None:
        """The connection is gone."""
        ...


class Attachment(Caller):
    """A replica on its way to, or bound to, the object at *path* of a service."""

    def __init__(
        self, holder: Holder, service: Service, replica: ReplicaLink, path: str, interface: str, *, listens: bool = True
    ) -> None:
        """*listens*: it asks the bus for its signals itself; else its holder gives them to `heard`."""
        if not isinstance(replica.channel, Channel):
            replica.channel = Channel(replica, calls_of(service.connection.loop))
        super().__init__(service.connection, replica.channel, path, service.bus.numbers)
        self.replica, self.service = replica, service
        self.bound = False
        """Whether the replica follows its object."""
        self._counted = False
        """Whether it is among those who have attached to an object of everywire."""
        self._holder, self._interface, self._listens = holder, interface, listens
        self._subscription: Subscription | None = None
        self._collecting: Collecting | None = None
        self._fetching = Fetching(service.connection, self.get, self._fetched, self.fetch)
        self._complained: set[str] = set()

    async def attach(self) -> None:
        """Bind the replica to its object; raise Fault(NOT_FOUND), SignatureMismatch, LinkError, RemoteProtocolError."""
        if self._listens and self._subscription is None:
            rule = Match(kind=Kind.SIGNAL, sender=self.service.name, path=self.path)
            self._subscription = await self._connection.match(rule, self.heard)
        interfaces = await self._introspect()
        try:
            if is_ours(interfaces):
                await self._attach_to_host(interfaces)
            else:
                await self._attach_to_foreign(interfaces)
        except ModelError as error:
            raise RemoteProtocolError(f"{self.where} shows itself wrongly: {error}") from error

    def close(self) -> None:
        """Want nothing more of the object; a host of everywire need not tell us more."""
        if self._release() and self.bound:
            self._tell("Detach", "")
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def suspend(self, reason: Exception) -> None:
        """The object is out of reach: the replica is suspect, whoever waits fails."""
        self._release()
        self.bound = False
        self.forget_all()
        if self.channel.carrier is self:
            self.replica.remote = None
            if self.replica.state is ReplicaState.VALID:
                self.replica.become(ReplicaState.SUSPECT, reason)
            self.stop(reason if isinstance(reason, Fault) else Fault(Code.UNAVAILABLE, str(reason)))

    def forget_all(self) -> None:
        """Want no answer any more."""
        super().forget_all()
        self._fetching.forget()

    def _release(self) -> bool:
        """Count as attached no more; return whether nobody else on this connection is."""
        if not self._counted:
            return False
        self._counted = False
        attached = self.service.attached
        attached[self.path] -= 1
        if attached[self.path] > 0:
            return False
        del attached[self.path]
        return True

    @property
    def dozes(self) -> bool:
        """Whether calls go out although the object is not known to be there."""
        return not self.bound and self.channel.carrier is self

    def doze(self) -> None:
        """Let calls go to the name, which nobody owns: the bus starts the service for them."""
        self.destination = self.service.name
        self.channel.carrier, self.replica.remote = self, self.channel

    def link_lost(self, reason: Exception) -> None:
        """The connection is gone."""
        self._holder.lost(reason)

    async def refresh(self) -> None:
        """Read all properties again; raises Fault."""
        if not self.bound:
            raise self.replica.unavailable()
        for interface in self.view.interfaces:
            call = self.message(PROPERTIES, "GetAll", "s", interface)
            await ask_at_once(self._connection, call, partial(self._refreshed, interface), self._patience)

    # Attaching.

    @property
    def where(self) -> str:
        """The object, for messages."""
        return f"{self.path} of {self.service.name or self.replica.url}"

    @property
    def _wanted(self) -> Contract | None:
        return None if self.replica.cls is None else childless(contract_of(self.replica.cls))

    @property
    def _declared(self) -> Mapping[str, Declared]:
        return {} if self.replica.cls is None else declared_in(self.replica.cls)

    @property
    def _patience(self) -> float:
        return self._connection.limits.handshake

    def message(self, interface: str, member: str, signature: str = "", *body: Any) -> Message:
        """Return a call of the object."""
        return Message(
            kind=Kind.CALL,
            destination=self.destination,
            path=self.path,
            interface=interface,
            member=member,
            signature=signature,
            body=body,
        )

    async def _introspect(self) -> tuple[Interface, ...]:
        """Return what the object says of itself; raise Fault(NOT_FOUND) when there is none.

        The call starts a service that the bus can start. From the answer on we know whom we speak with.
        """
        self.destination = self.service.destination
        call = self.message(INTROSPECTABLE, "Introspect")
        try:
            interfaces = await ask_at_once(self._connection, call, self._described, self._patience)
        except Fault as fault:
            silent = fault.code in (Code.NOT_FOUND, Code.PERMISSION_DENIED, Code.UNIMPLEMENTED)
            if silent and self._wanted is not None and self._interface and self.service.present:
                self.destination = self.service.owner
                return ()  # it does not describe itself, but somebody says what it is
            raise
        if not own_interfaces(interfaces, self._interface) and not is_ours(interfaces):
            told = ", ".join(sorted(interface.name for interface in interfaces)) or "nothing"
            raise Fault(Code.NOT_FOUND, f"there is no object at {self.where}, but {told}", may_have_run=False)
        return interfaces

    def _described(self, answer: Message) -> tuple[Interface, ...]:
        if answer.signature != "s":
            raise RemoteProtocolError(f"{self.where} describes itself with {answer.signature or 'nothing'}")
        self._expect_owner(answer.sender)
        self.destination = self.service.owner
        return parse(answer.body[0], limit=self._connection.limits.frame).interfaces

    def _expect_owner(self, sender: str) -> None:
        if self._connection.is_bus and sender != self.service.owner:
            whose = "has another owner" if self.service.owner else "has no owner"
            raise Fault(Code.UNAVAILABLE, f"{self.service.name} {whose} by now", may_have_run=False)

    async def _attach_to_host(self, interfaces: tuple[Interface, ...]) -> None:
        """Ask for the contract and for all values in one go; bind within the event of the values."""
        description = foreign_description(own_interfaces(interfaces))
        told: list[Message | Exception] = []

        def take(answer: Message) -> None:
            if not told or answer.signature != "a{sv}":
                raise ModelError("it answers Attach before Get, or with something else than values")
            view = fit_host(self.where, contract_in(checked_answer(told[0])), description, self._wanted)
            self.bind(view, host_values(view, answer.body[0], answer.fds))

        contract = self._connection.request(self.message(PROPERTIES, "Get", "ss", OBJECT, "Contract"), told.append)
        if not self._counted:
            self._counted = True
            self.service.attached[self.path] += 1
        try:
            await ask_at_once(self._connection, self.message(OBJECT, "Attach"), take, self._patience)
        except BaseException:
            if self._release():
                self._tell("Detach", "")
            raise
        finally:
            self._connection.forget(contract)

    async def _attach_to_foreign(self, interfaces: tuple[Interface, ...]) -> None:
        if interfaces:
            description = foreign_description(own_interfaces(interfaces, self._interface))
        else:
            description = assumed(childless(contract_of(self.replica.cls)), self._interface)  # type: ignore[arg-type]
        view = fit_foreign(self.where, description, self._wanted, self._declared, self._interface)
        self._collecting = collecting = Collecting(self, view)
        try:
            async with asyncio.timeout(self._patience):
                await collecting.run()
        except TimeoutError:
            raise LinkError(f"{self.where} did not tell its properties within {self._patience:g} s") from None
        finally:
            self._collecting = None
            collecting.close()

    def bind(
        self, view: View, values: dict[str, Any], build: Callable[[Contract], type[Object]] = build_class
    ) -> None:
        """Be the carrier of the replica; from now on it hears what happens."""
        self._expect_owner(self.destination)
        self.view, self.bound, self._collecting = view, True, None
        self.channel.grace = 0.0 if view.offered is None else GRACE
        try:
            self.channel.attach(self, view.contract, values, build)
        except BaseException:
            self.bound = False
            raise

    # News.

    def heard(self, message: Message) -> None:
        """Take a signal of the object; one of somebody who is not attached to is no news."""
        if message.sender != self.destination and self._connection.is_bus:
            return
        if message.interface == PROPERTIES:
            if (message.member, message.signature) == CHANGED:
                interface, changed, invalidated = message.body
                self._changed(interface, changed, invalidated, message.fds)
        elif not self.bound:
            return
        elif message.interface == OBJECT:
            self.told(message)
        else:
            self._emitted(message)

    def _emitted(self, message: Message) -> None:
        hearing = self.view.signals.get((message.interface, message.member))
        if hearing is None:
            return
        try:
            arguments = hearing.arguments(message.signature, message.body, message.fds)
        except ModelError as error:
            self.misfit(hearing.name, error)
        else:
            self.channel.emitted(hearing.name, arguments)

    def _changed(self, interface: str, changed: dict[str, Variant], invalidated: list[str], fds: Any) -> None:
        if self._collecting is not None:
            self._collecting.changed(interface, changed, invalidated, fds)
            return
        if not self.bound:
            return
        properties = self.view.properties
        for name, variant in changed.items():
            reading = properties.get((interface, name))
            if reading is not None:
                self._take(reading, variant, fds)
        for name in invalidated:
            reading = properties.get((interface, name))
            if reading is not None:
                self.fetch(reading)

    def _take(self, reading: Reading, variant: Variant, fds: Any) -> None:
        try:
            value = reading.value.from_variant(variant, fds)
        except ModelError as error:
            self.misfit(reading.name, error)
        else:
            self.channel.changed(reading.name, value)

    def fetch(self, reading: Reading) -> None:
        """Ask for a value that was only told to be another; once, however often that is told meanwhile."""
        if not self.bound:
            return
        try:
            self._fetching.ask(reading)
        except Fault as fault:
            self._complain("%s: %s is not known: %s", reading.name, fault)

    def fetch_missing(self) -> None:
        """Ask for the values that are not known."""
        values = self.replica.instance._everywire.values
        for reading in self.view.readings.values():
            if reading.place.readable and reading.name not in values:
                self.fetch(reading)

    def _fetched(self, reading: Reading, answer: Message | Exception) -> None:
        fault = self._heard(answer) or self.take_value(reading, answer)
        if fault is not None and self.bound:
            self._complain("%s: %s cannot be read: %s", reading.name, fault)

    def _refreshed(self, interface: str, answer: Message) -> None:
        if answer.signature == "a{sv}" and self.bound:
            self._changed(interface, answer.body[0], [], answer.fds)

    def misfit(self, name: str, error: ModelError) -> None:
        """Count a value that cannot be what was announced."""
        self._complain("%s sent a value that does not fit: %s: %s", name, error)
        self._holder.refusals["misfits"] += 1

    def _complain(self, text: str, name: str, error: Exception) -> None:
        """Log it, loudly only the first time of each member: a service may err a thousand times a second."""
        log.log(logging.DEBUG if name in self._complained else logging.WARNING, text, self.where, name, error)
        self._complained.add(name)


def contract_in(answer: Message) -> Contract:
    """Return what an object of everywire answers when it is asked for its contract; raise ModelError."""
    if answer.signature != "v" or answer.body[0].signature != "s":
        raise ModelError("its contract is no text")
    return read_description(answer.body[0].value.encode())


__all__ = ("Attachment", "Holder", "contract_in")
