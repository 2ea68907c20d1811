"""What conformance tests are given: a place on each wire of the table, one after the other or in pairs."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import trustme

from tests.conformance.wires import WIRES, Place, Wire
from tests.dbus import lab
from tests.harness import KINDS, SOAK

Certificates = tuple[Path, Path]

ON_EVERY_LOOP: Final = ("test_calls.py", "test_signals.py", "test_streams.py")
"""What `make test` runs on every kind of loop, Qt's included; `make soak` runs the whole suite on each."""


QT_LOOPS: Final = frozenset({"qasync", "qtasyncio"})
BESIDE_QT: Final = frozenset({"local", "http", "dbus"})
"""The wires that `make test` runs on Qt's loops, one of each protocol; `make soak` runs all of them."""

ON_EVERY_WIRE: Final = BESIDE_QT | {"memory"}
"""Of pairs of wires `make test` runs those with one of these; `make soak` runs each with each."""

SAME_BYTES: Final = frozenset({"localabstract", "tls", "ws", "registry", "https", "http_local"})
"""The wires that `make test` spares what is about bytes alone: they carry those of another. `make soak` does not."""
ABOUT_BYTES: Final = frozenset({"test_values.py", "test_contracts.py"})

ON_ONE_LOOP: Final = {
    **dict.fromkeys(("localabstract", "local_qt5", "registry", "http_local"), "uvloop"),
    **dict.fromkeys(("https", "ws", "dbus_local"), "asyncio"),
}
"""The wires that `make test` runs on one kind of loop alone, for another shares what they do with loops."""


def loops_for(metafunc: pytest.Metafunc) -> tuple[str, ...]:
    """The kinds of loops that a test of the suite runs on; none stands for what it says itself."""
    everywhere = SOAK or metafunc.definition.path.name in ON_EVERY_LOOP
    return KINDS if everywhere and inspect.iscoroutinefunction(metafunc.function) else ()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The listener's certificate with its key, and the authority that issued it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(folder / "host.pem")
    return folder / "host.pem", folder / "ca.pem"


@pytest.fixture(scope="session")
def bus() -> Iterator[str]:
    """The address of a D-Bus daemon for the whole suite."""
    with lab.running() as daemon:
        yield daemon.address


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a socket path has room for 106 bytes only."""
    with tempfile.TemporaryDirectory(prefix="ew-") as name:
        yield Path(name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = metafunc.fixturenames
    kinds = loops_for(metafunc)
    if kinds:  # before the hook of tests/conftest.py, which looks for the nearest marker
        metafunc.definition.add_marker(pytest.mark.loops(*kinds), append=False)
    if "place" in names:
        metafunc.parametrize("place", WIRES, indirect=True, ids=lambda wire: wire.name)
    if "family_place" in names:
        families = [wire for wire in WIRES if wire.carries_children]
        metafunc.parametrize("family_place", families, indirect=True, ids=lambda wire: wire.name)
    if "far_place" in names:
        remote = [wire for wire in WIRES if wire.between_processes]
        metafunc.parametrize("far_place", remote, indirect=True, ids=lambda wire: wire.name)
    if "other_place" in names:
        metafunc.parametrize("other_place", WIRES, indirect=True, ids=lambda wire: f"to_{wire.name}")


@pytest.fixture
def place(request: pytest.FixtureRequest, folder: Path, certificates: Certificates) -> Place:
    """A place on every wire."""
    return _place(request, folder, certificates)


@pytest.fixture
def family_place(request: pytest.FixtureRequest, folder: Path, certificates: Certificates) -> Place:
    """A place on every wire that carries child objects."""
    return _place(request, folder, certificates)


@pytest.fixture
def far_place(request: pytest.FixtureRequest, folder: Path, certificates: Certificates) -> Place:
    """A place on every wire that leads to other processes."""
    return _place(request, folder, certificates)


@pytest.fixture
def other_place(request: pytest.FixtureRequest, folder: Path, certificates: Certificates) -> Place:
    """A second place, on every wire in turn."""
    second = folder / "other"
    second.mkdir()
    return _place(request, second, certificates)


def _place(request: pytest.FixtureRequest, folder: Path, certificates: Certificates) -> Place:
    wire: Wire = request.param
    return Place(wire, folder, *certificates, request.getfixturevalue("bus") if "{bus}" in wire.listen else "")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if not SOAK and isinstance(item, pytest.Function) and _is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def _is_left_out(item: pytest.Function) -> bool:
    """Return whether a test says nothing new: of its wire on this kind of loop, or of a pair of wires."""
    given = item.callspec.params if hasattr(item, "callspec") else {}
    wires = {wire.name for wire in given.values() if isinstance(wire, Wire)}
    if "other_place" in given and not wires & ON_EVERY_WIRE:
        return True
    if item.path.name in ABOUT_BYTES and wires & SAME_BYTES:
        return True
    loop = given.get("loop_kind")
    if loop in QT_LOOPS:
        return bool(wires) and not wires <= BESIDE_QT
    return loop is not None and any(ON_ONE_LOOP.get(wire, loop) != loop for wire in wires)
