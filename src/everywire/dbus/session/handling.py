"""Answering calls without objects: a handler for a path, or for all that is below one (a virtual object)."""

from __future__ import annotations

import inspect
import logging
import uuid
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

from everywire.dbus.codec import Kind, Message
from everywire.dbus.codec.errors import UNKNOWN_METHOD, UNKNOWN_OBJECT, error_of
from everywire.errors import Code, Fault, ModelError
from everywire.runtime.limits import Limits
from everywire.runtime.outbox import Outbox
from everywire.runtime.tasks import TaskSet

log: Final = logging.getLogger("everywire.dbus")

PEER: Final = "org.freedesktop.DBus.Peer"


class Answer:
    """What a handler answers: values with their signature, and descriptors that values of type ``h`` point to."""

    __slots__ = ("body", "fds", "signature")

    def __init__(self, signature: str = "", *body: Any, fds: tuple[Any, ...] = ()) -> None:
        self.signature, self.body, self.fds = signature, body, fds


Handler = Callable[[Message], "Answer | Awaitable[Answer | None] | None"]
"""Called with each call of a path; raises Fault, or a failure that is logged. None answers without values."""


class Answers(Protocol):
    """What handling needs of a connection."""

    limits: Limits
    tasks: TaskSet
    outbox: Outbox

    def reply(self, call: Message, signature: str = "", *body: Any, fds: tuple[Any, ...] = ()) -> None:
        """Answer *call*."""
        ...

    def fail(self, call: Message, fault: Fault, name: str = "") -> None:
        """Answer *call* with *fault*, under *name* if that is given."""
        ...


class Handlers:
    """The handlers of one connection, by path."""

    def __init__(self, connection: Answers) -> None:
        self._connection = connection
        self._at: dict[str, Handler] = {}
        self._below: dict[str, Handler] = {}
        self._running = 0

    def add(self, path: str, handler: Handler, *, subtree: bool) -> Callable[[], None]:
        """Let *handler* answer; return what takes it away again. Raises ModelError when the path has one."""
        table = self._below if subtree else self._at
        if path in table:
            raise ModelError(f"{path} has a handler already")
        table[path] = handler
        return lambda: table.pop(path, None) and None

    def calls(self, messages: list[Message]) -> None:
        """Answer the calls of a chunk, in one write."""
        outbox = self._connection.outbox
        outbox.begin()
        try:
            for message in messages:
                if message.interface == PEER:
                    answer_peer(self._connection, message)
                    continue
                handler = self._find(message.path)
                if handler is None:
                    self._connection.fail(message, nothing_at(message.path), UNKNOWN_OBJECT)
                else:
                    self._handle(handler, message)
        finally:
            outbox.flush()

    def _find(self, path: str) -> Handler | None:
        if path in self._at:
            return self._at[path]
        above = path
        while above not in self._below:
            if above == "/":
                return None
            above = above.rpartition("/")[0] or "/"
        return self._below[above]

    def _handle(self, handler: Handler, message: Message) -> None:
        try:
            answer = handler(message)
        except Exception as error:  # noqa: BLE001  a handler's failure is its caller's answer
            self._connection.fail(message, told(error, message.member))
            return
        if answer is None or isinstance(answer, Answer) or not inspect.isawaitable(answer):
            self._answer(message, answer)
        elif self._running >= self._connection.limits.pending_calls:
            if inspect.iscoroutine(answer):
                answer.close()
            refused = f"{self._running} calls run already: wait for some of them"
            self._connection.fail(message, Fault(Code.RESOURCE_EXHAUSTED, refused, may_have_run=False))
        else:
            self._running += 1
            self._connection.tasks.spawn(self._await(answer, message))

    async def _await(self, answer: Awaitable[Answer | None], message: Message) -> None:
        try:
            self._answer(message, await answer)
        except Exception as error:  # noqa: BLE001  a handler's failure is its caller's answer
            self._connection.fail(message, told(error, message.member))
        finally:
            self._running -= 1

    def _answer(self, message: Message, answer: Answer | None) -> None:
        found = answer or Answer()
        try:
            self._connection.reply(message, found.signature, *found.body, fds=found.fds)
        except ModelError as error:
            self._connection.fail(message, Fault(Code.INTERNAL, f"the answer does not fit its signature: {error}"))


def nothing_at(path: str) -> Fault:
    """Return the Fault for a path where nobody is."""
    return Fault(Code.NOT_FOUND, f"there is no object at {path}", may_have_run=False)


def answer_peer(connection: Answers, call: Message) -> None:
    """Answer the interface that every program has: Ping and GetMachineId."""
    if call.member == "Ping":
        connection.reply(call)
    elif call.member == "GetMachineId":
        connection.reply(call, "s", machine_id())
    else:
        unknown = Fault(Code.NOT_FOUND, f"{PEER} has no {call.member}", may_have_run=False)
        connection.fail(call, unknown, UNKNOWN_METHOD)


@lru_cache(1)
def machine_id() -> str:
    """Return the id of this machine; one of this process where the system has none."""
    for name in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            return Path(name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
    return uuid.uuid4().hex


def told(error: Exception, member: str) -> Fault:
    """Return the Fault that tells *error*; details stay in the log, under an id."""
    if isinstance(error, Fault):
        return error
    token = uuid.uuid4().hex[:8]
    log.error("%s failed [%s]", member, token, exc_info=error)
    return Fault(Code.UNKNOWN, f"{type(error).__name__} in {member} (id {token} in the host's log)")


def failure(call: Message, fault: Fault, name: str = "") -> Message:
    """Return the message that answers *call* with *fault*, under *name* if that is given."""
    name, signature, body = error_of(fault, name)
    return Message(
        kind=Kind.ERROR,
        reply_serial=call.serial,
        destination=call.sender,
        error_name=name,
        signature=signature,
        body=body,
    )
