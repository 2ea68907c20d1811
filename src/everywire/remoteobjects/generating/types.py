"""What the types of a .rep file are in Python: its enums and PODs as classes, Qt's own types by their nearest twins."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import keyword
from collections.abc import Callable, Mapping
from typing import Any, Final

from everywire.codec.qdatastream import Point, PointF, TypeId
from everywire.codec.qdatastream.names import CORE, LISTS, MAPS, PAIRS, TypeName, parse_type_name
from everywire.codec.qdatastream.values import TYPE_OF_VALUE
from everywire.model.annotations import type_of
from everywire.model.marks import Mark, WireName
from everywire.model.names import camel, is_public, proposal
from everywire.model.types import (
    ANY,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    STR,
    TIME,
    UUID_,
    DictOf,
    EnumType,
    Field,
    Float,
    Int,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
)
from everywire.remoteobjects.rep.cpptypes import cpp_type
from everywire.remoteobjects.rep.marks import CppType, cpp_enum, cpp_flag
from everywire.remoteobjects.rep.texts import qualified
from everywire.remoteobjects.rep.tree import ClassDecl, EnumDecl, FlagDecl, Pod, Rep, UseEnum

Declared = EnumDecl | FlagDecl | Pod

_TWINS: Final[Mapping[TypeId, Type]] = {
    TypeId.BOOL: BOOL,
    TypeId.SIGNED_CHAR: Int(8),
    TypeId.CHAR: Int(8),
    TypeId.UCHAR: Int(8, signed=False),
    TypeId.SHORT: Int(16),
    TypeId.USHORT: Int(16, signed=False),
    TypeId.INT: Int(32),
    TypeId.UINT: Int(32, signed=False),
    TypeId.LONG: Int(),
    TypeId.ULONG: Int(64, signed=False),
    TypeId.LONG_LONG: Int(),
    TypeId.ULONG_LONG: Int(64, signed=False),
    TypeId.DOUBLE: Float(),
    TypeId.FLOAT: Float(32),
    TypeId.FLOAT16: Float(32),
    TypeId.QCHAR: STR,
    TypeId.QSTRING: STR,
    TypeId.QURL: STR,
    TypeId.QLOCALE: STR,
    TypeId.QBYTE_ARRAY: BYTES,
    # Qt's dates can be null, and are so until somebody sets them.
    TypeId.QDATE_TIME: OptionalOf(DATETIME),
    TypeId.QDATE: OptionalOf(DATE),
    TypeId.QTIME: OptionalOf(TIME),
    TypeId.QUUID: UUID_,
    TypeId.QSTRING_LIST: ListOf(STR),
    TypeId.QBYTE_ARRAY_LIST: ListOf(BYTES),
    TypeId.QVARIANT_LIST: ListOf(ANY),
    TypeId.QVARIANT_MAP: DictOf(STR, ANY),
    TypeId.QVARIANT_HASH: DictOf(STR, ANY),
    TypeId.QJSON_OBJECT: DictOf(STR, ANY),
    TypeId.QJSON_ARRAY: ListOf(ANY),
    TypeId.QVECTOR2D: TupleOf((Float(),) * 2),
    TypeId.QVECTOR3D: TupleOf((Float(),) * 3),
    TypeId.QVECTOR4D: TupleOf((Float(),) * 4),
    TypeId.QQUATERNION: TupleOf((Float(),) * 4),
    TypeId.QTRANSFORM: TupleOf((Float(),) * 9),
    TypeId.QMATRIX4X4: TupleOf((Float(),) * 16),
    TypeId.QKEY_SEQUENCE: ListOf(Int(32, signed=False)),
    TypeId.QPOLYGON: ListOf(type_of(Point)),
    TypeId.QPOLYGON_F: ListOf(type_of(PointF)),
    **{number: type_of(cls) for cls, number in TYPE_OF_VALUE.items()},
}
_OTHER_WORDS: Final = {"unsigned": "uint", "signed": "int"}
"""Types that only C++ calls so."""


class Names:
    """Gives Python names, each once."""

    def __init__(self, form: Callable[[str], str] = str) -> None:
        """Take what makes two names one: wires fold ``set_point`` and ``setPoint``."""
        self._form = form
        self._taken: set[str] = set()
        self._given: set[str] = set()
        self._numbers: dict[str, int] = {}
        """The number after the last one that was given behind a name: a file may have one name any number of times."""

    def reserve(self, *names: str) -> None:
        """Let nobody have these names."""
        self._taken.update(map(self._form, names))

    def free(self, *wanted: str, beside: Callable[[str], tuple[str, ...]] = lambda _: ()) -> str:
        """Return the first of *wanted* that can be had, else the last one with a number.

        *beside* gives the names that come with a name: nobody has them yet, and nobody gets them.
        """
        last = wanted[-1]
        numbered = ((number, f"{last}_{number}") for number in itertools.count(self._numbers.get(last, 2)))
        for number, name in itertools.chain(((0, name) for name in wanted), numbered):
            others = tuple(map(self._form, beside(name)))
            if self._form(name) not in self._taken and self._given.isdisjoint(others):
                self._given.add(self._form(name))
                self._taken.update((self._form(name), *others))
                if number:
                    self._numbers[last] = number + 1
                return name
        raise AssertionError("there is always another number")


def python_name(wire: str) -> str:
    """Return a public name for what Qt calls *wire*: in snake_case, with an underscore behind Python's own words."""
    name = proposal(wire).strip("_") or "member"
    if name[0].isdigit():
        name = f"member_{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def wire_marks(python: str, wire: str) -> tuple[Mark, ...]:
    """Return the word that gives back what Qt calls a thing, if its Python name does not."""
    return () if camel(python) == wire else (WireName(wire),)


class Types:
    """The types of a .rep file."""

    def __init__(self, rep: Rep) -> None:
        """Make a class for each enum, flag and POD."""
        self.nodes: dict[int, StructOf | EnumType] = {}
        """What each declaration has become, by its `id`."""
        self._table: dict[str, StructOf | EnumType] = {}
        self._used = {item.name for item in rep.items if isinstance(item, UseEnum)}
        self._names = Names()
        self._names.reserve(*(item.name for item in rep.classes), *(item.name for item in rep.pods))
        for item in rep.items:
            if isinstance(item, (EnumDecl, FlagDecl)):
                self._declare(item, "")
            elif isinstance(item, ClassDecl):
                for inner in item.members:
                    if isinstance(inner, (EnumDecl, FlagDecl)):
                        self._declare(inner, item.name)
            elif isinstance(item, Pod):
                for inner in item.types:
                    self._declare(inner, item.name)
                self.nodes[id(item)] = self._table[item.name] = self._pod(item)

    def node(self, text: str, scope: str) -> Type:
        """Return the type for values of the C++ type *text* in the class or POD *scope*."""
        bare = qualified(text).type
        found = self._find(bare, scope)
        if found is not None:
            return found
        parsed = parse_type_name(_OTHER_WORDS.get(bare, bare))
        return ANY if parsed is None else self._parsed(parsed, scope)

    def marks(self, node: Type, text: str, scope: str) -> tuple[Mark, ...]:
        """Return the word that says *text*, if *node* does not say it by itself."""
        return () if cpp_type(node, (), scope) == text else (CppType(text),)

    def _find(self, name: str, scope: str) -> StructOf | EnumType | None:
        """Look up as repc does."""
        while True:
            for key in (f"{scope}::{name}", name):
                if key in self._table:
                    return self._table[key]
            head, separator, rest = name.rpartition("::")
            if not (head and separator):
                return None
            name = rest

    def _parsed(self, name: TypeName, scope: str) -> Type:
        if not name.arguments:
            found = self._find(name.name, scope)
            if found is None and name.name in CORE:
                return _TWINS.get(CORE[name.name], ANY)
            if found is None and name.name in self._used:
                return Int(32)  # as which an enum travels
            return found or ANY
        inner = tuple(self._parsed(argument, scope) for argument in name.arguments)
        if name.name in LISTS and len(inner) == 1:
            return ListOf(*inner)
        if name.name in MAPS and len(inner) == 2 and inner[0].immutable and inner[0] is not ANY:
            return DictOf(*inner)
        return TupleOf(inner) if name.name in PAIRS and len(inner) == 2 else ANY

    # ------------------------------------------------------------------------------------------------------ declaring
    def _declare(self, declared: EnumDecl | FlagDecl, scope: str) -> None:
        node = self._enum(declared, scope) if isinstance(declared, EnumDecl) else self._flag(declared, scope)
        self.nodes[id(declared)] = node
        self._table[f"{scope}::{declared.name}" if scope else declared.name] = node

    def _enum(self, declared: EnumDecl, scope: str) -> EnumType:
        names, keys = Names(), {key.name: key.value for key in declared.keys}
        names.reserve(*(key for key in keys if _is_key(key)))
        python = {key: key if _is_key(key) else names.free(_key(key)) for key in keys}
        name = self._type_name(declared.name, scope)
        made: type[enum.Enum] = enum.Enum(name, {python[key]: value for key, value in keys.items()})  # type: ignore[misc]
        told = {mine: key for key, mine in python.items() if mine != key}
        cpp = "" if name == declared.name else declared.name
        return EnumType(cpp_enum(declared.base, scoped=declared.scoped, name=cpp, scope=scope, keys=told)(made))

    def _flag(self, declared: FlagDecl, scope: str) -> EnumType:
        of = self._table[f"{scope}::{declared.enum}" if scope else declared.enum].cls
        assert issubclass(of, enum.Enum)
        keys = {name: member.value for name, member in of.__members__.items()}
        # Python combines keys of one bit each, so where there are none the flags are no more than the keys.
        bits = any(key.bit_count() == 1 for key in keys.values()) and min(keys.values()) >= 0
        base: Any = enum.Flag if bits else enum.Enum
        name = self._type_name(declared.name, scope)
        cpp = "" if name == declared.name else declared.name
        return EnumType(cpp_flag(of, name=cpp, scope=scope)(base(name, keys)))

    def _type_name(self, name: str, scope: str) -> str:
        return self._names.free(*((name, f"{scope}{name}") if scope else (name,)))

    def _pod(self, pod: Pod) -> StructOf:
        names = Names(camel)
        names.reserve("mro")  # which a dataclass would take for a default: every class has it
        fields: list[Field] = []
        for told in pod.fields:
            node, name = self.node(told.type, pod.name), names.free(python_name(told.name))
            marks = (*self.marks(node, told.type, pod.name), *wire_marks(name, told.name))
            fields.append(Field(name, node, marks=marks))
        made = dataclasses.make_dataclass(pod.name, [field.name for field in fields], frozen=True)
        return StructOf(made, tuple(fields), frozen=True)


def _is_key(key: str) -> bool:
    return is_public(key) and not hasattr(enum.Flag, key) and key not in ("mro", "name", "value")


def _key(key: str) -> str:
    """Return a name for a key that Python cannot have under its own."""
    bare = key.strip("_") or "key"
    return f"key_{bare}" if bare[0].isdigit() else f"{bare}_"
