"""ZeroMQ over ipc: REQ/REP for one call at a time, DEALER/ROUTER for the window, 8-byte messages."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from typing import Final

import zmq

from benchmarks.loops import BlockingCalls, blocking
from benchmarks.peer import Peer, Ready

_NUMBER: Final = Struct("<q")


def _bound(context: zmq.Context[zmq.Socket[bytes]], kind: int, path: Path) -> zmq.Socket[bytes]:
    socket = context.socket(kind)
    socket.bind(f"ipc://{path}")
    return socket


def _reply(socket: zmq.Socket[bytes]) -> None:
    while True:
        socket.send(_NUMBER.pack(_NUMBER.unpack(socket.recv())[0] + 1))


def _route(socket: zmq.Socket[bytes]) -> None:
    while True:
        sender, number = socket.recv_multipart()
        socket.send_multipart([sender, _NUMBER.pack(_NUMBER.unpack(number)[0] + 1)])


def _serve(directory: Path, ready: Ready) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    # A thread each: both block in their socket, so the idle one costs nothing, where polling both would cost the peer.
    reply = _bound(context, zmq.REP, directory / "reply")
    threading.Thread(target=_reply, args=[reply], daemon=True).start()
    router = _bound(context, zmq.ROUTER, directory / "router")
    ready()
    _route(router)


@contextmanager
def _connect(directory: Path) -> Generator[BlockingCalls]:
    with zmq.Context() as context, context.socket(zmq.REQ) as request, context.socket(zmq.DEALER) as dealer:
        request.connect(f"ipc://{directory / 'reply'}")
        dealer.connect(f"ipc://{directory / 'router'}")

        def call(number: int) -> int:
            request.send(_NUMBER.pack(number))
            answer: int = _NUMBER.unpack(request.recv())[0]
            return answer

        def begin(number: int) -> None:
            dealer.send(_NUMBER.pack(number))

        def finish(_sent: None) -> int:
            answer: int = _NUMBER.unpack(dealer.recv())[0]
            return answer

        yield BlockingCalls(call, begin, finish)


PEERS = {"pyzmq": Peer(_serve, blocking(_connect))}
