"""Where members stand in Qt's lists, and what is made of the lists of others."""

from __future__ import annotations

import enum
from datetime import date, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire import ModelError, Object, Property, i32, prop, signal, slot
from everywire.model import Kind, contract_of
from everywire.model.building import build_class
from everywire.model.types import (
    ANY,
    BOOL,
    DATE,
    DATETIME,
    STR,
    DictOf,
    EnumType,
    Float,
    Int,
    ListOf,
    OptionalOf,
    TupleOf,
)
from everywire.remoteobjects.codec import (
    ClassDefinition,
    EnumDef,
    GadgetDef,
    MethodDef,
    PropertyDef,
    SignalDef,
    encode_definition,
)
from everywire.remoteobjects.wire.layout import (
    MOST_OVERLOADS,
    Layout,
    adapt,
    definition_of,
    enum_type,
    layout_of,
    loosened,
    push_name,
    read_definition_of,
    wire_name,
)
from everywire.remoteobjects.wire.typenames import Foreign, Nullable
from everywire.runtime.matching import differences
from tests.remoteobjects.samples import Mode, Reading, Thermostat


class Tiny(Object):
    on: Property[bool] = prop(False, writable=True)

    @signal
    def hot(self, degrees: i32) -> None: ...

    @slot
    async def name(self) -> str:
        return ""


TINY: Final = bytes.fromhex(
    # In the order of section 6 of the wire's reference: QString, then lists; texts in between are QByteArrays.
    "0800 0000 5400 6900 6e00 7900"  # "Tiny"
    "0000 0000  0000 0000  0000 0000"  # no enums, no Qt enums, no gadgets
    "0200 0000"  # signals
    "0f00 0000 6f6e4368616e67656428626f6f6c29 0100 0000 0200 0000 6f6e"  # onChanged(bool): on
    "0800 0000 686f7428696e7429 0100 0000 0700 0000 64656772656573"  # hot(int): degrees
    "0200 0000"  # methods
    "0c00 0000 707573684f6e28626f6f6c29 0400 0000 766f6964 0100 0000 0200 0000 6f6e"  # pushOn(bool) void: on
    "0600 0000 6e616d652829 0700 0000 51537472696e67 0000 0000"  # name() QString
    "0100 0000"  # properties; name and type carry their NUL
    "0300 0000 6f6e00 0500 0000 626f6f6c00 0f00 0000 6f6e4368616e67656428626f6f6c29"
)


def test_a_class_definition_is_byte_for_byte_what_qt_writes() -> None:
    assert encode_definition(definition_of(contract_of(Tiny)), order="<") == TINY


def test_indices_follow_the_order_of_repc() -> None:
    assert layout_of(contract_of(Thermostat)) == Layout(
        properties={"set_point": 0, "current": 1, "mode": 2, "anything": 3, "error": 4},
        notifies={"set_point": 0, "current": 1, "mode": 2, "anything": 3, "error": 4},
        signals={"over_heated": 5, "ticked": 6},
        pushes={"set_point": 0, "mode": 1},
        slots={"boost": 2, "read": 3, "stop": 4},
    )


def test_a_class_definition_has_only_types_that_every_qt_knows() -> None:
    assert definition_of(contract_of(Thermostat)) == ClassDefinition(
        type_name="Thermostat",
        signals=(
            SignalDef("setPointChanged(double)", ("setPoint",)),
            SignalDef("currentChanged(double)", ("current",)),
            SignalDef("modeChanged(int)", ("mode",)),
            SignalDef("anythingChanged(QVariant)", ("anything",)),
            SignalDef("errorChanged(double)", ("error",)),
            SignalDef("overHeated(double,QString)", ("celsius", "sensor")),
            SignalDef("ticked()"),
        ),
        methods=(
            MethodDef("pushSetPoint(double)", "void", ("setPoint",)),
            MethodDef("pushMode(int)", "void", ("mode",)),
            MethodDef("boost(uchar)", "int", ("minutes",)),
            MethodDef("read(QStringList)", "QVariantMap", ("sensorNames",)),
            MethodDef("stop()", "void"),
        ),
        properties=(
            PropertyDef("setPoint", "double", "setPointChanged(double)"),
            PropertyDef("current", "double", "currentChanged(double)"),
            PropertyDef("mode", "int", "modeChanged(int)"),
            PropertyDef("anything", "QVariant", "anythingChanged(QVariant)"),
            PropertyDef("error", "double", "errorChanged(double)"),
        ),
    )


def test_our_own_definition_reads_back_as_the_same_members_at_the_same_places() -> None:
    ours = contract_of(Thermostat)
    theirs, layout = read_definition_of(definition_of(ours), "hall")
    assert layout == layout_of(ours)
    assert theirs.name == "Thermostat"
    assert [name for name in ours.members if name != "forecast"] == list(theirs.members)
    assert [m.kind for m in ours.members.values() if not m.stream] == [m.kind for m in theirs.members.values()]


@pytest.mark.parametrize("prop_name,method", [("x", "pushX"), ("URL", "pushURL"), ("my_prop", "pushMy_prop")])
def test_only_the_first_letter_of_a_push_method_differs_from_its_property(prop_name: str, method: str) -> None:
    assert push_name(prop_name) == method
    definition = ClassDefinition(properties=(PropertyDef(prop_name, "int"),), methods=(MethodDef(f"{method}(int)"),))
    contract, layout = read_definition_of(definition, "x")
    (python,) = contract.members
    assert layout.pushes == {python: 0}


def test_names_of_a_foreign_class_become_snake_case_and_keep_the_original() -> None:
    contract, _ = read_definition_of(
        ClassDefinition(
            properties=(PropertyDef("HTTPPort", "int"),),
            signals=(SignalDef("overHeated(double)", ("maxTemp",)),),
            methods=(MethodDef("startPump(int,int)", "", ("class", "")),),
        ),
        "boiler room",
    )
    assert {name: wire_name(member) for name, member in contract.members.items()} == {
        "http_port": "HTTPPort",
        "over_heated": "overHeated",
        "start_pump": "startPump",
    }
    assert [p.name for p in contract.members["over_heated"].parameters] == ["max_temp"]
    assert [p.name for p in contract.members["start_pump"].parameters] == ["argument_0", "argument_1"]


def test_parameters_with_one_name_all_stay() -> None:
    names = ("argument_1", "argument_1", "argument_1_")
    definition = ClassDefinition(methods=(MethodDef("f(int,bool,QString)", "", names),))
    parameters = read_definition_of(definition, "x")[0].members["f"].parameters
    assert [p.type for p in parameters] == [Int(32), BOOL, STR]
    assert len({p.name for p in parameters}) == 3


def test_overloads_and_clones_get_a_number() -> None:
    methods = tuple(MethodDef(f"setMode({types})") for types in ("int", "", "QString"))
    contract, layout = read_definition_of(ClassDefinition(methods=methods), "x")
    assert layout.slots == {"set_mode": 0, "setMode": 1, "set_mode_2": 2}
    assert [len(member.parameters) for member in contract.members.values()] == [1, 0, 1]


def test_a_method_called_push_belongs_to_a_property_only_with_one_argument() -> None:
    methods = (MethodDef("pushX()"), MethodDef("pushX(int)"), MethodDef("pushY(int)"))
    contract, layout = read_definition_of(
        ClassDefinition(properties=(PropertyDef("x", "int"),), methods=methods), "thing"
    )
    assert layout.pushes == {"x": 1}
    assert layout.slots == {"push_x": 0, "push_y": 2}
    assert list(contract.members) == ["x", "push_x", "push_y"]


def test_a_notify_signal_of_two_properties_is_listed_once_for_each() -> None:
    definition = ClassDefinition(
        properties=(PropertyDef("low", "int", "moved()"), PropertyDef("high", "int", "moved()")),
        signals=(SignalDef("moved()"), SignalDef("moved()"), SignalDef("moved()")),
    )
    contract, layout = read_definition_of(definition, "x")
    assert layout.notifies == {"low": 0, "high": 1}
    assert layout.signals == {"moved": 2}
    assert list(contract.members) == ["low", "high", "moved"]


def test_a_notify_signal_is_known_by_its_name_whatever_its_parameters() -> None:
    definition = ClassDefinition(
        properties=(PropertyDef("pts", "QtROSequentialContainer", "ptsChanged(QList<Pt>)"),),
        signals=(SignalDef("ptsChanged(QtROSequentialContainer)"),),
    )
    contract, layout = read_definition_of(definition, "x")
    assert layout.notifies == {"pts": 0}
    assert contract.members["pts"].type == Foreign("QList<Pt>"), "what the property itself does not say"


def test_template_arguments_do_not_split_a_parameter() -> None:
    definition = ClassDefinition(methods=(MethodDef("f(QMap<QString,int>,bool)", "QList<QPair<int,int>>"),))
    member = read_definition_of(definition, "x")[0].members["f"]
    assert [p.type for p in member.parameters] == [DictOf(STR, Int(32)), BOOL]
    assert member.result == ListOf(TupleOf((Int(32), Int(32))))


@pytest.mark.parametrize("result,node", [("", None), ("void", None), ("QVariant", ANY), ("QDate", Nullable(DATE))])
def test_a_method_without_a_type_has_no_result(result: str, node: object) -> None:
    definition = ClassDefinition(methods=(MethodDef("f()", result),))
    assert read_definition_of(definition, "x")[0].members["f"].result == node


MODE: Final = EnumDef("Mode", is_flag=False, is_scoped=True, size=4, keys=(("Off", 0), ("None", 3)))
ACCESS: Final = EnumDef("Access", is_flag=True, is_scoped=False, size=4, keys=(("Read", 1), ("All", -1)))


def test_enums_and_flags_become_python_ones() -> None:
    properties = tuple(PropertyDef(f"p{n}", name) for n, name in enumerate(("Mode", "Demo::Mode", "Access")))
    definition = ClassDefinition("Demo", enums=(MODE, ACCESS), properties=properties)
    modes, qualified, access = (m.type for m in read_definition_of(definition, "x")[0].members.values())
    assert isinstance(modes, EnumType)
    assert isinstance(access, EnumType)
    assert qualified == modes
    assert {m.name: m.value for m in modes.cls} == {"Off": 0, "None": 3}
    assert issubclass(access.cls, enum.IntFlag)
    assert access.from_int(-1) == access.cls["All"]


def test_a_flag_with_only_zero_is_a_number() -> None:
    none = EnumDef("Nothing", is_flag=True, is_scoped=False, size=4, keys=(("None", 0),))
    definition = ClassDefinition(enums=(none,), properties=(PropertyDef("x", "Nothing"),))
    assert read_definition_of(definition, "x")[0].members["x"].type == Int(32)


@pytest.mark.parametrize("keys", [(), (("mro", 1),), (("__init__", 1),), (("to_bytes", 1),), (("a b", 1),), (("", 1),)])
def test_an_enum_that_python_cannot_have_is_a_number(keys: tuple[tuple[str, int], ...]) -> None:
    definition = ClassDefinition(
        enums=(EnumDef("Odd", is_flag=False, is_scoped=False, size=4, keys=keys),),
        properties=(PropertyDef("odd", "Odd"),),
    )
    assert read_definition_of(definition, "x")[0].members["odd"].type == Int(32)


def test_no_name_of_a_foreign_class_reaches_what_belongs_to_the_object() -> None:
    names = ("everywire", "_everywire", "__class__", "__init__", "_write", "init", "class", "", "a b", "_", "__new__")
    definition = ClassDefinition(
        properties=tuple(PropertyDef(name, "int") for name in names),
        signals=tuple(SignalDef(f"{name}()") for name in names),
        methods=tuple(MethodDef(f"{name}()") for name in names),
    )
    contract, layout = read_definition_of(definition, "x")
    assert len(contract.members) == 3 * len(names)
    assert not [name for name in contract.members if name.startswith("_")]
    assert sorted(layout.properties.values()) == list(range(len(names)))
    cls = build_class(contract)
    assert cls.__init__ is Object.__init__
    assert cls._write is Object._write


def test_thousands_of_overloads_are_read_in_no_time() -> None:
    methods = tuple(MethodDef(f"f({'int,' * (n % 5)}int)") for n in range(4000))
    contract, layout = read_definition_of(ClassDefinition(methods=methods), "x")
    assert len(contract.members) == len(layout.slots) == MOST_OVERLOADS


ODD: Final = ["x", "_x", "_", "pushX", "xChanged", "class", "__class__", "f(int)", "f(", "<"]
texts = st.text(max_size=8) | st.sampled_from(ODD)
lists = st.lists(texts, max_size=3).map(tuple)
definitions = st.builds(
    ClassDefinition,
    type_name=st.none() | texts,
    enums=st.lists(
        st.builds(
            EnumDef,
            name=texts,
            is_flag=st.booleans(),
            is_scoped=st.booleans(),
            size=st.integers(0, 9),
            keys=st.lists(st.tuples(texts, st.integers(-(2**31), 2**31 - 1)), max_size=3).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    qt_enums=lists,
    gadgets=st.just((GadgetDef("Pt", (("x", "int"),)),)),
    signals=st.lists(st.builds(SignalDef, texts, lists), max_size=3).map(tuple),
    methods=st.lists(st.builds(MethodDef, texts, texts, lists), max_size=3).map(tuple),
    properties=st.lists(st.builds(PropertyDef, texts, texts, st.none() | texts), max_size=3).map(tuple),
)


@given(definitions, st.lists(st.none() | st.integers() | st.text(), max_size=3).map(tuple))
def test_whatever_a_host_announces_makes_a_class_with_every_member_once(
    definition: ClassDefinition, values: tuple[Any, ...]
) -> None:
    contract, layout = read_definition_of(definition, "thing")
    built = build_class(loosened(contract, layout, values))
    assert set(built.__everywire_declared__) == set(contract.members)
    assert list(layout.properties.values()) == list(range(len(definition.properties)))
    placed = [*layout.notifies.values(), *layout.signals.values()]
    assert sorted(placed) == list(range(len(definition.signals)))
    assert len(layout.slots) == sum(member.kind is Kind.SLOT for member in contract.members.values())


# A class of ours against what a host offers.


class Wanted(Object):
    set_point: Property[float] = prop(0.0, writable=True)

    @signal
    def moved(self, far: float) -> None: ...

    @slot
    async def start(self, speed: int) -> None: ...


def offered(*methods: str) -> tuple[Any, Layout]:
    return read_definition_of(
        ClassDefinition(
            properties=(PropertyDef("other", "int"), PropertyDef("setPoint", "double")),
            signals=(SignalDef("moved(double)"),),
            methods=tuple(map(MethodDef, methods)),
        ),
        "x",
    )


def test_members_are_matched_by_what_qt_calls_them() -> None:
    wanted = contract_of(Wanted)
    contract, layout = adapt(wanted, *offered("pushSetPoint(double)", "start(int)"), exact=False)
    assert list(contract.members) == ["set_point", "moved", "start"]
    assert layout == Layout({"set_point": 1}, {}, {"moved": 0}, {"set_point": 0}, {"start": 1})
    assert differences(wanted, contract) == ()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_of_overloads_the_one_that_fits_is_taken(place: int) -> None:
    methods = ["start()", "start(QString)"]
    methods.insert(place, "start(qlonglong)")
    wanted = contract_of(Wanted)
    contract, layout = adapt(wanted, *offered(*methods), exact=False)
    assert layout.slots == {"start": place}
    assert differences(wanted, contract) == ()


def test_overloads_of_a_built_class_find_themselves_again() -> None:
    methods = ("start(Foo)", "start(Bar)", "start(int)")
    contract, layout = offered(*methods)
    assert adapt(contract, contract, layout, exact=False)[1] == layout


def test_a_member_of_another_kind_is_a_difference_not_a_match() -> None:
    definition = ClassDefinition(methods=(MethodDef("setPoint()", "double"), MethodDef("start(int)")))
    contract, layout = adapt(contract_of(Wanted), *read_definition_of(definition, "x"), exact=False)
    found = differences(contract_of(Wanted), contract)
    assert [line.partition(" ")[0] for line in found] == ["expected", "signal"]
    assert layout.properties == {}


class Strict(Object):
    when: Property[datetime] = prop(datetime(2024, 1, 1))  # noqa: DTZ001

    @slot
    async def next(self, day: date) -> datetime:
        raise NotImplementedError


class Loose(Object):
    when: Property[datetime | None] = prop(None)

    @slot
    async def next(self, day: date | None) -> datetime | None:
        raise NotImplementedError


def test_a_date_that_may_be_null_is_what_the_class_says() -> None:
    definition = ClassDefinition(
        properties=(PropertyDef("when", "QDateTime"),), methods=(MethodDef("next(QDate)", "QDateTime"),)
    )
    theirs, layout = read_definition_of(definition, "x")
    assert str(theirs.members["when"]) == "when: datetime | None (writable)"
    strict = adapt(contract_of(Strict), theirs, layout, exact=False)[0]
    assert differences(contract_of(Strict), strict) == ()
    assert strict.members["when"].type == DATETIME
    loose = adapt(contract_of(Loose), theirs, layout, exact=False)[0]
    assert differences(contract_of(Loose), loose) == ()
    assert loose.members["when"].type == Nullable(DATETIME)


class Rich(Object):
    mode: Property[Mode] = prop(Mode.OFF)
    reading: Property[Reading] = prop(Reading(0.0, ""))
    span: Property[timedelta] = prop(timedelta())
    pair: Property[tuple[int, str]] = prop((0, ""))


def test_what_qt_cannot_announce_stands_for_what_it_travels_as_but_not_between_everywire_peers() -> None:
    wanted = contract_of(Rich)
    announced = read_definition_of(definition_of(wanted), "rich")
    assert [member.type.name for member in announced[0].members.values()] == [
        "i32",
        "dict[str, Any]",
        "i64",
        "list[Any]",
    ]
    assert differences(wanted, adapt(wanted, *announced, exact=False)[0]) == ()
    assert len(differences(wanted, adapt(wanted, *announced, exact=True)[0])) == 4


def test_a_present_value_that_does_not_fit_makes_the_property_loose() -> None:
    definition = ClassDefinition(
        enums=(MODE,), properties=(PropertyDef("mode", "Mode"), PropertyDef("level", "double"), PropertyDef("x", "int"))
    )
    contract, layout = read_definition_of(definition, "x")
    types = [member.type for member in loosened(contract, layout, (None, 1.5)).members.values()]
    assert types == [ANY, Float(), ANY]
    assert OptionalOf(DATE) != Nullable(DATE)


@pytest.mark.parametrize(
    "definition",
    [
        ClassDefinition(methods=tuple(MethodDef(f"m{n}()") for n in range(5000))),
        ClassDefinition(methods=(MethodDef(f"m({','.join(['int'] * 300)})"),)),
    ],
)
def test_a_class_larger_than_any_real_one_is_refused_before_it_costs_time(definition: ClassDefinition) -> None:
    with pytest.raises(ModelError, match="are the most"):
        read_definition_of(definition, "hall")


def test_members_of_one_name_are_left_out_when_they_are_too_many_to_compare() -> None:
    definition = ClassDefinition(
        methods=(*[MethodDef("m(int)")] * 4000, MethodDef("other()")),
        signals=(SignalDef("s()"),) * 66,
        properties=(PropertyDef("p", "int"),) * 2 + (PropertyDef("q", "int"),) * 20,
    )
    contract, layout = read_definition_of(definition, "hall")
    assert len(contract.of_kind(Kind.SLOT)) == MOST_OVERLOADS + 1
    assert len(contract.of_kind(Kind.SIGNAL)) == MOST_OVERLOADS
    assert layout.slots["other"] == 4000
    _, adapted = adapt(contract, contract, layout, exact=False)
    assert adapted.slots == layout.slots


def test_an_enum_with_more_names_than_any_real_one_is_a_number() -> None:
    assert enum_type(EnumDef("E", False, False, 4, tuple((f"k{n}", n) for n in range(5000)))) == Int(32)
