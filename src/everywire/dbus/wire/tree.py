"""The objects of a node by their paths: what leads where, what a path shows, and which events calls become."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any, Final

from everywire.dbus.codec import Message, Variant
from everywire.dbus.codec.errors import (
    PROPERTY_READ_ONLY,
    UNKNOWN_INTERFACE,
    UNKNOWN_METHOD,
    UNKNOWN_OBJECT,
    UNKNOWN_PROPERTY,
)
from everywire.dbus.introspection import Interface, Node, write
from everywire.dbus.wire.framing import Carry, Recipients
from everywire.dbus.wire.hosting import DBusObject, Trouble, token_of
from everywire.dbus.wire.lowering import Fds
from everywire.dbus.wire.names import interface_of, path_of
from everywire.dbus.wire.standard import EVERYWIRE_OBJECT, INTROSPECTABLE, OBJECT_MANAGER, PEER, PROPERTIES
from everywire.errors import Code, Fault, ModelError
from everywire.runtime.gate import Door, Invoked
from everywire.runtime.node import Publication

OF_NODES: Final = (PEER, INTROSPECTABLE)
"""What a path without an object has that leads to objects."""
OF_OBJECTS: Final = (PROPERTIES, EVERYWIRE_OBJECT)
"""What each object has besides."""

Sees = Callable[[DBusObject], bool]


class NamedFault(Fault):
    """A Fault for which D-Bus has a closer name than its code's."""

    def __init__(self, code: Code, message: str, error_name: str) -> None:
        super().__init__(code, message, may_have_run=False)
        self.error_name: Final = error_name


def no_object(path: str) -> NamedFault:
    """Return the Fault for a path where the caller may see nothing."""
    return NamedFault(Code.NOT_FOUND, f"there is no object at {path}", UNKNOWN_OBJECT)


def no_interface(path: str, interface: str) -> NamedFault:
    """Return the Fault for an interface that an object does not have."""
    return NamedFault(Code.NOT_FOUND, f"{path} has no interface {interface}", UNKNOWN_INTERFACE)


def no_method(path: str, name: str) -> NamedFault:
    """Return the Fault for a method that there is not, or not for this caller."""
    return NamedFault(Code.NOT_FOUND, f"{path} has no method {name}", UNKNOWN_METHOD)


def no_property(path: str, name: str) -> NamedFault:
    """Return the Fault for a property that there is not, or not for this caller."""
    return NamedFault(Code.NOT_FOUND, f"{path} has no property {name}", UNKNOWN_PROPERTY)


def read_only(path: str, name: str) -> NamedFault:
    """Return the Fault for the write of a property that is not writable."""
    return NamedFault(Code.FAILED_PRECONDITION, f"{name} of {path} is not writable", PROPERTY_READ_ONLY)


class ObjectTree:
    """What a node shows on one bus, or to peers.

    *base* is the path below which objects are; interfaces are called after *prefix* and the class, or *interface*.
    """

    def __init__(self, base: str, prefix: str, interface: str, *, trouble: Trouble, carry: Carry) -> None:
        self.base = base
        self.objects: dict[str, DBusObject] = {}
        """By path."""
        self.recipients: Recipients = {}
        self._routes: dict[tuple[str, str, str], Door] = {}
        self._prefix, self._interface = prefix, interface
        self._trouble, self._carry = trouble, carry

    # Objects.

    def add(self, publication: Publication) -> DBusObject:
        """Show an object; raise ModelError when D-Bus cannot carry it."""
        contract = publication.contract
        hosted = DBusObject(
            publication,
            path_of(publication.name, self.base),
            self._interface or interface_of(self._prefix, contract.name),
            recipients=self.recipients,
            trouble=self._trouble,
            carry=self._carry,
        )
        self.objects[hosted.path] = hosted
        self._routes.update(hosted.routes())
        return hosted

    def remove(self, publication: Publication) -> DBusObject | None:
        """Take an object back; return it if it was there."""
        hosted = self.objects.get(path_of(publication.name, self.base))
        if hosted is None or hosted.publication is not publication:
            return None
        del self.objects[hosted.path]
        for route in hosted.routes():
            del self._routes[route]
        hosted.close()
        return hosted

    def close(self) -> None:
        """Let go of all objects."""
        for hosted in self.objects.values():
            hosted.close()

    # Calls.

    def event_of(self, call: Message, number: int) -> Invoked | Message:
        """Return the event for a *call* by the caller with this *number*: for the gate, or else the call itself."""
        door = self._routes.get((call.path, call.interface, call.member))
        if door is None:
            door = self._written(call) if call.member == "Set" else None
            if door is None:
                return call
        arguments: Any = call  # the door reads them out of it
        return Invoked(door, arguments, token_of(call, number))

    def _written(self, call: Message) -> Door | None:
        """Return the door of the property that *call* writes; None when it is no such call, or has no such door."""
        hosted = self.objects.get(call.path)
        if hosted is None or call.interface not in (PROPERTIES.name, "") or call.signature != "ssv":
            return None
        member = hosted.find_property(*call.body[:2])
        return None if member is None else hosted.doors.get(member.name)

    # What paths show.

    def leads_somewhere(self, path: str) -> bool:
        """Return whether *path* is the base path or above it."""
        return path in ("/", self.base) or self.base.startswith(f"{path}/")

    def children(self, path: str, sees: Sees) -> tuple[str, ...]:
        """Return the next elements below *path* that lead to what a caller sees."""
        top = "/" if path == "/" else f"{path}/"
        paths = [self.base, *(hosted.path for hosted in self.objects.values() if sees(hosted))]
        below = (other[len(top) :].partition("/")[0] for other in paths if other.startswith(top))
        return tuple(dict.fromkeys(name for name in below if name))

    def interfaces(self, path: str, hosted: DBusObject | None) -> tuple[Interface, ...]:
        """Return the interfaces at *path*, where *hosted* is if the caller may see it."""
        own = () if hosted is None else (*hosted.interfaces, *OF_OBJECTS)
        manager = (OBJECT_MANAGER,) if path == self.base else ()
        return (*own, *manager, *OF_NODES)

    def introspect(self, path: str, hosted: DBusObject | None, sees: Sees) -> str:
        """Return what is at *path* as XML."""
        nodes = tuple(Node(name) for name in self.children(path, sees))
        if hosted is None or nodes:
            return write(Node(interfaces=self.interfaces(path, hosted), nodes=nodes))
        if not hosted.xml:
            hosted.xml = write(Node(interfaces=self.interfaces(path, hosted)))
        return hosted.xml

    def managed(self, sees: Sees, fds: Fds) -> dict[str, dict[str, dict[str, Variant]]]:
        """Return the objects below the base path with their interfaces and values."""
        return {
            hosted.path: self.shown(hosted, fds)
            for hosted in self.objects.values()
            if hosted.path != self.base and sees(hosted)
        }

    def shown(self, hosted: DBusObject, fds: Fds) -> dict[str, dict[str, Variant]]:
        """Return the interfaces of an object with its values, without those that D-Bus cannot carry."""
        own = {interface.name: hosted.variants(interface.name, fds, careful=True) for interface in hosted.interfaces}
        return {**own, **{interface.name: {} for interface in (*OF_OBJECTS, *OF_NODES)}}

    def names_of(self, hosted: DBusObject) -> list[str]:
        """Return the names of an object's interfaces."""
        return [interface.name for interface in (*hosted.interfaces, *OF_OBJECTS, *OF_NODES)]

    # Properties.

    def get(self, hosted: DBusObject, interface: str, name: str, fds: Fds) -> Variant:
        """Return a property; raise Fault."""
        self._check_interface(hosted, interface)
        member = hosted.find_property(interface, name)
        if member is not None:
            try:
                return hosted.variant(member, fds)
            except ModelError as error:
                raise Fault(Code.FAILED_PRECONDITION, f"{name} cannot be told: {error}", may_have_run=False) from None
        for standard in (interface,) if interface else (EVERYWIRE_OBJECT.name,):
            if name in (found := constants(hosted, standard)):
                return found[name]
        raise no_property(hosted.path, name)

    def get_all(self, hosted: DBusObject, interface: str, fds: Fds) -> dict[str, Variant]:
        """Return the properties of *interface*, or of all the object's own where that is empty; raise Fault.

        The contract is left out: it is large, and is asked for by name.
        """
        self._check_interface(hosted, interface)
        if not interface:
            return all_variants(hosted, fds)
        return hosted.variants(interface, fds, careful=True)

    def refuse_write(self, hosted: DBusObject, interface: str, name: str) -> Fault:
        """Return why a property that has no door cannot be written."""
        try:
            self._check_interface(hosted, interface)
        except Fault as fault:
            return fault
        known = hosted.find_property(interface, name) is not None
        if known or name in constants(hosted, interface or EVERYWIRE_OBJECT.name):
            return read_only(hosted.path, name)
        return no_property(hosted.path, name)

    def _check_interface(self, hosted: DBusObject, interface: str) -> None:
        if interface and all(known.name != interface for known in self.interfaces(hosted.path, hosted)):
            raise no_interface(hosted.path, interface)


def constants(hosted: DBusObject, interface: str) -> dict[str, Variant]:
    """Return the properties of an interface that every object has; `Get` tells them, `GetAll` leaves them out."""
    return {"Contract": Variant("s", hosted.description, False)} if interface == EVERYWIRE_OBJECT.name else {}


def all_variants(hosted: DBusObject, fds: Fds) -> dict[str, Variant]:
    """Return all values of an object by name; a name that two interfaces have is that of the first, and else whole."""
    found: dict[str, Variant] = {}
    for interface in hosted.interfaces:
        for name, value in hosted.variants(interface.name, fds, careful=True).items():
            found[name if name not in found else f"{interface.name}.{name}"] = value
    return found


def _methods(interfaces: tuple[Interface, ...]) -> Iterator[tuple[str, str, str]]:
    for interface in interfaces:
        for method in interface.methods:
            yield interface.name, method.name, method.in_signature


METHODS: Final[Mapping[tuple[str, str], str]] = {
    (interface, name): signature for interface, name, signature in _methods((*OF_OBJECTS, OBJECT_MANAGER, *OF_NODES))
}
"""The signatures of the methods that are not an object's own."""


def standard_interface(call: Message, available: Container[str]) -> str:
    """Return the interface that a call without one means, of those *available*; empty when none has the method."""
    return next((interface for interface, name in METHODS if name == call.member and interface in available), "")
