"""What the objects of a collection are: those with the same interfaces are described, and fitted to a class, once."""

from __future__ import annotations

import logging
from typing import Any, Final

from everywire.dbus.codec import Kind, Message
from everywire.dbus.endpoint.attaching import INTROSPECTABLE, Attachment
from everywire.dbus.endpoint.settings import Place
from everywire.dbus.endpoint.shared import Interfaces, Service, ask_at_once
from everywire.dbus.introspection import Interface, parse
from everywire.dbus.wire.declaring import declared_in
from everywire.dbus.wire.fitting import fit_foreign, foreign_description, own_interfaces
from everywire.dbus.wire.replicating import OBJECT, View
from everywire.errors import ModelError, RemoteProtocolError, SignatureMismatch
from everywire.model import Contract, Object, contract_of
from everywire.model.building import build_class
from everywire.runtime.children import childless
from everywire.runtime.limits import Limits

log: Final = logging.getLogger("everywire.dbus")

MOST_KINDS: Final = 256
"""Sets of interfaces of which is remembered what they are."""


class ObjectKind:
    """Objects with the same interfaces: how they are seen, and their class. Without a view each says for itself."""

    def __init__(self, view: View | None) -> None:
        self.view = view
        self._built: type[Object] | None = None

    def build(self, contract: Contract) -> type[Object]:
        """Return the class for those without one; all have the same."""
        if self._built is None:
            self._built = build_class(contract)
        return self._built

    def values(self, attachment: Attachment, interfaces: Interfaces) -> dict[str, Any]:
        """Return the values of an object, as far as the service has told them and they fit."""
        found: dict[str, Any] = {}
        for reading in self.view.readings.values() if self.view is not None else ():
            variant = interfaces.get(reading.place.interface, {}).get(reading.place.name)
            if variant is not None:
                try:
                    found[reading.name] = reading.value.from_variant(variant, ())
                except ModelError as error:
                    attachment.misfit(reading.name, error)
        return found


class Kinds:
    """The kinds of objects that a collection has met."""

    def __init__(self, place: Place, cls: type[Object] | None, limits: Limits) -> None:
        self._interface, self._cls, self._limits = place.interface, cls, limits
        self._wanted = None if cls is None else childless(contract_of(cls))
        self._declared = {} if cls is None else declared_in(cls)
        self._known: dict[frozenset[str], ObjectKind | None] = {}

    async def find(self, service: Service, path: str, names: frozenset[str]) -> ObjectKind | None:
        """Return what objects with the interfaces *names* are; None for those that do not belong to the collection.

        The one at *path* is asked if it is the first. Raises Fault, LinkError, RemoteProtocolError.
        """
        if names in self._known:
            return self._known[names]
        kind: ObjectKind | None = None
        if self._may_belong(names):
            kind = ObjectKind(None)
            if OBJECT not in names:
                told = await self._introspect(service, path)
                kind = self._fitted(path, tuple(interface for interface in told if interface.name in names))
        if len(self._known) >= MOST_KINDS:
            self._known.clear()
        self._known[names] = kind
        return kind

    def _may_belong(self, names: frozenset[str]) -> bool:
        if self._interface:
            return self._interface in names
        return names.issuperset(place.interface for place in self._declared.values())

    def _fitted(self, path: str, interfaces: tuple[Interface, ...]) -> ObjectKind | None:
        own = own_interfaces(interfaces, self._interface)
        if not own:
            return None
        try:
            view = fit_foreign(path, foreign_description(own), self._wanted, self._declared, self._interface)
        except SignatureMismatch as error:
            log.debug("%s does not belong to the collection: %s", path, error)
            return None
        return ObjectKind(view)

    async def _introspect(self, service: Service, path: str) -> tuple[Interface, ...]:
        call = Message(
            kind=Kind.CALL, destination=service.destination, path=path, interface=INTROSPECTABLE, member="Introspect"
        )

        def read(answer: Message) -> tuple[Interface, ...]:
            if answer.signature != "s":
                raise RemoteProtocolError(f"{path} describes itself with {answer.signature or 'nothing'}")
            return parse(answer.body[0], limit=self._limits.frame).interfaces

        return await ask_at_once(service.connection, call, read, self._limits.handshake)
