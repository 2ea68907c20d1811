"""What every node of the type algebra has, and how its errors speak; the nodes are in the modules beside it."""

from __future__ import annotations

from typing import Any, Final, cast

from everywire.errors import ModelError

MAX_DEPTH: Final = 64
"""Deepest nesting of a value of type `Any`, and of a type (SEMANTICS 6)."""


class Type:
    """Base of the nodes."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """What a person would write for it."""
        raise NotImplementedError

    @property
    def parts(self) -> tuple[Type, ...]:
        """The types of what a value consists of."""
        return ()

    @property
    def immutable(self) -> bool:
        """Whether a value can be compared instead of copied: nothing in it can be changed in place."""
        return True

    @property
    def exact(self) -> type | None:
        """The class whose every instance is accepted as it stands; None when values must be looked at."""
        return None

    @property
    def zero(self) -> Any:
        """The value of a member nobody has set, as Qt's default construction."""
        raise NotImplementedError

    def convert(self, value: Any) -> Any:
        """Return *value* as it is stored and sent; raise ModelError or OutOfRange."""
        raise NotImplementedError

    def test(self, variable: str) -> str | None:
        """Return an expression that is true when *variable* needs no conversion; None: always convert."""
        return None if self.exact is None else f"type({variable}) is {self.exact.__name__}"


def equal(one: Any, other: Any) -> bool:
    """Return whether two values are the same to an observer: of one class and equal, where NaN equals NaN."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        mine, others = cast("tuple[Any, ...]", one), cast("tuple[Any, ...]", other)
        return len(mine) == len(others) and all(map(equal, mine, others))
    if hasattr(one, "__everywire_declared__"):  # a child object is the same only as itself
        return False
    if one == other or (one != one and other != other):  # noqa: PLR0124  only NaN differs from itself
        return True
    names: Any = getattr(one, "__struct_fields__", ()) or getattr(one, "__dataclass_fields__", ())
    return bool(names) and all(equal(getattr(one, name), getattr(other, name)) for name in names)


def refuse(value: object, expected: str) -> ModelError:
    """Return the error for a value of a wrong type; the text never holds more than the type's name."""
    return ModelError(f"expected {expected}, got {type(value).__name__}")


def short(value: object) -> str:
    """Return a bounded text of a value that may come from a stranger."""
    if isinstance(value, int) and value.bit_length() > 256:
        return "a number of more than 256 bits"
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 80 else f"{text[:77]}…"
