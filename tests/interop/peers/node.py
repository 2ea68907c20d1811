"""A Qt program that uses objects: QRemoteObjectNode with dynamic replicas and replicas generated from a .rep."""

from __future__ import annotations

from pathlib import Path

from speech import meant, run, say, told  # isort: skip  # sets Qt's platform

from PySide6.QtCore import SIGNAL, QByteArray, QCoreApplication, QMetaMethod, QMetaObject, QObject, QUrl
from PySide6.QtNetwork import QSsl, QSslCertificate, QSslConfiguration, QSslKey, QSslSocket
from PySide6.QtRemoteObjects import (
    QRemoteObjectNode,
    QRemoteObjectPendingCall,
    QRemoteObjectPendingCallWatcher,
    QRemoteObjectReplica,
    RepFile,
)


class User:
    """What a test can ask for, one method each."""

    def __init__(self):
        self.node = QRemoteObjectNode()
        self.node.error.connect(lambda code: say(event="node error", code=code.name))
        self.replicas = {}
        self._watchers = set()

    def do_connect(self, url):
        return self.node.connectToNode(QUrl(url))

    def do_connect_tls(self, port, authority, certificate):
        """Connect to this machine's port over TLS and show a client certificate, which Qt has no URL for."""
        configuration = QSslConfiguration.defaultConfiguration()
        configuration.setCaCertificates(QSslCertificate.fromPath(authority))
        configuration.setLocalCertificateChain(QSslCertificate.fromPath(certificate))
        key = QByteArray(Path(certificate).read_bytes())
        configuration.setPrivateKey(QSslKey(key, QSsl.KeyAlgorithm.Ec))
        self.socket = QSslSocket()
        self.socket.setSslConfiguration(configuration)
        self.socket.connectToHostEncrypted("127.0.0.1", port)
        if not self.socket.waitForEncrypted(5000):
            raise ConnectionError(self.socket.errorString())
        self.socket.disconnected.connect(lambda: say(event="disconnected"))
        self.node.addClientSideConnection(self.socket)

    def do_heartbeat(self, milliseconds):
        self.node.setHeartbeatInterval(milliseconds)

    def do_acquire(self, name):
        self._keep(name, self.node.acquireDynamic(name))

    def do_acquire_static(self, name, rep, cls):
        self._keep(name, self.node.acquire(RepFile(rep).replica[cls], name))

    def do_refuses(self, rep):
        """What is wrong with a .rep file, says PySide6; None for nothing."""
        try:
            for source in RepFile(rep).source.values():
                made = type("Source", (source,), {})()
                meta = source.staticMetaObject
                for place in range(meta.propertyOffset(), meta.propertyCount()):
                    getattr(made, meta.property(place).name())
        except (RuntimeError, TypeError) as error:
            return str(error)
        return None

    def do_take(self, name, prop, child):
        """Keep the child that a property holds under a name of its own; the class that it has, or null."""
        found = self.replicas[name].property(prop)
        if isinstance(found, QRemoteObjectReplica):
            self._keep(child, found)
        elif found is not None:
            self.replicas[child] = found
            found.rowsInserted.connect(lambda _, first, last: say(event="rows inserted", first=first, last=last))
            found.dataChanged.connect(lambda *_: say(event="data changed"))
        return None if found is None else type(found).__name__

    def do_size(self, name):
        return self.replicas[name].rowCount(), self.replicas[name].columnCount()

    def do_roles(self, name):
        return {role: bytes(word).decode() for role, word in self.replicas[name].roleNames().items()}

    def do_cell(self, name, row, column, role):
        model = self.replicas[name]
        index = model.index(row, column)
        return model.hasData(index, role), told(model.data(index, role))

    def do_release(self, name):
        self.replicas.pop(name).deleteLater()

    def do_state(self, name):
        return self.replicas[name].state().name

    def do_get(self, name, prop):
        return told(self.replicas[name].property(prop))

    def do_set(self, name, prop, value):
        return self.replicas[name].setProperty(prop, meant(value))

    def do_members(self, name):
        """Everything the class announces, as Qt's own introspection shows it."""
        meta = self.replicas[name].metaObject()
        own = range(meta.propertyOffset(), meta.propertyCount())
        properties = {meta.property(n).name(): meta.property(n).typeName() for n in own}
        return properties, [signature_of(meta.method(n)) for n in range(meta.methodOffset(), meta.methodCount())]

    def do_listen(self, name, signal):
        """Tell of each emission of a signal, given by its signature."""
        sender = self.replicas[name]

        def heard(*arguments):
            say(event="heard", object=name, signal=signal, arguments=[*map(told, arguments)])

        return bool(QObject.connect(sender, SIGNAL(signal), heard))

    def do_drive(self, name, signal, target, slot):
        """Connect a signal of one replica with a slot of another."""
        slot_of_target = getattr(self.replicas[target], slot)

        def driven(*arguments):  # a plain function: PySide6 cannot look into a slot of a dynamic replica
            slot_of_target(*arguments)

        return bool(QObject.connect(self.replicas[name], SIGNAL(signal), driven))

    def do_call(self, name, slot, arguments):
        """Call a slot by attribute, as a program does when it wants no result."""
        result = getattr(self.replicas[name], slot)(*map(meant, arguments))
        return told(result) if not isinstance(result, QRemoteObjectPendingCall) else self._watch(result)

    def do_ask(self, name, slot, arguments, wait=False):
        """Call a slot by signature for its result; with `wait`, block in waitForFinished."""
        replica = self.replicas[name]
        meta = replica.metaObject()
        index = meta.indexOfMethod(slot)
        if index < 0:
            raise LookupError(f"no method {slot}")
        call = replica.sendWithReply(QMetaObject.Call.InvokeMetaMethod, index, [*map(meant, arguments)])
        if wait:
            finished = call.waitForFinished(5000)
            return {"finished": finished, "error": call.error().name, "value": told(call.returnValue())}
        return self._watch(call)

    def do_wait(self, name, slot, arguments):
        """Call a slot of a generated replica for its result."""
        call = getattr(self.replicas[name], slot)(*map(meant, arguments))
        finished = call.waitForFinished(5000)
        return {"finished": finished, "error": call.error().name, "value": told(call.returnValue())}

    def _watch(self, call):
        watcher = QRemoteObjectPendingCallWatcher(call)
        self._watchers.add(watcher)
        watcher.finished.connect(self._finished)
        return id(watcher)

    def _finished(self, watcher):
        say(event="finished", call=id(watcher), error=watcher.error().name, value=told(watcher.returnValue()))
        self._watchers.discard(watcher)

    def _keep(self, name, replica):
        self.replicas[name] = replica
        replica.initialized.connect(lambda: say(event="initialized", object=name))
        replica.stateChanged.connect(lambda state, _: say(event="state", object=name, state=state.name))
        if replica.state() == QRemoteObjectReplica.State.Valid:
            say(event="state", object=name, state="Valid")


def signature_of(method: QMetaMethod):
    """A method in one line."""
    return f"{method.methodType().name} {method.typeName()} {bytes(method.methodSignature().data()).decode()}"


if __name__ == "__main__":
    application = QCoreApplication([])
    run(User())
