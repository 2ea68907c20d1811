"""`everywire monitor` shows what passes on a bus: readable, as JSON, by rules, and where only signals may be heard."""

from __future__ import annotations

import json
import re
import select
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result

from everywire.cli.exits import Exit
from tests.cli.heaters import heater
from tests.dbus import lab

Cli = Callable[..., Result]
Start = Callable[..., Any]
NAME = "org.acme.Heater"
PATH = "/org/acme/Heater"
NO_MONITORS = '<policy context="mandatory"><deny send_interface="org.freedesktop.DBus.Monitoring"/></policy>'


@pytest.fixture(scope="module")
def bus() -> Iterator[lab.Bus]:
    """A bus with the heater on it."""
    with lab.running() as bus, heater(bus.address, NAME):
        yield bus


@pytest.fixture(autouse=True)
def session(bus: lab.Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of the session."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)


def call(bus: lab.Bus, *words: str) -> None:
    """Call the heater from a program that is not ours."""
    command = ["dbus-send", f"--bus={bus.address}", "--print-reply", f"--dest={NAME}", PATH, *words]
    subprocess.run(command, capture_output=True, check=False)


def monitoring(start: Start, bus: lab.Bus, *words: str) -> Any:
    """`everywire monitor` once it shows what passes; it is given something harmless to show, then something else."""
    monitor = start("monitor", f"dbus:{bus.address}", *words)
    while not select.select([monitor.process.stdout], [], [], 0.2)[0]:
        call(bus, "org.freedesktop.DBus.Peer.Ping")
    call(bus, "org.freedesktop.DBus.Peer.GetMachineId")
    while "GetMachineId" not in (line := monitor.line()):
        assert "Ping" in line or "return" in line or "(:1." in line or "Hello" in line or "Name" in line, line
    if "call" in line:
        assert "return" in monitor.line()
    return monitor


def without_times(lines: list[str]) -> list[str]:
    return [re.sub(r"^\d\d:\d\d:\d\d\.\d{3} ", "", re.sub(r":1\.\d+", ":1.N", line)) for line in lines]


def test_what_passes_from_and_to_a_name_is_a_line_each(start: Start, bus: lab.Bus) -> None:
    monitor = monitoring(start, bus, NAME)
    call(bus, "org.acme.Heater1.Boost", "uint16:5", "string:the roof")
    call(bus, "org.acme.Heater1.Refuse")
    assert [re.sub("#[0-9]+", "#N", line) for line in without_times([monitor.line() for _ in range(5)])] == [
        f'call   :1.N → {NAME}  #N {PATH} org.acme.Heater1.Boost(5, "the roof")',
        f'signal :1.N → all  {PATH} org.acme.Heater1.Fired(33.5, "the roof")',
        "return :1.N → :1.N  #N (300)",
        f"call   :1.N → {NAME}  #N {PATH} org.acme.Heater1.Refuse()",
        'error  :1.N → :1.N  #N org.everywire.Error.FailedPrecondition("not today\\u001b[31m")',
    ]
    monitor.interrupt()
    assert monitor.end() == ("", "")
    assert monitor.code == Exit.INTERRUPTED


def test_a_rule_and_a_count_as_json(start: Start, bus: lab.Bus) -> None:
    rule = f"type='method_call',interface='org.acme.Heater1',path='{PATH}'"
    monitor = start("monitor", "dbus:session", rule, "-n", "1", "--json")
    while not select.select([monitor.process.stdout], [], [], 0.2)[0]:
        call(bus, "org.acme.Heater1.Options", "dict:string:int32:a,1", "variant:objpath:/a")
    told = json.loads(monitor.line())
    assert told.pop("time").endswith("+00:00")
    assert (told.pop("sender")[:3], told.pop("serial")) == (":1.", 2)
    assert told == {
        "type": "call",
        "flags": [],
        "destination": NAME,
        "path": PATH,
        "interface": "org.acme.Heater1",
        "member": "Options",
        "signature": "a{si}v",
        "body": [{"a": 1}, "/a"],
    }
    assert monitor.code == Exit.OK


def test_a_monitor_begins_within_a_flood(start: Start, bus: lab.Bus) -> None:
    """Calls come with the answer that makes a monitor of us: who answers one is thrown off the bus."""
    flood = subprocess.Popen(
        ["dbus-test-tool", "spam", "--session", f"--dest={NAME}", "--count=1000000", "--queue=20", "--ignore-errors"],
        env=lab.environment(bus.address), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        monitor = start("monitor", "dbus:session", "-n", "500")
        out, err = monitor.end()
        assert (len(out.splitlines()), monitor.code) == (500, Exit.OK), err
        assert " com.example.Spam" in out
    finally:
        flood.kill()
        flood.wait()


def test_where_monitors_are_not_allowed_signals_to_all_are_shown(start: Start, cli: Cli, own_bus: lab.Bus) -> None:
    own_bus.rule("no-monitors", NO_MONITORS)
    with heater(own_bus.address, NAME):
        monitor = start("monitor", f"dbus:{own_bus.address}", NAME, "-n", "2")
        told = monitor.process.stderr.readline()
        assert told.startswith(f"everywire: the bus at {own_bus.address} does not let this user monitor it: ")
        assert told.endswith(": only signals to all are shown; root may see all\n")
        while not select.select([monitor.process.stdout], [], [], 0.2)[0]:
            call(own_bus, "org.acme.Heater1.Boost", "uint16:5", "string:x")
        assert f'signal :1.N → all  {PATH} org.acme.Heater1.Fired(33.5, "x")' in without_times([monitor.line()])
        call(own_bus, "org.acme.Heater1.Toggle")
        monitor.end()
        assert monitor.code == Exit.OK
        refused = cli("monitor", f"dbus:{own_bus.address}", "type='method_call'")
        assert (refused.exit_code, refused.stdout) == (Exit.REFUSED, "")
        assert "only who may monitor the bus at" in refused.stderr


def test_a_monitor_ends_with_its_bus_and_with_its_reader(start: Start, own_bus: lab.Bus) -> None:
    with heater(own_bus.address, NAME):
        monitor = monitoring(start, own_bus)
        own_bus.kill()
        assert monitor.end()[1].startswith("everywire: ")
        assert monitor.code == Exit.NO_CONNECTION


@pytest.mark.parametrize(
    "rule,message",
    [
        ("type='signals'", "a match rule knows no type 'signals'; there are method_call, method_return, error, signal"),
        ("sendr='x.y'", "a match rule knows no 'sendr'; one looks like type='signal'"),
        ("member='a", "an apostrophe is not closed"),
        ("not a name", "'not a name' is no bus name: one looks like org.acme.Climate or :1.42"),
    ],
)
def test_a_rule_that_is_none_is_told(cli: Cli, rule: str, message: str) -> None:
    refused = cli("monitor", "dbus:session", rule)
    assert (refused.exit_code, refused.stdout) == (Exit.USAGE, "")
    assert message in refused.stderr
