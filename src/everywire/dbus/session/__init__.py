"""D-Bus without objects: connections to buses and peers, messages, calls, signals, names, monitors, descriptors.

Open a `Connection`, `call` methods, read `messages` that fit a `Match`, let a `handle` answer; nothing here knows
objects.
"""

from __future__ import annotations

from everywire.dbus.codec import INTERACTIVE, NO_AUTO_START, NO_REPLY, Kind, Message, Variant
from everywire.dbus.session.addresses import Place, bus_address, parse_places
from everywire.dbus.session.connection import Connection
from everywire.dbus.session.handling import Answer
from everywire.dbus.session.listening import PeerServer, serve_peers
from everywire.dbus.session.matching import BUS, BUS_PATH, Match
from everywire.dbus.session.names import NameReply
from everywire.dbus.session.subscribing import Following, MessageStream, Subscription
from everywire.transport.descriptors import UnixFd

__all__ = (
    "BUS",
    "BUS_PATH",
    "INTERACTIVE",
    "NO_AUTO_START",
    "NO_REPLY",
    "Answer",
    "Connection",
    "Following",
    "Kind",
    "Match",
    "Message",
    "MessageStream",
    "NameReply",
    "PeerServer",
    "Place",
    "Subscription",
    "UnixFd",
    "Variant",
    "bus_address",
    "parse_places",
    "serve_peers",
)
