"""What tests of D-Bus are given: private buses. A test that kills, freezes or fills a bus takes one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dbus import lab


@pytest.fixture(scope="session")
def shared_bus() -> Iterator[lab.Bus]:
    """One dbus-daemon like that of a session, for all tests that do it no harm."""
    with lab.running() as bus:
        yield bus


@pytest.fixture
def bus(shared_bus: lab.Bus) -> str:
    """The address of the shared bus."""
    return shared_bus.address


@pytest.fixture
def own_bus() -> Iterator[lab.Bus]:
    """A fresh dbus-daemon like that of a session."""
    with lab.running() as bus:
        yield bus


@pytest.fixture
def system_bus() -> Iterator[lab.Bus]:
    """A fresh dbus-daemon like that of a system: every user may connect, calls and names need a rule."""
    with lab.running("system") as bus:
        yield bus


@pytest.fixture(scope="session")
def shared_broker() -> Iterator[lab.Broker]:
    """One dbus-broker for all tests that do it no harm."""
    with lab.running_broker() as broker:
        yield broker


@pytest.fixture
def own_broker() -> Iterator[lab.Broker]:
    """A fresh dbus-broker."""
    with lab.running_broker() as broker:
        yield broker


@pytest.fixture(params=["dbus-daemon", "dbus-broker"])
def each_bus(request: pytest.FixtureRequest) -> str:
    """The address of a shared bus; the test runs once with each implementation."""
    shared = request.getfixturevalue("shared_bus" if request.param == "dbus-daemon" else "shared_broker")
    address: str = shared.address
    return address


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for sockets."""
    with lab.folder() as place:
        yield place
