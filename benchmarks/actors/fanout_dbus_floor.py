"""The floor of the second part of the suite `dbus`: signals prepared before, on bare sockets, through the daemon.

Only the number in them changes. A subscriber reads what has come and looks at nothing but the numbers.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Final

from benchmarks.actor import Order, Stage
from benchmarks.actors.hearing import Audience
from benchmarks.buses import METER, METER_INTERFACE, PROPERTIES, SERVICE, bus_socket, start_bus
from benchmarks.wired import BareBus
from everywire.dbus.codec import Kind, Message, Variant, encode_message, frame_size
from everywire.dbus.codec.heads import FIRST

_NUMBER: Final = struct.Struct("<d")
_SAMPLES: Final = (1.0, 2.0)


def _signal(kind: str, number: float) -> bytes:
    interface, member, signature = METER_INTERFACE, "Ticked", "d"
    content: tuple[Any, ...] = (number,)
    if kind == "property":
        interface, member, signature = PROPERTIES, "PropertiesChanged", "sa{sv}as"
        content = (METER_INTERFACE, {"Value": Variant("d", number)}, [])
    message = Message(
        kind=Kind.SIGNAL, path=METER, interface=interface, member=member, signature=signature, body=content, flags=1
    )
    return encode_message(message, 1)


class Prepared:
    """A signal whose number is filled in."""

    def __init__(self, kind: str) -> None:
        self._frame = _signal(kind, _SAMPLES[0])
        self.behind: Final = len(self._frame) - self._frame.index(_NUMBER.pack(_SAMPLES[0]))
        """Where the number is, from the end."""

    def of(self, number: float) -> bytes:
        """The frame that tells *number*."""
        at = len(self._frame) - self.behind
        return self._frame[:at] + _NUMBER.pack(number) + self._frame[at + 8 :]


PREPARED: Final = {kind: Prepared(kind) for kind in ("property", "signal")}


def _publish(stage: Stage) -> None:
    daemon = start_bus(stage.directory)
    bus = BareBus(bus_socket(stage.directory))
    bus.ask("RequestName", "su", SERVICE, 0)
    stage.ready(daemon)
    while True:
        order = stage.order()
        match order["order"]:
            case "burst":
                stage.done(_burst(bus.socket, order))
            case "paced":
                frame_of = PREPARED[order["kind"]].of
                for _ in range(order["count"]):
                    time.sleep(order["interval"])
                    bus.socket.sendall(frame_of(float(perf_counter_ns())))
                stage.done()
            case _:
                stage.done()


def _burst(link: socket.socket, order: Order) -> int:
    frame_of, end = PREPARED[order["kind"]].of, order["first"] + order["count"]
    begun = perf_counter_ns()
    for start in range(order["first"], end, order["per_turn"]):
        numbers = range(start, min(start + order["per_turn"], end))
        link.sendall(b"".join([frame_of(float(number)) for number in numbers]))
    return begun


def _subscribe(stage: Stage) -> None:
    audience = Audience(stage.options["replicas"], stage.done)
    poller = select.poll()
    poller.register(sys.stdin, select.POLLIN)
    drains: dict[int, Callable[[], None]] = {}
    for replica in audience.replicas:
        bus = BareBus(bus_socket(stage.directory))
        bus.ask("AddMatch", "s", f"type='signal',sender='{SERVICE}',path='{METER}'")
        poller.register(bus.socket, select.POLLIN)
        drains[bus.socket.fileno()] = _draining(bus.socket, replica.hear)
    stage.ready()
    orders = stage.orders_from
    while True:
        for ready, _ in poller.poll():
            if ready == orders:
                order = stage.order()
                audience.expect(order["first"], order["count"], stamped=order["stamped"])
                stage.done()
            else:
                drains[ready]()


def _draining(link: socket.socket, hear: Callable[[float], None]) -> Callable[[], None]:
    buffer = bytearray()
    read = link.recv

    def drain() -> None:
        buffer.extend(read(65536))
        at = 0
        while len(buffer) - at >= FIRST and len(buffer) - at >= (size := frame_size(buffer, at)):
            behind = PREPARED["signal" if buffer[at + 4] == _NUMBER.size else "property"].behind
            hear(_NUMBER.unpack_from(buffer, at + size - behind)[0])
            at += size
        del buffer[:at]

    return drain


ROLES = {"publisher": _publish, "subscriber": _subscribe}
