"""What one replica sends: calls, writes of properties, streams. A channel's `Carrier`; it hears answers, no news."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from everywire.dbus.codec import NO_REPLY, Head, Kind, Message, Variant, marshal
from everywire.dbus.codec.errors import fault_of
from everywire.dbus.codec.heads import head_of
from everywire.dbus.endpoint.shared import fault_in
from everywire.dbus.session import Connection
from everywire.dbus.wire.replicating import OBJECT, PROPERTIES, Calling, Reading, View
from everywire.errors import Code, Fault, ModelError
from everywire.model import Kind as What
from everywire.model import Member
from everywire.model.types import equal
from everywire.runtime.channel import Channel, too_large
from everywire.runtime.deadlines import Deadlines
from everywire.runtime.gate import invalid
from everywire.runtime.incoming import WINDOW
from everywire.runtime.streaming import IncomingStream, IncomingStreams
from everywire.transport.descriptors import Carrying

OnAnswer = Callable[[Message], None]


class Caller:
    """Calls the object at *path* of whoever is *destination*, as its *view* says."""

    def __init__(self, connection: Connection, channel: Channel, path: str, numbers: Iterator[int] | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.path, self.channel = path, channel
        self._destination = ""
        self._heads: dict[str, Head] = {}
        """Headers of calls, by the slot."""
        self.view: View
        self._connection = connection
        self._deadlines = Deadlines(self.loop)
        self._serials: dict[int, int] = {}
        """Of calls that wait, by token."""
        self._streams = IncomingStreams(self, numbers)

    @property
    def destination(self) -> str:
        """The unique name that was attached to; between peers nothing."""
        return self._destination

    @destination.setter
    def destination(self, name: str) -> None:
        self._destination = name
        self._heads.clear()

    # What channels call.

    def call(self, channel: Channel, member: Member, arguments: tuple[Any, ...], token: int) -> None:
        """Send a call of a slot, or the write of a property; raises Fault when it cannot be sent."""
        calling = self.view.calls.get(member.name)
        if calling is None:
            self._write(channel, member, arguments[0], token)
            return
        fds: list[Any] = []
        try:
            body = calling.body(arguments, fds)
        except ModelError as error:
            raise invalid(error) from None
        head = self._heads.get(member.name)
        if head is None or fds:
            head = calling.head(self.path, self._destination, len(fds))
            if not fds:
                self._heads[member.name] = head
        serial = self._connection.next_serial()
        frame = head.frame(serial, body)
        if calling.no_reply:
            self._send(frame, fds)
            channel.answered(token, None)
            return
        self._send(frame, fds, serial, partial(self._answered, token, calling))
        self._serials[token] = serial

    def cancel(self, channel: Channel, token: int) -> None:
        """Forget a call, and ask a host of everywire to stop it."""
        serial = self._serials.pop(token, None)
        if serial is None:
            return
        self._connection.forget(serial)
        if self.view.offered is not None:
            self._tell("Cancel", "u", serial)

    def open_stream(self, channel: Channel, member: Member, arguments: tuple[Any, ...]) -> IncomingStream:
        """Start a stream of the host and grant it room; raises Fault."""
        streaming = self.view.streams[member.name]
        try:
            values = streaming.arguments(arguments)
            stream = self._streams.new(streaming.item)
            body = marshal("usav", (stream.number, member.name, values))
        except ModelError as error:
            raise invalid(error) from None
        self._ask(OBJECT, "Open", "usav", body, partial(self._opened, stream.number))
        self.ask_for(stream.number, WINDOW)
        return stream

    def sweep(self, channel: Channel) -> None:
        """Look after the deadlines of *channel* while it has waiting calls."""
        self._deadlines.watch(channel)

    # What streams call.

    def ask_for(self, number: int, items: int) -> None:
        """Grant room for more items."""
        self._tell("Grant", "uu", number, items)

    def ask_to_stop(self, number: int) -> None:
        """Say that no more items are wanted."""
        self._tell("Close", "u", number)

    # What the endpoint calls.

    def get(self, reading: Reading, take: Callable[[Message | Exception], None]) -> int:
        """Ask for the value of a property; return the serial. Raises Fault."""
        body = marshal("ss", (reading.place.interface, reading.place.name))
        return self._ask(PROPERTIES, "Get", "ss", body, take)

    def told(self, message: Message) -> bool:
        """Take what a host of everywire tells about streams and gaps; return whether it was that."""
        match message.member, message.signature:
            case "Item", "uv":
                number, item = message.body
                self._streams.item(number, item)
            case "Ended", "uss":
                number, name, text = message.body
                self._streams.end(number, fault_of(name, (text,)) if name else None)
            case "Gap", "t":
                self.channel.replica.missed(message.body[0])
            case _:
                return False
        return True

    def stop(self, fault: Fault) -> None:
        """Fail what waits with *fault*: calls, streams."""
        self._deadlines.close()
        self.channel.detach(fault)
        self._streams.end_all(fault)

    def forget_all(self) -> None:
        """Want no answer any more: the connection lives on for others, and whoever was asked may never answer."""
        for serial in self._serials.values():
            self._connection.forget(serial)
        self._serials.clear()

    def link_lost(self, reason: Exception) -> None:
        """The connection is gone; whoever waits is told by `stop`."""
        raise NotImplementedError

    # Private.

    def _send(
        self,
        frame: bytes,
        fds: list[Any] | None = None,
        serial: int = 0,
        on_answer: Callable[[Message | Exception], None] | None = None,
    ) -> None:
        connection = self._connection
        if connection.closed.done():
            raise self.channel.replica.unavailable()
        if len(frame) > connection.limits.frame:
            raise too_large(len(frame))
        if fds:
            if not connection.passes_descriptors:
                raise invalid(ModelError("this connection does not pass file descriptors: only Unix sockets do"))
            frame = Carrying.of(frame, fds)
        if on_answer is not None:
            connection.expect(serial, on_answer, self._destination)
        try:
            connection.write_call(frame)
        except Fault:
            connection.forget(serial)
            raise

    def _ask(
        self,
        interface: str,
        member: str,
        signature: str,
        body: bytes,
        take: Callable[[Message | Exception], None],
        fds: list[Any] | None = None,
    ) -> int:
        """Call a method of an interface that every object has; return the serial. Raises Fault."""
        head = head_of(
            Kind.CALL, 0, self.path, interface, member, "", self.destination, signature, len(fds) if fds else 0
        )
        serial = self._connection.next_serial()
        self._send(head.frame(serial, body), fds, serial, take)
        return serial

    def _tell(self, member: str, signature: str, *values: Any) -> None:
        """Call a method of org.everywire.Object1 without an answer; nothing when the link is gone."""
        if not self._connection.closed.done():
            head = head_of(Kind.CALL, NO_REPLY, self.path, OBJECT, member, "", self.destination, signature, 0)
            serial = self._connection.next_serial()
            self._connection.outbox.put(head.frame(serial, marshal(signature, values) if signature else b""))

    def _heard(self, answer: Message | Exception) -> Fault | None:
        """Return why there is no result; None for a result."""
        return None if isinstance(answer, Message) and answer.kind is not Kind.ERROR else self._fault(answer)

    def _fault(self, answer: Message | Exception) -> Fault:
        if isinstance(answer, Message):
            return fault_in(answer)
        if self._connection.closed.done():
            self.link_lost(answer)
        return answer if isinstance(answer, Fault) else Fault(Code.UNAVAILABLE, str(answer))

    def _answered(self, token: int, calling: Calling, answer: Message | Exception) -> None:
        self._serials.pop(token, None)
        if not isinstance(answer, Message) or answer.kind is Kind.ERROR:
            self.channel.failed(token, self._fault(answer))
            return
        try:
            value = calling.result(answer.signature, answer.body, answer.fds)
        except ModelError as error:
            fault = Fault(Code.INTERNAL, f"the result of {calling.place.name} does not fit its type: {error}")
            self.channel.failed(token, fault)
        else:
            self.channel.answered(token, value)

    def _opened(self, number: int, answer: Message | Exception) -> None:
        fault = self._heard(answer)
        if fault is not None:
            self._streams.end(number, fault)

    # Properties.

    def _write(self, channel: Channel, member: Member, value: Any, token: int) -> None:
        """Send `Set`; who pushes is answered when the value that the source then holds is known."""
        reading = self.view.readings.get(member.name)
        if reading is None or member.kind is not What.PROPERTY:
            raise Fault(Code.UNIMPLEMENTED, f"{member.name} has no place on D-Bus", may_have_run=False)
        fds: list[Any] = []
        place = reading.place
        try:
            variant = reading.value.variant(value, fds)
            body = marshal("ssv", (place.interface, place.name, variant))
        except ModelError as error:
            raise invalid(type(error)(f"{member.name}: {error}")) from None
        take = partial(self._written, channel, reading, value, token)
        self._serials[token] = self._ask(PROPERTIES, "Set", "ssv", body, take, fds)

    def _written(
        self, channel: Channel, reading: Reading, value: Any, token: int, answer: Message | Exception
    ) -> None:
        """The source took the value, or says that it did: unless it told the change by now, ask what it holds."""
        self._serials.pop(token, None)
        fault = self._heard(answer)
        if fault is not None:
            channel.failed(token, fault)
            return
        if channel.expected(token) is None:
            return
        if not reading.place.readable:
            channel.changed(reading.name, value)
        if equal(channel.replica.instance._everywire.values.get(reading.name), value):
            channel.answered(token, None)
            return
        try:
            self._serials[token] = self.get(reading, partial(self._read_back, channel, reading, token))
        except Fault as error:
            channel.failed(token, error)

    def _read_back(self, channel: Channel, reading: Reading, token: int, answer: Message | Exception) -> None:
        self._serials.pop(token, None)
        fault = self._heard(answer)
        if fault is None:
            fault = self.take_value(reading, answer)
        if fault is not None:
            channel.failed(token, fault)
        else:
            channel.answered(token, None)

    def take_value(self, reading: Reading, answer: Any) -> Fault | None:
        """Take what `Get` answered; return why it cannot be."""
        try:
            if answer.signature != "v":
                raise ModelError(f"Get answered {answer.signature or 'nothing'}")
            variant: Variant = answer.body[0]
            value = reading.value.from_variant(variant, answer.fds)
        except ModelError as error:
            return Fault(Code.INTERNAL, f"the value of {reading.place.name} does not fit its type: {error}")
        self.channel.changed(reading.name, value)
        return None
