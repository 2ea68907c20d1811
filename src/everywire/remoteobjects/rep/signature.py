"""Signatures of classes: what repc writes into its headers, and what decides whether a static replica fits a source.

Both ends must have generated from the same declarations, for the signature is a digest over names, types and modifiers;
defaults, comments and PERSISTED are no part of it. Qt 5 and Qt 6 make different ones. Order counts: repc looks a type
up among what stands before its use, and takes its text when it finds nothing there.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from functools import lru_cache
from itertools import count
from typing import Final, Protocol

from everywire.model import Contract
from everywire.remoteobjects.rep.describing import rep_of
from everywire.remoteobjects.rep.marks import Modifier
from everywire.remoteobjects.rep.older import for_qt5
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

_INT: Final = struct.Struct("<i")  # repc hashes the memory of its machine; ours is that of nearly all of them
_IS_CONST, _IS_REFERENCE = 1, 2
_MODEL: Final = "QAbstractItemModel"


@lru_cache(maxsize=1024)
def signature_of(contract: Contract, *, qt5: bool) -> str:
    """Return the signature that repc of Qt 6, or of Qt 5, gives the class that *contract* describes."""
    return signatures(rep_of(contract), qt5=qt5)[contract.name]


def signatures(rep: Rep, *, qt5: bool = False) -> dict[str, str]:
    """Return the signature of each class in *rep*, by its name."""
    return _qt5(rep) if qt5 else _qt6(rep)


class _TypeData(Protocol):
    """Says what stands for a type in a digest."""

    def __call__(self, text: str) -> bytes: ...


# --------------------------------------------------------------------------------------------------------------- Qt 6
def _qt6(rep: Rep) -> dict[str, str]:
    table: dict[str, bytes] = {}
    found: dict[str, str] = {}
    for item in rep.items:
        if isinstance(item, (EnumDecl, FlagDecl)):
            _declare(item, "", table)
        elif isinstance(item, Pod):
            for inner in item.types:
                _declare(inner, item.name if isinstance(inner, FlagDecl) else "", table)  # repc forgets it for enums
            data = b"".join(_latin(field.name) + _type_data(field.type, item.name, table) for field in item.fields)
            table[item.name] = _digest(_latin(item.name) + data)
        elif isinstance(item, ClassDecl):
            table[item.name] = _qt6_class(item, table)
            found[item.name] = table[item.name].decode()
    return found


def _qt6_class(declared: ClassDecl, table: dict[str, bytes]) -> bytes:
    for inner in declared.members:
        if isinstance(inner, (EnumDecl, FlagDecl)):
            _declare(inner, declared.name, table)

    def type_data(text: str) -> bytes:
        return _type_data(text, declared.name, table)

    parts = [_latin(declared.name)]
    for inner in declared.members:
        if isinstance(inner, PropDecl):
            modifier = Modifier.READONLY if inner.modifier is Modifier.SOURCEONLYSETTER else inner.modifier
            parts += (_latin(inner.name), type_data(inner.type), _INT.pack(modifier.value))
        elif isinstance(inner, ModelDecl):
            roles = _digest(b"_".join(sorted(map(_latin, inner.roles))))
            parts += (_latin(inner.name), roles, _INT.pack(Modifier.READONLY.value))
        elif isinstance(inner, ChildDecl):
            parts += (_latin(inner.name), table.get(inner.type, b""), _INT.pack(Modifier.READONLY.value))
    return _digest(b"".join((*parts, _functions(declared, type_data))))


def _declare(declared: EnumDecl | FlagDecl, scope: str, table: dict[str, bytes]) -> None:
    if isinstance(declared, EnumDecl):
        head = f"{declared.name}{'class' if declared.scoped else ''}{declared.base}"
        data = _latin(head) + _keys(declared)
    else:
        data = _latin(declared.name) + _type_data(declared.enum, scope, table)
    table[f"{scope}::{declared.name}" if scope else declared.name] = _digest(data)


def _type_data(text: str, scope: str, table: dict[str, bytes]) -> bytes:
    if "<" in text:
        words = "".join(" " if mark in "<>," else mark for mark in text).split()
        return b"".join(_type_data(word, scope, table) for word in words)
    for name in (f"{scope}::{text}", text):
        if name in table:
            return table[name]
    head, separator, rest = text.rpartition("::")
    return _type_data(rest, scope, table) if head and separator else _latin(text)


def _digest(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest().encode()


# --------------------------------------------------------------------------------------------------------------- Qt 5
def _qt5(rep: Rep) -> dict[str, str]:
    rep = for_qt5(rep)
    table = _qt5_enums(rep.items)
    for pod in rep.pods:
        fields = b"".join(_latin(field.name) + _qt5_type_data(field.type, table) for field in pod.fields)
        table[pod.name] = _latin(pod.name) + fields
    found: dict[str, str] = {}
    for declared in rep.classes:
        table |= _qt5_enums(declared.members)  # which stay known in the classes below
        found[declared.name] = _qt5_class(declared, table)
    return found


def _qt5_class(declared: ClassDecl, table: dict[str, bytes]) -> str:
    def type_data(text: str) -> bytes:
        return _qt5_type_data(text, table)

    parts = [_latin(declared.name)]
    for inner in declared.members:
        if isinstance(inner, PropDecl):
            parts += (_latin(inner.name), type_data(inner.type), _INT.pack(inner.modifier.value))
        elif isinstance(inner, (ModelDecl, ChildDecl)):
            text = _MODEL if isinstance(inner, ModelDecl) else inner.type
            parts += (_latin(inner.name), type_data(text), _INT.pack(Modifier.SOURCEONLYSETTER.value))
    return _digest(b"".join((*parts, _functions(declared, type_data)))).decode()


def _qt5_enums(declared: Iterable[object]) -> dict[str, bytes]:
    return {item.name: _latin(item.name) + _keys(item) for item in declared if isinstance(item, EnumDecl)}


def _qt5_type_data(text: str, table: dict[str, bytes]) -> bytes:
    while text not in table:
        head, separator, rest = text.rpartition("::")
        if not (head and separator):
            return _latin(text)
        text = rest
    return table[text]


# --------------------------------------------------------------------------------------------------------------- both
def _functions(declared: ClassDecl, type_data: _TypeData) -> bytes:
    """Return the digest's part for all signals, and then all slots."""
    signals = [(m.name, m.parameters, "void") for m in declared.members if isinstance(m, SignalDecl)]
    slots = [(m.name, m.parameters, m.result) for m in declared.members if isinstance(m, SlotDecl)]
    parts: list[bytes] = []
    for name, parameters, result in (*signals, *slots):
        numbers = count(1)
        parts.append(_latin(name))
        for parameter in parameters:
            words = parameter.name or unnamed(next(numbers))
            parts += (_latin(words), type_data(parameter.type), _INT.pack(_parameter_flags(parameter)))
        parts.append(type_data(result))
    return b"".join(parts)


def unnamed(number: int) -> str:
    """Return what repc calls the parameter without a name that is the *number*-th such."""
    return f"__repc_variable_{number}"


def _parameter_flags(parameter: ParameterDecl) -> int:
    return parameter.const * _IS_CONST | parameter.reference * _IS_REFERENCE


def _keys(declared: EnumDecl) -> bytes:
    return _latin("".join(f"{key.name}{key.value}" for key in declared.keys))


def _latin(text: str) -> bytes:
    return text.encode("latin1", "replace")
