"""ZeroMQ in the suite `fanout`: one XPUB socket, and as many SUB sockets as connections; 8-byte messages over ipc."""

from __future__ import annotations

import sys
import time
from struct import Struct
from time import perf_counter_ns
from typing import Final

import zmq

from benchmarks.actor import Order, Stage
from benchmarks.actors.hearing import Audience

_NUMBER: Final = Struct("<d")


def _publish(stage: Stage) -> None:
    socket = zmq.Context().socket(zmq.XPUB)
    socket.sndhwm = 0
    socket.xpub_verbose = True
    socket.bind(f"ipc://{stage.directory / 'meter'}")
    stage.ready()
    while True:
        order = stage.order()
        match order["order"]:
            case "burst":
                stage.done(_burst(socket, order))
            case "paced":
                for _ in range(order["count"]):
                    time.sleep(order["interval"])
                    socket.send(_NUMBER.pack(float(perf_counter_ns())))
                stage.done()
            case _:
                for _ in range(order["subscribers"]):
                    socket.recv()
                stage.done()


def _burst(socket: zmq.Socket[bytes], order: Order) -> int:
    send, pack = socket.send, _NUMBER.pack
    begun = perf_counter_ns()
    for number in range(order["first"], order["first"] + order["count"]):
        send(pack(float(number)))
    return begun


def _subscribe(stage: Stage) -> None:
    audience = Audience(stage.options["replicas"], stage.done)
    poller = zmq.Poller()
    context = zmq.Context()
    hear = {}
    for replica in audience.replicas:
        socket = context.socket(zmq.SUB)
        socket.rcvhwm = 0
        socket.connect(f"ipc://{stage.directory / 'meter'}")
        socket.subscribe(b"")
        poller.register(socket, zmq.POLLIN)
        hear[socket] = replica.hear
    poller.register(sys.stdin, zmq.POLLIN)
    stage.ready()
    orders = sys.stdin.fileno()
    while True:
        for socket, _ in poller.poll():
            if socket == orders:
                order = stage.order()
                audience.expect(order["first"], order["count"], stamped=order["stamped"])
                stage.done()
            else:
                _drain(socket, hear[socket])


def _drain(socket: zmq.Socket[bytes], hear: object) -> None:
    receive, unpack = socket.recv, _NUMBER.unpack
    try:
        while True:
            hear(*unpack(receive(zmq.NOBLOCK)))  # type: ignore[operator]
    except zmq.Again:
        return


ROLES = {"publisher": _publish, "subscriber": _subscribe}
