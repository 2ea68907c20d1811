"""Random .rep files, as trees: what compiles in C++, and what repc alone would take."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st

from everywire.remoteobjects.rep.marks import Modifier
from everywire.remoteobjects.rep.tree import (
    ChildDecl,
    ClassDecl,
    Directive,
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
    UseEnum,
)

Draw = Any

STEMS: Final = (
    "setPoint", "set_point", "SetPoint", "x1", "HTTPUrl", "list", "str", "int_", "self", "from", "None", "True",
    "async", "name", "value", "mro", "_under", "__two", "pushX1", "x1Changed", "prop", "slot", "Object", "a1b2",
    "UPPER", "ab",
)  # fmt: skip
"""Names that Python, snake_case or the model could trip over."""

BUILTIN: Final = (
    "bool", "int", "uint", "qint8", "quint8", "qint64", "quint64", "short", "double", "float", "QString", "QByteArray",
    "QVariant", "QStringList", "QVariantMap", "QVariantList", "QDateTime", "QUrl", "QUuid", "QPoint", "QRectF",
    "QColor", "QJsonObject", "QVector3D", "MyOwn", "Qt::Orientation", "Acme::MyOwn",
)  # fmt: skip
CONTAINERS: Final = (
    "QList<{0}>", "QVector<{0}>", "QMap<QString, {0}>", "QMap<int,{0}>", "QHash<{1} , {0}>", "QList<QList<{0}> >",
    "QPair<{0},{1}>", "QSet<{0}>",
)  # fmt: skip
BASES: Final = ("", "", "quint8", "qint16", "unsigned short", "int", "qint64")
DEFAULTS: Final = ("", "", "1", "-5", "0x1F", "1.5", "true", '"a text"', '"1,2 = \\"3\\""', "Foo::Bar", "'c'")
_LINE: Final = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.rstrip)
DOCS: Final = st.one_of(
    st.just(""),
    st.lists(_LINE, min_size=1, max_size=3).map(lambda lines: inspect.cleandoc("\n".join(lines).strip("\n"))),
).filter(lambda doc: not any(word in doc for word in ("Copyright", "SPDX", "LICENSE")))
"""Words about a declaration; licences are none."""
WORDS: Final = st.text("abcXY_07", min_size=1, max_size=6).map(lambda text: f"w{text}")


@dataclass
class _Scope:
    """What can be named at a place in the file."""

    qt5: bool
    wild: bool
    types: list[str] = field(default_factory=list[str])
    classes: list[str] = field(default_factory=list[str])
    taken: set[str] = field(default_factory=set[str])
    """Names of types."""
    own: list[str] = field(default_factory=list[str])
    """Enums and flags of the class that is written."""


def reps(*, qt5: bool = False, wild: bool = False) -> st.SearchStrategy[Rep]:
    """Files that both repcs read (*qt5*) or that of Qt 6; *wild* ones name types that are not there, or not yet."""
    return _reps(qt5, wild)


@st.composite
def _reps(draw: Draw, qt5: bool, wild: bool) -> Rep:
    scope = _Scope(qt5, wild)
    items: list[Item] = []
    for kind in (*draw(st.lists(st.sampled_from("dueepc"), max_size=6)), "c"):
        if kind == "d":
            items.append(Directive(draw(st.sampled_from(("#include <QUrl>", "#  define X 1", "#endif")))))
        elif kind == "u":
            items.append(UseEnum(draw(st.sampled_from(("Qt::Orientation", "Kind"))), draw(DOCS)))
        elif kind == "e":
            items += draw(_enums(scope, ""))
        else:
            items.append(draw(_pods(scope) if kind == "p" else _classes(scope)))
    return Rep(tuple(items))


def _new(draw: Draw, scope: _Scope, least: int = 2) -> str:
    name: str = draw(st.one_of(WORDS.filter(lambda word: len(word) >= least)))
    while name in scope.taken or f"{name}Enum" in scope.taken:
        name += "q"
    scope.taken.add(name)
    return name


@st.composite
def _enums(draw: Draw, scope: _Scope, inside: str) -> list[EnumDecl | FlagDecl]:
    name = _new(draw, scope)
    number, keys = -1, list[EnumKey]()
    for key in draw(st.lists(st.sampled_from(STEMS), min_size=1, max_size=5, unique=True)):
        number = draw(st.one_of(st.just(number + 1), st.integers(-(2**31), 2**31 - 9)))
        keys.append(EnumKey(key, number))
    scoped = not scope.qt5 and draw(st.booleans())
    base = "" if scope.qt5 else draw(st.sampled_from(BASES))
    found: list[EnumDecl | FlagDecl] = [EnumDecl(name, tuple(keys), scoped, base, draw(DOCS))]
    names = [name]
    if not scope.qt5 and draw(st.booleans()):
        names.append(_new(draw, scope))
        found.append(FlagDecl(names[1], name, draw(DOCS)))
    if inside:
        scope.own += names
    else:
        scope.types += [f"{name}Enum::{one}" for one in names]
    return found


def _type(draw: Draw, scope: _Scope, *, plain: bool = False) -> str:
    known = [*scope.types, *scope.own]
    if scope.wild:
        known += ["Later", "w7", "a::b::w7", *(f"{one}::{other}" for one in scope.classes[:2] for other in known[:2])]
    atoms = st.one_of(st.sampled_from(BUILTIN), st.sampled_from(known)) if known else st.sampled_from(BUILTIN)
    text: str = draw(atoms)
    if draw(st.integers(0, 3)) == 0:
        text = draw(st.sampled_from(CONTAINERS)).format(text, draw(st.sampled_from(("int", "QString"))))
    return text.replace(" ", "") if plain else text


@st.composite
def _pods(draw: Draw, scope: _Scope) -> Pod:
    name = _new(draw, scope)
    types: list[EnumDecl | FlagDecl] = []
    if not scope.qt5 and draw(st.booleans()):
        types = draw(_enums(scope, name))
    names = draw(st.lists(st.sampled_from(STEMS), min_size=1, max_size=4, unique=True))
    fields = tuple(PodField(_field_type(draw, scope, braces=bool(types)), one) for one in names)
    scope.own = []
    scope.types.append(name)
    return Pod(name, fields, tuple(types), doc=draw(DOCS))


def _field_type(draw: Draw, scope: _Scope, *, braces: bool) -> str:
    """A type for a field: between braces repc reads no blanks and no colons."""
    text = _type(draw, scope, plain=braces)
    return "int" if braces and ":" in text else text


@st.composite
def _classes(draw: Draw, scope: _Scope) -> ClassDecl:
    name = _new(draw, scope)
    members: list[Inner] = []
    names = draw(st.lists(st.sampled_from(STEMS), max_size=7, unique=True))
    for kind in draw(st.lists(st.sampled_from("e"), max_size=2)):
        members += draw(_enums(scope, kind and name))
    members += [draw(_members(scope, one)) for one in names]
    scope.own = []
    scope.classes.append(name)
    return ClassDecl(name, tuple(members), doc=draw(DOCS))


@st.composite
def _members(draw: Draw, scope: _Scope, name: str) -> Inner:
    kind, doc = draw(st.sampled_from("pppsslmc")), draw(DOCS)
    if kind == "s":
        return SignalDecl(name, draw(_parameters(scope)), doc)
    if kind == "l":
        result = draw(st.one_of(st.just("void"), st.just("int  "), st.builds(lambda: _type(draw, scope))))
        return SlotDecl(name, draw(_parameters(scope)), result, doc)
    if kind == "m":
        roles = draw(st.lists(WORDS, min_size=1, max_size=3, unique=True))
        return ModelDecl(name, tuple(roles), doc)
    if kind == "c" and scope.classes:
        return ChildDecl(name, draw(st.sampled_from(scope.classes)), doc)
    modifier = draw(st.sampled_from(Modifier))
    return PropDecl(_type(draw, scope), name, draw(st.sampled_from(DEFAULTS)), modifier, draw(st.booleans()), doc)


@st.composite
def _parameters(draw: Draw, scope: _Scope) -> tuple[ParameterDecl, ...]:
    names = draw(st.lists(st.sampled_from(("", *STEMS, "level=3", 'why="x"')), max_size=4, unique=True))
    return tuple(ParameterDecl(_type(draw, scope), name, draw(st.booleans()), draw(st.booleans())) for name in names)
