"""Contracts as .rep files: what C++ must be told to have the same class. Streams have no place there."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from everywire.model import Contract, Kind, Member, Object, Parameter, contract_of
from everywire.model.marks import Mark
from everywire.model.properties import is_property
from everywire.model.reading import named_types
from everywire.model.types import BOOL, STR, EnumType, Float, Int, StructOf, Type, child_type
from everywire.remoteobjects.rep.cpptypes import cpp_type, is_of_qt
from everywire.remoteobjects.rep.marks import PERSISTED, CppType, Modifier, Roles, enum_form, modifier_of
from everywire.remoteobjects.rep.names import declared_name, enum_name, field_name, key_numbers, wire_name
from everywire.remoteobjects.rep.texts import EMPTY, qualified, quoted
from everywire.remoteobjects.rep.tree import (
    ChildDecl,
    ClassDecl,
    EnumDecl,
    EnumKey,
    FlagDecl,
    Inner,
    Item,
    ModelDecl,
    ParameterDecl,
    Pod,
    PodField,
    PropDecl,
    Rep,
    SignalDecl,
    SlotDecl,
)
from everywire.tables import Table


def rep_of(*targets: Contract | type[Object]) -> Rep:
    """Return the .rep file for classes, with the enums, PODs and classes of children that they use before them.

    Contracts know no initial values, so for them no property has a default.
    """
    writing = _Writing()
    for target in targets:
        writing.add(target)
    return Rep(tuple(writing.items))


class _Writing:
    """Collects declarations, each once and after those that it is made of."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._known: set[object] = set()
        self._pods: dict[str, StructOf] = {}

    def add(self, target: Contract | type[Object]) -> None:
        contract, defaults = (target, {}) if isinstance(target, Contract) else (contract_of(target), _defaults(target))
        if self._is_known(contract):
            return
        for member in contract.of_kind(Kind.PROPERTY):
            child = child_type(member.type)
            if child is not None and _roles(member) is None:
                self.add(child.cls)
        own: list[Inner] = []
        members = [member for member in contract.members.values() if not member.stream]
        nodes = [node for member in members for node in named_types(member)]
        self._pods |= {node.name: node for node in nodes if isinstance(node, StructOf)}
        for node in nodes:
            self._add_type(node, contract.name, own)
        left = [member.name for member in contract.members.values() if member.stream]
        notes = (f"left out, for C++ has no streams: {', '.join(left)}",) if left else ()
        told = [_member(member, contract.name, defaults.get(member.name, "")) for member in members]
        if any(isinstance(one, (ChildDecl, ModelDecl)) for one in told):
            told = [_with_default(one) for one in told]
        declared = (*own, *told)
        self.items.append(ClassDecl(contract.name, declared, doc=contract.doc, notes=notes))

    def _add_type(self, node: StructOf | EnumType, scope: str, own: list[Inner]) -> None:
        """Declare a type: in the class *scope*, whose members are *own*, if it says so."""
        inside = enum_form(node.cls).scope if isinstance(node, EnumType) else ""
        if inside in self._pods and inside != scope:
            self._add_type(self._pods[inside], scope, own)  # which declares it
        if is_of_qt(node) or self._is_known(node.cls):
            return
        if isinstance(node, EnumType):
            for declared in self._enum(node.cls):
                if inside == scope:
                    own.append(declared)
                else:
                    self.items.append(declared)
            return
        inner: list[Inner] = []
        for field in node.fields:
            for part in _parts(field.type):
                self._add_type(part, node.name, inner)
        fields = tuple(
            PodField(cpp_type(field.type, field.marks, node.name), field_name(field)) for field in node.fields
        )
        types = tuple(item for item in inner if isinstance(item, (EnumDecl, FlagDecl)))
        self.items.append(Pod(node.name, fields, types, doc=_own_doc(node.cls)))

    def _enum(self, cls: type[enum.Enum]) -> Iterator[EnumDecl | FlagDecl]:
        form = enum_form(cls)
        keys = tuple(EnumKey(name, number) for name, number in key_numbers(cls).items())
        name, doc = enum_name(cls), _own_doc(cls)
        if form.flag_of is not None:
            if not self._is_known(form.flag_of):
                yield from self._enum(form.flag_of)
            yield FlagDecl(name, enum_name(form.flag_of), doc=doc)
        elif issubclass(cls, enum.Flag):
            yield EnumDecl(f"{name}Flag", keys, form.scoped, form.base)
            yield FlagDecl(name, f"{name}Flag", doc=doc)
        else:
            yield EnumDecl(name, keys, form.scoped, form.base, doc=doc)

    def _is_known(self, thing: object) -> bool:
        known = thing in self._known
        self._known.add(thing)
        return known


def _parts(node: Type) -> Iterator[StructOf | EnumType]:
    """Yield the structs and enums in *node*; those in a struct are its own affair."""
    if isinstance(node, (StructOf, EnumType)):
        yield node
    else:
        for part in node.parts:
            yield from _parts(part)


def _own_doc(cls: type) -> str:
    """Return what a person has written about *cls*: a dataclass writes its own signature when nobody did."""
    doc = (vars(cls).get("__doc__") or "").strip()
    return "" if doc.startswith(f"{cls.__name__}(") else doc


# ------------------------------------------------------------------------------------------------------------- members
def _member(member: Member, scope: str, default: str) -> Inner:
    name, doc = wire_name(member), member.doc
    if member.kind is Kind.PROPERTY:
        return _property(member, name, scope, default)
    parameters = tuple(_parameter(parameter, scope) for parameter in member.parameters)
    if member.kind is Kind.SIGNAL:
        return SignalDecl(name, parameters, doc)
    told = _told(member.result_marks)
    result = told or ("void" if member.result is None else cpp_type(member.result, (), scope))
    return SlotDecl(name, parameters, result, doc)


def _property(member: Member, name: str, scope: str, default: str) -> Inner:
    roles, child = _roles(member), child_type(member.type)
    if roles is not None:
        return ModelDecl(name, roles, member.doc)
    if child is not None:
        return ChildDecl(name, child.name, member.doc)
    marks = member.marks
    modifier = modifier_of(marks, writable=member.writable)
    return PropDecl(cpp_type(member.type, marks, scope), name, default, modifier, PERSISTED in marks, member.doc)


def _with_default(declared: Inner) -> Inner:
    """Return a constant with a default: beside children repc makes parameters of constants, which have one."""
    if isinstance(declared, PropDecl) and declared.modifier is Modifier.CONSTANT and not declared.default:
        return replace(declared, default=f"{''.join(declared.type.split())}{EMPTY}")
    return declared


def _parameter(parameter: Parameter, scope: str) -> ParameterDecl:
    declared = qualified(_told(parameter.marks) or cpp_type(parameter.type, (), scope))
    return ParameterDecl(declared.type, declared_name(parameter), declared.const, declared.reference)


def _told(marks: tuple[Mark, ...]) -> str:
    """Return the type that somebody has written down, as it is."""
    return next((mark.name for mark in marks if isinstance(mark, CppType)), "")


def _roles(member: Member) -> tuple[str, ...] | None:
    """Return the roles of a table that is a child; None for all else."""
    child = child_type(member.type)
    if child is None or not issubclass(child.cls, Table):
        return None
    return next((mark.names for mark in member.marks if isinstance(mark, Roles)), ("display",))


# ------------------------------------------------------------------------------------------------------------ defaults
def _defaults(cls: type[Object]) -> dict[str, str]:
    """Return the initial values of properties that C++ can be told."""
    found: dict[str, str] = {}
    for member in contract_of(cls).of_kind(Kind.PROPERTY):
        handle = cls.__everywire_declared__[member.name]
        if is_property(handle) and handle.factory is None:
            found[member.name] = _default(member.type, handle.initial(), cls.__name__)
    return found


def _default(node: Type, value: Any, scope: str) -> str:
    """Return *value* as C++, or nothing where it has the same by itself, or cannot be told."""
    if isinstance(node, EnumType):
        if value == next(iter(node.cls)) or value not in tuple(node.cls):
            return ""
        form = enum_form(node.cls)
        return f"{cpp_type(node, (), scope)}::{form.keys.get(value.name, value.name)}" if form.flag_of is None else ""
    if node == BOOL:
        return "true" if value else ""
    if node == STR:
        return quoted(value) if value else ""
    if isinstance(node, (Int, Float)) and math.isfinite(value):
        return repr(value) if value else ""
    return ""
