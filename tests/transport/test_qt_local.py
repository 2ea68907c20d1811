"""Our local names and Qt's are the same names, and Qt's listeners are not displaced either."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
from pathlib import Path

import pytest

from everywire.errors import AddressInUse
from everywire.transport import accept, listen, open_stream
from tests.transport.programs import command, started
from tests.transport.receivers import Accepted, echo

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(importlib.util.find_spec("PySide6") is None, reason="PySide6 is not installed"),
]

QT = """
from PySide6.QtCore import QCoreApplication
from PySide6.QtNetwork import QLocalServer, QLocalSocket
app = QCoreApplication([])
abstract = "abstract" in sys.argv
"""

QT_CLIENT = (
    QT
    + """
socket = QLocalSocket()
if abstract:
    socket.setSocketOptions(QLocalSocket.SocketOption.AbstractNamespaceOption)
socket.connectToServer(sys.argv[1])
assert socket.waitForConnected(5000), socket.errorString()
socket.write(b"from Qt")
assert socket.waitForReadyRead(5000), socket.errorString()
print(bytes(socket.readAll()).decode(), socket.fullServerName())
"""
)

QT_SERVER = (
    QT
    + """
server = QLocalServer()
if abstract:
    server.setSocketOptions(QLocalServer.SocketOption.AbstractNamespaceOption)
assert server.listen(sys.argv[1]), server.errorString()
def greet():
    socket = server.nextPendingConnection()
    socket.readyRead.connect(lambda: socket.write(socket.readAll()))
server.newConnection.connect(greet)
print("ready", flush=True)
app.exec()
"""
)


async def finished(*arguments: object) -> str:
    done = await asyncio.to_thread(
        subprocess.run, command(QT_CLIENT, *arguments), capture_output=True, text=True, timeout=15, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_qt_program_reaches_our_relative_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(folder))
    async with listen("local:climate", echo):
        assert await finished("climate") == f"from Qt {folder}/climate\n"


async def test_a_qt_program_reaches_our_abstract_name(folder: Path) -> None:
    async with listen(f"localabstract:{folder}", echo):
        assert await finished(folder, "abstract") == f"from Qt {folder}\n"


@pytest.mark.parametrize("transport", ["local", "localabstract"])
@pytest.mark.loops("asyncio", "uvloop")
async def test_a_qt_listener_is_reached_never_displaced_and_recovered_when_dead(
    folder: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(folder))
    name = folder.name
    options = ["abstract"] if transport == "localabstract" else []
    with started(QT_SERVER, name, *options) as process:
        with pytest.raises(AddressInUse):
            await accept(f"{transport}:{name}", Accepted())
        async with open_stream(f"{transport}:{name}") as stream:
            await stream.write(b"hello Qt")
            assert await stream.read_exactly(8) == b"hello Qt"
            assert stream.peer.pid == process.pid
        process.kill()
        process.wait()
    await (await accept(f"{transport}:{name}", Accepted())).close()
