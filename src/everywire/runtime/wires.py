"""What every projection offers the runtime, and the table from URLs to projections. No projection itself."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from everywire.errors import AddressError, MissingExtra

if TYPE_CHECKING:
    from asyncio import Task

    from everywire.model import Contract
    from everywire.runtime.node import Node, Publication
    from everywire.runtime.replica import ReplicaLink


class Server(Protocol):
    """A node's objects on one wire."""

    @property
    def url(self) -> str:
        """The address under which a replica finds it."""
        ...

    def added(self, publication: Publication) -> None:
        """Show a newly published object."""
        ...

    def removed(self, publication: Publication) -> None:
        """Take an object back."""
        ...

    def recheck(self) -> None:
        """Take objects from links whose callers may no longer see them."""
        ...

    def running(self) -> list[Task[Any]]:
        """Return the tasks of slots that run for remote callers."""
        ...

    async def stop_accepting(self) -> None:
        """Take no new links."""
        ...

    async def close(self) -> None:
        """Close every link."""
        ...


class ClientSession(Protocol):
    """One connection to a host."""

    async def attach(self, replica: ReplicaLink, *, patient: bool) -> None:
        """Bind *replica* to its source: returns when it is valid.

        While the host does not offer the object, wait when *patient*, else raise Fault(NOT_FOUND).
        """
        ...

    @property
    def offered(self) -> tuple[str, ...] | None:
        """The names of the objects that the host shows; None while it has not said."""
        ...

    async def contract(self, name: str) -> Contract:
        """Return what the host tells about the object *name*, without attaching to it.

        Raises Fault(NOT_FOUND), ModelError or RemoteProtocolError when it cannot be read, LinkError.
        """
        ...

    async def wait_lost(self) -> Exception | None:
        """Wait until the connection is gone; return why."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class Wire(Protocol):
    """A projection with its settings."""

    @property
    def url(self) -> str:
        """Where to listen or to connect."""
        ...

    async def serve(self, node: Node) -> Server:
        """Start serving the objects of *node*."""
        ...

    async def open(self, node: Node) -> ClientSession:
        """Connect to a host; raises LinkError."""
        ...


WIRES: Final[Mapping[str, tuple[str, str, str]]] = {
    "qtro": ("everywire.remoteobjects", "RemoteObjects", ""),
    "registry": ("everywire.remoteobjects", "Registry", ""),
    "memory": ("everywire.memory", "Memory", ""),
    "http": ("everywire.http", "Http", "http"),
    "dbus": ("everywire.dbus", "DBus", "dbus"),
}
"""Wire name -> module, class of its settings, and the extra that installs it (empty: part of the core)."""

IMPLIED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("local", "localabstract", "tcp", "tls", "stdio"), "qtro"),
    "memory": "memory",
    **dict.fromkeys(("http", "https"), "http"),
    "dbus": "dbus",
}
"""Transport -> wire of a URL without a wire part (SEMANTICS 8)."""


PLANNED: Final = frozenset({"mqtt", "coap", "opc.tcp", "grpc", "nats", "qcop", "udp"})
"""Wires and transports that addresses will name and this version does not speak."""


def within(node: Node) -> Wire:
    """Return the wire to the objects of *node* itself, for who holds it."""
    made: Wire = importlib.import_module("everywire.memory.endpoint").Within(node)
    return made


def wire_of(wire: str | Wire) -> Wire:
    """Return *wire*, or the wire of a URL; raise AddressError or MissingExtra."""
    if not isinstance(wire, str):
        return wire
    scheme, colon, _ = wire.partition(":")
    name, plus, transport = scheme.partition("+")
    known = name if plus and transport else IMPLIED.get(scheme, "")
    if not colon or known not in WIRES:
        asked = name if plus else scheme
        if asked in ("ws", "wss"):
            raise AddressError(f"{asked}: carries bytes of any protocol; say which: qtro+{wire}")
        if colon and (asked in PLANNED or asked.removesuffix("s") in PLANNED):
            advice = "use local:, tcp:, tls:, http: or dbus:"
            raise AddressError(f"{asked}: is planned, but everywire does not speak it yet; {advice}")
        examples = "local:climate, tcp://127.0.0.1:65213, tls://host:65214?ca=ca.pem, http://127.0.0.1:65280"
        raise AddressError(f"{wire!r} is not an address everywire knows; addresses look like {examples}")
    module, settings, extra = WIRES[known]
    try:
        kind = getattr(importlib.import_module(module), settings)
    except ModuleNotFoundError as error:
        if not extra or (error.name or "").startswith("everywire"):
            raise
        raise MissingExtra(extra) from error
    made: Wire = kind(url=wire.removeprefix(f"{known}+") if plus else wire)
    return made
