"""A service that everywire knows nothing of, with oddities; `heater.py ADDRESS [NAME]` owns NAME there, or is a peer.

Two interfaces with members of the same name, a property that cannot be read, objects that never end, that cannot be
read, that do not answer, and that only an ObjectManager tells of. It says "up", and goes on until its input ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from everywire import Code, Fault
from everywire.dbus.session import Answer, Connection, Message, Variant, serve_peers

PATH = "/org/acme/Heater"
HEATER, FAN = "org.acme.Heater1", "org.acme.Fan1"
PROPERTIES = "org.freedesktop.DBus.Properties"
XML = f"""<node>
<interface name="{HEATER}">
  <annotation name="org.gtk.GDBus.DocString" value="Makes it warm."/>
  <method name="Boost">
    <arg type="q" name="minutes" direction="in"/><arg type="s" name="note" direction="in"/>
    <arg type="x" direction="out"/>
  </method>
  <method name="Options">
    <arg type="a{{sv}}" name="options" direction="in"/><arg type="v" name="extra" direction="in"/>
    <arg type="a{{sv}}" direction="out"/><arg type="v" direction="out"/>
  </method>
  <method name="Signature"><arg type="v" name="value" direction="in"/><arg type="s" direction="out"/></method>
  <method name="Size"><arg type="h" name="file" direction="in"/><arg type="t" direction="out"/></method>
  <method name="Refuse"/>
  <method name="Leave"/>
  <method name="Tell"><annotation name="org.freedesktop.DBus.Method.NoReply" value="true"/></method>
  <method name="Toggle"/>
  <property name="Level" type="d" access="readwrite"/>
  <property name="State" type="u" access="read"/>
  <property name="Secret" type="s" access="write"/>
  <property name="Stale" type="u" access="read">
    <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="invalidates"/>
  </property>
  <signal name="Fired"><arg type="d" name="celsius"/><arg type="s"/></signal>
</interface>
<interface name="{FAN}">
  <method name="Toggle"/>
  <property name="Speed" type="(ii)" access="readwrite"/>
  <property name="State" type="s" access="read"/>
</interface>
<node name="broken"/><node name="endless"/><node name="silent"/><node name="hidden"/>
</node>"""
HIDDEN = '<node><interface name="org.freedesktop.DBus.ObjectManager"/></node>'

ODD = {"/broken": "<node><interf", "/hidden": HIDDEN, "/endless": '<node><node name="endless"/></node>'}


HEATERS: list[Heater] = []


class Heater:
    """The objects, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.values: dict[str, dict[str, Variant]] = {
            HEATER: {"Level": Variant("d", 1.5), "State": Variant("u", 3), "Stale": Variant("u", 0)},
            FAN: {"Speed": Variant("(ii)", [1, 2]), "State": Variant("s", "on")},
        }
        connection.handle("/", self.answer, subtree=True)
        HEATERS.append(self)

    async def answer(self, call: Message) -> Answer | None:
        if call.member == "Introspect":
            return Answer("s", await self.introspected(call.path))
        if call.member == "GetManagedObjects":
            return Answer("a{oa{sa{sv}}}", {f"{PATH}/hidden/one": {"org.acme.Spare1": {}}})
        if call.path != PATH and call.member != "Spam":
            raise Fault(Code.NOT_FOUND, f"nothing at {call.path}")
        return getattr(self, f"do_{call.member.lower()}")(call, *call.body)

    async def introspected(self, path: str) -> str:
        if path.endswith("/silent"):
            await asyncio.Event().wait()
        if path == PATH:
            return XML
        if PATH.startswith(path.rstrip("/") + "/"):
            return f'<node><node name="{PATH.removeprefix(path.rstrip("/")).split("/")[1]}"/></node>'
        return next((xml for end, xml in ODD.items() if path.endswith(end)), "<node/>")

    def do_get(self, call: Message, interface: str, name: str) -> Answer:
        return Answer("v", self.values[interface][name])

    def do_getall(self, call: Message, interface: str) -> Answer:
        return Answer("a{sv}", self.values[interface])

    def do_set(self, call: Message, interface: str, name: str, value: Variant) -> None:
        self.values[interface][name] = value
        self.tell(interface, {name: value})

    def do_boost(self, call: Message, minutes: int, note: str) -> Answer:
        self.connection.emit(PATH, HEATER, "Fired", "ds", 33.5, note)
        return Answer("x", minutes * 60)

    def do_options(self, call: Message, options: Any, extra: Any) -> Answer:
        return Answer("a{sv}v", options, extra)

    def do_signature(self, call: Message, value: Variant) -> Answer:
        return Answer("s", value.signature)

    def do_size(self, call: Message, index: int) -> Answer:
        with os.fdopen(call.fds[index].take(), "rb") as file:
            return Answer("t", len(file.read()))

    def do_refuse(self, call: Message) -> None:
        raise Fault(Code.FAILED_PRECONDITION, "not today\x1b[31m")

    def do_leave(self, call: Message) -> None:
        self.connection.abort()

    def do_tell(self, call: Message) -> None:
        self.values[HEATER]["Stale"] = Variant("u", 7)
        self.tell(HEATER, {}, "Stale")

    def do_spam(self, call: Message, *payload: Any) -> None:
        """What dbus-test-tool calls."""

    def do_toggle(self, call: Message) -> None:
        state = Variant("s", "off") if call.interface == FAN else Variant("u", 4)
        self.values[call.interface]["State"] = state
        self.tell(call.interface, {"State": state})

    def tell(self, interface: str, changed: dict[str, Variant], *invalidated: str) -> None:
        for heater in HEATERS:  # between peers each has its own
            if not heater.connection.closed.done():
                heater.connection.emit(
                    PATH, PROPERTIES, "PropertiesChanged", "sa{sv}as", interface, changed, list(invalidated)
                )


async def main(address: str, name: str = "") -> None:
    if name:
        async with await Connection.open(address) as connection:
            Heater(connection)
            await connection.request_name(name)
            await (connection.closed if "DBUS_STARTER_ADDRESS" in os.environ else stay())
    else:
        server = await serve_peers(address, Heater)
        await stay()
        await server.close()


async def stay() -> None:
    print("up", flush=True)  # noqa: T201  the test reads it
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
