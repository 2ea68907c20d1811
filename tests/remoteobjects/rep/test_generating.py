"""Python classes from .rep files: their signatures are repc's, checkers accept them, and they work."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings

from everywire import ModelError, Object, contract_of
from everywire.model import Kind
from everywire.remoteobjects.generating import python_source
from everywire.remoteobjects.rep.describing import rep_of
from everywire.remoteobjects.rep.names import wire_name
from everywire.remoteobjects.rep.parsing import parse
from everywire.remoteobjects.rep.signature import signature_of, signatures, unnamed
from everywire.remoteobjects.rep.tree import EnumDecl, FlagDecl, PropDecl, Rep, SignalDecl, SlotDecl
from tests.harness import soak
from tests.remoteobjects.rep.repc import CORPUS, FILES
from tests.remoteobjects.rep.trees import reps

ROOT = Path(__file__).resolve().parents[3]
TOOLS = Path(sys.executable).parent
_NUMBERS = itertools.count()


def imported(source: str) -> ModuleType:
    """The generated module."""
    module = ModuleType(f"made_from_rep_{next(_NUMBERS)}")
    sys.modules[module.__name__] = module
    exec(compile(source, f"{module.__name__}.py", "exec", dont_inherit=True), vars(module))
    return module


def made(rep: Rep) -> dict[str, type[Object]]:
    """The generated classes by name, in the order of the file."""
    module = imported(python_source(rep, "it.rep"))
    return {declared.name: getattr(module, declared.name) for declared in rep.classes}


def made_of(text: str) -> Any:
    """The one generated class."""
    (cls,) = made(parse(text)).values()
    return cls


def check_signatures(rep: Rep) -> None:
    classes = made(rep)
    for qt5 in (False, True):
        told = {name: signature_of(contract_of(cls), qt5=qt5) for name, cls in classes.items()}
        assert told == signatures(rep, qt5=qt5)


# --------------------------------------------------------------------------------------------------------------- laws
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_generated_classes_have_the_signatures_of_their_file(file: Path) -> None:
    check_signatures(parse(file.read_text()))


@pytest.mark.timeout(900)
@settings(max_examples=soak(40, 2000))
@given(reps())
def test_every_file_becomes_classes_of_the_same_signatures(rep: Rep) -> None:
    check_signatures(rep)


@pytest.mark.timeout(900)
@settings(max_examples=soak(40, 2000))
@given(reps())
def test_members_keep_their_names_and_order_at_qt(rep: Rep) -> None:
    told = {declared.name: declared for declared in rep.classes}
    for name, cls in made(rep).items():
        contract = contract_of(cls)
        names = [wire_name(member) for member in contract.members.values()]
        assert names == [member.name for member in told[name].members if not is_type(member)]
        again = {one.name: one for one in rep_of(contract).classes}[name]
        assert [plain(m) for m in again.members if not is_type(m)] == [
            plain(m) for m in told[name].members if not is_type(m)
        ]


def is_type(member: object) -> bool:
    return isinstance(member, (EnumDecl, FlagDecl))


def plain(member: Any) -> object:
    """A declaration as a contract gives it back: without default, and with names for all parameters."""
    if isinstance(member, PropDecl):
        return replace(member, default="")
    if not isinstance(member, (SignalDecl, SlotDecl)):
        return member
    numbers = itertools.count(1)
    named = (replace(one, name=one.name or unnamed(next(numbers))) for one in member.parameters)
    return replace(member, parameters=tuple(named))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_same_file_gives_the_same_text(file: Path) -> None:
    assert python_source(parse(file.read_text())) == python_source(parse(file.read_text()))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("checker", ["mypy", "pyright", "ruff"])
def test_type_checkers_accept_what_is_generated(checker: str, tmp_path: Path) -> None:
    for file in FILES:
        (tmp_path / f"made_{file.stem}.py").write_text(python_source(parse(file.read_text()), file.name))
    (tmp_path / "use.py").write_text(USE)
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": [f"{ROOT}/src"]})
    )
    files = sorted(map(str, tmp_path.glob("made_*.py")))
    commands = {
        "mypy": ["mypy", "--strict", "--cache-dir", tmp_path / "cache", tmp_path],
        "pyright": ["pyright", "--pythonpath", sys.executable, "-p", tmp_path],
        "ruff": ["ruff", "check", "--isolated", "--no-cache", "--line-length=120", "--target-version=py311",
                 "--select=E,F,W,I,UP,B,PIE,RUF,SIM,RET", *files],
    }  # fmt: skip
    name, *rest = commands[checker]
    done = subprocess.run(
        [TOOLS / name, *rest],
        cwd=ROOT if checker == "mypy" else tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MYPYPATH": f"{ROOT}/src"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


USE = """
from __future__ import annotations

from typing import assert_type

from made_children import Car, Engine
from made_pods import Pods, Point2, Series

from everywire import connect


class Mine(Pods):
    async def all(self) -> list[Series]:
        return []


async def use() -> None:
    async with connect("local:it", "car", Car) as car:
        engine = car.engine
        assert_type(engine, Engine | None)
        if engine is not None:
            assert_type(engine.speed, float)
            await engine.start()
    async with connect("local:it", "pods", Pods) as pods:
        assert_type(pods.origin, Point2)
        assert_type(pods.outline, list[Point2])
        assert_type(await pods.find("a", Point2(x_pos=1, y_pos=2)), Series)
"""


# -------------------------------------------------------------------------------------------------------------- names
def test_names_are_words_with_underscores_and_come_back() -> None:
    strange = made_of(
        "class Foo { PROP(int setPoint) PROP(int HTTPServer) PROP(int snake_case) PROP(int async) PROP(int _x) }"
    )
    members = contract_of(strange).members
    assert {name: wire_name(member) for name, member in members.items()} == {
        "set_point": "setPoint",
        "http_server": "HTTPServer",
        "snake_case": "snake_case",
        "async_": "async",
        "x": "_x",
    }
    assert [member.marks != () for member in members.values()] == [False, True, True, False, True]


def test_names_of_marks_and_digits_become_words() -> None:
    cls = made_of("class Foo { PROP(int _2d) PROP(int __) SLOT(void _3(int _4)) }")
    assert list(contract_of(cls).members) == ["member_2d", "member", "member_3"]
    assert [wire_name(member) for member in contract_of(cls).members.values()] == ["_2d", "__", "_3"]
    check_signatures(parse("class Foo { PROP(int _2d) PROP(int __) SLOT(void _3(int _4)) }"))


def test_a_pod_that_is_nothing_but_a_scope_has_its_types() -> None:
    module = imported(
        python_source(parse("POD Bar { ENUM Mode {a, b} } class Foo { PROP(Bar bar) PROP(Bar::Mode mode) }"))
    )
    assert module.Foo().bar == module.Bar()
    assert module.Foo().mode is module.Mode.a


def test_members_of_one_name_get_numbers() -> None:
    cls = made_of("class Foo { PROP(int x) SIGNAL(go()) SIGNAL(go(int a)) SLOT(void pushX(int y)) SLOT(void Go()) }")
    assert list(contract_of(cls).members) == ["x", "go", "go_2", "push_x_2", "go_3"]


def test_keys_that_python_cannot_have_get_an_underscore() -> None:
    module = imported(python_source(parse((CORPUS / "names.rep").read_text())))
    assert list(module.Words.__members__) == [
        "None__2", "True_", "lambda_", "name_", "value_", "mro_", "hidden_", "x_", "None_",
    ]  # fmt: skip
    (declared,) = [item for item in rep_of(module.preset_).items if getattr(item, "name", "") == "Words"]
    assert [key.name for key in declared.keys] == [  # type: ignore[union-attr]
        "None", "True", "lambda", "name", "value", "mro", "_hidden", "__x", "None_",
    ]  # fmt: skip


def test_enums_of_one_name_in_two_classes_are_told_apart() -> None:
    text = "class Foo { ENUM State {a} PROP(State it) } class Bar { ENUM State {b} PROP(State it) }"
    module = imported(python_source(parse(text)))
    assert list(module.State.__members__) == ["a"]
    assert list(module.BarState.__members__) == ["b"]
    check_signatures(parse(text))


@pytest.mark.parametrize(
    "text,message",
    [
        ("class None {}", "'None' is a word of Python's own"),
        ("class Foo { CLASS pump(Pump) }", "line 1: CLASS pump(Pump): there is no class Pump in this file"),
        ("class Foo {} class Foo {}", "declared twice: Foo"),
        ("POD Foo(int x) class Foo {}", "declared twice: Foo"),
    ],
)
def test_what_python_cannot_have_is_refused(text: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        python_source(parse(text))
    assert message in str(caught.value)


# ----------------------------------------------------------------------------------------------------- values and words
@pytest.mark.parametrize(
    "declared,value",
    [
        ("int x=-12", -12),
        ("int x=0x1F", 31),
        ("int x=010", 8),
        ("uint x=5u", 5),
        ("quint8 x=300", 0),
        ("double x=1.5f", 1.5),
        ("double x=2", 2.0),
        ("bool x=true", True),
        ("bool x=1", False),
        (r'QString x="a\"\051\n"', 'a")\n'),
        ('QByteArray x="a"', b"a"),
        ('QUrl x="qrc:/a"', "qrc:/a"),
        ("QChar x='y'", "y"),
        ("QChar x", "\0"),
        ("char x='y'", 121),
        ("QVariant x=7", 7),
        ("QString x=Foo::bar", ""),
        ("QStringList x", []),
        ("QDate x", None),
        ("QPoint x", None),
    ],
)
def test_defaults_are_values_where_they_mean_something_here(declared: str, value: object) -> None:
    cls = made_of(f"class Foo {{ PROP({declared}) }}")
    if declared == "QPoint x":
        assert (cls().x.x, cls().x.y) == (0, 0)
    else:
        assert cls().x == value
        assert type(cls().x) is type(value)


def test_a_default_that_means_nothing_here_stays_as_a_comment() -> None:
    source = python_source(parse("class Foo { PROP(QColor x=Qt::red) }"))
    assert "    # In C++ the default is Qt::red\n    x: " in source


def test_an_enum_has_its_default_by_any_spelling() -> None:
    text = "ENUM Mode {a, b} class Foo {{ ENUM Own {{ c, d }} PROP({} x={}) }}"
    for kind, default, name in (("ModeEnum::Mode", "ModeEnum::b", "b"), ("Own", "d", "d"), ("Own", "Own::d", "d")):
        source = text.replace("{a, b}", "{{a, b}}").format(kind, default)
        assert made_of(source)().x.name == name


def test_comments_are_docstrings() -> None:
    members = ("// Its \\heat.", "PROP(int x)", "// Goes.", "SLOT(void go())", "// Gone", "SIGNAL(gone())")
    cls = made_of("\n".join(('// A "heater".', "class Foo {", *members, "}")))
    contract = contract_of(cls)
    assert contract.doc == 'A "heater".'
    assert [member.doc for member in contract.members.values()] == ["Its \\heat.", "Goes.", "Gone"]


def test_modifiers_say_who_may_write() -> None:
    cls = made_of(
        "class Foo { PROP(int a1) PROP(int a2 READONLY) PROP(int a3 READWRITE) PROP(int a4 CONSTANT, PERSISTED)"
        " PROP(int a5 SOURCEONLYSETTER) }"
    )
    members = contract_of(cls).of_kind(Kind.PROPERTY)
    assert [member.writable for member in members] == [True, False, True, False, False]
    assert [list(map(repr, member.marks)) for member in members] == [
        [],
        [],
        ["<Modifier.READWRITE: 3>"],
        ["<Modifier.CONSTANT: 0>", "Persisted()"],
        ["<Modifier.SOURCEONLYSETTER: 4>"],
    ]
