"""Files written from descriptions: classes that type checkers accept and wires take, policies that a bus obeys."""

from __future__ import annotations

import ast
import json
import math
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire import ModelError, Node, Object, Property, connect, contract_of, dbus, prop, slot
from everywire.dbus import introspection as told
from everywire.dbus.generating import python_source
from everywire.dbus.introspection import Interface, parse
from everywire.dbus.session import Connection
from everywire.dbus.wire.contracts import Place, interfaces_of, placed
from everywire.dbus.wire.declaring import declared_in
from everywire.dbus.wire.described import described
from everywire.model.description import describe
from everywire.model.literals import docstring, pieces
from tests.dbus import lab
from tests.dbus.test_contracts import DEVICES, Boiler, Mode, to_xml, without_streams
from tests.dbus.test_contracts import Access as Permission
from tests.dbus.test_introspection import INTERFACE, NETWORK, POWER
from tests.laws.values import Everything

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent

AWKWARD = """
<node>
  <interface name="org.acme.Object">
    <method name="List">
      <arg name="list" type="as" direction="out"/><arg name="dict" type="a{ss}" direction="in"/>
    </method>
    <method name="Signal"><arg name="slot" type="ay"/></method>
    <method name="Slot"/><method name="Prop"/><method name="Int"/><method name="Interface"/>
    <signal name="Str"><arg name="str" type="s"/><arg name="self" type="s"/></signal>
    <property name="Bytes" type="ay" access="readwrite"/>
    <property name="Dict" type="a{s(ai)}" access="read"/>
    <property name="Tuple" type="(isa{sv})" access="read"/>
    <property name="U32" type="u" access="read"/>
    <property name="File" type="h" access="read"/>
    <property name="Any" type="v" access="read"/>
    <property name="Nested" type="a(oga{oas})" access="read"/>
    <property name="my-odd-name" type="d" access="read"/>
    <property name="123" type="d" access="read"/>
    <property name="\ufb01le" type="d" access="read"/>
  </interface>
  <interface name="org.acme.Property"/>
  <interface name="org.acme.Struct">
    <annotation name="org.everywire.Types" value="{&quot;Mode&quot;: {&quot;members&quot;: {&quot;A&quot;: 1}}}"/>
    <property name="Mode" type="s" access="read"><annotation name="org.everywire.Type" value="Mode"/>
      <annotation name="org.everywire.Name" value="Mode"/></property>
  </interface>
  <interface name="org.acme.net.Device"><property name="A" type="s" access="read"/></interface>
  <interface name="org.acme.disk.Device2"><property name="A" type="s" access="read"/></interface>
  <interface name="org.acme.Only"><property name="99" type="s" access="read"/></interface>
</node>
"""
"""Names that hide what the classes are written with."""

MANAGER = """
<node>
  <interface name="org.acme.systemd1.Manager">
    <method name="ListUnits"><arg type="a(ssssssouso)" name="units" direction="out"/></method>
    <method name="StartTransientUnit">
      <arg type="s" name="name" direction="in"/><arg type="s" name="mode" direction="in"/>
      <arg type="a(sv)" name="properties" direction="in"/><arg type="a(sa(sv))" name="aux" direction="in"/>
      <arg type="o" name="job" direction="out"/>
    </method>
    <property name="Version" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/>
      <annotation name="org.freedesktop.systemd1.Privileged" value="true"/>
    </property>
    <property name="LogLevel" type="s" access="readwrite">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false"/>
    </property>
    <signal name="UnitNew"><arg type="s" name="id"/><arg type="o" name="unit"/></signal>
  </interface>
</node>
"""
"""In the style of systemd."""

SAMPLES = {"power": POWER, "network": NETWORK, "devices": DEVICES, "awkward": AWKWARD, "manager": MANAGER}


@dataclass
class Loose:
    name: str
    tags: list[str] = field(default_factory=list)
    spot: tuple[int, list[str]] = (0, [])


class Defaults(Object):
    """Every kind of value that a parameter can be by default, and fields without one."""

    spot: Property[tuple[int, list[str]]] = prop(factory=lambda: (0, []))
    loose: Property[Loose] = prop(factory=lambda: Loose(""))

    @slot
    async def run(
        self,
        moment: datetime = datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC),
        day: date = date(2026, 11, 20),
        hour: time = time(12, 30),
        span: timedelta = timedelta(days=-1, microseconds=7),
        number: UUID = UUID(int=5),  # noqa: B008
        least: float = -math.inf,
        none: float = math.nan,
        raw: bytes = b"\x00'\"",
        text: str = "a\"b\\n\n'",
        table: dict[str, tuple[int, ...]] = {"a": (1,), "b": ()},  # noqa: B006
        maybe: int | None = None,
        some: int | None = 5,
        loose: Loose = Loose("x", ["y"]),  # noqa: B008
        mode: Mode = Mode.HEATING,
        access: Permission = Permission.READ | Permission.WRITE,
        anything: Any = {"a": [1, 2.5, None, True, "x", {"b": []}]},  # noqa: B006
        pairs: list[tuple[str]] = [("a",)],  # noqa: B006
    ) -> None: ...


@dbus.interface(
    "org.acme.Long",
    {f"member_with_a_long_name_{n}": f"MEMBER_{n}" for n in range(4)},
    structs=[f"member_with_a_long_name_{n}" for n in range(4)],
)
class Long(Object):
    @slot
    async def member_with_a_long_name_0(self) -> tuple[int]: ...
    @slot
    async def member_with_a_long_name_1(self) -> tuple[int]: ...
    @slot
    async def member_with_a_long_name_2(self) -> tuple[int]: ...
    @slot
    async def member_with_a_long_name_3(self) -> tuple[int]: ...


def source_of(xml: str) -> str:
    return python_source([interface for _, node in parse(xml).walk() for interface in node.interfaces])


def imported(source: str, name: str = "generated") -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"{name}.py", "exec", dont_inherit=True), vars(module))
    return module


def classes(module: ModuleType) -> list[type[Object]]:
    return [
        cls for cls in vars(module).values() if isinstance(cls, type) and issubclass(cls, Object) and cls is not Object
    ]


def places(cls: type[Object]) -> set[Place]:
    return set(placed(contract_of(cls), "never.used", declared_in(cls)).values())


def as_described(interface: Interface) -> set[Place]:
    """Where the members of an interface are; a class does not keep what else replicas learn from the service."""
    found = described([interface]).places.values()
    return {Place(place.interface, place.name, place.signature, place.result) for place in found}


# ----------------------------------------------------------------------------------------------------------- classes
@pytest.mark.parametrize("cls", [Boiler, Everything, Defaults])
def test_a_class_of_ours_comes_back_exactly(cls: type[Object]) -> None:
    contract = without_streams(contract_of(cls))
    source = source_of(to_xml(contract))
    (found,) = classes(imported(source))
    assert describe(contract_of(found)) == describe(contract)
    again = interfaces_of(contract_of(found), placed(contract_of(found), "not.this", declared_in(found)))
    assert python_source(again) == source


def test_what_is_declared_of_many_members_is_written_over_several_lines() -> None:
    offered = interfaces_of(contract_of(Long), placed(contract_of(Long), "x.y", declared_in(Long)))
    source = python_source(offered)
    assert max(map(len, source.splitlines())) <= 120
    (found,) = classes(imported(source))
    assert declared_in(found) == declared_in(Long)


@pytest.mark.parametrize("name", SAMPLES)
def test_members_of_foreign_interfaces_keep_their_places(name: str) -> None:
    interfaces = [inner for _, node in parse(SAMPLES[name]).walk() for inner in node.interfaces]
    found = classes(imported(python_source(interfaces)))
    assert len(found) == len(interfaces)
    for cls, interface in zip(found, interfaces, strict=True):
        unwritable = {place for place in as_described(interface) if place.name in ("123", "99", "\ufb01le")}
        assert places(cls) == as_described(interface) - unwritable


def test_what_was_generated_once_is_generated_again_byte_for_byte() -> None:
    for xml in SAMPLES.values():
        assert source_of(xml) == source_of(xml)


def test_a_class_reads_as_a_person_would_write_it() -> None:
    source = python_source(parse(POWER).interfaces, "upower.xml")
    assert source == (
        '"""Classes for D-Bus interfaces of upower.xml.\n'
        "\n"
        "Written by `everywire gen python`: what is changed here is lost when it is written again.\n"
        '"""\n'
        "\n"
        "from __future__ import annotations\n"
        "\n"
        "from everywire import Object, Property, prop, signal, slot\n"
        "from everywire.dbus import ObjectPath, interface\n"
        "\n"
        "\n"
        '@interface("org.acme.Power")\n'
        "class Power(Object):\n"
        '    """Tells of the batteries of this machine.\n'
        "\n"
        "    See org.acme.Power.Battery.\n"
        '    """\n'
        "\n"
        "    @slot\n"
        "    async def enumerate_devices(self) -> list[ObjectPath]:\n"
        '        """Enumerate all batteries.\n'
        "\n"
        "        Returns:\n"
        "            devices: An array of object paths.\n"
        '        """\n'
        "        raise NotImplementedError\n"
        "\n"
        "    @signal\n"
        "    def device_added(self, device: ObjectPath) -> None:\n"
        "        ...\n"
        "\n"
        "    on_battery: Property[bool] = prop(False)\n"
    )


def test_names_that_would_hide_others_are_written_around() -> None:
    source = source_of(AWKWARD)
    assert "class Object(_everywire_module.Object):" in source
    assert "        dict: _builtins_module.dict[_builtins_module.str, _builtins_module.str],\n" in source
    assert "    ) -> _builtins_module.list[_builtins_module.str]:\n" in source
    assert "class NetDevice(" in source
    assert "class DiskDevice(" in source
    assert "# '123' cannot be written here; members(…)['123'] has it." in source
    assert "    # '99' cannot be written here; members(…)['99'] has it.\n    pass\n" in source


def test_two_types_of_one_name_are_refused() -> None:
    def typed(name: str, fields: str) -> str:
        return (
            f'<interface name="{name}">'
            f'<annotation name="org.everywire.Types" value=\'{{"R":{{"fields":[{fields}]}}}}\'/>'
            '<property name="P" type="(d)" access="read"><annotation name="org.everywire.Type" value="R"/></property>'
            "</interface>"
        )

    one, other = '{"name":"x","type":"f64"}', '{"name":"y","type":"f64"}'
    with pytest.raises(ModelError, match="different types of the name R: write a file with one interface for each"):
        source_of(f"<node>{typed('a.b', one)}{typed('a.c', other)}</node>")
    assert source_of(f"<node>{typed('a.b', one)}{typed('a.c', one)}</node>").count("class R:") == 1


HOSTILE = 'End it: """\nimport os; os.abort()\n\\" \\""" \\N{BELL} \x07 {0} %s \u2028 #\\'


def test_what_a_stranger_writes_stays_text() -> None:
    evil = Interface(
        "org.acme.Evil",
        (
            told.Property("P", "s", doc=HOSTILE, annotations={"org.everywire.Unit": HOSTILE}),
            told.Method("M", doc=HOSTILE),
            told.Signal("S", doc='"'),
        ),
        doc=HOSTILE,
    )
    source = python_source([evil], HOSTILE)
    tree = ast.parse(source)
    assert [type(node) for node in tree.body] == [
        ast.Expr,
        ast.ImportFrom,
        ast.ImportFrom,
        ast.ImportFrom,
        ast.ClassDef,
    ]
    (cls,) = classes(imported(source))
    members = contract_of(cls).members
    assert members["p"].doc == members["p"].doc == HOSTILE
    assert members["p"].unit == HOSTILE
    assert members["s"].doc == '"'
    assert "os.abort" in str(members["m"].doc)


@given(st.text(st.sampled_from("ab \"\\'\n\t\x00{}é\u2028"), max_size=300))
def test_every_description_is_a_literal_that_says_it(text: str) -> None:
    assert not text or ast.literal_eval(f"({''.join(f'{line} ' for line in pieces(text, ''))} '')") == text
    written = "\n".join(docstring(text, "", wrap=False))
    if text:
        read = ast.literal_eval(written)
        assert [line.rstrip() for line in read.rstrip().split("\n")] == [
            line.rstrip() for line in text.rstrip().split("\n")
        ]


@given(INTERFACE)
def test_every_interface_becomes_a_class_with_its_members(interface: Interface) -> None:
    (cls,) = classes(imported(python_source([interface])))
    unwritable = {place for place in as_described(interface) if place.name not in {place.name for place in places(cls)}}
    assert places(cls) == as_described(interface) - unwritable
    assert not any(place.name.isascii() and place.name.isalpha() for place in unwritable)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_type_checkers_accept_what_is_generated(checker: str, tmp_path: Path) -> None:
    for name, xml in {
        **SAMPLES,
        "boiler": to_xml(contract_of(Boiler)),
        "all": to_xml(contract_of(Everything)),
        "defaults": to_xml(contract_of(Defaults)),
    }.items():
        (tmp_path / f"made_{name}.py").write_text(source_of(xml), encoding="utf-8")
    (tmp_path / "use.py").write_text(USE, encoding="utf-8")
    files = sorted(str(path) for path in tmp_path.glob("*.py"))
    if checker == "mypy":
        command = [TOOLS / "mypy", "--strict", "--cache-dir", tmp_path / "cache", *files]
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env={**lab.environment(), "MYPYPATH": f"{ROOT}/src"},
        )
        assert done.returncode == 0, done.stdout
        return
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "include": ["."], "extraPaths": [f"{ROOT}/src"]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [TOOLS / "pyright", "--pythonpath", sys.executable, "-p", tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


USE = """
from __future__ import annotations

from typing import assert_type

from made_boiler import Boiler, Mode, Reading
from made_power import Power

from everywire import connect, slot
from everywire.dbus import ObjectPath


class Mine(Power):
    @slot
    async def enumerate_devices(self) -> list[ObjectPath]:
        return ["/org/acme/battery"]


async def use() -> None:
    async with connect("dbus:session?service=org.acme.Power", "/org/acme/Power", Power) as power:
        assert_type(power.on_battery, bool)
        assert_type(await power.enumerate_devices(), list[str])
    async with connect("dbus:session?service=org.acme.Boiler", "boiler", Boiler) as boiler:
        assert_type(boiler.last, Reading | None)
        assert_type(await boiler.boost(10, Mode.OFF), int)
        assert_type(await boiler.both("s"), tuple[str, Reading])
"""


async def test_what_is_generated_serves_and_connects(bus: str) -> None:
    module: Any = imported(source_of(to_xml(contract_of(Boiler), "org.acme.Plant.Boiler7")))
    base: type[Object] = module.Boiler

    class Mine(base):  # type: ignore[misc, valid-type]
        async def boost(self, minutes: int = 10, mode: Any = module.Mode.HEATING) -> int:
            self.target = 50.0
            self.last = module.Reading(50.0, module.datetime(2026, 11, 20), mode)
            return minutes * 60

        async def both(self, value: str, more: tuple[int, ...] = (1, 2)) -> tuple[str, Any]:
            return value, module.Reading(1.0, module.datetime(2026, 11, 20))

    url = f"dbus:{bus}?service=org.acme.Generated"
    async with Node() as node:
        node.publish(Mine(), "boiler")
        await node.serve(url)
        async with connect(url, "boiler", base) as boiler:
            remote: Any = boiler
            assert await remote.boost(5) == 300
            assert (await remote.both("ss"))[0] == "ss"
            await base.__dict__["target"].wait_for(boiler, lambda value: value == 50.0)
            assert (remote.target, remote.last.mode) == (50.0, module.Mode.HEATING)
        async with await Connection.open(bus) as others:
            path = "/org/acme/Generated/boiler"
            assert await others.call("org.acme.Generated", path, "org.acme.Plant.Boiler7", "Boost", "qs", 1, "OFF") == (
                60,
            )


GPS = """
<node>
  <interface name="org.acme.Gps1">
    <method name="GetPosition"><arg type="(dd)" name="position" direction="out"/></method>
    <method name="GetBoth">
      <arg type="d" name="latitude" direction="out"/><arg type="d" name="longitude" direction="out"/>
    </method>
    <property name="State" type="(us)" access="readwrite"/>
    <signal name="StateChanged"><arg type="(us)" name="state"/></signal>
    <method name="IPv4"><arg type="o" direction="out"/></method>
  </interface>
</node>
"""


async def test_foreign_interfaces_can_be_served_and_used_by_what_was_generated(bus: str) -> None:
    module: Any = imported(source_of(GPS))

    class Mine(module.Gps):  # type: ignore[misc, name-defined]
        async def get_position(self) -> tuple[float, float]:
            return 47.5, 8.75

        async def get_both(self) -> tuple[float, float]:
            self.state = (3, "fix")
            self.state_changed_signal.emit((3, "fix"))
            return 47.5, 8.75

        async def i_pv4(self) -> str:
            return "/address"

    url = f"dbus:{bus}?service=org.acme.Gps"
    async with Node() as node:
        node.publish(Mine(), "gps")
        await node.serve(url)
        async with connect(url, "gps", module.Gps) as gps:
            heard: list[Any] = []
            gps.state_changed_signal.connect(heard.append)
            assert (await gps.get_position(), await gps.get_both()) == ((47.5, 8.75), (47.5, 8.75))
            await module.Gps.state.wait_for(gps, lambda state: state == (3, "fix"))
            assert await module.Gps.state.push(gps, (4, "lost")) == (4, "lost")
            assert heard == [(3, "fix")]
            assert await gps.i_pv4() == "/address"
        async with await Connection.open(bus) as others:
            asked = [
                await others.call("org.acme.Gps", "/org/acme/Gps/gps", "org.acme.Gps1", member)
                for member in ("GetPosition", "GetBoth", "IPv4")
            ]
            assert asked == [([47.5, 8.75],), (47.5, 8.75), ("/address",)]
