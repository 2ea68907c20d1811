"""The values of a foreign object on their way to a replica."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from everywire.dbus.codec import Kind, Message, Variant
from everywire.dbus.codec.errors import UNKNOWN_OBJECT
from everywire.dbus.endpoint.shared import Service, checked_answer
from everywire.dbus.session import BUS
from everywire.dbus.wire.replicating import PROPERTIES, Reading, View
from everywire.errors import ModelError

log: Final = logging.getLogger("everywire.dbus")


class Binding(Protocol):
    """What collecting needs of the attachment that it is for."""

    service: Service

    @property
    def where(self) -> str:
        """The object, for messages."""
        ...

    def message(self, interface: str, member: str, signature: str = "", *body: Any) -> Message:
        """Return a call of the object."""
        ...

    def bind(self, view: View, values: dict[str, Any]) -> None:
        """Be the carrier of the replica."""
        ...

    def fetch(self, reading: Reading) -> None:
        """Ask for a value that was only told to be another."""
        ...

    def misfit(self, name: str, error: ModelError) -> None:
        """Count a value that cannot be what was announced."""
        ...


class Collecting:
    """The values of a foreign object on their way: by GetAll of each interface, else one by one.

    A property that cannot be read has no value; the object is of use all the same.
    """

    def __init__(self, binding: Binding, view: View) -> None:
        self._binding, self._view = binding, view
        self._connection = binding.service.connection
        self._done: asyncio.Future[None] = self._connection.loop.create_future()
        self._values: dict[str, Any] = {}
        self._came: set[str] = set()
        self._stale: list[Reading] = []
        self._serials: list[int] = []
        self._waiting = 0

    async def run(self) -> None:
        """Ask; return when the replica is bound."""
        for interface in self._view.interfaces:
            self._ask("GetAll", (interface,), partial(self._took_all, interface))
        if not self._waiting:
            self._bind()
        await self._done

    def close(self) -> None:
        """Want nothing more."""
        for serial in self._serials:
            self._connection.forget(serial)
        if self._done.done() and not self._done.cancelled():
            self._done.exception()

    def changed(self, interface: str, changed: dict[str, Variant], invalidated: list[str], fds: Any) -> None:
        """Take a change of what came already; what comes later has it in it."""
        if interface not in self._came:
            return
        self._take(interface, changed, fds)
        properties = self._view.properties
        self._stale += [properties[interface, name] for name in invalidated if (interface, name) in properties]

    # Private.

    def _ask(self, member: str, names: tuple[str, ...], take: Callable[[Message], None]) -> None:
        call = self._binding.message(PROPERTIES, member, "s" * len(names), *names)

        def heard(answer: Message | Exception) -> None:
            self._waiting -= 1
            if self._done.done():
                return
            try:
                if isinstance(answer, Exception):
                    raise answer
                take(answer)
                if not self._waiting and not self._done.done():
                    self._bind()
            except Exception as error:  # noqa: BLE001  it belongs to who attaches, not to the connection
                self._done.set_exception(error)

        self._serials.append(self._connection.request(call, heard))
        self._waiting += 1

    def _took_all(self, interface: str, answer: Message) -> None:
        self._came.add(interface)
        if answer.kind is Kind.ERROR:
            if answer.error_name == UNKNOWN_OBJECT or answer.sender == BUS:
                checked_answer(answer)
            for reading in self._view.of_interface(interface):
                self._ask("Get", (interface, reading.place.name), partial(self._took_one, reading))
        elif answer.signature == "a{sv}":
            self._take(interface, answer.body[0], answer.fds)
        else:
            raise ModelError(f"GetAll answered {answer.signature or 'nothing'}")

    def _took_one(self, reading: Reading, answer: Message) -> None:
        if answer.kind is Kind.ERROR:
            log.info("%s: %s cannot be read: %s", self._binding.where, reading.name, answer.error_name)
        elif answer.signature == "v":
            self._take(reading.place.interface, {reading.place.name: answer.body[0]}, answer.fds)

    def _take(self, interface: str, raw: Mapping[str, Variant], fds: Any) -> None:
        for name, variant in raw.items():
            reading = self._view.properties.get((interface, name))
            if reading is None:
                continue
            try:
                self._values[reading.name] = reading.value.from_variant(variant, fds)
            except ModelError as error:
                self._binding.misfit(reading.name, error)

    def _bind(self) -> None:
        self._binding.bind(self._view, self._values)
        for reading in self._stale:
            self._binding.fetch(reading)
        self._done.set_result(None)
