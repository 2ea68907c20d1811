"""What a host answers besides its objects' own methods: the standard interfaces, and those of `org.everywire.Object1`.

Each answer is for one caller: what they may not see is not there, in the same words as what there never was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from everywire.dbus.codec import Message
from everywire.dbus.codec.errors import UNKNOWN_METHOD
from everywire.dbus.session.handling import machine_id
from everywire.dbus.wire.hosting import DBusObject
from everywire.dbus.wire.lowering import Fds
from everywire.dbus.wire.standard import EVERYWIRE_OBJECT, INTROSPECTABLE, OBJECT_MANAGER, PEER, PROPERTIES
from everywire.dbus.wire.tree import (
    METHODS,
    NamedFault,
    ObjectTree,
    all_variants,
    no_interface,
    no_method,
    no_object,
    standard_interface,
)
from everywire.errors import Code, Fault
from everywire.model import Caller
from everywire.runtime import audit

Answer = tuple[str, tuple[Any, ...], Fds]
"""Signature, values and descriptors."""


class Asks(Protocol):
    """What answers need of the link that asks."""

    caller: Caller
    ours: bool
    """Whether the caller is everywire too."""

    @property
    def tree(self) -> ObjectTree:
        """The objects."""
        ...

    def sees(self, hosted: DBusObject) -> bool:
        """Return whether the caller may know of an object."""
        ...

    def no_descriptors_yet(self) -> Fds:
        """Return what takes the descriptors of an answer; it raises ModelError where the link passes none."""
        ...

    def attach(self, hosted: DBusObject) -> None:
        """Tell the caller from now on what an object tells; raises Fault."""
        ...

    def interested(self, hosted: DBusObject) -> None:
        """The caller has read an object, and will want to hear what becomes of it."""
        ...

    def detach(self, hosted: DBusObject) -> None:
        """Tell nothing more."""
        ...

    def manage(self) -> None:
        """Tell the caller from now on which objects come and go."""
        ...

    def cancel_call(self, hosted: DBusObject, serial: int) -> None:
        """Stop a running call."""
        ...

    def open_stream(self, hosted: DBusObject, name: str, arguments: list[Any], number: int) -> None:
        """Start a stream; raises Fault."""
        ...

    def grant(self, number: int, items: int) -> None:
        """Let a stream go on."""
        ...

    def close_stream(self, number: int) -> None:
        """End a stream."""
        ...


def answer(link: Asks, call: Message) -> Answer:
    """Return what answers *call*; raise Fault. Nothing of its arguments is looked at before the caller may call."""
    tree, path, interface = link.tree, call.path, call.interface
    if interface == PEER.name:  # every path has it, also where nothing is
        return _run(link, None, call, interface)
    hosted = tree.objects.get(path)
    if hosted is not None and not link.sees(hosted):
        audit.denied("object", link.caller, object=hosted.name)
        hosted = None
    if hosted is None and not tree.leads_somewhere(path):
        raise no_object(path)
    available = [known.name for known in tree.interfaces(path, hosted)]
    if not interface:
        interface = standard_interface(call, available)
    elif interface not in available:
        raise no_interface(path, interface)
    return _run(link, hosted, call, interface)


def _run(link: Asks, hosted: DBusObject | None, call: Message, interface: str) -> Answer:
    signature = METHODS.get((interface, call.member))
    if signature is None:
        if hosted is not None and call.member in hosted.streams:
            advice = f"{call.member} is a stream: {EVERYWIRE_OBJECT.name}.Open starts it"
            raise NamedFault(Code.NOT_FOUND, advice, UNKNOWN_METHOD)
        raise no_method(call.path, call.member)
    if call.signature != signature:
        wanted = f"takes arguments of type {signature!r}" if signature else "takes no arguments"
        text = f"{interface}.{call.member} {wanted}, and got {call.signature!r}"
        raise Fault(Code.INVALID_ARGUMENT, text, may_have_run=False)
    own = _OF_OBJECTS.get((interface, call.member))
    if own is None:
        return _OF_PATHS[interface, call.member](link, hosted, call)
    if hosted is None:
        raise no_interface(call.path, interface)
    return own(link, hosted, call)


# Of every path.


def _ping(_: Asks, __: DBusObject | None, ___: Message) -> Answer:
    return "", (), []


def _machine(_: Asks, __: DBusObject | None, ___: Message) -> Answer:
    return "s", (machine_id(),), []


def _introspect(link: Asks, hosted: DBusObject | None, call: Message) -> Answer:
    if hosted is not None:
        link.interested(hosted)
    return "s", (link.tree.introspect(call.path, hosted, link.sees),), []


def _managed(link: Asks, _: DBusObject | None, __: Message) -> Answer:
    fds = link.no_descriptors_yet()
    found = link.tree.managed(link.sees, fds)
    link.manage()
    return "a{oa{sa{sv}}}", (found,), fds


# Of objects.


def _get(link: Asks, hosted: DBusObject, call: Message) -> Answer:
    fds = link.no_descriptors_yet()
    interface, name = call.body
    return "v", (link.tree.get(hosted, interface, name, fds),), fds


def _get_all(link: Asks, hosted: DBusObject, call: Message) -> Answer:
    fds = link.no_descriptors_yet()
    (interface,) = call.body
    found = link.tree.get_all(hosted, interface, fds)
    link.interested(hosted)
    return "a{sv}", (found,), fds


def _set(link: Asks, hosted: DBusObject, call: Message) -> Answer:
    raise link.tree.refuse_write(hosted, *call.body[:2])  # what can be written has a door


def _attach(link: Asks, hosted: DBusObject, _: Message) -> Answer:
    link.ours = True
    link.attach(hosted)
    fds = link.no_descriptors_yet()
    return "a{sv}", (all_variants(hosted, fds),), fds


def _detach(link: Asks, hosted: DBusObject, _: Message) -> Answer:
    link.detach(hosted)
    return "", (), []


def _cancel(link: Asks, hosted: DBusObject, call: Message) -> Answer:
    link.cancel_call(hosted, *call.body)
    return "", (), []


def _open(link: Asks, hosted: DBusObject, call: Message) -> Answer:
    number, name, arguments = call.body
    link.open_stream(hosted, name, arguments, number)
    return "", (), []


def _grant(link: Asks, _: DBusObject, call: Message) -> Answer:
    link.grant(*call.body)
    return "", (), []


def _close(link: Asks, _: DBusObject, call: Message) -> Answer:
    link.close_stream(*call.body)
    return "", (), []


_OF_PATHS: Final[Mapping[tuple[str, str], Callable[[Asks, DBusObject | None, Message], Answer]]] = {
    (PEER.name, "Ping"): _ping,
    (PEER.name, "GetMachineId"): _machine,
    (INTROSPECTABLE.name, "Introspect"): _introspect,
    (OBJECT_MANAGER.name, "GetManagedObjects"): _managed,
}
_OF_OBJECTS: Final[Mapping[tuple[str, str], Callable[[Asks, DBusObject, Message], Answer]]] = {
    (PROPERTIES.name, "Get"): _get,
    (PROPERTIES.name, "GetAll"): _get_all,
    (PROPERTIES.name, "Set"): _set,
    (EVERYWIRE_OBJECT.name, "Attach"): _attach,
    (EVERYWIRE_OBJECT.name, "Detach"): _detach,
    (EVERYWIRE_OBJECT.name, "Cancel"): _cancel,
    (EVERYWIRE_OBJECT.name, "Open"): _open,
    (EVERYWIRE_OBJECT.name, "Grant"): _grant,
    (EVERYWIRE_OBJECT.name, "Close"): _close,
}
