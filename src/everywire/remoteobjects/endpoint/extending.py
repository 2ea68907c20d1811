"""What an everywire host answers its everywire nodes beyond Qt: contracts, cancellation, streams, lost signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everywire.errors import Code, Fault
from everywire.model.description import describe
from everywire.remoteobjects.codec.extension import NAME, Asked, Method, Told, answer, tell
from everywire.remoteobjects.wire.qttypes import lower
from everywire.runtime.gate import Door
from everywire.runtime.streaming import OutgoingStream, OutgoingStreams

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint.visiting import HostSession


class HostExtension:
    """The host's end of the reserved object `everywire`, for one link."""

    __slots__ = ("_session", "_streams")

    def __init__(self, session: HostSession) -> None:
        self._session = session
        self._streams = OutgoingStreams(session, self)

    def answer(self, asked: Asked) -> None:
        """Do what a node asks for."""
        try:
            value = self._perform(asked)
        except Fault as fault:
            self._session.refuse(NAME, asked.serial, fault)
            return
        if asked.serial >= 0:
            self._session.outbox.put(answer(asked.serial, value, self._session.dialect))

    def tell_gap(self, signals: int) -> None:
        """Tell how many signals were dropped because the node did not read."""
        self._session.refusals["dropped_signals"] += signals
        if self._session.extended:
            self._session.outbox.put(tell(Told.GAP, signals, dialect=self._session.dialect))

    def wake(self) -> None:
        """The link has room again."""
        self._streams.wake()

    def withdrawn(self, name: str) -> None:
        """An object is gone, its streams with it."""
        self._streams.withdrawn(name)

    def fail(self, fault: Fault) -> None:
        """End all streams with *fault*."""
        self._streams.fail(fault)

    def failed(self, stream: OutgoingStream, fault: Fault) -> None:
        """One stream ended with *fault*."""
        self._streams.failed(stream, fault)

    # What streams call.

    def tell_item(self, door: Door, number: int, item: Any) -> None:
        """Send an item of a stream."""
        node = door.member.result
        checked = item if node is None else lower(node, node.convert(item))
        self._session.outbox.put(tell(Told.ITEM, number, checked, dialect=self._session.dialect))

    def tell_failed(self, number: int, fault: Fault) -> None:
        """Send that a stream ended with *fault*."""
        dialect = self._session.dialect
        self._session.outbox.put(tell(Told.FAILED, number, fault.code.value, fault.message, dialect=dialect))

    def tell_ended(self, number: int) -> None:
        """Send that a stream has no more items."""
        self._session.outbox.put(tell(Told.END, number, dialect=self._session.dialect))

    # Private.

    def _perform(self, asked: Asked) -> bytes | None:
        match asked.method, asked.arguments:
            case Method.CONTRACT, (str(name),):
                return describe(self._session.visible(name).contract)
            case Method.CANCEL, (str(name), int(serial)):
                self._session.cancel(name, serial)
            case Method.OPEN, (str(name), str(slot), list() as arguments, int(stream)):  # pyright: ignore[reportUnknownVariableType]
                door = self._session.visible(name).stream(slot)
                self._streams.open(door, tuple(arguments), stream)  # pyright: ignore[reportUnknownArgumentType]
            case Method.GRANT, (int(stream), int(items)):
                self._streams.grant(stream, items)
            case Method.CLOSE, (int(stream),):
                self._streams.stop(stream)
            case Method.AUTHENTICATE, _:
                raise Fault(Code.UNIMPLEMENTED, "this link needs no login", may_have_run=False)
            case _:
                raise Fault(Code.INVALID_ARGUMENT, f"{asked.method.name.lower()}: wrong arguments", may_have_run=False)
        return None
