"""The type of a child object: a property that holds another object with members of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from everywire.model.types.base import Type, refuse
from everywire.model.types.compounds import OptionalOf

DECLARED: Final = "__everywire_declared__"
"""The attribute of `Object` and of every class derived from it: the table of its members."""


@dataclass(frozen=True, slots=True)
class ObjectOf(Type):
    """An instance of a class derived from `Object`, or its replica; never copied, compared as itself."""

    cls: type

    @property
    def name(self) -> str:
        return self.cls.__name__

    @property
    def zero(self) -> Any:
        return self.cls()

    def convert(self, value: Any) -> Any:
        if isinstance(value, self.cls):
            return value
        raise refuse(value, f"an instance of {self.name}")


def child_type(node: Type | None) -> ObjectOf | None:
    """Return the type of the child object that a property of the type *node* holds; None when it holds none."""
    if isinstance(node, OptionalOf):
        node = node.item
    return node if isinstance(node, ObjectOf) else None


def holds_object(node: Type) -> bool:
    """Return whether values of *node* are, or have among their parts, objects."""
    return isinstance(node, ObjectOf) or any(map(holds_object, node.parts))
