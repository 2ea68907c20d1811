"""The interfaces that objects have besides their own: those of the specification, and `org.everywire.Object1`."""

from __future__ import annotations

from typing import Final

from everywire.dbus.introspection import EMITS_CHANGED, Argument, Interface, Method, Property, Signal

EXPLICIT: Final = "org.freedesktop.systemd1.Explicit"
"""Annotation of a property that GetAll leaves out because it is large: systemd's word, which busctl knows."""


def _arguments(*pairs: str) -> tuple[Argument, ...]:
    """Return arguments of texts such as ``u number``."""
    return tuple(Argument(signature, name) for signature, _, name in (pair.partition(" ") for pair in pairs))


PEER: Final = Interface(
    "org.freedesktop.DBus.Peer",
    (Method("Ping"), Method("GetMachineId", outputs=_arguments("s machine_uuid"))),
)

INTROSPECTABLE: Final = Interface(
    "org.freedesktop.DBus.Introspectable",
    (Method("Introspect", outputs=_arguments("s xml_data")),),
)

PROPERTIES: Final = Interface(
    "org.freedesktop.DBus.Properties",
    (
        Method("Get", _arguments("s interface_name", "s property_name"), _arguments("v value")),
        Method("GetAll", _arguments("s interface_name"), _arguments("a{sv} props")),
        Method("Set", _arguments("s interface_name", "s property_name", "v value")),
        Signal(
            "PropertiesChanged",
            _arguments("s interface_name", "a{sv} changed_properties", "as invalidated_properties"),
        ),
    ),
)

OBJECT_MANAGER: Final = Interface(
    "org.freedesktop.DBus.ObjectManager",
    (
        Method("GetManagedObjects", outputs=_arguments("a{oa{sa{sv}}} objpath_interfaces_and_properties")),
        Signal("InterfacesAdded", _arguments("o object_path", "a{sa{sv}} interfaces_and_properties")),
        Signal("InterfacesRemoved", _arguments("o object_path", "as interfaces")),
    ),
)

EVERYWIRE_OBJECT: Final = Interface(
    "org.everywire.Object1",
    (
        Property("Contract", "s", annotations={EMITS_CHANGED: "const", EXPLICIT: "true"}, doc="The contract, as JSON."),
        Method(
            "Attach",
            outputs=_arguments("a{sv} values"),
            doc="Give all values; from now on tell the caller what not all may hear.",
        ),
        Method("Detach", doc="Tell the caller nothing more."),
        Method("Cancel", _arguments("u serial"), doc="Cancel the slot that the call of this serial runs."),
        Method(
            "Open",
            _arguments("u number", "s member", "av arguments"),
            doc="Call a slot that gives a stream; the caller chooses the number.",
        ),
        Method("Grant", _arguments("u number", "u items"), doc="Let a stream send so many more items."),
        Method("Close", _arguments("u number"), doc="End a stream."),
        Signal("Item", _arguments("u number", "v value"), doc="The next item of a stream; to its caller alone."),
        Signal(
            "Ended",
            _arguments("u number", "s error_name", "s message"),
            doc="A stream has ended; in order when the name of the error is empty.",
        ),
        Signal("Gap", _arguments("t missed"), doc="So many signals were dropped, because the caller read too slowly."),
    ),
    doc="What objects of everywire have besides: the exact contract, private signals, streams.",
)
