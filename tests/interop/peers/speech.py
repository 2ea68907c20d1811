"""How a Qt program and a test talk: lines of JSON over standard input and output, with every Qt type spelt out.

A value is `[type, content]`; the name of the type is what Python code in a Qt program sees, which is what is tested.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import traceback

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from PySide6.QtCore import (
    QByteArray,
    QCoreApplication,
    QDate,
    QDateTime,
    QPoint,
    QSocketNotifier,
    Qt,
    QTime,
    QTimeZone,
    QUrl,
    QUuid,
)

if sys.version_info < (3, 12):
    # PySide6 6.12.0 gives away a reference to True with each emit; see benchmarks/local.py.
    ctypes.c_ssize_t.from_address(id(True)).value += 1 << 40


def told(value):
    """Return what a value is, for the test."""
    name = type(value).__name__
    if value is None or isinstance(value, (bool, int, float, str)):
        content = value
    elif isinstance(value, (list, tuple)):
        content = [told(item) for item in value]
    elif isinstance(value, dict):
        content = {str(key): told(item) for key, item in value.items()}
    elif isinstance(value, (bytes, QByteArray)):
        content = bytes(value).hex()
    elif isinstance(value, (QDateTime, QDate, QTime)):
        content = value.toString(Qt.DateFormat.ISODateWithMs) if value.isValid() else ""
    elif isinstance(value, QUuid):
        content = value.toString(QUuid.StringFormat.WithoutBraces)
    elif isinstance(value, QPoint):
        content = [value.x(), value.y()]
    else:
        content = repr(value)
    return [name, content]


def meant(value):
    """Return the value that a test spelt out."""
    name, content = value
    match name:
        case "list" | "tuple":
            items = [meant(item) for item in content]
            return items if name == "list" else tuple(items)
        case "dict":
            return {key: meant(item) for key, item in content.items()}
        case "bytes":
            return bytes.fromhex(content)
        case "QByteArray":
            return QByteArray(bytes.fromhex(content))
        case "QDateTime":
            moment = QDateTime.fromString(content, Qt.DateFormat.ISODateWithMs)
            return moment if not content.endswith("Z") else moment.toTimeZone(QTimeZone(QTimeZone.UTC))
        case "QDate":
            return QDate.fromString(content, Qt.DateFormat.ISODate)
        case "QTime":
            return QTime.fromString(content, Qt.DateFormat.ISODateWithMs)
        case "QUuid":
            return QUuid.fromString(content)
        case "QPoint":
            return QPoint(*content)
        case "QTimeZone":
            return QTimeZone(content.encode())
        case "trap":
            return Trap(content)
        case "QUrl":
            return QUrl(content)
        case _:
            return content


class Trap:
    """A value whose unpickling makes a file, so that a test sees it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def say(**facts):
    """Tell the test something."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


class Ear:
    """Reads requests from standard input, runs `do_<request>` of an actor and answers; ends with the input."""

    def __init__(self, actor):
        self._actor = actor
        self._rest = b""
        self._notifier = QSocketNotifier(0, QSocketNotifier.Type.Read)
        self._notifier.activated.connect(self._readable)

    def _readable(self, *_):
        data = os.read(0, 65536)
        if not data:
            QCoreApplication.quit()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, request):
        number, verb = request.pop("id"), request.pop("do")
        try:
            result = getattr(self._actor, f"do_{verb}")(**request)
        except Exception:  # noqa: BLE001  the test reports it
            say(id=number, error=traceback.format_exc())
            return
        say(id=number, result=result)


def run(actor):
    """Run the Qt program until the test closes its input."""
    application = QCoreApplication.instance()
    ear = Ear(actor)
    say(event="ready")
    application.exec()
    del ear
    os._exit(0)  # PySide6 may crash while it takes itself apart
