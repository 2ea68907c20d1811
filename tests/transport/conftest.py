"""What transport tests are given: short folders for sockets, certificates, and an address of every transport."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.transport.receivers import Certificates


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a socket path has room for 106 bytes only."""
    with tempfile.TemporaryDirectory(prefix="ew-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    listener = authority.issue_cert("127.0.0.1", "localhost")
    listener.private_key_and_cert_chain_pem.write_to_path(folder / "listener.pem")
    client = authority.issue_cert(
        "client@example.org",
        common_name="operator, night shift",
        organization_name="Acme",
        organization_unit_name="Plant",
    )
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    return Certificates(folder, folder / "ca.pem", folder / "listener.pem", folder / "client.pem")


@pytest.fixture(params=["local", "localabstract", "tcp", "tcp6", "tls", "ws", "wss", "memory"])
def any_address(
    request: pytest.FixtureRequest, folder: Path, certificates: Certificates
) -> tuple[str, Callable[[str], str]]:
    """Where to listen, and what to dial when the listener says where it really is."""
    listen = {
        "local": f"local:{folder}/any",
        "localabstract": f"localabstract:{folder}/any",
        "tcp": "tcp://127.0.0.1:0",
        "tcp6": "tcp://[::1]:0",
        "tls": certificates.listen,
        "ws": "ws://127.0.0.1:0/plant",
        "wss": certificates.listen.replace("tls", "wss", 1),
        "memory": f"memory:{folder}/any",
    }[request.param]
    if request.param in ("tls", "wss"):
        return listen, lambda url: f"{url}?ca={certificates.ca}"
    return listen, lambda url: url
