"""Both projections of the memory wire: what a source tells becomes a tuple, what a replica calls an event of the gate.

Values that could be changed in place are copied on the way, so the two sides share nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from everywire.model import Member, contract_of
from everywire.model.compile import checked_result, compile_check
from everywire.runtime.channel import Channel
from everywire.runtime.hosted import HostedObject

Frame = tuple[str, Any, Any]
"""A word, what it is about, and its value: changed, emitted, answered, failed."""


class MemoryObject(HostedObject):
    """One published object as the memory wire sees it."""

    def change_encoder(self, member: Member) -> Callable[[Any], Frame]:
        """Return what copies a new value."""
        about = (self.name, member.name)
        return lambda value: ("changed", about, member.type.convert(value))

    def signal_encoder(self, member: Member) -> Callable[..., Frame]:
        """Return what copies the arguments of a signal."""
        about, copied = (self.name, member.name), compile_check(member)
        return lambda *arguments: ("emitted", about, copied(arguments))

    def reply_encoder(self, member: Member) -> Callable[[int, Any], Frame]:
        """Return what copies a result."""
        return lambda token, value: ("answered", (self.name, token), checked_result(member.result, value))


def hear(channel: Channel, frame: Frame) -> None:
    """Give a frame of the host to the channel of its object."""
    word, (_, about), value = frame
    match word:
        case "changed" | "emitted":
            member = contract_of(channel.replica.instance).members.get(about)
            if member is None:
                return  # the host has more members than the class of the replica
            copied = compile_check(member)(value if word == "emitted" else (value,))
            if word == "emitted":
                channel.emitted(about, copied)
            else:
                channel.changed(about, *copied)
        case "answered":
            channel.answered(about, value)
        case _:
            channel.failed(about, value)
