"""What of a .rep file Qt 5 can have: no flags, no scopes and types of enums, no PODs with types of their own.

Flags become numbers, and enums of PODs stand before them; all that travels stays the same.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from everywire.remoteobjects.rep.tree import (
    ClassDecl,
    EnumDecl,
    FlagDecl,
    Inner,
    Item,
    ParameterDecl,
    Pod,
    PodField,
    PropDecl,
    Rep,
    SignalDecl,
    SlotDecl,
)

_NUMBER: Final = "int"
_OF_NAMES: Final = frozenset(string.ascii_letters + string.digits + "_:")


def for_qt5(rep: Rep) -> Rep:
    """Return *rep* as repc of Qt 5 reads it; a file that it can read stays as it is."""
    known = _others(rep)
    items: list[Item] = []
    for item in rep.items:
        if isinstance(item, EnumDecl):
            items.append(_plain(item))
        elif isinstance(item, Pod):
            own = {**known, **_own(item)}
            items += [_plain(inner) for inner in item.types if isinstance(inner, EnumDecl)]
            fields = tuple(PodField(_renamed(field.type, own), field.name) for field in item.fields)
            items += [replace(item, fields=fields, types=(), attribute="")] if fields else []
        elif isinstance(item, ClassDecl):
            own = {**known, **_flags(item)}
            members = tuple(_member(inner, own) for inner in item.members if not isinstance(inner, FlagDecl))
            items.append(replace(item, members=members, attribute=""))
        elif not isinstance(item, FlagDecl):
            items.append(item)
    return Rep(tuple(items))


def _others(rep: Rep) -> dict[str, str]:
    """Return what names become that are known everywhere."""
    found: dict[str, str] = {}
    for item in rep.items:
        if isinstance(item, FlagDecl):
            found |= dict.fromkeys((item.name, f"{item.enum}Enum::{item.name}"), _NUMBER)
        elif isinstance(item, Pod):
            found |= {f"{item.name}::{name}": other for name, other in _own(item).items()}
        elif isinstance(item, ClassDecl):
            found |= {f"{item.name}::{name}": other for name, other in _flags(item).items()}
    return found


def _own(pod: Pod) -> dict[str, str]:
    """Return what names become that are known in a POD."""
    return {
        inner.name: _NUMBER if isinstance(inner, FlagDecl) else f"{inner.name}Enum::{inner.name}" for inner in pod.types
    }


def _flags(declared: ClassDecl) -> dict[str, str]:
    return {inner.name: _NUMBER for inner in declared.members if isinstance(inner, FlagDecl)}


def _plain(declared: EnumDecl) -> EnumDecl:
    return replace(declared, scoped=False, base="")


def _member(declared: Inner, names: Mapping[str, str]) -> Inner:
    if isinstance(declared, EnumDecl):
        return _plain(declared)
    if isinstance(declared, PropDecl):
        kind = _renamed(declared.type, names)
        return replace(declared, type=kind, default=declared.default if kind == declared.type else "")
    if isinstance(declared, SignalDecl):
        return replace(declared, parameters=tuple(_parameters(declared.parameters, names)))
    if isinstance(declared, SlotDecl):
        result = _renamed(declared.result, names)
        return replace(declared, result=result, parameters=tuple(_parameters(declared.parameters, names)))
    return declared


def _parameters(parameters: tuple[ParameterDecl, ...], names: Mapping[str, str]) -> Iterator[ParameterDecl]:
    return (replace(one, type=_renamed(one.type, names)) for one in parameters)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a type with other names in it."""
    found: list[str] = []
    word = ""
    for mark in f"{text}\0":
        if mark in _OF_NAMES:
            word += mark
            continue
        found += (names.get(word, word), mark)
        word = ""
    return "".join(found[:-1])
