"""What an everywire host answers its everywire nodes beyond Qt: contracts, cancellation, streams, lost signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everywire.errors import Code, Fault, ModelError
from everywire.model.description import describe
from everywire.remoteobjects.codec.extension import NAME, Asked, Method, Told, answer, tell
from everywire.remoteobjects.endpoint.streaming import OutgoingStream

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint.serving import HostSession


class HostExtension:
    """The host's end of the reserved object `everywire`, for one link."""

    def __init__(self, session: HostSession) -> None:
        self._session = session
        self._streams: dict[int, OutgoingStream] = {}

    def answer(self, asked: Asked) -> None:
        """Do what a node asks for."""
        try:
            value = self._perform(asked)
        except Fault as fault:
            self._session.refuse(NAME, asked.serial, fault)
            return
        if asked.serial >= 0:
            self._session.outbox.put(answer(asked.serial, value))

    def tell_gap(self, signals: int) -> None:
        """Tell how many signals were dropped because the node did not read."""
        self._session.refusals["dropped_signals"] += signals
        if self._session.extended:
            self._session.outbox.put(tell(Told.GAP, signals))

    def wake(self) -> None:
        """The link has room again."""
        for stream in self._streams.values():
            stream.wake()

    def withdrawn(self, name: str) -> None:
        """An object is gone, its streams with it."""
        for number, stream in tuple(self._streams.items()):
            if stream.object == name:
                stream.close()
                self.failed(number, Fault(Code.UNAVAILABLE, f"the host withdrew {name}"))

    def close(self) -> None:
        """The link is gone, all streams with it."""
        for stream in tuple(self._streams.values()):
            stream.close()

    def failed(self, number: int, fault: Fault) -> None:
        """Tell that a stream ended with *fault*."""
        if self._streams.pop(number, None) is not None:
            self._session.outbox.put(tell(Told.FAILED, number, fault.code.value, fault.message))

    def ended(self, number: int) -> None:
        """Tell that a stream has no more items."""
        if self._streams.pop(number, None) is not None:
            self._session.outbox.put(tell(Told.END, number))

    def _perform(self, asked: Asked) -> bytes | None:
        match asked.method, asked.arguments:
            case Method.CONTRACT, (str(name),):
                return describe(self._session.visible(name).contract)
            case Method.CANCEL, (str(name), int(serial)):
                self._session.cancel(name, serial)
            case Method.OPEN, (str(name), str(slot), list() as arguments, int(stream)):  # pyright: ignore[reportUnknownVariableType]
                self._open(name, slot, tuple(arguments), stream)  # pyright: ignore[reportUnknownArgumentType]
            case Method.GRANT, (int(stream), int(items)) if stream in self._streams:
                self._streams[stream].grant(items)
            case Method.CLOSE, (int(stream),) if stream in self._streams:
                self._streams.pop(stream).close()
            case ((Method.GRANT | Method.CLOSE), (int(), *_)):
                pass  # the stream has ended meanwhile
            case Method.AUTHENTICATE, _:
                raise Fault(Code.UNIMPLEMENTED, "this host asks for no authentication", may_have_run=False)
            case _:
                raise Fault(Code.INVALID_ARGUMENT, f"{asked.method.name.lower()}: wrong arguments", may_have_run=False)
        return None

    def _open(self, name: str, slot: str, arguments: tuple[Any, ...], number: int) -> None:
        door = self._session.visible(name).stream(slot)
        if number in self._streams or len(self._streams) >= self._session.limits.pending_calls:
            raise Fault(Code.RESOURCE_EXHAUSTED, "too many streams on this link", may_have_run=False)
        stream = OutgoingStream(self._session, self, door, number)
        self._streams[number] = stream
        try:
            stream.start(arguments)
        except ModelError as error:
            self.failed(number, Fault(Code.INVALID_ARGUMENT, str(error), may_have_run=False))
        except Fault as fault:
            self.failed(number, fault)
