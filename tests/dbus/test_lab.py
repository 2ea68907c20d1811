"""The lab itself: the buses and programs that all other tests of D-Bus stand on."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from tests.dbus import lab, tools
from tests.dbus.gvariant import gvariant
from tests.dbus.printed import printed

BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus")


async def test_each_implementation_of_the_bus_answers_each_program(each_bus: str) -> None:
    names = await tools.busctl_call(each_bus, *BUS, "org.freedesktop.DBus", "ListNames")
    assert "org.freedesktop.DBus" in names[0]
    (listed,) = await tools.gdbus_call(each_bus, *BUS, "org.freedesktop.DBus.ListNames")
    assert "org.freedesktop.DBus" in listed
    (sent,) = await tools.dbus_send(each_bus, *BUS, "org.freedesktop.DBus.ListNames")
    assert "org.freedesktop.DBus" in sent
    (owner,) = await tools.gdbus_call(each_bus, *BUS, "org.freedesktop.DBus.GetConnectionCredentials", BUS[0])
    assert owner["UnixUserID"] == os.getuid()


async def test_errors_of_programs_carry_the_name_of_the_dbus_error(each_bus: str) -> None:
    for call in (tools.gdbus_call, tools.dbus_send):
        with pytest.raises(tools.ToolError) as failed:
            await call(each_bus, *BUS, "org.freedesktop.DBus.NoSuchThing")
        assert failed.value.name == "org.freedesktop.DBus.Error.UnknownMethod"


async def test_a_bus_that_was_killed_listens_at_the_same_address_again(own_bus: lab.Bus) -> None:
    first = await tools.busctl_call(own_bus.address, *BUS, "org.freedesktop.DBus", "GetId")
    await own_bus.restart()
    assert await tools.busctl_call(own_bus.address, *BUS, "org.freedesktop.DBus", "GetId") != first
    own_bus.stop()
    assert not own_bus.socket.exists()
    await own_bus.resurrect()
    assert own_bus.memory > 0
    await tools.busctl_call(own_bus.address, *BUS, "org.freedesktop.DBus", "GetId")


async def test_a_broker_that_was_killed_listens_at_the_same_address_again(own_broker: lab.Broker) -> None:
    first = await tools.busctl_call(own_broker.address, *BUS, "org.freedesktop.DBus", "GetId")
    await own_broker.restart()
    assert await tools.busctl_call(own_broker.address, *BUS, "org.freedesktop.DBus", "GetId") != first


async def test_a_frozen_bus_answers_when_it_is_released(own_bus: lab.Bus) -> None:
    async with asyncio.TaskGroup() as group:
        with own_bus.frozen():
            asked = group.create_task(tools.busctl_call(own_bus.address, *BUS, "org.freedesktop.DBus", "ListNames"))
            await tools.run("true")
            assert not asked.done()
    assert asked.result()


async def test_the_bus_starts_a_service_that_somebody_calls(own_bus: lab.Bus) -> None:
    own_bus.offer("org.acme.Echo", lab.needs("dbus-test-tool", "dbus-tests"), "echo", "--name=org.acme.Echo")
    assert await tools.dbus_send(own_bus.address, "org.acme.Echo", "/", "org.acme.Echo.Anything") == []


async def test_on_a_bus_like_the_systems_only_root_owns_names_and_calls_need_a_rule(system_bus: lab.Bus) -> None:
    def asked(*rest: str) -> list[str]:
        return lab.as_nobody("dbus-send", f"--bus={system_bus.address}", "--print-reply", *rest)

    request = ("--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.RequestName", "string:org.acme.A", "uint32:0")
    assert "AccessDenied" in (await tools.run(*asked(*request))).err
    async with tools.echo(system_bus.address, "org.acme.Echo"):
        call = ("--dest=org.acme.Echo", "/", "org.acme.Echo.Anything")
        assert "AccessDenied" in (await tools.run(*asked(*call))).err
        system_bus.rule("echo", '<policy context="default"><allow send_destination="org.acme.Echo"/></policy>')
        done = await tools.run(*asked(*call))
        assert done.code == 0, done.err
        assert await tools.dbus_send(system_bus.address, "org.acme.Echo", "/", "org.acme.Echo.Anything") == []


async def test_another_user_cannot_enter_the_bus_of_a_session(bus: str) -> None:
    done = await tools.run(*lab.as_nobody("dbus-send", f"--bus={bus}", "--print-reply", *BUS, "org.acme.A.B"))
    assert done.code != 0


async def test_a_monitor_sees_what_others_say(each_bus: str) -> None:
    async with tools.monitor(each_bus) as seen:
        await tools.gdbus_call(each_bus, *BUS, "org.freedesktop.DBus.GetNameOwner", BUS[0])
        call = await seen.fact(type="method_call", member="GetNameOwner")
        assert call["payload"] == {"type": "s", "data": [BUS[0]]}
        await seen.fact(type="method_return", reply_cookie=call["cookie"])


async def test_a_black_hole_never_answers_and_a_spammer_calls(own_bus: lab.Bus) -> None:
    async with tools.black_hole(own_bus.address, "org.acme.Hole"), tools.echo(own_bus.address, "org.acme.Echo"):
        done = await tools.spam(own_bus.address, "org.acme.Echo", "--count=100", "--flood")
        assert done.code == 0, done.err
        with pytest.raises(tools.ToolError, match=r"NoReply|did not receive a reply"):
            await tools.dbus_send(own_bus.address, "org.acme.Hole", "/", "org.acme.Hole.Any", milliseconds=200)


@pytest.mark.parametrize(
    "text, value",
    [
        ("()", ()),
        ("(1,)", (1,)),
        ("('a\\'b\\n\\u00e9', \"c'\")", ("a'b\né", "c'")),
        ("(@as [], [1, 2], [uint64 3])", ([], [1, 2], [3])),
        ("({'a': <1>, 'b': <@ay []>}, @a{sv} {})", ({"a": 1, "b": []}, {})),
        ("(true, 0x1f, int16 -5, 1.5, 1e+20, -inf)", (True, 31, -5, 1.5, 1e20, float("-inf"))),
        ("(b'data\\001', objectpath '/a', signature 'ai', handle 0)", (b"data\x01", "/a", "ai", 0)),
        ("(<('x', [(1, {uint32 2: <'y'>})])>,)", (("x", [(1, {2: "y"})]),)),
    ],
)
def test_gvariant_texts_are_read(text: str, value: Any) -> None:
    assert gvariant(text) == value


def test_what_dbus_send_prints_is_read() -> None:
    text = """method return time=1.0 sender=:1.1 -> destination=:1.2 serial=3 reply_serial=2
   string "two
lines"
   array [
      dict entry(
         string "a"
         variant             struct {
               int32 -1
               boolean true
            }
      )
   ]
   array of bytes [
      01 ff
   ]
   double 1.5
   array [
      object path "/a"
   ]
   array [
   ]
"""
    assert printed(text) == ["two\nlines", {"a": (-1, True)}, b"\x01\xff", 1.5, ["/a"], []]
