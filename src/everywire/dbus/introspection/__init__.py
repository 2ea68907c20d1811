"""What an object shows, as data and as XML (D-Bus Specification, "Introspection Data Format"); knows no contracts.

`parse` reads what a stranger sent, `write` gives what `parse` reads back the same. Descriptions for people are kept in
`doc`, in whichever of four ways they were written: the annotation ``org.gtk.GDBus.DocString``, which `write` uses,
``<doc:doc>`` of freedesktop.org, ``<tp:docstring>`` of Telepathy, and the comments that gdbus-codegen reads.
"""

from __future__ import annotations

from everywire.dbus.introspection.data import (
    DEPRECATED,
    DOC_STRING,
    EMITS_CHANGED,
    NO_REPLY,
    QT_TYPE,
    Access,
    Argument,
    Interface,
    Member,
    Method,
    Node,
    Property,
    Signal,
)
from everywire.dbus.introspection.reading import MAX_BYTES, parse
from everywire.dbus.introspection.writing import write

__all__ = (
    "DEPRECATED",
    "DOC_STRING",
    "EMITS_CHANGED",
    "MAX_BYTES",
    "NO_REPLY",
    "QT_TYPE",
    "Access",
    "Argument",
    "Interface",
    "Member",
    "Method",
    "Node",
    "Property",
    "Signal",
    "parse",
    "write",
)
