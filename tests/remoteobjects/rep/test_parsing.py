"""The grammar of .rep files: what is read, what is printed and read again, and errors that show the place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire import ModelError
from everywire.remoteobjects import RepError
from everywire.remoteobjects.generating import python_source
from everywire.remoteobjects.rep.marks import CONSTANT, READONLY, READPUSH, READWRITE, SOURCEONLYSETTER
from everywire.remoteobjects.rep.parsing import parse
from everywire.remoteobjects.rep.printing import print_rep
from everywire.remoteobjects.rep.texts import quoted, unquoted, without_comments
from everywire.remoteobjects.rep.tree import (
    ChildDecl,
    ClassDecl,
    Directive,
    EnumDecl,
    EnumKey,
    FlagDecl,
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
from tests.harness import unmeasured
from tests.remoteobjects.rep.repc import CORPUS, FILES
from tests.remoteobjects.rep.trees import reps


def members_of(body: str) -> tuple[object, ...]:
    (declared,) = parse(f"class Foo\n{{\n{body}\n}};\n").classes
    return declared.members


def corpus(name: str) -> Rep:
    return parse((CORPUS / f"{name}.rep").read_text())


# --------------------------------------------------------------------------------------------------------------- laws
@pytest.mark.timeout(600)
@given(reps(wild=True))
def test_what_is_printed_is_read_as_the_same_tree(rep: Rep) -> None:
    assert parse(print_rep(rep)) == rep


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_printed_file_is_in_its_one_form(file: Path) -> None:
    rep = parse(file.read_text())
    assert parse(print_rep(rep)) == rep
    assert print_rep(parse(print_rep(rep))) == print_rep(rep)


@pytest.mark.timeout(600)
@given(st.text(st.sampled_from('class PODENUMFLAGfoo{}()<>,;=&#/*"\n\t 01x-_:\\é\x00'), max_size=80))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    check_survives(text)


@pytest.mark.timeout(600)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_with_its_place(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(FILES)).read_text()
    place = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 12))
    check_survives(
        text[:place] + data.draw(st.sampled_from(("", "(", "}", ",", "<", '"', "//", "/*"))) + text[place + cut :]
    )


def check_survives(text: str) -> None:
    try:
        rep = parse(text, "it.rep")
    except RepError as error:
        wrong = error
    else:
        assert parse(print_rep(rep)) == rep
        return
    assert str(wrong).startswith(f"it.rep:{wrong.line}:{wrong.column}: ")
    assert 1 <= wrong.line <= text.count("\n") + 1
    assert str(wrong).endswith("^")


@pytest.mark.timeout(600)
@given(st.text())
def test_a_text_in_quotes_comes_back_and_has_nothing_that_repc_stops_at(value: str) -> None:
    value = value.encode("utf-8", "replace").decode()
    literal = quoted(value)
    assert unquoted(literal) == value
    assert without_comments(literal) == literal
    assert ")" not in literal
    (prop,) = members_of(f"PROP(QString text={literal} READONLY)")
    assert prop == PropDecl("QString", "text", literal, READONLY)


@pytest.mark.parametrize(
    "literal,value",
    [
        ('"a"', "a"),
        (r'"\"\\\n\t\101\?"', '"\\\n\tA?'),
        (r'"\303\244"', "ä"),
        ("a", None),
        ('"', None),
        ('"a" "b"', None),
        (r'"\7"', None),
        (r'"\x41"', None),
        (r'"\377"', None),
    ],
)
def test_a_literal_of_cpp_is_read_as_far_as_it_needs_no_compiler(literal: str, value: str | None) -> None:
    assert unquoted(literal) == value


# --------------------------------------------------------------------------------------------------------- properties
def test_properties_have_types_defaults_modifiers_and_words_about_them() -> None:
    (declared,) = corpus("properties").classes
    assert declared.doc == "All that a property can be."
    found = {prop.name: prop for prop in declared.members if isinstance(prop, PropDecl)}
    assert {prop.name: prop.modifier for prop in list(found.values())[:8]} == {
        "plain": READPUSH,
        "readPush": READPUSH,
        "readOnly": READONLY,
        "readWrite": READWRITE,
        "constant": CONSTANT,
        "constantToo": CONSTANT,
        "constantAgain": CONSTANT,
        "sourceOnly": SOURCEONLYSETTER,
    }
    assert [name for name, prop in found.items() if prop.persisted] == ["constantAgain", "kept", "keptReadOnly", "text"]
    assert found["readOnly"].doc == "with a word behind it"
    assert found["number"] == PropDecl("int", "number", "-12", doc="With a default,\ntold on two lines.")
    assert found["text"].default == r'"a  text, with = and \"quotes\""'
    assert found["spread"] == PropDecl("QString", "spread", '"lines"', READONLY)
    assert (found["nested"].type, found["tight"].type) == ("QMap<QString, QList<int> >", "QMap<QString,QList<int>>")


@pytest.mark.parametrize(
    "text,expected",
    [
        ("PROP(int foo)", PropDecl("int", "foo")),
        ("  PROP  (\tint\tfoo\t)  ;", PropDecl("int", "foo")),
        ("PROP(int foo=1 CONSTANT, READONLY)", PropDecl("int", "foo", "1", CONSTANT)),
        ("PROP(int foo = 1 PERSISTED)", PropDecl("int", "foo", "1", persisted=True)),
        ("PROP(QMap<int, QList<int>> foo)", PropDecl("QMap<int, QList<int>>", "foo")),
        ('PROP(QString foo="a b"READONLY)', None),
        ("SIGNAL(foo())", SignalDecl("foo")),
        ("SIGNAL( foo (int) )", SignalDecl("foo", (ParameterDecl("int"),))),
        ("SLOT(foo())", SlotDecl("foo")),
        ("SLOT(int   foo())", SlotDecl("foo", result="int  ")),
        ("SLOT(unsigned int foo())", SlotDecl("foo", result="unsigned int")),
        ("SLOT(foo(unsigned int bar))", SlotDecl("foo", (ParameterDecl("unsigned", "intbar"),))),
        (
            "SLOT(foo(const QMap<int, int> &bar))",
            SlotDecl("foo", (ParameterDecl("QMap<int, int>", "bar", True, True),)),
        ),
        ("SLOT(foo(int a = 3))", SlotDecl("foo", (ParameterDecl("int", "a=3"),))),
        ("MODEL rows(a, b ,c)", ModelDecl("rows", ("a", "b", "c"))),
        ("CLASS pump( Pump ) ;", ChildDecl("pump", "Pump")),
        ("ENUM Foo {a, b=0x10, c, d=-1, e}", EnumDecl("Foo", tuple(map(EnumKey, "abcde", (0, 16, 17, -1, 0))))),
        ("ENUM class Foo : unsigned char { a }", EnumDecl("Foo", (EnumKey("a", 0),), True, "unsigned char")),
    ],
)
def test_members_are_read_as_repc_reads_them(text: str, expected: object) -> None:
    if expected is None:
        with pytest.raises(RepError):
            members_of(text)
    else:
        assert members_of(text) == (expected,)


def test_declarations_outside_of_classes_are_kept_in_their_order() -> None:
    text = '#include "foo.h"\nUSE_ENUM(Qt::Key)\nENUM Foo { a }\nFLAG(Foos Foo)\nPOD Bar(int x);\nclass EXPORT Baz {};'
    assert parse(text).items == (
        Directive('#include "foo.h"'),
        UseEnum("Qt::Key"),
        EnumDecl("Foo", (EnumKey("a", 0),)),
        FlagDecl("Foos", "Foo"),
        Pod("Bar", (PodField("int", "x"),)),
        ClassDecl("Baz", attribute="EXPORT"),
    )


def test_a_pod_in_braces_has_types_of_its_own() -> None:
    (reading, *_) = corpus("braces").pods
    assert [declared.name for declared in reading.types] == ["Unit", "Fault", "Faults"]
    assert [(field.type, field.name) for field in reading.fields] == [
        ("Unit", "unit"),
        ("double", "value"),
        ("QMap<QString,QList<int>>", "details"),
        ("Faults", "faults"),
    ]


def test_only_comments_right_before_or_behind_a_declaration_are_about_it() -> None:
    text = """
        // Not about Foo.

        /**
         * About Foo,
         *   in two lines.
         */
        class Foo { // about nothing
            PROP(int one) // about one
            // about two
            PROP(int two) /* and behind */
            // about nothing again
        };
        // SPDX-License-Identifier: MIT
        class Bar {}
    """
    foo, bar = parse(text).classes
    assert foo.doc == "About Foo,\nin two lines."
    assert [getattr(member, "doc", "") for member in foo.members] == ["about one", "about two\nand behind"]
    assert bar.doc == ""


def test_lines_of_windows_and_a_byte_order_mark_change_nothing() -> None:
    text = (CORPUS / "properties.rep").read_text()
    assert parse("\ufeff" + text.replace("\n", "\r\n")) == parse(text)


# ------------------------------------------------------------------------------------------------------------- errors
ERRORS = [
    ("class Foo\n{\n    PROP(int bar READWRTE)\n};", 3, 18, "did you mean READWRITE"),
    ("class Foo {\n PROP(int bar READWRITE, READONLY)\n}", 2, 26, "exclude each other"),
    ("class Foo {\n PROP(int bar READONLY PERSISTED)\n}", 2, 15, "separated by commas: READONLY, PERSISTED"),
    ("class Foo {\n PROP(int)\n}", 2, 7, "a type and a name"),
    ("class Foo {\n PROP(int int foo)\n}", 2, 15, "'foo' is nothing that a property can be"),
    ("class Foo {\n PROP(QPoint p=QPoint(1,2))\n}", 2, 22, "no parentheses"),
    ('class Foo {\n PROP(QUrl p="http://x")\n}', 2, 14, r"write \051, and \057"),
    ("class Foo {\n PROP(int foo\n", 2, 7, "PROP does not end"),
    ("class Foo {\n PROP(int foo=)\n}", 2, 14, "expected a value"),
    ("class Foo {\n PROP(QObject *foo)\n}", 2, 15, "pointer"),
    ("class Foo {\n PROP(int foo-bar)\n}", 2, 11, "letters, digits"),
    ("class Foo {\n Prop(int foo)\n}", 2, 2, "did you mean PROP"),
    ("class Foo {\n int foo;\n}", 2, 2, "in a class there are PROP, SIGNAL"),
    ("class Foo {\n class Bar {}\n}", 2, 2, "class cannot be declared in a class"),
    ("class Foo {\n POD Bar(int x)\n}", 2, 2, "POD cannot be declared in a class"),
    ("class Foo {\n #include <x>\n}", 2, 2, "outside of classes"),
    ("class Foo {\n", 2, 1, "does not end"),
    ("class Foo\n", 2, 1, "expected '{' after 'class Foo'"),
    ("class F {}", 1, 7, "2 characters or more"),
    ("class 1 {}", 1, 7, "expected the name of a class, not '1'"),
    ("class {}", 1, 7, "expected the name of a class, not '{'"),
    ("PROP(int foo)", 1, 1, "PROP stands in a class"),
    ("CLASS foo(Foo)", 1, 1, "CLASS stands in a class"),
    ("struct Foo {}", 1, 1, "outside of classes there are class, POD"),
    ("Class Foo {}", 1, 1, "did you mean class"),
    ("POD Foo()", 1, 9, "without fields"),
    ("POD Foo(int)", 1, 9, "a type and a name"),
    ("POD Foo(int a,, int b)", 1, 14, "a type and a name"),
    ("POD Foo(int a\n", 1, 9, "POD Foo does not end"),
    ("POD Foo(ENUM Bar {a} Bar b)", 1, 9, "has braces"),
    ("POD Foo { int a; int b }", 1, 16, "separated by commas"),
    ("POD Foo { int a, }", 1, 18, "another field"),
    ("POD Foo { ENUM Bar {a}, Bar b }", 1, 23, "leave it out"),
    ("POD Foo { Qt::Key a }", 1, 13, "use parentheses"),
    ("POD Foo { int a", 1, 11, "does not end"),
    ("ENUM Foo {}", 1, 11, "expected a key of Foo"),
    ("ENUM Foo { a, }", 1, 15, "no comma after the last key"),
    ("ENUM Foo { a b }", 1, 14, "expected '}' or ',' after a"),
    ("ENUM Foo { a = 1+1 }", 1, 17, "expected '}'"),
    ("ENUM Foo { a = b }", 1, 16, "repc computes nothing"),
    ("ENUM Foo { a = 0xFFFFFFFF }", 1, 16, "does not fit an int"),
    ("ENUM Foo { a = 2147483647, b }", 1, 28, "does not fit an int"),
    ("ENUM Foo : 8bit { a }", 1, 12, "a type such as quint8"),
    ("FLAG(Foos Foo)", 1, 11, "an ENUM that stands before it"),
    ("ENUM Foo {a}\nFLAG(Bars Bar)", 2, 11, "there are Foo"),
    ("USE_ENUM()", 1, 10, "the name of an enum"),
    ("class Foo {\n SIGNAL(void foo())\n}", 2, 9, "no result"),
    ("class Foo {\n SIGNAL()\n}", 2, 9, "expected '('"),
    ("class Foo {\n SLOT((int a))\n}", 2, 7, "expected the name of a slot"),
    ("class Foo {\n SLOT(void foo(int a,,int b))\n}", 2, 16, "on both sides of each comma"),
    ("class Foo {\n SLOT(void foo(int a)\n}", 3, 1, "expected ')' at the end"),
    ("class Foo {\n SLOT(void foo(int /* a */ b))\n}", 2, 20, "no /* */"),
    ("class Foo {\n MODEL rows()\n}", 2, 13, "names of roles"),
    ("class Foo {\n CLASS pump()\n}", 2, 13, "class of the child"),
    ("/* for ever", 1, 1, "comment does not end"),
]


@pytest.mark.parametrize("text,line,column,message", ERRORS, ids=[text[:30] for text, *_ in ERRORS])
def test_an_error_names_its_place_and_says_what_to_do(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(RepError) as caught:
        parse(text, "foo.rep")
    error = caught.value
    assert message in error.message
    assert (error.line, error.column) == (line, column), str(error)
    assert str(error).startswith(f"foo.rep:{line}:{column}: ")
    assert isinstance(error, ModelError)


def test_an_error_shows_the_line_with_a_mark_below() -> None:
    with pytest.raises(RepError) as caught:
        parse("class Foo\n{\n\tPROP(int bar READWRTE)\n};", "foo.rep")
    assert str(caught.value).split("\n")[1:] == ["  \tPROP(int bar READWRTE)", "  \t             ^"]


def test_of_a_long_line_the_error_shows_what_is_near() -> None:
    with pytest.raises(RepError) as caught:
        parse(f"class Foo {{ {'PROP(int bar) ' * 100} Oops }}")
    _, shown, mark = str(caught.value).split("\n")
    assert len(shown) <= 110
    assert shown[mark.index("^") :].startswith("Oops")


def test_what_an_error_says_of_a_word_without_end_has_one() -> None:
    with pytest.raises(RepError, match="no declaration begins with") as caught:
        parse("A" * 1_000_000)
    assert len(str(caught.value)) < 1000
    assert (caught.value.line, caught.value.column) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "class Foo {" + "".join(f"ENUM En{n}{{a}} FLAG(Fl{n} En{n}) " for n in range(15_000)) + "}",
        "".join(f"ENUM En{n}{{a}}\nFLAG(Fl{n} En{n})\nclass Foo{n} {{ CLASS sub(Foo{n}) }}\n" for n in range(4_000)),
        "class Foo {" + "PROP(int bar)" * 20_000 + "}",
    ],
    ids=["flags", "classes", "one name"],
)
def test_the_time_for_a_file_grows_with_its_size_and_not_faster(text: str) -> None:
    with unmeasured():
        begun = time.process_time()
        python_source(parse(text))
        assert time.process_time() - begun < 10.0, "72 s when it grew with the square"


def test_a_large_file_is_read_in_time() -> None:
    text = "\n".join(f"class Foo{n} {{ {'PROP(int bar) ' * 20} }}" for n in range(500))
    assert len(parse(text).classes) == 500
