"""Services that are no hosts of everywire: a `Connection` with handlers, which say and do exactly what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from everywire import Code, Fault
from everywire.dbus.session import Answer, Connection, Kind, Message, Variant

PROPERTIES: Final = "org.freedesktop.DBus.Properties"
INTROSPECTABLE: Final = "org.freedesktop.DBus.Introspectable"
MANAGER: Final = "org.freedesktop.DBus.ObjectManager"

SERVICE: Final = "org.acme.Lamp"
PATH: Final = "/org/acme/Lamp"
INTERFACE: Final = "org.acme.Lamp1"

LAMP: Final = f"""
  <interface name="{INTERFACE}">
    <property name="Brightness" type="u" access="readwrite"/>
    <property name="Color" type="s" access="readwrite">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="invalidates"/>
    </property>
    <property name="Serial" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/>
    </property>
    <property name="Uptime" type="t" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false"/>
    </property>
    <method name="Blink">
      <arg name="times" type="u" direction="in"/><arg name="seconds" type="d" direction="out"/>
    </method>
    <method name="Info"><arg name="id" type="i" direction="out"/><arg name="name" type="s" direction="out"/></method>
    <method name="Refuse"><arg name="why" type="s" direction="in"/></method>
    <method name="Hang"/>
    <method name="Forget">
      <arg name="what" type="s" direction="in"/>
      <annotation name="org.freedesktop.DBus.Method.NoReply" value="true"/>
    </method>
    <signal name="Burnt"><arg name="hours" type="u"/><arg name="reason" type="s"/></signal>
  </interface>
"""

Method = Callable[..., Any]


class Service:
    """An object, or several, of one connection, with what they are asked and answer."""

    def __init__(self, connection: Connection, name: str = SERVICE) -> None:
        self.connection, self.name = connection, name
        self.objects: dict[str, Thing] = {}
        self.asked: list[str] = []
        """The members that were called, in order."""
        self.changed = asyncio.Event()

    def add(self, path: str = PATH, xml: str = LAMP, **values: Any) -> Thing:
        """Show an object."""
        thing = self.objects[path] = Thing(self, path, xml)
        thing.remove = self.connection.handle(path, thing.handle)
        return thing

    async def until_asked(self, member: str, count: int = 1) -> None:
        """Wait until a member was called so often."""
        while self.asked.count(member) < count:
            self.changed.clear()
            await self.changed.wait()


class Thing:
    """One object: `values` by interface and name, `methods` by name."""

    remove: Callable[[], None]

    def __init__(self, service: Service, path: str, xml: str) -> None:
        self.service, self.path, self.xml = service, path, xml
        self.values: dict[str, dict[str, Variant]] = {}
        self.methods: dict[str, Method] = {}
        self.broken: set[str] = set()
        """Properties that cannot be read."""
        self.get_all = True
        """Whether GetAll works."""
        self.emits = True
        """Whether Set tells the change."""

    def handle(self, call: Message) -> Any:
        service = self.service
        service.asked.append(call.member)
        service.changed.set()
        if call.interface == INTROSPECTABLE:
            return Answer("s", f"<node>{self.xml}</node>")
        if call.interface == PROPERTIES:
            return getattr(self, f"_{call.member.lower()}")(*call.body)
        if call.interface == MANAGER or call.member not in self.methods:
            raise Fault(Code.NOT_FOUND, f"no {call.member}")
        return self.methods[call.member](*call.body)

    def set(self, name: str, value: Variant, interface: str = INTERFACE, *, how: str = "changed") -> None:
        """Have another value; tell it, or only that it is another, or nothing."""
        self.values.setdefault(interface, {})[name] = value
        if how == "changed":
            self.tell({name: value}, interface=interface)
        elif how == "invalidated":
            self.tell({}, name, interface=interface)

    def tell(self, changed: dict[str, Variant], *invalidated: str, interface: str = INTERFACE, to: str = "") -> None:
        """Emit PropertiesChanged."""
        body = (interface, changed, list(invalidated))
        self.service.connection.emit(self.path, PROPERTIES, "PropertiesChanged", "sa{sv}as", *body, to=to)

    def emit(self, member: str, signature: str = "", *body: Any, interface: str = INTERFACE) -> None:
        """Emit a signal."""
        self.service.connection.emit(self.path, interface, member, signature, *body)

    def _getall(self, interface: str) -> Answer:
        if not self.get_all:
            raise Fault(Code.UNKNOWN, "a getter failed")
        return Answer("a{sv}", {n: v for n, v in self.values.get(interface, {}).items() if n not in self.broken})

    def _get(self, interface: str, name: str) -> Answer:
        if name in self.broken or name not in self.values.get(interface, {}):
            raise Fault(Code.INTERNAL, f"{name} cannot be read")
        return Answer("v", self.values[interface][name])

    def _set(self, interface: str, name: str, value: Variant) -> None:
        self.set(name, value, interface, how="changed" if self.emits else "silently")


def lamp(service: Service, path: str = PATH) -> Thing:
    """Show a lamp."""
    thing = service.add(path)
    for name, value in {
        "Brightness": Variant("u", 40),
        "Color": Variant("s", "warm"),
        "Serial": Variant("s", "L-1"),
        "Uptime": Variant("t", 7),
    }.items():
        thing.set(name, value, how="silently")

    def refuse(why: str) -> None:
        raise Fault(Code.FAILED_PRECONDITION, why)

    async def hang() -> None:
        await asyncio.get_running_loop().create_future()

    thing.methods = {
        "Blink": lambda times: Answer("d", times * 0.5),
        "Info": lambda: Answer("is", 7, "hall"),
        "Refuse": refuse,
        "Hang": hang,
        "Forget": lambda what: None,
    }
    return thing


@asynccontextmanager
async def serving(
    address: str, name: str = SERVICE, *, early: Callable[[Service], object] = lambda _: None, **how: Any
) -> AsyncIterator[Service]:
    """A service on a bus until the end of the block; *early* shows objects before it has its name."""
    async with await Connection.open(address) as connection:
        service = Service(connection, name)
        early(service)
        reply = await connection.request_name(name, **how)
        assert reply.owned or how.get("queue")
        yield service


__all__ = ("INTERFACE", "PATH", "SERVICE", "Kind", "Service", "Thing", "lamp", "serving")
