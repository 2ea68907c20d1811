"""Types as Python source text, and back: what a person would write for a type, for descriptions and generated classes.

``u16``, ``list[Reading]``, ``dict[str, float] | None``, ``Annotated[float, Range(5, 35)]``. Reading evaluates nothing:
a name means what the table says, or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from everywire.errors import ModelError
from everywire.model.annotations import bounded
from everywire.model.types import (
    ANY,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    DURATION,
    STR,
    TIME,
    UUID_,
    AnyType,
    DictOf,
    Float,
    Int,
    ListOf,
    OptionalOf,
    TupleOf,
    Type,
    short,
)

LONGEST: Final = 2048
"""Characters of a text that is read."""
DEEPEST: Final = 32
"""Brackets within brackets."""

NAMES: Final[Mapping[str, Type]] = {
    "bool": BOOL,
    "int": Int(),
    "float": Float(),
    "str": STR,
    "bytes": BYTES,
    "datetime": DATETIME,
    "date": DATE,
    "time": TIME,
    "timedelta": DURATION,
    "UUID": UUID_,
    "Any": ANY,
    "f32": Float(32),
    **{f"i{bits}": Int(bits) for bits in (8, 16, 32)},
    **{f"u{bits}": Int(bits, signed=False) for bits in (8, 16, 32, 64)},
}
_WORDS: Final[Mapping[Type, str]] = {node: name for name, node in NAMES.items()}


def word_of(node: Type) -> str:
    """Return the one name by which a type without parts, a struct or an enum is called."""
    return _WORDS.get(node) or node.name


def type_text(node: Type, spell: Callable[[str], str] = str, word: Callable[[Type], str] = word_of) -> str:
    """Return the annotation for *node*.

    *word* gives the name of a type without parts, a struct or an enum, *spell* every other name, both as the place of
    the text has them.
    """

    def text(part: Type) -> str:
        return type_text(part, spell, word)

    match node:
        case Int() | Float() if node.low is not None or node.high is not None:
            plain = text(without_bounds(node))
            return f"{spell('Annotated')}[{plain}, {spell('Range')}({node.low!r}, {node.high!r})]"
        case ListOf():
            return f"{spell('list')}[{text(node.item)}]"
        case TupleOf():
            items = ", ".join(text(item) for item in node.items)
            return f"{spell('tuple')}[{f'{items}, ...' if node.variadic else items or '()'}]"
        case DictOf():
            return f"{spell('dict')}[{text(node.key)}, {text(node.value)}]"
        case OptionalOf():
            return f"{text(node.item)} | None"
        case AnyType():  # also those by which a wire remembers what the other side calls it
            return spell("Any")
        case _:
            return word(node)


def without_bounds(node: Type) -> Type:
    """Return a number's type without its range; any other as it is."""
    match node:
        case Int():
            return Int(node.bits, node.signed)
        case Float():
            return Float(node.bits)
        case _:
            return node


def read_type_text(text: str, named: Mapping[str, Type]) -> Type:
    """Return the type that *text* means, with the structs, enums and others in *named*; raise ModelError if none."""
    if len(text) > LONGEST:
        raise ModelError(f"a type of {len(text)} characters, where {LONGEST} are the most")
    reader = _Reader(text, {**NAMES, **named})
    node = reader.type()
    reader.end()
    return node


class _Reader:
    """A reader of one text, by recursive descent."""

    def __init__(self, text: str, names: Mapping[str, Type]) -> None:
        self._text, self._names = text, names
        self._tokens = _TOKEN.findall(text)
        self._at = 0
        self._depth = 0

    def type(self) -> Type:
        node = self._plain()
        while self._take("|"):
            self._expect("None")
            node = OptionalOf(node)
        return node

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self._wrong()

    def _plain(self) -> Type:
        name = self._next()
        if self._peek() != "[":
            if name not in self._names:
                raise self._wrong()
            return self._names[name]
        self._depth += 1
        if self._depth > DEEPEST:
            raise ModelError(f"a type that is deeper than {DEEPEST}")
        self._expect("[")
        node = self._compound(name)
        self._expect("]")
        self._depth -= 1
        return node

    def _compound(self, name: str) -> Type:
        match name:
            case "list":
                return ListOf(self.type())
            case "dict":
                key = self.type()
                self._expect(",")
                return DictOf(key, self.type())
            case "tuple":
                return self._tuple()
            case "Annotated":
                node = self.type()
                for word in (",", "Range", "("):
                    self._expect(word)
                low = self._number()
                self._expect(",")
                high = self._number()
                self._expect(")")
                return bounded(node, low, high)
            case _:
                raise self._wrong()

    def _tuple(self) -> Type:
        if self._take("("):
            self._expect(")")
            return TupleOf(())
        items = [self.type()]
        while self._take(","):
            if self._take("..."):
                return TupleOf((*items,), variadic=True) if len(items) == 1 else self._fail()
            items.append(self.type())
        return TupleOf((*items,))

    def _number(self) -> float | None:
        word = self._next()
        if word == "None":
            return None
        try:
            return int(word) if word.lstrip("-").isdecimal() else float(word)
        except ValueError:
            raise self._wrong() from None

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def _take(self, word: str) -> bool:
        found = self._peek() == word
        self._at += found
        return found

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._wrong()

    def _fail(self) -> Type:
        raise self._wrong()

    def _wrong(self) -> ModelError:
        return ModelError(f"{short(self._text)!r} is no type: one looks like list[Reading] or dict[str, float] | None")


_TOKEN: Final = re.compile(r"\.\.\.|-?\d[\w.+-]*|\w+|\S")
