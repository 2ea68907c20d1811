"""Reads the contract of a class from its declarations: the one place where annotations become members."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Final, get_args, get_origin

from everywire.errors import ModelError
from everywire.model.annotations import bounded, type_of, unit_of
from everywire.model.compile import compile_check
from everywire.model.contract import DEFAULT_TIMEOUT, MISSING, Contract, Kind, Member, Parameter
from everywire.model.names import camel
from everywire.model.objects import Object
from everywire.model.properties import Computed, Property
from everywire.model.signals import Signal
from everywire.model.slots import MARK
from everywire.model.types import EnumType, StructOf, Type

_CONTRACT: Final = "__everywire_contract__"
_NATURAL: Final = (bool, int, float, str, bytes)


def contract_of(target: Object | type[Object]) -> Contract:
    """Return the contract of an object or a class, read once per class.

    Raises ModelError naming the member whose type is missing or cannot go on a wire, or whose name collides.
    """
    cls = target if isinstance(target, type) else type(target)
    contract = vars(cls).get(_CONTRACT)
    if not isinstance(contract, Contract):
        contract = _read(cls)
        setattr(cls, _CONTRACT, contract)
    return contract


def set_contract(cls: type[Object], contract: Contract) -> None:
    """Give *cls*, built from a remote contract or a replica class, its contract instead of reading one."""
    for name, member in contract.members.items():
        handle = cls.__everywire_declared__[name]
        if isinstance(handle, (Property, Computed)):
            handle.bind(member)
        elif isinstance(handle, Signal):
            handle.member, handle.check = member, compile_check(member)
    setattr(cls, _CONTRACT, contract)


def _read(cls: type[Object]) -> Contract:
    members: dict[str, Member] = {}
    for name, handle in cls.__everywire_declared__.items():
        try:
            members[name] = _member(cls, name, handle)
        except ModelError as error:
            raise ModelError(f"{cls.__name__}.{name}: {error}") from None
    contract = Contract(cls.__name__, members, inspect.cleandoc(cls.__doc__ or ""))
    _check_names(cls.__name__, members)
    check_type_names([contract])
    return contract


def _member(cls: type[Object], name: str, handle: Any) -> Member:
    """Return the member of one declaration; a handle that a base class's contract has bound keeps its member."""
    if isinstance(handle, (Property, Computed, Signal)) and hasattr(handle, "member"):
        return handle.member
    if isinstance(handle, Property):
        member = _property(cls, name, handle)
        handle.bind(member)
    elif isinstance(handle, Computed):
        annotation = _hints(handle.function).get("return")
        parameter = Parameter(name, _type(annotation), unit=unit_of(annotation))
        member = Member(Kind.PROPERTY, name, (parameter,), doc=_doc(handle))
        handle.bind(member)
    elif isinstance(handle, Signal):
        member = Member(Kind.SIGNAL, name, _parameters(handle.declaration), doc=_doc(handle))
        handle.member, handle.check = member, compile_check(member)
    else:
        member = _slot(name, handle)
    return member


def _property(cls: type[Object], name: str, handle: Property[Any]) -> Member:
    annotation = _property_annotation(cls, name)
    if annotation is None:
        if type(handle.default) not in _NATURAL and not hasattr(type(handle.default), "__members__"):
            raise ModelError("needs a type: write 'name: Property[T] = prop(…)'")
        annotation = type(handle.default)
    type_ = bounded(_type(annotation), handle.minimum, handle.maximum)
    initial = handle.initial()
    try:
        type_.convert(initial)
    except ModelError as error:
        raise ModelError(f"its initial value does not fit: {error}") from None
    parameter = Parameter(name, type_, unit=handle.unit or unit_of(annotation))
    return Member(
        Kind.PROPERTY, name, (parameter,), writable=handle.writable, doc=handle.__doc__ or "", number=handle.number
    )


def _property_annotation(cls: type[Object], name: str) -> Any:
    """Return T of ``name: Property[T]`` in the class that declares *name*, else None."""
    owner = next(base for base in cls.__mro__ if name in vars(base))
    annotation = vars(owner).get("__annotations__", {}).get(name)
    if annotation is None:
        return None
    if isinstance(annotation, str):
        namespace = {**vars(sys.modules.get(owner.__module__, typing)), "Property": Property}
        try:
            annotation = eval(annotation, namespace, dict(vars(owner)))  # noqa: S307  the class's own source text
        except NameError as error:
            raise ModelError(f"{error}; names in annotations must be importable from the module") from None
    if get_origin(annotation) is not Property:
        raise ModelError(f"is annotated as {annotation!r}: write 'name: Property[T] = prop(…)'")
    return get_args(annotation)[0]


def _slot(name: str, function: Any) -> Member:
    result = _hints(function).get("return", MISSING)
    if result is MISSING:
        raise ModelError("needs a result type: write '-> None' when it returns nothing")
    origin = get_origin(result)
    stream = origin in (AsyncIterator, AsyncGenerator) or inspect.isasyncgenfunction(function)
    if stream:
        if origin not in (AsyncIterator, AsyncGenerator):
            raise ModelError("an async generator is declared '-> AsyncIterator[T]'")
        result = get_args(result)[0]
    void = result is None or result is type(None)
    timeout: float | None = getattr(function, MARK, DEFAULT_TIMEOUT)
    return Member(
        Kind.SLOT,
        name,
        _parameters(function),
        result=None if void and not stream else _type(result),
        stream=stream,
        timeout=timeout,
        doc=_doc(function),
    )


def _parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    hints = _hints(function)
    found: list[Parameter] = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise ModelError(f"the parameter {parameter} has no place on a wire: use plain positional parameters")
        if parameter.name not in hints:
            raise ModelError(f"the parameter {parameter.name!r} needs a type")
        annotation = hints[parameter.name]
        default = MISSING if parameter.default is parameter.empty else parameter.default
        try:
            found.append(Parameter(parameter.name, type_of(annotation), default, unit_of(annotation)))
        except ModelError as error:
            raise ModelError(f"the parameter {parameter.name!r}: {error}") from None
    return tuple(found)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ModelError(f"{error}; names in annotations must be importable from the module") from None


def _type(annotation: Any) -> Type:
    if annotation is None:
        raise ModelError("needs a type")
    return type_of(annotation)


def _doc(declared: Any) -> str:
    return inspect.cleandoc(declared.__doc__ or "")


def _check_names(cls_name: str, members: Mapping[str, Member]) -> None:
    """Refuse names that would collide on some wire (SEMANTICS 1)."""
    wire_names: dict[str, str] = {}
    for name, member in members.items():
        other = wire_names.setdefault(camel(name), name)
        if other != name:
            raise ModelError(f"{cls_name}: {other} and {name} would both be {camel(name)!r} on some wires")
        if member.kind is Kind.PROPERTY:
            for reserved in (f"push_{name}", f"{name}_changed"):
                if reserved in members:
                    raise ModelError(f"{cls_name}.{reserved}: wires make this name themselves for the property {name}")


def check_type_names(contracts: list[Contract]) -> None:
    """Raise ModelError when two different structs or enums of *contracts*, published on one node, share a name."""
    found: dict[str, type] = {}
    for contract in contracts:
        for member in contract.members.values():
            for node in named_types(member):
                if found.setdefault(node.name, node.cls) is not node.cls:
                    raise ModelError(f"{contract.name}.{member.name}: two different types are named {node.name!r}")


def named_types(member: Member) -> list[StructOf | EnumType]:
    """Return the structs and enums that a member's values can hold, inner ones before outer ones."""
    found: list[StructOf | EnumType] = []
    for parameter in member.parameters:
        _collect(parameter.type, found)
    if member.result is not None:
        _collect(member.result, found)
    return found


def _collect(node: Type, found: list[StructOf | EnumType]) -> None:
    inner = [getattr(node, name) for name in ("item", "key", "value") if isinstance(getattr(node, name, None), Type)]
    items: tuple[Type, ...] = getattr(node, "items", ())
    fields = node.fields if isinstance(node, StructOf) else ()
    for child in (*inner, *items, *(field.type for field in fields)):
        _collect(child, found)
    if isinstance(node, (StructOf, EnumType)) and node not in found:
        found.append(node)
