"""Reads the contract of a class from its declarations: the one place where annotations become members."""

from __future__ import annotations

import enum
import inspect
import sys
import types
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from threading import RLock
from typing import Any, Final, get_args, get_origin, get_type_hints

from everywire.errors import ModelError
from everywire.model.annotations import bounded, hints_of, marks_of, type_of, unit_of, unresolved
from everywire.model.compile import compile_check
from everywire.model.contract import DEFAULT_TIMEOUT, MISSING, Contract, Kind, Member, Parameter
from everywire.model.marks import MARKS, wire_name_in
from everywire.model.names import is_public, pascal
from everywire.model.objects import CONTRACT, Object
from everywire.model.properties import Computed, Property, Readable, is_computed, is_property
from everywire.model.signals import Signal
from everywire.model.slots import MARK, READS, is_stream
from everywire.model.types import EnumType, ObjectOf, StructOf, Type, child_type, holds_object

_LOCK: Final = RLock()  # the first objects of a class may be made in several threads at once
_READING: Final[set[type[Object]]] = set()
"""Classes whose contract is being read, by who holds the lock."""
_NATURAL: Final = (bool, int, float, str, bytes, enum.Enum)
"""Values that say their type, so that `prop(21.0)` needs no annotation."""


def contract_of(target: Object | type[Object]) -> Contract:
    """Return the contract of an object or a class, read once per class.

    Raises ModelError naming the member whose type is missing or cannot go on a wire, or whose name collides.
    """
    cls = target if isinstance(target, type) else type(target)
    known: Contract | None = vars(cls).get(CONTRACT)
    if known is not None:
        return known
    with _LOCK:
        contract: Contract = vars(cls).get(CONTRACT) or _read_once(cls)
        setattr(cls, CONTRACT, contract)
    return contract


def set_contract(cls: type[Object], contract: Contract) -> None:
    """Give *cls*, built from a remote contract or a replica class, its contract instead of reading one."""
    for name, member in contract.members.items():
        handle = cls.__everywire_declared__[name]
        if isinstance(handle, (Property, Computed)):
            handle.bind(member)
        elif isinstance(handle, Signal):
            handle.member, handle.check = member, compile_check(member)
    setattr(cls, CONTRACT, contract)


def _read_once(cls: type[Object]) -> Contract:
    """Read the contract, but not within itself: an object that is made for a look may hold another of its class."""
    if cls in _READING:
        raise ModelError(f"the contract of {cls.__name__} is being read")
    _READING.add(cls)
    try:
        return _read(cls)
    finally:
        _READING.discard(cls)


def _read(cls: type[Object]) -> Contract:
    _check_forgotten(cls)
    base = _implemented(cls)
    if base is not None:
        return contract_of(base)
    members: dict[str, Member] = {}
    for name, handle in cls.__everywire_declared__.items():
        try:
            members[name] = _member(cls, name, handle)
        except ModelError as error:
            raise ModelError(f"{cls.__name__}.{name}: {error}") from None
    contract = Contract(cls.__name__, members, inspect.cleandoc(cls.__doc__ or ""))
    _check_names(cls.__name__, members)
    _check_numbers(cls.__name__, members)
    _check_named([contract])
    return contract


def _implemented(cls: type[Object]) -> type[Object] | None:
    """Return the base whose declarations *cls* takes over as they are: it only fills in slots, so it is one of those.

    Whoever compares classes by name or digest, as replicas that repc has compiled do, would take it for another.
    """
    bases = [base for base in cls.__bases__ if issubclass(base, Object) and base is not Object]
    return next((base for base in bases if base.__everywire_declared__ == cls.__everywire_declared__), None)


def _check_forgotten(cls: type[Object]) -> None:
    """Refuse ``target: Property[float]`` without `prop`: it looks like a property and would be none."""
    for base in cls.__mro__:
        for name, annotation in inspect.get_annotations(base).items():
            text = annotation if isinstance(annotation, str) else getattr(get_origin(annotation), "__name__", "")
            if text.partition("[")[0] == "Property" and name not in cls.__everywire_declared__:
                raise ModelError(f"{base.__name__}.{name}: is only annotated: write '{name}: Property[T] = prop(…)'")


def _member(cls: type[Object], name: str, handle: Any) -> Member:
    """Return the member of one declaration; a handle that a base class's contract has bound keeps its member."""
    known: Member | None = getattr(handle, "member", None)
    if known is not None:
        return known
    if is_property(handle):
        member = _property(cls, name, handle)
        handle.bind(member)
    elif is_computed(handle):
        annotation = hints_of(handle.function, _scope(cls)).get("return")
        parameter = Parameter(name, _type(annotation), unit=unit_of(annotation), marks=marks_of(annotation))
        wire_name = wire_name_in(parameter.marks)
        member = Member(Kind.PROPERTY, name, (parameter,), doc=_doc(handle), wire_name=wire_name)
        handle.bind(member)
    elif isinstance(handle, Signal):
        parameters = _parameters(cls, handle.declaration)
        marks = getattr(handle.declaration, MARKS, ())
        wire_name = wire_name_in(marks)
        member = Member(Kind.SIGNAL, name, parameters, doc=_doc(handle), result_marks=marks, wire_name=wire_name)
        handle.member, handle.check = member, compile_check(member)
    else:
        member = _slot(cls, name, handle)
    check_objects(member)
    return member


def check_objects(member: Member) -> None:
    """Refuse objects everywhere but as the value of a property that only the source sets."""
    child = member.kind is Kind.PROPERTY and child_type(member.type) is not None
    if child and member.writable:
        raise ModelError("a child object belongs to the source: leave out writable=True, and write to its members")
    types_ = (*(parameter.type for parameter in member.parameters), member.result)
    if not child and any(node is not None and holds_object(node) for node in types_):
        raise ModelError(
            "an object goes on a wire as the value of a property of its own, "
            "'pump: Property[Pump | None] = prop(None)'; elsewhere send the name of a published object"
        )


def _property(cls: type[Object], name: str, handle: Property[Any]) -> Member:
    annotation = _property_annotation(cls, name)
    if annotation is None:
        if handle.factory is not None or not isinstance(handle.default, _NATURAL):
            raise ModelError("needs a type: write 'name: Property[T] = prop(…)'")
        annotation = type(handle.default)
    type_ = bounded(_type(annotation), handle.minimum, handle.maximum)
    if child_type(type_) is not None and isinstance(handle.default, Object):
        kind = type(handle.default).__name__
        raise ModelError(f"all objects would share the child: use prop(factory={kind}), or a function that makes one")
    try:
        type_.convert(handle.initial())
    except ModelError as error:
        raise ModelError(f"its initial value does not fit: {error}") from None
    except RecursionError:
        raise ModelError("its initial value holds one of its own, and so on: use 'T | None' and prop(None)") from None
    parameter = Parameter(name, type_, unit=handle.unit or unit_of(annotation), marks=marks_of(annotation))
    return Member(
        Kind.PROPERTY,
        name,
        (parameter,),
        writable=handle.writable,
        doc=handle.__doc__ or "",
        number=handle.number,
        wire_name=wire_name_in(parameter.marks),
    )


def _property_annotation(cls: type[Object], name: str) -> Any:
    """Return T of ``name: Property[T]`` in the class that declares *name*, else None."""
    owner = next(base for base in cls.__mro__ if name in vars(base))
    annotation = inspect.get_annotations(owner).get(name)
    if annotation is None:
        return None
    if isinstance(annotation, str):
        module = sys.modules.get(owner.__module__)
        known = {"Property": Property, **({} if module is None else vars(module))}
        one = types.SimpleNamespace(__annotations__={name: annotation})  # one alone: others may not be importable
        try:
            annotation = get_type_hints(one, known, _scope(owner), include_extras=True)[name]
        except (NameError, AttributeError, SyntaxError, TypeError) as error:
            raise unresolved(error) from None
    origin: Any = get_origin(annotation)
    if origin is not Property:
        raise ModelError(f"is annotated as {annotation!r}: write 'name: Property[T] = prop(…)'")
    return get_args(annotation)[0]


def _slot(cls: type[Object], name: str, function: Any) -> Member:
    result = hints_of(function, _scope(cls)).get("return", MISSING)
    if result is MISSING:
        raise ModelError("needs a result type: write '-> None' when it returns nothing")
    stream = is_stream(function)
    if stream != (get_origin(result) in (AsyncIterator, AsyncGenerator)):
        raise ModelError("a stream is an async generator declared '-> AsyncIterator[T]'; without a body a plain 'def'")
    if stream:
        result = get_args(result)[0]
    void = result is None or result is type(None) or getattr(result, "__origin__", None) is type(None)
    timeout: float | None = getattr(function, MARK, DEFAULT_TIMEOUT)
    marks = (*marks_of(result), *getattr(function, MARKS, ()))
    return Member(
        Kind.SLOT,
        name,
        _parameters(cls, function),
        result=None if void and not stream else _type(result),
        stream=stream,
        reads=getattr(function, READS, False),
        timeout=timeout,
        doc=_doc(function),
        result_marks=marks,
        wire_name=wire_name_in(marks),
    )


def _parameters(cls: type[Object], function: Callable[..., Any]) -> tuple[Parameter, ...]:
    hints = hints_of(function, _scope(cls))
    found: list[Parameter] = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise ModelError(f"the parameter {parameter} has no place on a wire: use plain positional parameters")
        if parameter.name not in hints:
            raise ModelError(f"the parameter {parameter.name!r} needs a type")
        annotation = hints[parameter.name]
        try:
            node = type_of(annotation)
            default = MISSING if parameter.default is parameter.empty else node.convert(parameter.default)
            found.append(Parameter(parameter.name, node, default, unit_of(annotation), marks_of(annotation)))
        except ModelError as error:
            raise ModelError(f"the parameter {parameter.name!r}: {error}") from None
    return tuple(found)


def _scope(cls: type) -> dict[str, Any]:
    """Return what annotations in the class body of *cls* can name: nested classes and aliases, but no members.

    A property may have the name of its type (``date: Property[date]``), so members would hide types.
    """
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found |= {name: value for name, value in vars(base).items() if not isinstance(value, (Readable, Signal))}
    return found


def _type(annotation: Any) -> Type:
    if annotation is None:
        raise ModelError("needs a type")
    return type_of(annotation)


def _doc(declared: Any) -> str:
    return inspect.cleandoc(declared.__doc__ or "")


def _check_names(cls_name: str, members: Mapping[str, Member]) -> None:
    """Refuse names that are not public or would collide on some wire (SEMANTICS 1)."""
    wire_names: dict[str, str] = {}
    for name in members:
        if not is_public(name):
            raise ModelError(f"{cls_name}.{name}: the name of a member has no leading underscore")
        other = wire_names.setdefault(pascal(name), name)
        if other != name:
            raise ModelError(f"{cls_name}: {other} and {name} would both be {pascal(name)!r} on some wires")
    for name, member in members.items():
        for made in (f"push_{name}", f"{name}_changed") if member.kind is Kind.PROPERTY else ():
            if taken := wire_names.get(pascal(made)):
                raise ModelError(f"{cls_name}.{taken}: wires make this name themselves for the property {name}")


def _check_numbers(cls_name: str, members: Mapping[str, Member]) -> None:
    taken: dict[int, str] = {}
    for name, member in members.items():
        if member.number is not None and (other := taken.setdefault(member.number, name)) != name:
            raise ModelError(f"{cls_name}: {other} and {name} both have the number {member.number}")


def check_type_names(contracts: list[Contract]) -> None:
    """Raise ModelError when two different structs, enums or classes of children of *contracts* share a name.

    They are those of all objects that one node publishes.
    """
    _check_named(with_children(contracts))


def _check_named(contracts: Iterable[Contract]) -> None:
    found: dict[str, type] = {}
    for contract in dict.fromkeys(contracts):  # a node has many objects of few classes
        for member in contract.members.values():
            for node in (*named_types(member), child_type(member.type) if member.kind is Kind.PROPERTY else None):
                known = None if node is None else found.setdefault(node.name, node.cls)
                if node is not None and known is not node.cls and not _are_built(known, node):
                    raise ModelError(f"{contract.name}.{member.name}: two different types are named {node.name!r}")


def _are_built(known: type | None, node: StructOf | EnumType | ObjectOf) -> bool:
    """Return whether both are classes of children that were built from what others say: each child has its own."""
    built = "everywire.model.building"
    return isinstance(node, ObjectOf) and node.cls.__module__ == getattr(known, "__module__", "") == built


def child_members(contract: Contract) -> tuple[Member, ...]:
    """Return the properties that hold child objects."""
    return tuple(member for member in contract.of_kind(Kind.PROPERTY) if child_type(member.type) is not None)


def with_children(contracts: Iterable[Contract]) -> tuple[Contract, ...]:
    """Return *contracts* with those of the classes of their children, all the way down, each once."""
    found = dict.fromkeys(contracts)
    waiting = list(found)
    while waiting:
        for member in child_members(waiting.pop()):
            child = child_type(member.type)
            contract = contract_of(child.cls) if child is not None else None
            if contract is not None and contract not in found:
                found[contract] = None
                waiting.append(contract)
    return tuple(found)


def named_types(member: Member) -> list[StructOf | EnumType]:
    """Return the structs and enums that a member's values can hold, inner ones before outer ones."""
    found: list[StructOf | EnumType] = []
    for parameter in member.parameters:
        _collect(parameter.type, found)
    if member.result is not None:
        _collect(member.result, found)
    return found


def _collect(node: Type, found: list[StructOf | EnumType]) -> None:
    if node in found:
        return
    for part in node.parts:
        _collect(part, found)
    if isinstance(node, (StructOf, EnumType)):
        found.append(node)
