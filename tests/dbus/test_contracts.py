"""Contracts as interfaces and back: ours arrive exactly, others' arrive with names one can use."""

from __future__ import annotations

import enum
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from time import process_time
from typing import Annotated, Any
from xml.sax.saxutils import quoteattr

import dbus_fast.introspection as foreign
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdbus.interface_generator import interfaces_from_str

from everywire import (
    Contract,
    Kind,
    ModelError,
    Object,
    Property,
    Range,
    Unit,
    contract_of,
    f32,
    prop,
    signal,
    slot,
    u8,
    u16,
)
from everywire.dbus.introspection import EMITS_CHANGED, Interface, Method, Node, parse, write
from everywire.dbus.wire.contracts import interfaces_of, placed, python_name, results_at
from everywire.dbus.wire.declaring import declared_in, interface
from everywire.dbus.wire.described import Description, class_name, described, is_common
from everywire.dbus.wire.markers import ObjectPath, Signature
from everywire.dbus.wire.standard import EVERYWIRE_OBJECT, INTROSPECTABLE, OBJECT_MANAGER, PEER, PROPERTIES
from everywire.model import Member, Parameter
from everywire.model.building import build_class
from everywire.model.description import describe
from everywire.model.names import is_public, pascal
from everywire.model.types import ANY, BOOL, STR, DictOf, Float, Int, ListOf, StructOf, TupleOf
from tests.dbus import lab
from tests.dbus.test_introspection import INTERFACE
from tests.laws.values import Everything


class Mode(enum.Enum):
    OFF = "off"
    HEATING = "heating"


class Access(enum.Flag):
    READ = 1
    WRITE = 1 << 40


@dataclass(frozen=True)
class Reading:
    celsius: float
    when: datetime
    mode: Mode = Mode.OFF


class Boiler(Object):
    """Heats water.

    Deprecated: use two.
    """

    target: Property[Annotated[float, Range(5, 95)]] = prop(21.0, writable=True, unit="Cel", doc="What\none <wants>.")
    level: Property[Annotated[u8, Range(None, 9)]] = prop(0, number=7)
    last: Property[Reading | None] = prop(None)
    history: Property[list[Reading]] = prop(factory=list)
    ratio: Property[f32] = prop(0.5)
    access: Property[Access] = prop(Access.READ)
    loose: Property[dict[str, Any]] = prop(factory=dict)
    pairs: Property[list[tuple[str, Annotated[int, Range(0, 5)]]]] = prop(factory=list)
    by_mode: Property[dict[tuple[Mode, u16], float]] = prop(factory=dict)
    partner: Property[ObjectPath] = prop("/")
    others: Property[list[ObjectPath]] = prop(factory=list)
    pt_100: Property[float] = prop(0.0, doc="A name that PascalCase does not keep.")

    @signal
    def over_heated(self, celsius: Annotated[float, Unit("Cel")], at: Reading) -> None:
        """Too hot."""

    @signal
    def beeped(self) -> None:
        """It made a noise."""

    @slot
    async def boost(self, minutes: u16 = 10, mode: Mode = Mode.HEATING) -> int:
        """Heat.

        Deprecated: heating is over.
        """
        return minutes

    @slot(timeout=None)
    async def both(self, value: Signature, more: tuple[int, ...] = (1, 2)) -> tuple[str, Reading]: ...

    @slot(timeout=2.5)
    async def single(self) -> tuple[timedelta]: ...

    @slot
    async def empty(self) -> tuple[()]: ...

    @slot
    async def nothing(self) -> None: ...

    @slot
    async def readings(self) -> AsyncIterator[Reading]:
        """Stream."""
        yield Reading(1.0, datetime.now())  # noqa: DTZ005


def without_streams(contract: Contract) -> Contract:
    members = {name: member for name, member in contract.members.items() if not member.stream}
    return Contract(contract.name, members, contract.doc)


def to_xml(contract: Contract, name: str = "org.acme.Boiler1") -> str:
    return write(Node(interfaces=interfaces_of(contract, placed(contract, name))))


def from_xml(xml: str) -> Description:
    return described(parse(xml).interfaces)


# ---------------------------------------------------------------------------------------------------------- ours
def test_our_own_contract_arrives_exactly() -> None:
    contract = without_streams(contract_of(Boiler))
    found = from_xml(to_xml(contract_of(Boiler)))
    assert describe(found.contract) == describe(contract)
    assert found.contract.members["partner"].parameters[0].type.convert("/a") == "/a"
    with pytest.raises(ModelError, match="object path"):
        found.contract.members["partner"].parameters[0].type.convert("a")
    assert found.places == placed(contract, "org.acme.Boiler1")


def test_a_contract_with_every_type_arrives_exactly() -> None:
    contract = without_streams(contract_of(Everything))
    found = from_xml(to_xml(contract))
    assert describe(found.contract) == describe(contract)


def test_members_have_the_forms_of_d_bus() -> None:
    (boiler,) = parse(to_xml(contract_of(Boiler))).interfaces
    assert (boiler.name, boiler.doc) == ("org.acme.Boiler1", "Heats water.\n\nDeprecated: use two.")
    assert boiler.annotations["org.everywire.Type"] == "Boiler"
    assert boiler.annotations["org.freedesktop.DBus.Deprecated"] == "true"
    properties = {member.name: member for member in boiler.properties}
    assert {name: member.signature for name, member in properties.items()} == {
        "Target": "d", "Level": "y", "Last": "a(dss)", "History": "a(dss)", "Ratio": "d", "Access": "t",
        "Loose": "a{sv}", "Pairs": "a(sx)", "ByMode": "a((sq)d)", "Partner": "o", "Others": "ao",
        "Pt100": "d",
    }  # fmt: skip
    assert properties["Pt100"].annotations == {"org.everywire.Name": "pt_100", EMITS_CHANGED: "true"}
    assert [name for name, member in properties.items() if member.access.writable] == ["Target"]
    assert properties["Target"].annotations == {
        EMITS_CHANGED: "true",
        "org.everywire.Unit": "Cel",
        "org.everywire.Minimum": "5.0",
        "org.everywire.Maximum": "95.0",
    }
    assert properties["Target"].doc == "What\none <wants>."
    assert properties["Level"].annotations["org.everywire.Number"] == "7"
    assert properties["Pairs"].annotations["org.everywire.Type"] == "list[tuple[str, Annotated[int, Range(0, 5)]]]"
    assert "org.everywire.Type" not in properties["Partner"].annotations
    over_heated, beeped = boiler.signals
    assert (over_heated.name, over_heated.signature, over_heated.doc) == ("OverHeated", "d(dss)", "Too hot.")
    assert [argument.name for argument in over_heated.arguments] == ["celsius", "at"]
    assert (beeped.name, beeped.signature) == ("Beeped", "")
    methods = {member.name: (member.in_signature, member.out_signature) for member in boiler.methods}
    assert methods == {
        "Boost": ("qs", "x"), "Both": ("gax", "s(dss)"), "Single": ("", "x"), "Empty": ("", ""), "Nothing": ("", ""),
    }  # fmt: skip
    boost, both, *_ = boiler.methods
    assert boost.annotations == {"org.freedesktop.DBus.Deprecated": "true"}
    assert [argument.annotations.get("org.everywire.Default") for argument in boost.inputs] == ["10", '"HEATING"']
    assert [argument.name for argument in (*boost.outputs, *both.outputs)] == ["result", "result0", "result1"]


def test_qt_is_told_the_types_that_it_cannot_guess() -> None:
    (boiler,) = interfaces_of(contract_of(Boiler), placed(contract_of(Boiler), "org.acme.Boiler1"))
    start = "org.qtproject.QtDBus.QtTypeName"
    told = {
        f"{member.name}{name.removeprefix(start)}": value
        for member in boiler.members
        for name, value in member.annotations.items()
        if name.startswith(start)
    }
    assert told == {
        "Last": "QList<Reading>",
        "History": "QList<Reading>",
        "Loose": "QVariantMap",
        "Pairs": "QList<std::pair<QString,qlonglong>>",
        "ByMode": "QList<std::pair<std::pair<QString,ushort>,double>>",
        "OverHeated.Out1": "Reading",
        "Both.Out1": "Reading",
        "Both.In1": "QList<qlonglong>",
    }


def test_qdbusxml2cpp_writes_c_plus_plus_of_what_we_write(tmp_path: Path) -> None:
    tool = lab.needs("/usr/lib/qt6/bin/qdbusxml2cpp", "qt6-base-dev-tools")
    for cls in (Boiler, Everything):
        file = tmp_path / f"{cls.__name__}.xml"
        file.write_text(to_xml(contract_of(cls), f"org.acme.{cls.__name__}1"), encoding="utf-8")
        for mode in ("-p", "-a"):
            done = subprocess.run([tool, mode, "-", file], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            assert f'"org.acme.{cls.__name__}1"' in done.stdout
    proxy = subprocess.run(
        [tool, "-p", "-", tmp_path / "Boiler.xml"], capture_output=True, text=True, check=True
    ).stdout
    assert "Q_PROPERTY(QVariantMap Loose READ loose" in proxy
    assert "void OverHeated(double celsius, Reading at);" in proxy


def test_other_readers_understand_what_we_write() -> None:
    xml = to_xml(contract_of(Boiler))
    (theirs,) = foreign.Node.parse(xml).interfaces
    assert [p.signature for p in theirs.properties][:4] == ["d", "y", "a(dss)", "a(dss)"]
    assert [(m.name, m.in_signature, m.out_signature) for m in theirs.methods][:2] == [
        ("Boost", "qs", "x"),
        ("Both", "gax", "s(dss)"),
    ]
    (generated,) = interfaces_from_str(xml)
    assert generated.interface_name == "org.acme.Boiler1"
    assert {m.method_name for m in generated.methods} == {"Boost", "Both", "Single", "Empty", "Nothing"}


def test_streams_are_left_to_an_interface_of_ours() -> None:
    assert "readings" not in placed(contract_of(Boiler), "org.acme.Boiler1")
    assert [method.name for method in EVERYWIRE_OBJECT.methods] == [
        "Attach", "Detach", "Cancel", "Open", "Grant", "Close",
    ]  # fmt: skip


def test_what_d_bus_cannot_carry_is_named() -> None:
    deep: Any = Int()
    for _ in range(33):
        deep = ListOf(deep)
    contract = Contract("Deep", {"well": Member(Kind.PROPERTY, "well", (Parameter("well", deep),))})
    with pytest.raises(ModelError, match=r"^Deep\.well: .*32 arrays"):
        placed(contract, "org.acme.Deep1")


def test_two_names_that_would_be_one_are_refused() -> None:
    one = Member(Kind.SLOT, "a_b", ())
    contract = Contract("Twice", {"a_b": one, "aB": Member(Kind.SLOT, "aB", ())})
    with pytest.raises(ModelError, match=r"Twice: a_b and aB would both be org\.acme\.Twice1\.AB"):
        placed(contract, "org.acme.Twice1")


def test_a_name_that_came_from_elsewhere_is_kept_where_it_could_be_one_here() -> None:
    members = {
        name: Member(Kind.SLOT, name, (), wire_name=wire)
        for name, wire in {"http_port": "HTTPPort", "set_point": "setPoint", "odd": "Not-A-Name", "ähm": ""}.items()
    }
    del members["ähm"]
    places = placed(Contract("C", members), "org.acme.C1")
    assert [place.name for place in places.values()] == ["HTTPPort", "SetPoint", "Odd"]
    with pytest.raises(ModelError, match=r"C\.ähm: 'Ähm' is no name of a method"):
        placed(Contract("C", {"ähm": Member(Kind.SLOT, "ähm", ())}), "org.acme.C1")


@pytest.mark.parametrize(
    "annotation,value",
    [
        ("org.everywire.Type", "str"),
        ("org.everywire.Type", "Missing"),
        ("org.everywire.Type", "list[" * 400),
        ("org.everywire.Minimum", "many"),
        ("org.everywire.Minimum", "nan"),
        ("org.everywire.Maximum", "1e999"),
        ("org.everywire.Minimum", "9" * 500),
        ("org.everywire.Number", "x"),
        ("org.everywire.Number", "inf"),
    ],
)
def test_an_annotation_that_does_not_fit_says_nothing(annotation: str, value: str) -> None:
    found = from_xml(
        '<node><interface name="org.acme.C1"><property name="Level" type="d" access="read">'
        f'<annotation name="{annotation}" value="{value}"/></property></interface></node>'
    )
    member = found.contract.members["level"]
    assert (member.type, member.number) == (Float(), None)


@pytest.mark.parametrize(
    "types",
    [
        "{",
        "[]",
        '{"R": {"fields": [{"name": "__class__", "type": "f64"}]}}',
        '{"R": 1}',
        '{"R": {"fields": [{"name": "x", "type": {"list": ' + '{"list": ' * 5000 + "1}}]}}",
        '{"os.system": {"members": {"A": 1}}}',
    ],
)
def test_types_of_a_stranger_are_data_or_nothing(types: str) -> None:
    found = from_xml(
        f'<node><interface name="org.acme.C1"><annotation name="org.everywire.Types" value={quoteattr(types)}/>'
        '<property name="Last" type="(d)" access="read"><annotation name="org.everywire.Type" value="R"/></property>'
        "</interface></node>"
    )
    assert found.contract.members["last"].type == TupleOf((Float(),))


def test_a_default_that_is_none_or_comes_too_early_says_nothing() -> None:
    found = from_xml(
        '<node><interface name="org.acme.C1"><method name="M">'
        '<arg type="x"><annotation name="org.everywire.Default" value="1"/></arg><arg type="x"/>'
        '<arg type="x"><annotation name="org.everywire.Default" value="&quot;a&quot;"/></arg>'
        '<arg type="x"><annotation name="org.everywire.Default" value="4"/></arg></method></interface></node>'
    )
    assert str(found.contract.members["m"]) == "slot m(arg0: i64, arg1: i64, arg2: i64, arg3: i64 = 4)"


# ------------------------------------------------------------------------------------------------------- declared
@interface("org.acme.Device1", {"kind": "DeviceType"})
class Device(Object):
    kind: Property[str] = prop("")

    @slot
    async def reset(self) -> None: ...


@interface("org.acme.Wired1")
class Wired(Object):
    speed: Property[int] = prop(0)


class Card(Device, Wired):
    extra: Property[bool] = prop(False)

    @slot
    async def reset(self) -> None: ...


def test_a_class_may_say_where_its_members_are() -> None:
    assert declared_in(Boiler) == {}
    places = placed(contract_of(Card), "org.acme.Card1", declared_in(Card))
    assert {name: (place.interface, place.name) for name, place in places.items()} == {
        "speed": ("org.acme.Wired1", "Speed"),
        "kind": ("org.acme.Device1", "DeviceType"),
        "reset": ("org.acme.Device1", "Reset"),
        "extra": ("org.acme.Device1", "Extra"),
    }
    assert [interface.name for interface in interfaces_of(contract_of(Card), places)] == [
        "org.acme.Wired1",
        "org.acme.Device1",
    ]


@interface("org.acme.Gps1", {"where": "GetPosition"}, structs=("where", "alone"))
class Gps(Object):
    @slot
    async def where(self) -> tuple[float, float]: ...

    @slot
    async def alone(self) -> tuple[float]: ...

    @slot
    async def both(self) -> tuple[float, float]: ...


def test_a_tuple_is_one_struct_where_the_class_says_so() -> None:
    contract = contract_of(Gps)
    places = placed(contract, "not.used", declared_in(Gps))
    assert {place.name: place.result for place in places.values()} == {
        "GetPosition": "(dd)", "Alone": "(d)", "Both": "dd",
    }  # fmt: skip
    pair, one = TupleOf((Float(), Float())), TupleOf((Float(),))
    assert [results_at(contract.members[name], place) for name, place in places.items()] == [
        (pair,), (one,), (Float(), Float()),
    ]  # fmt: skip
    found = described(interfaces_of(contract, places))
    assert found.places == places
    assert [member.result for member in found.contract.members.values()] == [pair, one, pair]


def test_a_python_name_that_would_not_be_proposed_is_told() -> None:
    (gps,) = interfaces_of(contract_of(Gps), placed(contract_of(Gps), "not.used", declared_in(Gps)))
    assert [member.annotations.get("org.everywire.Name") for member in gps.members] == ["where", None, None]
    bad = '<annotation name="org.everywire.Name" value="__class__"/>'
    found = from_xml(f'<node><interface name="a.b"><method name="M">{bad}</method></interface></node>')
    assert list(found.contract.members) == ["m"]


def test_what_a_class_says_of_its_place_is_checked() -> None:
    with pytest.raises(ModelError, match="'short' is no interface name"):
        interface("short")
    with pytest.raises(ModelError, match="Plain has no member speeed"):

        @interface("org.acme.Plain1", {"speeed": "Speed"})
        class Plain(Object):
            speed: Property[int] = prop(0)


# -------------------------------------------------------------------------------------------------------- others'
DEVICES = """
<node>
  <interface name="org.acme.Network.Device">
    <property name="Udi" type="s" access="read"/>
    <property name="Type" type="u" access="read"/>
    <property name="State" type="u" access="read"/>
    <property name="Autoconnect" type="b" access="readwrite"/>
    <property name="Secret" type="s" access="write"/>
    <property name="HwAddress" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/></property>
    <signal name="StateChanged"><arg type="u" name="new"/><arg type="u" name="old"/></signal>
    <method name="Reapply"><arg type="a{sa{sv}}" name="connection"/><arg type="u" name="class"/></method>
    <method name="GetApplied"><arg type="u" name="flags" direction="in"/>
      <arg type="a{sa{sv}}" name="connection" direction="out"/><arg type="t" name="version" direction="out"/></method>
    <method name="Delete"><annotation name="org.freedesktop.DBus.Method.NoReply" value="true"/></method>
    <method name="State"/>
    <method name="import"/><method name="Import"/>
    <method name="from_"/>
    <method name="Legacy"><annotation name="org.freedesktop.DBus.Deprecated" value="true"/></method>
  </interface>
  <interface name="org.acme.Network.Device.Wired2">
    <property name="Type" type="s" access="read"/>
    <property name="my-odd-name" type="(ii)" access="read"/>
    <property name="IPv4Address" type="au" access="read"/>
    <method name="Put"><arg type="s" name="self"/><arg type="s" name="a-b"/><arg type="s" name="a_b"/><arg type="s"/>
      <arg type="s" name="arg3"/></method>
  </interface>
</node>
"""


def test_a_foreign_object_gets_names_one_can_use() -> None:
    found = from_xml(DEVICES)
    assert found.contract.name == "Device"
    assert {name: f"{place.interface[17:]} {place.name}" for name, place in found.places.items()} == {
        "udi": "Device Udi",
        "device_type": "Device Type",
        "state": "Device State",
        "autoconnect": "Device Autoconnect",
        "secret": "Device Secret",
        "hw_address": "Device HwAddress",
        "state_changed_signal": "Device StateChanged",
        "reapply": "Device Reapply",
        "get_applied": "Device GetApplied",
        "delete": "Device Delete",
        "state_slot": "Device State",
        "import_": "Device import",
        "Import_slot": "Device Import",
        "from_": "Device from_",
        "legacy": "Device Legacy",
        "wired_type": "Device.Wired2 Type",
        "my_odd_name": "Device.Wired2 my-odd-name",
        "i_pv4_address": "Device.Wired2 IPv4Address",
        "put": "Device.Wired2 Put",
    }
    assert list(found.contract.members) == list(found.places)
    assert all(member.wire_name == found.places[name].name for name, member in found.contract.members.items())


def test_a_foreign_object_gets_types_and_words() -> None:
    members = from_xml(DEVICES).contract.members
    assert str(members["reapply"]) == "slot reapply(connection: dict[str, dict[str, Any]], class_: u32)"
    settings = DictOf(STR, DictOf(STR, ANY))
    assert members["get_applied"].result == TupleOf((settings, Int(64, signed=False)))
    assert members["get_applied"].doc == "Returns (connection, version)."
    assert members["legacy"].doc == "Deprecated."
    assert members["autoconnect"].writable
    assert members["autoconnect"].type == BOOL
    assert [parameter.name for parameter in members["put"].parameters] == ["arg0", "a_b", "arg2", "arg3", "arg4"]


def test_what_replicas_need_is_told_beside_the_contract() -> None:
    places = from_xml(DEVICES).places
    assert (places["hw_address"].emits, places["udi"].emits) == ("const", "true")
    assert (places["secret"].readable, places["udi"].readable) == (False, True)
    assert (places["delete"].no_reply, places["reapply"].no_reply) == (True, False)
    assert (places["get_applied"].signature, places["get_applied"].result) == ("u", "a{sa{sv}}t")
    assert places["state_changed_signal"].signature == "uu"


def test_members_of_a_class_find_theirs() -> None:
    found = from_xml(DEVICES)

    def find(kind: Kind, member: str, **where: str) -> str | None:
        return found.find(Member(kind, member, ()), **where)

    assert find(Kind.PROPERTY, "udi") == "udi"
    assert find(Kind.PROPERTY, "type") is None
    assert find(Kind.PROPERTY, "type", interface="org.acme.Network.Device.Wired2") == "wired_type"
    assert find(Kind.PROPERTY, "device_type") == "device_type"
    assert find(Kind.SIGNAL, "anything", name="StateChanged") == "state_changed_signal"
    assert find(Kind.SIGNAL, "state_changed") == "state_changed_signal"
    assert find(Kind.SLOT, "state") == "state_slot"
    assert find(Kind.SLOT, "udi") is None
    assert find(Kind.PROPERTY, "ipv4_address") is None
    assert find(Kind.PROPERTY, "ip", name="IPv4Address") == "i_pv4_address"
    assert {place.interface for place in found.candidates("type")} == {
        "org.acme.Network.Device",
        "org.acme.Network.Device.Wired2",
    }


def test_names_are_as_classes_can_have_them() -> None:
    names = [name for name in from_xml(DEVICES).contract.members if is_public(name)]
    assert len({pascal(name) for name in names}) == len(names)
    namespace: dict[str, Any] = {"__annotations__": {}}
    for name in names:
        namespace["__annotations__"][name] = Property[int]
        namespace[name] = prop(0)
    del namespace["state_changed_signal"], namespace["__annotations__"]["state_changed_signal"]
    assert contract_of(type("Check", (Object,), namespace)).members.keys() >= {"import_", "Import_slot"}


def test_three_things_of_one_name_are_told_apart() -> None:
    found = from_xml(
        '<node><interface name="a.b"><signal name="FooBar"/><signal name="Foo_Bar"/><signal name="fooBar"/>'
        '<method name="FooBar"/><property name="FooBar" type="s" access="read"/></interface></node>'
    )
    assert {name: place.name for name, place in found.places.items()} == {
        "foo_bar_signal": "FooBar",
        "foo_bar_signal2": "Foo_Bar",
        "foo_bar_signal3": "fooBar",
        "foo_bar_slot": "FooBar",
        "foo_bar": "FooBar",
    }


def test_many_members_of_one_name_do_not_take_long() -> None:
    names = ["".join(parts) for parts in product("aA", ("_", ""), "bB", ("_", ""), "cC", ("_", "__"), "dD", ("_", ""))]
    interfaces = [Interface(f"a.b{n}", tuple(Method(name) for name in names)) for n in range(16)]
    begin = process_time()
    found = described(interfaces)
    assert len(found.places) == 16 * len(names)
    assert process_time() - begin < 2


@given(st.lists(INTERFACE, max_size=4))
def test_any_interfaces_together_become_a_class(interfaces: list[Interface]) -> None:
    found = described(interfaces)
    build_class(found.contract)
    names = [name for name in found.contract.members if is_public(name)]
    assert len({pascal(name) for name in names}) == len(names)
    assert list(found.contract.members) == list(found.places)
    members = {(interface.name, type(member), member.name) for interface in interfaces for member in interface.members}
    assert len(found.places) == len(members)


def test_what_is_written_twice_is_read_once() -> None:
    one = '<interface name="a.b"><method name="M"/><method name="M"><arg type="s"/></method></interface>'
    found = from_xml(f"<node>{one}{one}</node>")
    assert {name: place.signature for name, place in found.places.items()} == {"m": ""}


@pytest.mark.parametrize(
    "name,expected",
    [
        ("org.acme.Climate.Thermostat1", "Thermostat"),
        ("org.freedesktop.UPower", "UPower"),
        ("org.mpris.MediaPlayer2.Player", "Player"),
        ("org.acme.v1", "V"),
        ("org.acme._1", "Acme"),
        ("org.acme.climate_2", "Climate"),
        ("org.acme.None", "None_"),
    ],
)
def test_classes_are_named_by_the_last_word_of_the_interface(name: str, expected: str) -> None:
    assert class_name(Interface(name)) == expected


def test_names_that_are_no_identifiers_become_some_where_they_can() -> None:
    assert [python_name(name) for name in ("GetAll", "HTTPServer", "class", "None", "Class", "__", "a-b")] == [
        "get_all", "http_server", "class_", "none", "Class", "__", "a_b",
    ]  # fmt: skip


def test_common_interfaces_are_known() -> None:
    for common in (PEER, INTROSPECTABLE, PROPERTIES, OBJECT_MANAGER, EVERYWIRE_OBJECT):
        assert is_common(common.name)
        assert parse(write(Node(interfaces=(common,)))).interfaces == (common,)
    assert not is_common("org.freedesktop.DBus")
    assert not is_common("org.acme.Thermostat1")


def test_an_object_without_interfaces_is_an_empty_contract() -> None:
    found = described(())
    assert (found.contract.name, dict(found.contract.members), dict(found.places)) == ("Object", {}, {})


def test_structs_are_classes_where_we_describe_them() -> None:
    node = from_xml(to_xml(contract_of(Boiler))).contract.members["over_heated"].parameters[1].type
    assert isinstance(node, StructOf)
    assert [field.name for field in node.fields] == ["celsius", "when", "mode"]
