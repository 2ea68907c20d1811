"""Policies that a real bus obeys, and activation files by which it starts programs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator

import pytest

from everywire import Fault, ModelError
from everywire.dbus.generating import Access, activation_file, policy_file
from everywire.dbus.session import Answer, Connection, Message
from tests.dbus import lab

SERVICE = "org.acme.Climate"
BOILER = f"{SERVICE}.Boiler1"
EVERYWIRE = "org.everywire.Object1"


@contextlib.asynccontextmanager
async def serving(bus: lab.Bus) -> AsyncIterator[None]:
    """A service of root's that answers every call."""

    def answer(message: Message) -> Answer:
        return Answer("s", f"{message.interface}.{message.member}")

    async with await Connection.open(bus.address) as connection:
        connection.handle("/", answer, subtree=True)
        await connection.request_name(SERVICE)
        yield


async def nobody(bus: lab.Bus, *arguments: str) -> str:
    """What dbus-send prints for another user: the answer, or the error's name."""
    command = [lab.needs("dbus-send", "dbus-bin"), f"--bus={bus.address}", "--print-reply=literal", *arguments]
    process = await asyncio.create_subprocess_exec(
        *lab.as_nobody(*command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=lab.environment(),
    )
    said = (await process.communicate())[0].decode().strip()
    return said.removeprefix("Error ").split(":")[0]


async def called(bus: lab.Bus, member: str) -> str:
    return await nobody(bus, f"--dest={SERVICE}", "/", member)


async def owning(bus: lab.Bus) -> str:
    request = "org.freedesktop.DBus.RequestName"
    return await nobody(bus, "--dest=org.freedesktop.DBus", "/", request, f"string:{SERVICE}", "uint32:0")


DENIED = "org.freedesktop.DBus.Error.AccessDenied"
INTROSPECT = "org.freedesktop.DBus.Introspectable.Introspect"


async def test_without_a_rule_strangers_may_introspect_and_nothing_else(system_bus: lab.Bus) -> None:
    system_bus.rule("climate", policy_file(SERVICE, Access()))
    assert await owning(system_bus) == DENIED
    async with serving(system_bus):
        assert await called(system_bus, INTROSPECT) == INTROSPECT
        assert await called(system_bus, "org.freedesktop.DBus.Peer.GetMachineId") != DENIED
        assert await called(system_bus, f"{BOILER}.Boost") == DENIED
        assert await called(system_bus, "org.freedesktop.DBus.Properties.GetAll") == DENIED


@pytest.mark.parametrize("access", [Access(users=["nobody"]), Access(groups=["nogroup"]), Access(everybody=True)])
async def test_who_is_named_may_call(system_bus: lab.Bus, access: Access) -> None:
    system_bus.rule("climate", policy_file(SERVICE, access))
    assert await owning(system_bus) == DENIED
    async with serving(system_bus):
        for member in (INTROSPECT, f"{BOILER}.Boost", "org.freedesktop.DBus.Properties.GetAll", "any.Other.Thing"):
            assert await called(system_bus, member) == member


async def test_only_the_interfaces_of_the_class_may_be_called_where_one_is_given(system_bus: lab.Bus) -> None:
    system_bus.rule("climate", policy_file(SERVICE, Access(users=["65534"]), [BOILER]))
    async with serving(system_bus):
        for member in (INTROSPECT, f"{BOILER}.Boost", "org.freedesktop.DBus.Properties.GetAll", f"{EVERYWIRE}.Attach"):
            assert await called(system_bus, member) == member
        assert await called(system_bus, "any.Other.Thing") == DENIED


async def test_who_owns_the_name_may_be_anybody_who_is_named(system_bus: lab.Bus) -> None:
    system_bus.rule("climate", policy_file(SERVICE, Access(owners=["nobody"])))
    assert await owning(system_bus) == "uint32 1"


async def test_signals_and_answers_reach_the_service(system_bus: lab.Bus) -> None:
    """Rules that deny calls to a name must not deny what is no call."""
    system_bus.rule("climate", policy_file(SERVICE, Access(owners=["nobody"])))
    system_bus.rule("other", policy_file("org.acme.Other", Access(everybody=True)))
    async with await Connection.open(system_bus.address) as connection:
        connection.handle("/", lambda message: Answer("s", "pong"), subtree=True)
        await connection.request_name("org.acme.Other")
        assert await nobody(system_bus, "--dest=org.acme.Other", "/", "org.acme.Other.Ping") == "pong"


def test_accounts_and_names_are_checked() -> None:
    with pytest.raises(ModelError, match="'a b' is no user or group"):
        Access(users=["a b"])
    with pytest.raises(ModelError, match=r"is no user or group"):
        Access(groups=['"/><allow own="*'])
    with pytest.raises(ModelError, match="no bus name"):
        policy_file("org", Access())
    with pytest.raises(ModelError, match="has given to one connection"):
        policy_file(":1.2", Access())
    with pytest.raises(ModelError, match="no interface name"):
        policy_file(SERVICE, Access(), ['a"b'])


ARGUMENTS = [
    "plain",
    "two words",
    "",
    '$HOME `id` "quoted" \'single\' back\\slash \\" end\\',
    "a;b|c&d",
    "#x",
    "~",
    "*",
    "ü",
]


async def test_a_bus_starts_the_program_with_exactly_its_arguments(own_bus: lab.Bus) -> None:
    record = own_bus.folder / "arguments.json"
    program = own_bus.folder / "program.py"
    program.write_text(f"import json, sys\nopen({str(record)!r}, 'w').write(json.dumps(sys.argv[1:]))\nsys.exit(1)\n")
    text = activation_file(SERVICE, [sys.executable, str(program), *ARGUMENTS])
    (own_bus.services / f"{SERVICE}.service").write_text(text, encoding="utf-8")
    await asyncio.to_thread(own_bus.reload)
    async with await Connection.open(own_bus.address) as connection:
        with pytest.raises(Fault):  # it ends without taking the name
            await connection.call(SERVICE, "/", "org.acme.Any", "Thing")
    assert json.loads(record.read_text()) == ARGUMENTS


def test_an_activation_file_says_who_runs_it_and_which_unit() -> None:
    assert activation_file(SERVICE, ["/usr/bin/climate"], user="climate", unit="climate@1.service") == (
        "[D-BUS Service]\nName=org.acme.Climate\nExec=/usr/bin/climate\n"
        "User=climate\nSystemdService=climate@1.service\n"
    )
    for command, user, unit, message in (
        (["climate"], "", "", "whole path"),
        ([], "", "", "whole path"),
        (["/bin/x", "a\nUser=root"], "", "", "cannot be shown"),
        (["/bin/x"], "a\nb", "", "no user or group"),
        (["/bin/x"], "", "climate", "no unit of systemd"),
    ):
        with pytest.raises(ModelError, match=message):
            activation_file(SERVICE, command, user=user, unit=unit)
