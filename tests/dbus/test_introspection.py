"""Introspection data: what real services write is read, what a hostile one writes costs nothing."""

from __future__ import annotations

import contextlib
import string
import time
import tracemalloc
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire import RemoteProtocolError
from everywire.dbus.introspection import (
    DOC_STRING,
    EMITS_CHANGED,
    Access,
    Argument,
    Interface,
    Method,
    Node,
    Property,
    Signal,
    parse,
    write,
)

DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    '"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)

POWER = f"""{DOCTYPE}
<node name="/" xmlns:doc="http://www.freedesktop.org/dbus/1.0/doc.dtd">
  <interface name="org.acme.Power">
    <doc:doc>
      <doc:description>
        <doc:para>
          Tells of the  batteries
          of this machine.
        </doc:para>
        <doc:para>See <doc:ref type="interface">org.acme.Power.Battery</doc:ref>.</doc:para>
      </doc:description>
    </doc:doc>
    <method name="EnumerateDevices">
      <annotation name="org.freedesktop.DBus.GLib.Async" value=""/>
      <arg name="devices" direction="out" type="ao">
        <doc:doc><doc:summary>An array of object paths.</doc:summary></doc:doc>
      </arg>
      <doc:doc><doc:description><doc:para>Enumerate all batteries.</doc:para></doc:description></doc:doc>
    </method>
    <signal name="DeviceAdded">
      <arg name="device" type="o"/>
    </signal>
    <property name="OnBattery" type="b" access="read"/>
  </interface>
</node>
"""
"""In the style of UPower."""

NETWORK = """
<node name="/org/acme/Network/Devices/7">
  <!--
      org.acme.Network.Device:
      @short_description: A device that carries packets.

      Every device has this
      interface.
  -->
  <interface name="org.acme.Network.Device">
    <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="invalidates"/>
    <!--
        Reapply:
        @connection: the settings,
                     by section
        @flags: none are known

        Apply the settings again.

        Since: 1.2
    -->
    <method name="Reapply">
      <arg name="connection" type="a{sa{sv}}"/>
      <arg name="flags" type="u" direction="in"/>
    </method>
    <!-- this comment speaks of nobody -->
    <property name="State" type="u" access="read"/>
    <property name="Speed" type="u" access="readwrite">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/>
    </property>
    <!-- StateChanged: -->
    <signal name="StateChanged">
      <arg name="new_state" type="u"/>
      <arg type="u" direction="out"/>
    </signal>
  </interface>
  <interface name="org.freedesktop.DBus.Peer"><method name="Ping"/></interface>
  <node name="lease"/>
  <node name="deep/below"><node name="er"/></node>
</node>
"""
"""In the style of NetworkManager."""


def test_the_description_of_a_service_is_read() -> None:
    node = parse(POWER)
    assert node.name == "/"
    (power,) = node.interfaces
    assert power.name == "org.acme.Power"
    assert power.doc == "Tells of the batteries of this machine.\n\nSee org.acme.Power.Battery."
    (enumerate_devices,) = power.methods
    assert enumerate_devices == Method(
        "EnumerateDevices",
        outputs=(Argument("ao", "devices", doc="An array of object paths."),),
        annotations={"org.freedesktop.DBus.GLib.Async": ""},
        doc="Enumerate all batteries.",
    )
    assert (enumerate_devices.in_signature, enumerate_devices.out_signature) == ("", "ao")
    assert power.signals == (Signal("DeviceAdded", (Argument("o", "device"),)),)
    assert power.properties == (Property("OnBattery", "b"),)
    assert [member.name for member in power.members] == ["EnumerateDevices", "DeviceAdded", "OnBattery"]


def test_comments_before_an_element_describe_it_where_they_name_it() -> None:
    device = parse(NETWORK).interfaces[0]
    assert device.doc == "A device that carries packets.\n\nEvery device has this interface."
    (reapply,) = device.methods
    assert reapply.doc == "Apply the settings again.\n\nSince: 1.2"
    assert [(a.name, a.doc) for a in reapply.inputs] == [
        ("connection", "the settings, by section"),
        ("flags", "none are known"),
    ]
    assert device.properties[0].doc == ""
    assert device.signals[0].doc == ""
    assert device.signals[0].signature == "uu"


def test_what_is_told_of_changes_may_be_said_once_for_an_interface() -> None:
    device = parse(NETWORK).interfaces[0]
    assert [device.emits_changed(member) for member in device.properties] == ["invalidates", "const"]
    assert Interface("a.b").emits_changed(Property("P", "s")) == "true"
    assert [member.access.writable for member in device.properties] == [False, True]


def test_objects_below_are_found_by_their_paths() -> None:
    assert [path for path, _ in parse(NETWORK).walk("/not/used")] == [
        "/org/acme/Network/Devices/7",
        "/org/acme/Network/Devices/7/lease",
        "/org/acme/Network/Devices/7/deep/below",
        "/org/acme/Network/Devices/7/deep/below/er",
    ]
    assert [path for path, _ in parse("<node><node name='a'/></node>").walk()] == ["/", "/a"]


def test_docstrings_of_telepathy_and_glib_are_kept() -> None:
    node = parse(
        '<node><interface name="a.b"><tp:docstring xmlns:tp="x">One <tp:member-ref>Two</tp:member-ref>.<br/>'
        "<p>Three</p></tp:docstring>"
        f'<signal name="S"><annotation name="{DOC_STRING}" value="Line&#10;  two"/></signal></interface></node>'
    )
    assert node.interfaces[0].doc == "One Two.\n\nThree"
    assert node.interfaces[0].signals[0].doc == "Line\n  two"
    assert node.interfaces[0].signals[0].annotations == {}


def test_examples_keep_their_lines_and_errors_their_names() -> None:
    node = parse(
        """<node><interface name="a.b"><doc:doc><doc:description><doc:para>Do  this:</doc:para>
        <doc:example language="shell" title="how"><doc:code>
            $ busctl call \\
                  a.b
        </doc:code></doc:example>
        <doc:errors><doc:error name="a.b.Error">if it   fails</doc:error></doc:errors>
        </doc:description></doc:doc></interface></node>"""
    )
    assert node.interfaces[0].doc == "Do this:\n\n$ busctl call \\\n      a.b\n\na.b.Error: if it fails"


def test_what_nobody_knows_is_passed_over() -> None:
    node = parse(
        '<node since="9" name="/x"><license><interface name="not.seen"/></license><interface name="a.b" version="2">'
        '<enum name="E"><method name="NotSeen"/></enum><method name="M" x="y"><arg type="s" dir="?"/>text</method>'
        "<?php 1 ?><![CDATA[<method>]]></interface></node>"
    )
    assert node == Node("/x", (Interface("a.b", (Method("M", (Argument("s"),)),)),))


def test_bytes_are_read_in_the_encoding_they_name() -> None:
    text = '<node><interface name="a.b"><signal name="S"><arg name="ü" type="s"/></signal></interface></node>'
    told = '<?xml version="1.0" encoding="{}"?>' + text
    for encoding in ("utf-8", "utf-16", "iso-8859-1"):
        assert parse(told.format(encoding).encode(encoding)) == parse(text)
    assert parse(told.format("iso-8859-1")) == parse(text)  # of a text the bytes are ours


MANY = '<arg type="s"/>' * 256
WRONG = {
    "": "no XML",
    "<node>": "no XML",
    "<tree/>": "begins with <tree>",
    '<node name="not a path"/>': "no name of a node",
    '<node name="/a/"/>': "no name of a node",
    "<node><interface/></node>": "lacks its name",
    '<node><interface name="short"/></node>': "'short' is no interface name",
    '<node><interface name="a.b"><method/></interface></node>': "a method of a.b: <method> lacks its name",
    '<node><interface name="a.b"><method name="a-b"/></interface></node>': "'a-b' is no name of a method or signal",
    '<node><interface name="a.b"><method name="M"><arg/></method></interface></node>': "a.b.M: <arg> lacks its type",
    '<node><interface name="a.b"><method name="M"><arg type="?"/></method></interface></node>': "there is no type '?'",
    '<node><interface name="a.b"><method name="M"><arg type="ss"/></method></interface></node>': "not a single",
    '<node><interface name="a.b"><method name="M"><arg type="s" direction="up"/></method></interface></node>': "'up'",
    '<node><interface name="a.b"><property name="P" access="read"/></interface></node>': "P: <property> lacks its type",
    '<node><interface name="a.b"><property name="P" type="s"/></interface></node>': "no access; there are read",
    '<node><interface name="a.b"><property name="&#9;" type="s" access="read"/></interface></node>': "can be shown",
    '<node><interface name="a.b"><annotation name="c.d"/></interface></node>': "lacks its value",
    '<node><interface name="a.b"><annotation value=""/></interface></node>': "lacks its name",
    "<node>\ud800</node>": "characters that are none",
    f'<node><interface name="a.b"><method name="M">{MANY}</method></interface></node>': "longer than 255",
    f'<node><interface name="a.b"><signal name="M">{MANY}</signal></interface></node>': "longer than 255",
}


@pytest.mark.parametrize("xml", WRONG)
def test_what_is_wrong_is_said(xml: str) -> None:
    with pytest.raises(RemoteProtocolError) as raised:
        parse(xml)
    assert WRONG[xml] in str(raised.value)
    assert str(raised.value).startswith("not introspection data: ")
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "xml,message",
    [
        (b'<?xml version="1.0" encoding="ebcdic-of-mine"?><node/>', "no XML|encoding"),
        (b'<?xml version="1.0" encoding="utf-7"?><node/>', "no XML|encoding"),
        (b'<?xml version="1.0" encoding="zip"?><node/>', "no XML|encoding"),
        (b"<node>\xff</node>", "no XML"),
    ],
)
def test_bytes_that_are_no_text_are_refused(xml: bytes, message: str) -> None:
    with pytest.raises(RemoteProtocolError, match=message):
        parse(xml)


LAUGHS = "".join(f'<!ENTITY l{n} "' + f"&l{n - 1};" * 10 + '">' for n in range(1, 12))
BOMBS = {
    "billion laughs": f'<!DOCTYPE node [<!ENTITY l0 "ha">{LAUGHS}]><node name="&l11;"/>',
    "quadratic": '<!DOCTYPE node [<!ENTITY a "' + "a" * 100_000 + '">]><node>' + "&a;" * 10_000 + "</node>",
    "external": '<!DOCTYPE node [<!ENTITY x SYSTEM "file:///etc/passwd">]><node name="&x;"/>',
    "parameter": '<!DOCTYPE node [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x.dtd"> %x;]><node/>',
    "defaults": '<!DOCTYPE node [<!ATTLIST interface name CDATA "a.b">]><node><interface/></node>',
    "attributes": '<!DOCTYPE node [<!ENTITY a "' + "a" * 1000 + '">]><node name="' + "&a;" * 1_000_000 + '"/>',
    "wide": "<!DOCTYPE node ["
    + "".join(f"<!ENTITY a{n} '{'<x/>' * 9}'>" for n in range(9000))
    + "]><node>"
    + "".join(f"&a{n};" * 9 for n in range(9000))
    + "</node>",
    "too deep": "<node>" + "<x>" * 100_000,
    "too deep, known": '<node><node name="a">' + '<node name="a">' * 100_000,
    "too many": "<node>" + "<x/>" * 200_000 + "</node>",
    "too many members": "<node><interface name='a.b'>" + "<method name='M'/>" * 5000 + "</interface></node>",
    "too long": "<node>" + " " * (5 << 20) + "</node>",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_do_not_go_off(name: str) -> None:
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(RemoteProtocolError, match="not introspection data"):
            parse(BOMBS[name])
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
        assert time.process_time() - begin < 3
    finally:
        tracemalloc.stop()


def test_short_texts_of_a_document_type_are_filled_in() -> None:
    """As in the files of UPower and PackageKit."""
    node = parse(
        '<!DOCTYPE node PUBLIC "x" "y" [<!-- a name --><!ENTITY ERROR "org.acme.Error">'
        "<!ENTITY MORE 'with \"quotes\"'>]>"
        '<node><interface name="org.acme.A"><doc:doc>If &ERROR; or &MORE;.</doc:doc>'
        '<annotation name="a.b" value="&ERROR;.Other &amp; &MORE;"/></interface></node>'
    )
    assert node.interfaces[0].doc == 'If org.acme.Error or with "quotes".'
    assert node.interfaces[0].annotations == {"a.b": 'org.acme.Error.Other & with "quotes"'}


def test_entities_of_a_document_type_elsewhere_are_not_fetched() -> None:
    node = parse('<!DOCTYPE node SYSTEM "http://127.0.0.1:1/x.dtd"><node><interface name="a.b"/></node>')
    assert node == Node(interfaces=(Interface("a.b"),))


def test_descriptions_within_descriptions_cost_no_more_than_their_text() -> None:
    inner = "x " * 100_000
    deep = "<doc:p>" * 60 + inner + "</doc:p>" * 60
    begin = time.process_time()
    node = parse(f'<node><interface name="a.b"><doc:doc>{deep}</doc:doc></interface></node>')
    assert node.interfaces[0].doc == inner.strip()
    assert time.process_time() - begin < 2


def test_the_limit_of_size_is_the_callers() -> None:
    with pytest.raises(RemoteProtocolError, match="7 bytes where 6 are the most"):
        parse("<node/>", limit=6)
    assert parse("<node/>", limit=7) == Node()


# ------------------------------------------------------------------------------------------------------------ writing
def test_what_is_written_looks_as_people_know_it() -> None:
    node = Node(
        "/org/acme/hall",
        (
            Interface(
                "org.acme.Hall1",
                (
                    Property("Target", "d", Access.READ_WRITE, {EMITS_CHANGED: "true"}),
                    Signal("Hot", (Argument("d", "celsius"), Argument("s"))),
                    Method("Boost", (Argument("q", "minutes"),), (Argument("x"),), doc='Heat & "hope".\n<Fully>'),
                    Method("Stop"),
                ),
            ),
        ),
        (Node("lamp"),),
    )
    assert write(node) == (
        '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
        ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
        '<node name="/org/acme/hall">\n'
        '  <interface name="org.acme.Hall1">\n'
        '    <property name="Target" type="d" access="readwrite">\n'
        '      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="true"/>\n'
        "    </property>\n"
        '    <signal name="Hot">\n'
        '      <arg name="celsius" type="d"/>\n'
        '      <arg type="s"/>\n'
        "    </signal>\n"
        '    <method name="Boost">\n'
        '      <annotation name="org.gtk.GDBus.DocString"'
        ' value="Heat &amp; &quot;hope&quot;.&#10;&lt;Fully&gt;"/>\n'
        '      <arg name="minutes" type="q" direction="in"/>\n'
        '      <arg type="x" direction="out"/>\n'
        "    </method>\n"
        '    <method name="Stop"/>\n'
        "  </interface>\n"
        '  <node name="lamp"/>\n'
        "</node>\n"
    )
    assert parse(write(node)) == node


def test_what_no_xml_can_hold_is_replaced() -> None:
    written = write(
        Node(interfaces=(Interface("a.b", doc="bell \x07, lone \ud800, last \uffff, fine \t\r\n \U0001f600"),))
    )
    assert parse(written).interfaces[0].doc == "bell \ufffd, lone \ufffd, last \ufffd, fine \t\r\n \U0001f600"


ELEMENT = st.text(string.ascii_letters + "_", min_size=1, max_size=6)
INTERFACE_NAME = st.lists(ELEMENT, min_size=2, max_size=4).map(".".join)
CHARACTER = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")
TEXT = st.text(CHARACTER, max_size=20)
FREE_NAME = TEXT.filter(str.isprintable)
BASIC = st.sampled_from("ybnqiuxtdsogh")
SIGNATURE = st.recursive(
    BASIC | st.just("v"),
    lambda inner: st.one_of(
        inner.map("a{}".format),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({''.join(parts)})"),
        st.tuples(BASIC, inner).map(lambda parts: f"a{{{''.join(parts)}}}"),
    ),
    max_leaves=6,
)
TOLD: dict[str, Any] = {
    "annotations": st.dictionaries(INTERFACE_NAME, TEXT | st.just("a\n\tb\r"), max_size=2),
    "doc": TEXT,
}
ARGUMENT = st.builds(Argument, SIGNATURE, FREE_NAME, **TOLD)
ARGUMENTS = st.lists(ARGUMENT, max_size=3).map(tuple)
MEMBER = st.one_of(
    st.builds(Method, ELEMENT, ARGUMENTS, ARGUMENTS, **TOLD),
    st.builds(Signal, ELEMENT, ARGUMENTS, **TOLD),
    st.builds(Property, FREE_NAME.filter(bool), SIGNATURE, st.sampled_from(Access), **TOLD),
)
INTERFACE = st.builds(Interface, INTERFACE_NAME, st.lists(MEMBER, max_size=4).map(tuple), **TOLD)
NODES = st.recursive(
    st.builds(Node, ELEMENT, **TOLD),
    lambda inner: st.builds(
        Node, ELEMENT, st.lists(INTERFACE, max_size=2).map(tuple), st.lists(inner, max_size=2).map(tuple), **TOLD
    ),
    max_leaves=3,
)


@given(NODES)
def test_what_is_written_is_read_back_the_same(node: Node) -> None:
    written = write(node)
    ET.fromstring(written)  # well-formed for others too
    assert parse(written) == node


PIECES = (
    "<node>", "</node>", "<interface name='a.b'>", "</interface>", "<method name='M'>", "</method>", "<arg type='s'/>",
    "<arg type='a'/>", "<signal name='S'/>", "<property name='P' type='v' access='read'/>", "<doc:doc>", "</doc:doc>",
    "<!-- M: @a: b -->", "<!--", "-->", "<![CDATA[", "]]>", "&amp;", "&x;", "<!DOCTYPE node [", "]>", "text",
    "<annotation name='n' value='v'/>", "<annotation name='n'/>", "<?x?>", "\0", "'", '"', "<", ">",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_no_text_raises_anything_else(text: str) -> None:
    for xml in (text, f"<node>{text}</node>", f'<node><interface name="a.b">{text}</interface></node>'):
        with contextlib.suppress(RemoteProtocolError):
            assert isinstance(parse(xml), Node)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert isinstance(parse(data), Node)
