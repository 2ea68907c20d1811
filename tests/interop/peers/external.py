"""A Qt program over transports that Qt Remote Objects has no URL for: WebSockets, as in Qt's example, and sockets.

It offers a counter, or uses the objects of a host; each connection is given to QRemoteObjectHost or QRemoteObjectNode.
"""

# ruff: noqa: N802, N815  names are spelt as Qt programs spell them
from __future__ import annotations

from speech import run, say  # isort: skip  # sets Qt's platform

import os
import sys
from pathlib import Path

from node import User
from PySide6.QtCore import (
    Property,
    QAbstractItemModel,  # noqa: F401  registers QList<int>
    QByteArray,
    QCoreApplication,
    QObject,
    QUrl,
    Signal,
    Slot,
)
from PySide6.QtNetwork import (
    QHostAddress,
    QLocalServer,
    QLocalSocket,
    QSsl,
    QSslCertificate,
    QSslConfiguration,
    QSslKey,
    QSslServer,
    QSslSocket,
)
from PySide6.QtRemoteObjects import QRemoteObjectHost, QRemoteObjectHostBase
from PySide6.QtWebSockets import QWebSocket, QWebSocketServer


class WebSocketStream(QObject):
    """A WebSocket as one stream of bytes, as Qt's websockets example of Qt Remote Objects has it.

    There a class derived from QIODevice is the stream; PySide6 6.12 crashes when Qt calls one that Python derived. So
    here it is a local socket, and this carries the bytes between its other end and the WebSocket.
    """

    def __init__(self, socket):
        super().__init__()
        self.socket, self.largest = socket, 0
        self._server = QLocalServer()
        self._server.listen(f"/tmp/ew-qt-{os.getpid()}-{id(self)}")
        self.device = QLocalSocket()  # what Qt Remote Objects is given
        self.device.connectToServer(self._server.fullServerName())
        assert self.device.waitForConnected(5000)
        assert self._server.waitForNewConnection(5000)
        self._far = self._server.nextPendingConnection()
        self._server.close()
        self._far.readyRead.connect(lambda: socket.sendBinaryMessage(self._far.readAll()))
        socket.binaryMessageReceived.connect(self._take)
        socket.disconnected.connect(self._far.disconnectFromServer)

    def _take(self, message):
        self.largest = max(self.largest, message.size())
        self._far.write(message)


class Counter(QObject):
    """What it offers."""

    levelChanged = Signal(int)
    beeped = Signal(str)

    def __init__(self):
        super().__init__()
        self._level = 1

    def _get(self):
        return self._level

    def _set(self, level):
        if level != self._level:
            self._level = level
            self.levelChanged.emit(level)

    level = Property(int, _get, _set, notify=levelChanged)

    @Slot(int, result=int)
    def addOne(self, number):
        return number + 1

    @Slot(str, result=str)
    def echo(self, text):
        return text


class Clock(QObject):
    """Something else that it offers in the counter's place."""

    level = Property(str, lambda self: "noon", constant=True)


class Peer(User):
    """What a test can ask for, one method each; as a user of objects also what `node` can."""

    def __init__(self):
        super().__init__()
        self.counter = Counter()
        self.clock = Clock()
        self.streams = []

    def _make_host(self):
        self.host = QRemoteObjectHost()
        self.host.setHostUrl(QUrl("external:counter"), QRemoteObjectHostBase.AllowedSchemas.AllowExternalRegistration)
        return self.host.enableRemoting(self.counter, "counter")

    def do_serve(self, url):
        """Serve where Qt has a URL for it."""
        self.host = QRemoteObjectHost(QUrl(url))
        assert self.host.enableRemoting(self.counter, "counter")
        return self.host.hostUrl().toString()

    def do_withdraw(self, which):
        """Take back what was offered as counter."""
        return self.host.disableRemoting(getattr(self, which))

    def do_offer(self, which):
        """Offer the counter, or a clock in its place."""
        return self.host.enableRemoting(getattr(self, which), "counter")

    def do_serve_websocket(self, certificate=""):
        """Serve at a free port; with a certificate encrypted."""
        mode = QWebSocketServer.SslMode.SecureMode if certificate else QWebSocketServer.SslMode.NonSecureMode
        self.server = QWebSocketServer("counter", mode)
        if certificate:
            self.server.setSslConfiguration(self._configuration(certificate))
        self.server.newConnection.connect(self._came)
        assert self.server.listen()
        assert self._make_host()
        return self.server.serverPort()

    def do_serve_tls(self, certificate, authority):
        """Serve at a free port to who shows a certificate of the authority."""
        configuration = self._configuration(certificate)
        configuration.setCaCertificates(QSslCertificate.fromPath(authority))
        configuration.setPeerVerifyMode(QSslSocket.PeerVerifyMode.VerifyPeer)
        self.server = QSslServer()
        self.server.setSslConfiguration(configuration)
        self.server.pendingConnectionAvailable.connect(
            lambda: self.host.addHostSideConnection(self.server.nextPendingConnection())
        )
        assert self._make_host()
        assert self.server.listen(QHostAddress("127.0.0.1"))
        return self.server.serverPort()

    def do_connect_websocket(self, url, authority=""):
        """Use the objects of a host."""
        socket = QWebSocket()
        if authority:
            configuration = QSslConfiguration.defaultConfiguration()
            configuration.setCaCertificates(QSslCertificate.fromPath(authority))
            socket.setSslConfiguration(configuration)
        socket.connected.connect(lambda: self._connected(socket))
        socket.disconnected.connect(lambda: say(event="disconnected", code=socket.closeCode().value))
        socket.errorOccurred.connect(lambda error: say(event="socket error", error=error.name))
        socket.open(QUrl(url))
        self.socket = socket

    def do_serve_local(self, path):
        """Serve at a Unix socket whose connections are given to the host one by one."""
        self.server = QLocalServer()
        self.server.newConnection.connect(lambda: self.host.addHostSideConnection(self.server.nextPendingConnection()))
        assert self._make_host()
        return self.server.listen(path)

    def do_connect_local(self, path):
        """Use the objects of a host over a socket that the node is given."""
        self.socket = QLocalSocket()
        self.socket.connectToServer(path)
        if not self.socket.waitForConnected(5000):
            raise ConnectionError(self.socket.errorString())
        self.socket.disconnected.connect(lambda: say(event="disconnected"))
        self.node.addClientSideConnection(self.socket)

    def do_hang_up(self):
        """End every WebSocket."""
        for stream in self.streams:
            stream.socket.close()

    def do_count(self, level):
        self.counter.level = level

    def do_beep(self, text):
        self.counter.beeped.emit(text)

    def do_largest(self):
        """The largest message that came."""
        return max(stream.largest for stream in self.streams)

    def _came(self):
        stream = WebSocketStream(self.server.nextPendingConnection())
        self.streams.append(stream)
        self.host.addHostSideConnection(stream.device)

    def _connected(self, socket):
        stream = WebSocketStream(socket)
        self.streams.append(stream)
        self.node.addClientSideConnection(stream.device)
        say(event="connected")

    def _configuration(self, certificate):
        configuration = QSslConfiguration.defaultConfiguration()
        configuration.setLocalCertificateChain(QSslCertificate.fromPath(certificate))
        key = QByteArray(Path(certificate).read_bytes())
        configuration.setPrivateKey(QSslKey(key, QSsl.KeyAlgorithm.Ec))
        return configuration


if __name__ == "__main__":
    application = QCoreApplication(sys.argv[:1])
    run(Peer())
