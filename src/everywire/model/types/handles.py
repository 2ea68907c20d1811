"""Types of values that are no data: resources of the operating system, which only some wires pass on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from everywire.model.types.base import Type, refuse

NODE: Final = "__everywire_type__"
"""Attribute of a class that brings the node of its values with it; annotations may name such a class."""


@dataclass(frozen=True, slots=True)
class Handle(Type):
    """An object that owns a resource of the operating system, such as an open file; never copied, compared as itself.

    Its class names this node in the attribute `NODE`. Wires that cannot pass it on refuse the member at publish. None
    stands for the resource that a member has not been given yet.
    """

    label: str

    @property
    def name(self) -> str:
        return self.label

    @property
    def zero(self) -> None:
        return None

    def convert(self, value: Any) -> Any:
        if value is None or getattr(value.__class__, NODE, None) == self:
            return value
        raise refuse(value, self.name)


DESCRIPTOR: Final = Handle("UnixFd")
"""A file descriptor."""


def holds_handle(node: Type) -> bool:
    """Return whether values of *node* are, or have among their parts, what only some wires pass on."""
    return isinstance(node, Handle) or any(map(holds_handle, node.parts))
