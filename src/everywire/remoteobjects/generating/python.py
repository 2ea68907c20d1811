"""Python classes from a .rep file: what `connect` takes, and what a source derives from.

A class for each class, enum, flag and POD, with the words that give repc's signatures back. The same file gives the
same text. Names are identifiers before they are written, everything else is a literal.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from everywire.codec.qdatastream.values import TYPE_OF_VALUE
from everywire.errors import ModelError
from everywire.model.literals import WIDTH, docstring, factory_of, literal, text
from everywire.model.marks import Mark, WireName
from everywire.model.names import is_public, pascal
from everywire.model.spelling import Spelling
from everywire.model.types import ANY, BOOL, BYTES, STR, EnumType, Float, Int, StructOf, Type
from everywire.remoteobjects.generating.types import Names, Types, python_name, wire_marks
from everywire.remoteobjects.rep.cpptypes import is_of_qt
from everywire.remoteobjects.rep.marks import CppType, EnumForm, Modifier, enum_form
from everywire.remoteobjects.rep.signature import unnamed
from everywire.remoteobjects.rep.texts import EMPTY, qualified, unquoted, with_qualifiers
from everywire.remoteobjects.rep.tree import (
    ChildDecl,
    ClassDecl,
    EnumDecl,
    FlagDecl,
    ModelDecl,
    ParameterDecl,
    Pod,
    PropDecl,
    Rep,
    SignalDecl,
    SlotDecl,
)

_HOMES: Final[Mapping[str, tuple[str, ...]]] = {
    "builtins": ("NotImplementedError", "bool", "bytes", "dict", "float", "int", "list", "str", "tuple"),
    "dataclasses": ("dataclass",),
    "datetime": ("date", "datetime", "time"),
    "enum": ("Enum", "Flag"),
    "typing": ("Annotated", "Any"),
    "uuid": ("UUID",),
    "everywire": (
        "Object", "Property", "f32", "i16", "i32", "i8", "prop", "signal", "slot", "u16", "u32", "u64", "u8",
    ),
    "everywire.codec.qdatastream": tuple(sorted(cls.__name__ for cls in TYPE_OF_VALUE)),
    "everywire.remoteobjects": (
        "CONSTANT", "CppType", "PERSISTED", "READWRITE", "Roles", "SOURCEONLYSETTER", "WireName", "cpp_enum",
        "cpp_flag", "wire_named",
    ),
    "everywire.tables": ("Table",),
}  # fmt: skip
_WRITABLE: Final = (Modifier.READPUSH, Modifier.READWRITE)
_SAID: Final = (Modifier.CONSTANT, Modifier.READWRITE, Modifier.SOURCEONLYSETTER)
"""Modifiers that a property does not have by being writable or not."""


def python_source(rep: Rep, source: str = "") -> str:
    """Return a module with a class for each declaration of *rep*, which was read from the file *source*.

    Raises ModelError for what Python cannot have: a class named ``None``, a child of a class that is not in the file.
    """
    return _Module(rep).text(source)


class _Spelling(Spelling):
    def type(self, node: Type) -> str:
        """Return what to write for a type without parts, a struct or an enum."""
        return self(node.name) if is_of_qt(node) else super().type(node)


class _Module:
    def __init__(self, rep: Rep) -> None:
        self.rep = rep
        self.types = Types(rep)
        self.classes = {declared.name for declared in rep.classes}
        self.members = {id(declared): _member_names(declared) for declared in rep.classes}
        nodes = self.types.nodes.values()
        hidden = {name for names in self.members.values() for name in names.values()}
        hidden |= {field.name for node in nodes if isinstance(node, StructOf) for field in node.fields}
        named = [*(node.name for node in nodes), *(declared.name for declared in rep.classes)]
        for name in named:
            if not name.isidentifier() or not is_public(f"x{name}") or name in ("None", "True", "False"):
                raise ModelError(f"{name!r} is a word of Python's own: no class can have it as a name")
        if double := sorted(name for name, count in Counter(named).items() if count > 1):
            raise ModelError(f"declared twice: {', '.join(double)}")
        self.spelling = _Spelling(_HOMES, hidden, set(named))

    def text(self, source: str) -> str:
        body = ["\n".join(part) for part in self._parts()]  # before the imports, which it asks for
        head = [
            f'"""Classes of {text(source)[1:-1] if source else "a .rep file"}.\n',
            "Written by `everywire gen python`: what is changed here is lost when it is written again.",
            '"""\n',
            "from __future__ import annotations\n",
            *self.spelling.imports(),
        ]
        return "\n".join(head) + "".join(f"\n\n{part}\n" for part in body)

    def _parts(self) -> Iterator[Iterator[str]]:
        for item in self.rep.items:
            if isinstance(item, (EnumDecl, FlagDecl)):
                yield self._enum(item)
            elif isinstance(item, Pod):
                yield from (self._enum(inner) for inner in item.types)
                yield self._pod(item)
            elif isinstance(item, ClassDecl):
                own = (inner for inner in item.members if isinstance(inner, (EnumDecl, FlagDecl)))
                yield from (self._enum(inner) for inner in own)
                yield self._class(item)

    # ---------------------------------------------------------------------------------------------------------- types
    def _enum(self, declared: EnumDecl | FlagDecl) -> Iterator[str]:
        node = self.types.nodes[id(declared)]
        assert isinstance(node, EnumType)
        form = enum_form(node.cls)
        if form != EnumForm():
            yield _long(self._enum_decorator(form))
        yield f"class {node.name}({self.spelling('Flag' if node.flag else 'Enum')}):"
        if declared.doc:
            yield from docstring(declared.doc, "    ", wrap=True)
            yield ""
        seen: set[int] = set()
        for name, member in node.cls.__members__.items():
            yield f"    {name} = {member.value!r}{'  # noqa: PIE796' if member.value in seen else ''}"
            seen.add(member.value)
        yield from self._alias(node)

    def _enum_decorator(self, form: EnumForm) -> str:
        words: list[str] = []
        if form.flag_of is not None:
            words.append(self.spelling.type(EnumType(form.flag_of)))
        elif form.base:
            words.append(text(form.base))
        words += ["scoped=True"] if form.scoped and form.flag_of is None else []
        words += [f"name={text(form.name)}"] if form.name else []
        words += [f"scope={text(form.scope)}"] if form.scope else []
        if form.keys and form.flag_of is None:
            words.append(f"keys={{{', '.join(f'{text(name)}: {text(key)}' for name, key in form.keys.items())}}}")
        return f"@{self.spelling('cpp_enum' if form.flag_of is None else 'cpp_flag')}({', '.join(words)})"

    def _pod(self, pod: Pod) -> Iterator[str]:
        node = self.types.nodes[id(pod)]
        assert isinstance(node, StructOf)
        yield f"@{self.spelling('dataclass')}(frozen=True)"
        yield f"class {node.name}:"
        yield from docstring(pod.doc, "    ", wrap=True)
        if pod.doc and node.fields:
            yield ""
        for field in node.fields:
            yield _long(f"    {field.name}: {self._annotation(field.type, field.marks)}")
        if not pod.doc and not node.fields:
            yield "    pass"
        yield from self._alias(node)

    def _alias(self, node: StructOf | EnumType) -> Iterator[str]:
        if alias := self.spelling.alias(node):
            yield f"\n\n{alias} = {node.name}"

    def _annotation(self, node: Type, marks: Iterable[Mark]) -> str:
        return self.spelling.annotation(node, words=[self._word(mark) for mark in marks])

    def _word(self, mark: Mark) -> str:
        if isinstance(mark, (CppType, WireName)):
            return f"{self.spelling(type(mark).__name__)}({text(mark.name)})"
        assert isinstance(mark, Modifier)
        return self.spelling(mark.name)

    # -------------------------------------------------------------------------------------------------------- classes
    def _class(self, declared: ClassDecl) -> Iterator[str]:
        yield f"class {declared.name}({self.spelling('Object')}):"
        names = self.members[id(declared)]
        parts: list[list[str]] = [[*docstring(declared.doc, "    ", wrap=True)]]
        is_property = False
        for inner in declared.members:
            if isinstance(inner, (EnumDecl, FlagDecl)):
                continue
            if isinstance(inner, (SignalDecl, SlotDecl)):
                parts.append([*self._function(inner, names[id(inner)], declared.name)])
                is_property = False
                continue
            if not is_property:
                parts.append([])
            parts[-1] += self._property(inner, names[id(inner)], declared.name)
            is_property = True
        if not any(parts):
            parts[0] = ["    pass"]
        yield "\n\n".join("\n".join(part) for part in parts if part)

    def _property(self, declared: PropDecl | ChildDecl | ModelDecl, name: str, scope: str) -> Iterator[str]:
        options: list[str] = []
        comment = ""
        if isinstance(declared, PropDecl):
            annotation, options, comment = self._value(declared, name, scope)
        else:
            annotation, options = self._child(declared, name), ["None"]
        begin = f"    {name}: {self.spelling('Property')}[{annotation}] = {self.spelling('prop')}("
        if declared.doc:
            options.append(f"doc={text(declared.doc)}")
        line = f"{begin}{', '.join(options)})"
        if comment:
            yield f"    # {_printable(comment)}"
        if len(line) <= WIDTH:
            yield line
            return
        yield _long(begin)
        yield from (_long(f"        {option},") for option in options)
        yield "    )"

    def _value(self, declared: PropDecl, name: str, scope: str) -> tuple[str, list[str], str]:
        """Return the annotation of a property, what `prop` is told, and what cannot be told."""
        node = self.types.node(declared.type, scope)
        marks = [*self.types.marks(node, declared.type, scope), *wire_marks(name, declared.name)]
        marks += [declared.modifier] if declared.modifier in _SAID else []
        words = [self._word(mark) for mark in marks]
        words += [self.spelling("PERSISTED")] if declared.persisted else []
        value, comment = _initial(node, declared.default)
        if value is None and qualified(declared.type).type == "QChar":
            value = "\0"  # what it has by itself; no text at all is no character
        if value is None:
            factory = factory_of(node, self.spelling)
            options = [f"factory={factory}" if factory else literal(node, node.zero, self.spelling)]
        else:
            options = [literal(node, value, self.spelling)]
        options += ["writable=True"] if declared.modifier in _WRITABLE else []
        return self.spelling.annotation(node, words=words), options, comment

    def _child(self, declared: ChildDecl | ModelDecl, name: str) -> str:
        words = [self._word(mark) for mark in wire_marks(name, declared.name)]
        if isinstance(declared, ModelDecl):
            kind = f"{self.spelling('Table')}[{self.spelling('Any')}]"
            words.insert(0, f"{self.spelling('Roles')}({', '.join(map(text, declared.roles))})")
        elif declared.type in self.classes:
            kind = declared.type
        else:
            raise ModelError(
                f"line {declared.line}: CLASS {declared.name}({declared.type}): there is no class {declared.type} in "
                "this file; put the file that declares it before this one"
            )
        return f"{self.spelling('Annotated')}[{kind} | None, {', '.join(words)}]" if words else f"{kind} | None"

    def _function(self, declared: SignalDecl | SlotDecl, name: str, scope: str) -> Iterator[str]:
        is_slot = isinstance(declared, SlotDecl)
        yield f"    @{self.spelling('slot' if is_slot else 'signal')}"
        if wire_marks(name, declared.name):
            yield f"    @{self.spelling('wire_named')}({text(declared.name)})"
        begin = f"    {'async ' if is_slot else ''}def {name}("
        end = f") -> {self._result(declared.result, scope) if isinstance(declared, SlotDecl) else 'None'}:"
        parameters = ["self", *self._parameters(declared.parameters, scope)]
        line = f"{begin}{', '.join(parameters)}{end}"
        if len(line) <= WIDTH:
            yield line
        else:
            yield begin
            yield from (_long(f"        {parameter},") for parameter in parameters)
            yield _long(f"    {end}")
        doc = [*docstring(declared.doc, "        ", wrap=True)]
        yield from doc
        if is_slot:
            yield f"        raise {self.spelling('NotImplementedError')}"
        elif not doc:
            yield "        ..."

    def _result(self, told: str, scope: str) -> str:
        if told.strip() == "void":
            cpp = f"{self.spelling('CppType')}({text(told)})" if told != "void" else ""
            return f"{self.spelling('Annotated')}[None, {cpp}]" if cpp else "None"
        node = self.types.node(told, scope)
        return self._annotation(node, self.types.marks(node, told, scope))

    def _parameters(self, parameters: Iterable[ParameterDecl], scope: str) -> Iterator[str]:
        names = Names(pascal)
        names.reserve("self")
        nameless = 0
        found: list[tuple[str, str]] = []
        for place, declared in enumerate(parameters):
            nameless += not declared.name
            wire = declared.name or unnamed(nameless)
            bare, _, default = wire.partition("=")
            name = names.free(python_name(bare) if declared.name else f"argument_{place}")
            told = with_qualifiers(declared)
            node = self.types.node(told, scope)
            marks = (*self.types.marks(node, told, scope), *wire_marks(name, wire))
            value, _ = _initial(node, default)
            meant = "" if value is None else f" = {literal(node, value, self.spelling)}"
            found.append((f"{name}: {self._annotation(node, marks)}", meant))
        last = max((place for place, (_, meant) in enumerate(found) if not meant), default=-1)
        for place, (begin, meant) in enumerate(found):
            yield f"{begin}{meant if place > last else ''}"  # behind a default there are only others


def _member_names(declared: ClassDecl) -> dict[int, str]:
    """Return the Python names of the members of a class, properties first: other names depend on theirs."""
    names = Names(pascal)
    found: dict[int, str] = {}
    members = [inner for inner in declared.members if not isinstance(inner, (EnumDecl, FlagDecl))]
    for inner in members:
        if not isinstance(inner, (SignalDecl, SlotDecl)):
            found[id(inner)] = names.free(python_name(inner.name), beside=_made_by_wires)
    for inner in members:
        if isinstance(inner, (SignalDecl, SlotDecl)):
            found[id(inner)] = names.free(python_name(inner.name))
    return found


def _made_by_wires(name: str) -> tuple[str, ...]:
    """Return the names that wires make themselves for a property."""
    return f"push_{name}", f"{name}_changed"


def _initial(node: Type, default: str) -> tuple[Any, str]:
    """Return the value that a default of C++ means, or None; and a comment with one that has no meaning here."""
    if not default or default.endswith(EMPTY):
        return None, ""
    value = _meaning(node, default)
    with suppress(ModelError):
        if value is not None:
            return node.convert(value), ""
    return None, f"In C++ the default is {default}"


def _meaning(node: Type, default: str) -> Any:
    if isinstance(node, EnumType):
        told = {key: name for name, key in enum_form(node.cls).keys.items()}
        key = default.rpartition("::")[2]
        return node.cls.__members__.get(told.get(key, key))
    if node in (BOOL, ANY) and default in ("true", "false"):
        return default == "true"
    if node in (STR, BYTES, ANY) and default.startswith('"'):
        value = unquoted(default)
        return value.encode() if node == BYTES and value is not None else value
    if len(default) == 3 and default[0] == default[2] == "'" and node in (STR, ANY):
        return default[1]
    if len(default) == 3 and default[0] == default[2] == "'" and isinstance(node, Int):
        return ord(default[1])
    if isinstance(node, Int) or node == ANY:
        with suppress(ValueError):
            bare = default.rstrip("uUlL")
            return int(bare, 8 if bare[:1] == "0" and bare.isdigit() and len(bare) > 1 else 0)
    if isinstance(node, Float) or node == ANY:
        with suppress(ValueError):
            number = float(default.rstrip("fFlL")) if default[-1:] not in "xX" else math.nan
            return number if math.isfinite(number) else None
    return None


def _long(line: str) -> str:
    """Return a line that cannot be broken, with a word for those who measure lines."""
    return line if len(line) <= WIDTH else f"{line}  # noqa: E501"


def _printable(comment: str) -> str:
    return "".join(mark if mark.isprintable() else " " for mark in comment)
