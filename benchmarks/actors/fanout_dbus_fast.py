"""dbus-fast in the second part of the suite `dbus`: bare messages, and its ServiceInterface with proxies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusDouble
from dbus_fast.constants import MessageType, PropertyAccess
from dbus_fast.message import Message
from dbus_fast.service import ServiceInterface, dbus_property, dbus_signal
from dbus_fast.signature import Variant

from benchmarks.actor import Order, Stage
from benchmarks.actors.hearing import Audience
from benchmarks.actors.loops import run_on
from benchmarks.actors.telling import Tell, publish
from benchmarks.buses import METER, METER_INTERFACE, PROPERTIES, SERVICE, bus_address, peer_address, start_bus
from benchmarks.peers.dbus_fast import accepted, authenticated, listen

MOST: Final = 50
"""Messages without a round trip."""
BUS: Final = "org.freedesktop.DBus"


class Meter(ServiceInterface):
    """The exported interface."""

    def __init__(self) -> None:
        super().__init__(METER_INTERFACE)
        self.now = 0.0

    @dbus_property(access=PropertyAccess.READ)
    def Value(self) -> DBusDouble:  # noqa: N802  # the name on the bus
        """The last number."""
        return self.now

    @dbus_signal()
    def Ticked(self, number: float) -> DBusDouble:  # noqa: N802  # the name on the bus
        """Tell a number."""
        return number

    def change(self, number: float) -> None:
        """Have another last number."""
        self.now = number
        self.emit_properties_changed({"Value": number})


async def _publish(stage: Stage) -> None:
    daemon = start_bus(stage.directory)
    bus = await MessageBus(bus_address=bus_address(stage.directory)).connect()
    meter = Meter()
    bus.export(METER, meter)
    await bus.request_name(SERVICE)

    async def round_trip() -> None:
        await bus.call(Message(destination=BUS, path="/org/freedesktop/DBus", interface=BUS, member="GetId"))

    stage.ready(daemon)
    tell: dict[str, Tell] = {"property": meter.change, "signal": meter.Ticked}
    await publish(stage, _bare([bus]) if stage.options["bare"] else tell, round_trip, MOST)


def _publish_to_peers(stage: Stage) -> None:
    """Accept the peers, one after the other, as soon as the subscriber asks for them."""
    address = peer_address(stage.directory)
    listener = listen(address)
    peers: list[MessageBus] = []

    def accept() -> None:
        listener.setblocking(True)
        peers.append(accepted(authenticated(listener), address))
        peers[-1].add_message_handler(_greet)

    async def round_trips() -> None:
        ping = {"path": "/", "interface": "org.freedesktop.DBus.Peer", "member": "Ping"}
        await asyncio.gather(*[peer.call(Message(**ping)) for peer in peers])

    async def stay() -> None:
        asyncio.get_running_loop().add_reader(listener, accept)
        stage.ready()
        await publish(stage, _bare(peers), round_trips, MOST)

    run_on(stage.options["loop"], stay())


def _greet(message: Message) -> Message | None:
    return Message.new_method_return(message, "s", [":1.1"]) if message.member == "Hello" else None


def _bare(peers: list[MessageBus]) -> dict[str, Tell]:
    def send(interface: str, member: str, signature: str, body: list[Any]) -> None:
        for peer in peers:
            # A message belongs to one connection: it is given its serial.
            peer.send(
                Message(
                    message_type=MessageType.SIGNAL,
                    path=METER,
                    interface=interface,
                    member=member,
                    signature=signature,
                    body=body,
                )
            )

    def change(number: float) -> None:
        send(PROPERTIES, "PropertiesChanged", "sa{sv}as", [METER_INTERFACE, {"Value": Variant("d", number)}, []])

    return {"property": change, "signal": lambda number: send(METER_INTERFACE, "Ticked", "d", [number])}


async def _subscribe(stage: Stage) -> None:
    audience = Audience(stage.options["replicas"], stage.done)
    kept: list[Any] = []
    for replica in audience.replicas:
        if stage.options["bus"]:
            bus = await MessageBus(bus_address=bus_address(stage.directory)).connect()
            kept += [bus, await (_match if stage.options["bare"] else _watch)(bus, replica.hear)]
        else:
            bus = await MessageBus(bus_address=peer_address(stage.directory)).connect()
            bus.add_message_handler(_hearing(replica.hear))
            kept.append(bus)

    def obey(order: Order) -> None:
        audience.expect(order["first"], order["count"], stamped=order["stamped"])
        stage.done()

    stage.obey_in_loop(obey)
    stage.ready()
    await asyncio.Event().wait()


def _hearing(hear: Callable[[float], None]) -> Callable[[Message], None]:
    def heard(message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.path == METER:
            if message.member == "Ticked":
                hear(message.body[0])
            elif message.member == "PropertiesChanged":
                hear(message.body[1]["Value"].value)

    return heard


async def _match(bus: MessageBus, hear: Callable[[float], None]) -> None:
    bus.add_message_handler(_hearing(hear))
    for interface, member in ((METER_INTERFACE, "Ticked"), (PROPERTIES, "PropertiesChanged")):
        rule = f"type='signal',sender='{SERVICE}',path='{METER}',interface='{interface}',member='{member}'"
        await bus.call(
            Message(
                destination=BUS,
                path="/org/freedesktop/DBus",
                interface=BUS,
                member="AddMatch",
                signature="s",
                body=[rule],
            )
        )


async def _watch(bus: MessageBus, hear: Callable[[float], None]) -> Any:
    proxy = bus.get_proxy_object(SERVICE, METER, await bus.introspect(SERVICE, METER))
    meter: Any = proxy.get_interface(METER_INTERFACE)
    properties: Any = proxy.get_interface(PROPERTIES)
    meter.on_ticked(hear)
    properties.on_properties_changed(lambda _interface, changed, _invalidated: hear(changed["Value"].value))
    # It adds its match rules without waiting for the bus; what is asked next is answered after them.
    await properties.call_get(METER_INTERFACE, "Value")
    return proxy


def _play_publisher(stage: Stage) -> None:
    if stage.options["bus"]:
        run_on(stage.options["loop"], _publish(stage))
    else:
        _publish_to_peers(stage)


ROLES = {
    "publisher": _play_publisher,
    "subscriber": lambda stage: run_on(stage.options["loop"], _subscribe(stage)),
}
