"""The load of the suite `http`: bare sockets that are kept alive, the same for every server; answers are compared."""

from __future__ import annotations

import socket
from time import perf_counter_ns
from typing import Any

from benchmarks.actor import Stage
from benchmarks.actors.http_paths import ADD_ONE, TICKED, VALUE
from benchmarks.figures import percentile
from benchmarks.peer import WrongAnswer

_END = b"\r\n\r\n"


class Load:
    """Connections to one server."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._port: int = stage.options["port"]
        self._host = f"Host: 127.0.0.1:{self._port}\r\n".encode()
        self._get = b"GET " + VALUE.encode() + b" HTTP/1.1\r\n" + self._host + b"Accept: */*\r\n\r\n"
        self._post = b"POST " + ADD_ONE.encode() + b" HTTP/1.1\r\n" + self._host
        self._post += b"Accept: */*\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        self._sockets: list[socket.socket] = []
        self._number = 0

    def get(self, seconds: float, connections: int) -> dict[str, float | None]:
        """GET the property on all connections, read all answers, repeat."""
        return self._windows(seconds, connections, lambda _number: (self._get, b"21.5"))

    def post(self, seconds: float, connections: int) -> dict[str, float | None]:
        """POST a call of the slot on all connections, read all answers, repeat."""

        def call(number: int) -> tuple[bytes, bytes]:
            body = b'{"number": %d}' % number
            return self._post % (len(body), body), b"%d" % (number + 1)

        return self._windows(seconds, connections, call)

    def listen(self, listeners: int) -> None:
        """Open event streams; `heard` reads them."""
        self._sockets = [_connect(self._port) for _ in range(listeners)]
        for sock in self._sockets:
            head = b"GET " + TICKED.encode() + b" HTTP/1.1\r\n" + self._host
            sock.sendall(head + b"Accept: text/event-stream\r\n\r\n")
        self._streams = [Events(sock) for sock in self._sockets]

    def heard(self, first: int, count: int) -> int:
        """Read from all streams until each has heard *count* numbers in order; return the moment."""
        self._stage.done()  # the burst may begin
        waiting = set(self._streams)
        for stream in waiting:
            stream.expect(first, count)
        while waiting:
            waiting -= {stream for stream in waiting if stream.read()}
        return perf_counter_ns()

    def _windows(self, seconds: float, connections: int, request: Any) -> dict[str, float | None]:
        while len(self._sockets) < connections:
            self._sockets.append(_connect(self._port))
        sockets = self._sockets[:connections]
        latencies: list[int] = []
        calls = 0
        begun = before = perf_counter_ns()
        end = begun + int(seconds * 1e9)
        while before < end:
            expected: list[bytes] = []
            for sock in sockets:
                sent, answer = request(self._number)
                self._number += 1
                sock.send(sent)
                expected.append(answer)
            for sock, answer in zip(sockets, expected, strict=True):
                if (got := _read_answer(sock)) != answer:
                    raise WrongAnswer(f"got {got!r} where {answer!r} was to come")
            now = perf_counter_ns()
            latencies.append(now - before)
            before = now
            calls += connections
        alone = connections == 1
        return {
            "rate": calls / (before - begun) * 1e9,
            "p50_us": percentile(latencies, 0.50) / 1e3 if alone else None,
            "p99_us": percentile(latencies, 0.99) / 1e3 if alone else None,
        }


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _read_answer(sock: socket.socket) -> bytes:
    """Return the body of one answer, which has its length in its head."""
    data = sock.recv(65536)
    while (end := data.find(_END)) < 0:
        data += _more(sock)
    head = data[:end].lower()
    if not data.startswith(b"HTTP/1.1 200 "):
        raise WrongAnswer(f"the server answered {data[:200]!r}")
    at = head.index(b"content-length:") + 15
    length = int(head[at : head.find(b"\r\n", at) if b"\r\n" in head[at:] else None])
    body = data[end + 4 :]
    while len(body) < length:
        body += _more(sock)
    return body


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise WrongAnswer("the server closed a connection")
    return data


class Events:
    """One event stream: its chunks undone, its events compared with what must come next."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._chunked = self._text = b""
        while (end := self._chunked.find(_END)) < 0:
            self._chunked += _more(sock)
        if not self._chunked.startswith(b"HTTP/1.1 200 ") or b"chunked" not in self._chunked[:end].lower():
            raise WrongAnswer(f"no event stream: {self._chunked[:200]!r}")
        self._chunked = self._chunked[end + 4 :]
        self._next = self._end = 0

    def expect(self, first: int, count: int) -> None:
        """From now on expect these numbers."""
        self._next, self._end = first, first + count

    def read(self) -> bool:
        """Take what has come, or wait for more; return whether all was heard."""
        if not self._heard():
            self._chunked += _more(self._socket)
        return self._heard()

    def _heard(self) -> bool:
        self._undo_chunks()
        *events, self._text = self._text.split(b"\n\n")
        for event in events:
            if not event.startswith(b"data: "):
                continue  # how to reconnect, or a comment
            if event != b"data: [%d]" % self._next:
                raise WrongAnswer(f"heard {event!r} where {self._next} was to come")
            self._next += 1
        return self._next >= self._end

    def _undo_chunks(self) -> None:
        data, position, texts = self._chunked, 0, [self._text]
        while (line := data.find(b"\r\n", position)) >= 0:
            start = line + 2
            end = start + int(data[position:line], 16)
            if len(data) < end + 2:
                break
            texts.append(data[start:end])
            position = end + 2
        self._chunked, self._text = data[position:], b"".join(texts)


def _play(stage: Stage) -> None:
    load = Load(stage)
    stage.ready()
    while True:
        order = stage.order()
        perform: Any = getattr(load, order.pop("order"))
        stage.done(perform(**order))


ROLES = {"load": _play}
