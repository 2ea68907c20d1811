"""The node's end of a stream on Qt Remote Objects, whoever waits for it."""

from __future__ import annotations

from typing import Any, Protocol

from everywire.model import Member
from everywire.remoteobjects.codec.extension import Method
from everywire.remoteobjects.wire.qttypes import lift
from everywire.runtime import incoming


class Carrier(Protocol):
    """What a stream needs of the connection that it came over."""

    def ask(self, method: Method, *arguments: Any) -> None:
        """Tell the host what needs no answer."""
        ...

    def close_stream(self, number: int) -> None:
        """Tell the host that a stream is not wanted any more."""
        ...


class Incoming(incoming.Incoming):
    """What calling a stream of a replica returns; see `runtime.incoming`."""

    def __init__(self, carrier: Carrier, name: str, member: Member, number: int) -> None:
        node = member.result

        def lifted(raw: Any) -> Any:
            return raw if node is None else lift(node, raw)

        super().__init__(number, lifted)
        self.carrier, self.name = carrier, name

    def grant(self, items: int) -> None:
        """Tell the host that there is room for *items* more."""
        self.carrier.ask(Method.GRANT, self.number, items)

    def stop(self) -> None:
        """Tell the host that no more items are wanted."""
        self.carrier.close_stream(self.number)
