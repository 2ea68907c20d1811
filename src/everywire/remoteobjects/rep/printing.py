"""A syntax tree as the text of a .rep file: one form, from which the same tree is read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from everywire.remoteobjects.rep.marks import Modifier
from everywire.remoteobjects.rep.texts import with_qualifiers
from everywire.remoteobjects.rep.tree import (
    ChildDecl,
    ClassDecl,
    Directive,
    EnumDecl,
    FlagDecl,
    Inner,
    Item,
    ModelDecl,
    ParameterDecl,
    Pod,
    PropDecl,
    Rep,
    SignalDecl,
    SlotDecl,
    UseEnum,
)


def print_rep(rep: Rep) -> str:
    """Return *rep* as repc and `parse` read it."""
    parts = ["\n".join(_item(item)) for item in rep.items]
    between = ["\n" if _is_line(one) and type(one) is type(other) else "\n\n" for one, other in pairwise(rep.items)]
    return "".join(part + gap for part, gap in zip(parts, [*between, "\n"][: len(parts)], strict=True))


def _is_line(item: Item) -> bool:
    return isinstance(item, (Directive, UseEnum)) and not getattr(item, "doc", "")


def _item(item: Item) -> Iterator[str]:
    if isinstance(item, Directive):
        yield item.text
    elif isinstance(item, Pod):
        yield from _pod(item)
    elif isinstance(item, ClassDecl):
        yield from _comment(item.doc)
        yield f"class {_named(item.attribute, item.name)}"
        yield "{"
        for member in item.members:
            yield from (f"    {line}" for line in _inner(member))
        if item.notes:
            yield ""
            yield from (f"    // {note}" for note in item.notes)
            yield ""
        yield "};"
    elif isinstance(item, UseEnum):
        yield from _comment(item.doc)
        yield f"USE_ENUM({item.name})"
    else:
        yield from _inner(item)


def _pod(pod: Pod) -> Iterator[str]:
    yield from _comment(pod.doc)
    head = f"POD {_named(pod.attribute, pod.name)}"
    fields = [f"{field.type} {field.name}" for field in pod.fields]
    if not pod.types:
        yield f"{head}({', '.join(fields)})"
        return
    yield f"{head} {{"
    for declared in pod.types:
        yield from (f"    {line}" for line in _inner(declared))
    yield from (f"    {field}{',' if place < len(fields) else ''}" for place, field in enumerate(fields, 1))
    yield "};"


def _inner(declared: Inner) -> Iterator[str]:
    yield from _comment(declared.doc)
    match declared:
        case EnumDecl():
            yield _enum(declared)
        case FlagDecl():
            yield f"FLAG({declared.name} {declared.enum})"
        case PropDecl():
            yield _prop(declared)
        case SignalDecl():
            yield f"SIGNAL({declared.name}({_parameters(declared.parameters)}))"
        case SlotDecl():
            yield f"SLOT({declared.result} {declared.name}({_parameters(declared.parameters)}))"
        case ModelDecl():
            yield f"MODEL {declared.name}({', '.join(declared.roles)})"
        case ChildDecl():
            yield f"CLASS {declared.name}({declared.type})"


def _enum(declared: EnumDecl) -> str:
    number = -1
    keys: list[str] = []
    for key in declared.keys:
        keys.append(key.name if key.value == number + 1 else f"{key.name}={key.value}")
        number = key.value
    base = f" : {declared.base}" if declared.base else ""
    return f"ENUM {'class ' if declared.scoped else ''}{declared.name}{base} {{ {', '.join(keys)} }}"


def _prop(declared: PropDecl) -> str:
    default = f"={declared.default}" if declared.default else ""
    words = [declared.modifier.name] if declared.modifier is not Modifier.READPUSH else []
    words += ["PERSISTED"] if declared.persisted else []
    return f"PROP({declared.type} {declared.name}{default}{' ' if words else ''}{', '.join(words)})"


def _parameters(parameters: Iterable[ParameterDecl]) -> str:
    return ", ".join(f"{with_qualifiers(one)}{' ' if one.name else ''}{one.name}" for one in parameters)


def _named(attribute: str, name: str) -> str:
    return f"{attribute} {name}" if attribute else name


def _comment(doc: str) -> Iterator[str]:
    yield from (f"// {line}".rstrip() for line in doc.split("\n") if doc)
