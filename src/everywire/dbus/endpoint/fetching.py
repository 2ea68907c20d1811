"""Values that are asked for one by one, because a service told only that they are others by now."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from everywire.dbus.codec import Message
from everywire.dbus.session import Connection
from everywire.dbus.wire.replicating import Reading

Answer = Message | Exception
Get = Callable[[Reading, Callable[[Answer], None]], int]


class Fetching:
    """The questions for values of one object; each is asked once, however often it is needed meanwhile."""

    def __init__(
        self,
        connection: Connection,
        get: Get,
        took: Callable[[Reading, Answer], None],
        fetch: Callable[[Reading], None],
    ) -> None:
        """*get* asks and returns a serial; *took* gets the answer; *fetch* is how to begin anew."""
        self._connection, self._get, self._took, self._fetch = connection, get, took, fetch
        self._asked: dict[str, _Question] = {}

    def ask(self, reading: Reading) -> None:
        """Ask for a value; raises Fault."""
        now = self._connection.loop.time()
        asked = self._asked.get(reading.name)
        if asked is not None:
            if now - asked.since < self._connection.limits.handshake:
                asked.again = True
                return
            self._connection.forget(asked.serial)  # it will hardly be answered
        self._asked[reading.name] = _Question(self._get(reading, partial(self._answered, reading)), now)

    def forget(self) -> None:
        """Want no answers."""
        for asked in self._asked.values():
            self._connection.forget(asked.serial)
        self._asked.clear()

    def _answered(self, reading: Reading, answer: Answer) -> None:
        asked = self._asked.pop(reading.name, None)
        if asked is not None:
            self._took(reading, answer)
            if asked.again:
                self._fetch(reading)


class _Question:
    """A question asked as *serial* at the time *since*."""

    __slots__ = ("again", "serial", "since")

    def __init__(self, serial: int, since: float) -> None:
        self.serial, self.since = serial, since
        self.again = False
        """Whether the value has become another meanwhile."""
