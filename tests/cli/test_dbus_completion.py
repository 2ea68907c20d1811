"""Completion on D-Bus: names on the bus, paths, members in either spelling; nothing is started and nothing changed."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import heater as program
from tests.cli.conftest import NO_BUS
from tests.cli.heaters import heater
from tests.cli.hosts import hosting
from tests.cli.shells import Interactive, fish, installed
from tests.cli.test_completion import asked
from tests.dbus import lab

NAME = "org.acme.Heater"
URL = f"dbus:session?service={NAME}"
QUOTED = f"'{URL}'"
PATH = "/org/acme/Heater"


@pytest.fixture(scope="module")
def bus() -> Iterator[lab.Bus]:
    """A bus with the heater on it, and with one that sleeps."""
    with lab.running() as bus, heater(bus.address, NAME):
        bus.offer("org.acme.Sleeper", sys.executable, str(program.__file__), bus.address, "org.acme.Sleeper")
        yield bus


@pytest.fixture(autouse=True)
def session(bus: lab.Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of the session."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)


@pytest.mark.parametrize("kind", installed("bash", "zsh"))
def test_names_paths_and_members_are_completed_at_a_prompt(kind: str, bus: lab.Bus) -> None:
    with tempfile.TemporaryDirectory(prefix="ew-") as folder:
        shell = Interactive(kind, Path(folder), DBUS_SESSION_BUS_ADDRESS=bus.address)
        with shell.terminal:
            lines = [
                ("everywire tree dbus:sy", None),
                (f"everywire list 'dbus:session?service={NAME[:-3]}", f"everywire list {QUOTED} "),
                (f"everywire get {QUOTED} {PATH[:-3]}", None),
                (f"everywire get {QUOTED} {PATH} lev", f"everywire get {QUOTED} {PATH} level "),
                (f"everywire get {QUOTED} {PATH} Lev", f"everywire get {QUOTED} {PATH} Level "),
                (f"everywire call {QUOTED} {PATH} org.acme.F", f"everywire call {QUOTED} {PATH} org.acme.Fan1.Toggle "),
                (f"everywire call {QUOTED} {PATH} Boost mi", f"everywire call {QUOTED} {PATH} Boost minutes="),
                ("everywire monitor dbus:session org.acme.H", "everywire monitor dbus:session org.acme.Heater "),
            ]
            typed = [shell.complete(begin) for begin, _ in lines]
    assert typed[0].startswith("everywire tree dbus:system")
    assert typed[2].startswith(f"everywire get {QUOTED} {PATH}")
    assert [line for line, (_, wanted) in zip(typed, lines, strict=True) if wanted] == [w for _, w in lines if w]


@pytest.mark.parametrize("name", installed("fish"))
def test_fish_offers_the_same_with_descriptions(name: str, bus: lab.Bus) -> None:
    with tempfile.TemporaryDirectory(prefix="ew-") as folder:
        environment = {"DBUS_SESSION_BUS_ADDRESS": bus.address}
        names = fish(Path(folder), "everywire list 'dbus:session?service=org.acme.", **environment)
        assert names.keys() == {URL, "dbus:session?service=org.acme.Sleeper"}
        assert names["dbus:session?service=org.acme.Sleeper"] == "starts when it is called"
        paths = fish(Path(folder), f"everywire tree {QUOTED} {PATH}", **environment)
        assert paths[PATH] == "org.acme.Heater1, org.acme.Fan1"
        assert fish(Path(folder), f"everywire set {QUOTED} {PATH} lev", **environment) == {
            "level": "level: f64 (writable)"
        }


def test_buses_and_settings_are_offered() -> None:
    assert {"dbus:", "dbus+local:"} <= set(asked("everywire list "))
    assert asked("everywire tree ") == ["dbus:", "dbus+local:"]
    assert asked("everywire list dbus:") == ["session", "session\\?service=", "system", "system\\?service="]
    assert asked("everywire list 'dbus:session?") == ["dbus:session?service="]
    assert asked("everywire list 'dbus:session?path=/a&") == ["dbus:session?path=/a&service="]
    assert f"dbus:session?path=/a&service={NAME}" in asked("everywire list 'dbus:session?path=/a&service=")


def test_each_verb_is_offered_the_members_that_fit() -> None:
    assert asked(f"everywire get {QUOTED} ") == [PATH, f"{PATH}/hidden/one"]
    assert asked(f"everywire set {QUOTED} {PATH} ") == ["level", "secret", "speed"]
    assert asked(f"everywire set {QUOTED} . S") == ["Secret", "Speed"]
    assert asked(f"everywire watch {QUOTED} {PATH} f") == ["fired", "fan_state"]
    assert "org.acme.Heater1.Boost" in asked(f"everywire call {QUOTED} {PATH} org.")
    assert asked(f"everywire call {QUOTED} {PATH} Boost ") == ["minutes=", "note="]
    assert asked(f"everywire get {QUOTED} {PATH} level Level l") == []


def test_an_object_of_ours_is_offered_by_name_and_by_path() -> None:
    with hosting("lab.py", "dbus") as url:
        quoted = f"'{url}'"
        assert asked(f"everywire get {quoted} ") == ["lab", "museum"]
        assert asked(f"everywire get {quoted} /org") == ["/org/acme/Climate/lab", "/org/acme/Climate/museum"]
        assert asked(f"everywire set {quoted} lab color ") == ["RED", "GREEN"]
        assert asked(f"everywire set {quoted} /org/acme/Climate/lab Color ") == ["RED", "GREEN"]


@pytest.mark.parametrize(
    "line",
    [
        "everywire list 'dbus:session?service=",
        "everywire get 'dbus:session?service=org.acme.Heater' ",
        "everywire get 'dbus:session?service=org.acme.Heater' / ",
        "everywire monitor dbus:session ",
        "everywire tree 'dbus:session?service=org.acme.Heater' /",
        "everywire get 'dbus:nonsense' ",
        "everywire get 'dbus:' / ",
        "everywire tree local:x /",
    ],
)
def test_a_bus_that_is_not_there_offers_nothing(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", NO_BUS)
    assert asked(line) == []


def test_completing_starts_nothing(bus: lab.Bus) -> None:
    sleeper = "'dbus:session?service=org.acme.Sleeper'"
    assert asked(f"everywire get {sleeper} ") == []
    assert asked(f"everywire get {sleeper} {PATH} ") == []
    assert "org.acme.Sleeper" in asked("everywire monitor dbus:session org.acme.")
    owner = asked("everywire list dbus:session")  # no look at the bus at all
    assert owner
