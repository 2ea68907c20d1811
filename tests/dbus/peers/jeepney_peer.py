"""jeepney as a peer: `jeepney_peer.py serve|use ADDRESS [--peer] [--as NAME]`; --peer connects without a bus."""

from __future__ import annotations

import os
import selectors
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from boiler import XML, Boiler, Refused
from jeepney import (
    DBusAddress,
    DBusNameFlags,
    HeaderFields,
    MatchRule,
    Message,
    MessageType,
    Properties,
    message_bus,
    new_error,
    new_method_call,
    new_method_return,
    new_signal,
)
from jeepney.bus import get_bus
from jeepney.io.blocking import DBusConnection, DBusConnectionBase, prep_socket
from jeepney.wrappers import DBusErrorResponse
from speech import INTERFACE, PATH, REFUSED, SERVICE, Ear, meant, raised, returned, say

PROPERTIES = "org.freedesktop.DBus.Properties"
SIGNATURES = {
    "AddOne": ("i", "i"), "Split": ("s", "si"), "Move": ("(dd)", "(dd)"), "Tally": ("as", "a{si}"), "Wrap": ("v", "v"),
    "Shift": ("s", "s"), "Rows": ("a(is)", "a(is)"), "Data": ("ay", "ay"), "Basics": ("ynqiuxtdbs", "ynqiuxtdbs"),
    "ReadAll": ("h", "s"), "OpenText": ("s", "h"), "Refuse": ("s", ""), "Fire": ("i", ""),
}  # fmt: skip


class Link:
    """A connection and the requests of the test, waited for together."""

    def __init__(self, address: str, bus: bool) -> None:
        sock = prep_socket(get_bus(address), enable_fds=True)
        self.connection = DBusConnection(sock, True) if bus else Alone(sock, True)
        self.bus = bus

    def run(self, actor: Any) -> None:
        ear = Ear(actor)
        say(event="ready")
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ, ear.readable)
            selector.register(self.connection.sock, selectors.EVENT_READ, lambda: True)
            alive = True
            while alive:
                for key, _ in selector.select():
                    alive &= key.data()
                alive &= self.drain(actor)

    def drain(self, actor: Any) -> bool:
        while True:
            try:
                message = self.connection.receive(timeout=0)
            except TimeoutError:
                return True
            except ConnectionResetError:
                say(event="disconnected")
                return False
            actor.heard(message)

    def send(self, message: Message) -> None:
        self.connection.send(message)

    def signal(self, member: str, signature: str, body: tuple[Any, ...], interface: str = INTERFACE) -> None:
        self.send(new_signal(DBusAddress(PATH, interface=interface), member, signature, body))

    def ask(self, message: Message, actor: Any) -> Message:
        """Send a call and return its reply; signals before it go to the actor."""
        if not self.bus:
            message.header.fields.pop(HeaderFields.destination, None)
        serial = next(self.connection.outgoing_serial)
        self.connection.send(message, serial=serial)
        while True:
            answer = self.connection.receive(timeout=15)
            if answer.header.fields.get(HeaderFields.reply_serial) == serial:
                return answer
            actor.heard(answer)


class Alone(DBusConnectionBase):
    """A connection that has no bus at its end, so says no Hello."""

    send = DBusConnection.send
    receive = DBusConnection.receive


class Service:
    """Offers the boiler."""

    def __init__(self, link: Link) -> None:
        self.boiler, self.link = Boiler(), link

    def request_name(self) -> None:
        """Get the name. A call for which the bus started us comes before the answer: jeepney's proxy would lose it."""
        answer = self.link.ask(message_bus.RequestName(SERVICE, DBusNameFlags.do_not_queue), self)
        assert answer.body == (1,), f"somebody owns {SERVICE} already"

    def heard(self, call: Message) -> None:
        fields = call.header.fields
        if call.header.message_type is not MessageType.method_call:
            return
        member, interface = fields[HeaderFields.member], fields.get(HeaderFields.interface, INTERFACE)
        if interface != PROPERTIES:
            say(event="called", member=member)
        try:
            reply = self.answer(call, interface, member)
        except Refused as error:
            reply = new_error(call, REFUSED, "s", (str(error),))
        if reply is not None:
            self.link.send(reply)

    def answer(self, call: Message, interface: str, member: str) -> Message:
        if call.header.fields[HeaderFields.path] != PATH and member != "Introspect":
            return new_error(call, "org.freedesktop.DBus.Error.UnknownObject", "s", ("no such object",))
        if interface == PROPERTIES:
            return self.of_properties(call, member)
        if (interface, member) == ("org.freedesktop.DBus.Introspectable", "Introspect"):
            return new_method_return(call, "s", (f"<node>{XML if self.here(call) else ''}</node>",))
        if (interface, member) == ("org.freedesktop.DBus.Peer", "Ping"):
            return new_method_return(call)
        if interface != INTERFACE or member not in SIGNATURES:
            return new_error(call, "org.freedesktop.DBus.Error.UnknownMethod", "s", (f"no {interface}.{member}",))
        takes, gives = SIGNATURES[member]
        if call.header.fields.get(HeaderFields.signature, "") != takes:
            return new_error(call, "org.freedesktop.DBus.Error.InvalidArgs", "s", (f"{member} takes {takes}",))
        return new_method_return(call, gives, self.done(member, call.body))

    def here(self, call: Message) -> bool:
        return call.header.fields[HeaderFields.path] == PATH

    def done(self, member: str, body: tuple[Any, ...]) -> tuple[Any, ...]:
        match member:
            case "AddOne":
                return (self.boiler.add_one(*body),)
            case "Split":
                return self.boiler.split(*body)
            case "Move":
                self.change("Spot", body[0])
                self.link.signal("Moved", "(dd)", body)
                return body
            case "Tally":
                return (self.boiler.tally(*body),)
            case "Shift":
                return (self.boiler.shift(*body),)
            case "ReadAll":
                return (self.boiler.read_all(body[0].to_raw_fd()),)
            case "OpenText":
                return (os.fdopen(self.boiler.open_text(*body), "rb"),)
            case "Refuse":
                raise Refused(*body)
            case "Fire":
                for number in range(*body):
                    self.link.signal("Fired", "is", (number, "asked"))
                return ()
            case _:
                return body

    def of_properties(self, call: Message, member: str) -> Message:
        body, boiler = call.body, self.boiler
        if member == "GetAll":
            values = {name: (boiler.types[name], value) for name, value in boiler.values.items()}
            return new_method_return(call, "a{sv}", (values,))
        if body[1] not in boiler.values:
            return new_error(call, "org.freedesktop.DBus.Error.UnknownProperty", "s", (f"no property {body[1]}",))
        if member == "Get":
            return new_method_return(call, "v", ((boiler.types[body[1]], boiler.values[body[1]]),))
        if body[1] not in boiler.writable:
            return new_error(call, "org.freedesktop.DBus.Error.PropertyReadOnly", "s", (f"{body[1]} is read-only",))
        self.change(body[1], body[2][1])
        return new_method_return(call)

    def change(self, name: str, value: Any) -> None:
        self.boiler.values[name] = value
        changed = (INTERFACE, {name: (self.boiler.types[name], value)}, [])
        self.link.signal("PropertiesChanged", "sa{sv}as", changed, PROPERTIES)

    def do_change(self, name: str, value: str) -> None:
        self.change(name, meant(value))

    def do_fire(self, count: int) -> None:
        self.done("Fire", (count,))


class Client:
    """Uses a boiler."""

    def __init__(self, link: Link, service: str) -> None:
        self.link = link
        self.whom = DBusAddress(PATH, service, INTERFACE)
        self.properties = Properties(self.whom)

    def heard(self, message: Message) -> None:
        fields = message.header.fields
        if message.header.message_type is not MessageType.signal:
            return
        if fields[HeaderFields.interface] == INTERFACE:
            say(event="heard", member=fields[HeaderFields.member], values=repr(message.body))
        elif fields[HeaderFields.member] == "PropertiesChanged" and message.body[0] == INTERFACE:
            say(event="changed", values=repr({name: value for name, (_, value) in message.body[1].items()}))

    def do_listen(self) -> None:
        if self.link.bus:
            rule = MatchRule(type="signal", sender=SERVICE, path=PATH)
            self.reply(message_bus.AddMatch(rule))

    def do_call(self, member: str, arguments: str = "()") -> Any:
        return self.reply(new_method_call(self.whom, member, SIGNATURES.get(member, ("",))[0], meant(arguments)))

    def do_get(self, name: str) -> Any:
        return self.reply(self.properties.get(name), lambda body: body[0][1])

    def do_get_all(self) -> Any:
        return self.reply(self.properties.get_all(), lambda body: {name: value for name, (_, value) in body[0].items()})

    def do_set(self, name: str, value: str) -> Any:
        return self.reply(self.properties.set(name, Boiler.types[name], meant(value)))

    def do_introspect(self) -> Any:
        whom = self.whom.with_interface("org.freedesktop.DBus.Introspectable")
        return self.reply(new_method_call(whom, "Introspect"), lambda body: body[0])

    def do_read_all(self, text: str) -> Any:
        with os.fdopen(Boiler().open_text(text), "rb") as source:
            return self.reply(new_method_call(self.whom, "ReadAll", "h", (source,)))

    def do_open_text(self, text: str) -> Any:
        call = new_method_call(self.whom, "OpenText", "s", (text,))
        return self.reply(call, lambda body: (Boiler().read_all(body[0].to_raw_fd()),))

    def reply(self, call: Message, reading: Any = lambda body: body) -> Any:
        answer = self.link.ask(call, self)
        if answer.header.message_type is MessageType.error:
            error = DBusErrorResponse(answer)
            return raised(error.name, str(error.data[0]) if error.data else "")
        return returned(reading(answer.body))


def main() -> None:
    role, address, *options = sys.argv[1:]
    link = Link(address, bus="--peer" not in options)
    if role == "serve":
        service = Service(link)
        if link.bus:
            service.request_name()
        link.run(service)
    else:
        link.run(Client(link, SERVICE))
    os._exit(0)


if __name__ == "__main__":
    main()
