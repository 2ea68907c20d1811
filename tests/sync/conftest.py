"""What tests of programs without a loop are given: a place, a host in a thread beside them, and a way to connect."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from everywire import sync
from tests.conformance.wires import WIRES, Place
from tests.dbus import lab

Certificates = tuple[Path, Path]
Connect = Callable[..., AbstractContextManager[Any]]

OWN_SOCKET = [wire for wire in WIRES if wire.name in ("local", "localabstract", "tcp", "tls")]
LOCAL = OWN_SOCKET[0]


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
    """The address of a D-Bus daemon for all these tests."""
    with lab.running() as daemon:
        yield daemon.address


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a socket path has room for 106 bytes only."""
    with tempfile.TemporaryDirectory(prefix="ew-") as name:
        yield Path(name)


@pytest.fixture
def place(request: pytest.FixtureRequest, folder: Path, certificates: Certificates) -> Place:
    """A local place, unless the test asks for every transport."""
    return Place(getattr(request, "param", LOCAL), folder, *certificates)


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Connect:
    """`sync.connect` on a socket of its own, or in the background when the test asks for both."""
    return partial(sync.connect, background=getattr(request, "param", False), timeout=5.0)


every_transport = pytest.mark.parametrize("place", OWN_SOCKET, indirect=True, ids=lambda wire: wire.name)
both_ways = pytest.mark.parametrize("connect", [False, True], indirect=True, ids=["own_socket", "background"])
