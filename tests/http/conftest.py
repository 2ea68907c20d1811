"""What tests of HTTP are given: short folders for sockets, certificates, tokens, and what was denied."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from everywire import Role, Tokens
from everywire.runtime.audit import log


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a socket path has room for 106 bytes only."""
    with tempfile.TemporaryDirectory(prefix="ew-") as name:
        yield Path(name)


@dataclass(frozen=True)
class Certificates:
    """Files of one authority, and a client's certificate of another."""

    ca: Path
    host: Path
    client: Path
    foreign: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:0?cert={self.host}"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    authority, other = trustme.CA(), trustme.CA()
    found = Certificates(folder / "ca.pem", folder / "host.pem", folder / "client.pem", folder / "foreign.pem")
    authority.cert_pem.write_to_path(found.ca)
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(found.host)
    client = authority.issue_cert("panel@example.org", common_name="panel", organization_name="Acme")
    client.private_key_and_cert_chain_pem.write_to_path(found.client)
    foreign = other.issue_cert("panel@example.org", common_name="panel", organization_name="Acme")
    foreign.private_key_and_cert_chain_pem.write_to_path(found.foreign)
    return found


@dataclass
class Logins:
    """A file of tokens, and the texts of some that are in it."""

    tokens: Tokens
    operator: str
    viewer: str

    @property
    def bearer(self) -> str:
        return f"Authorization: Bearer {self.operator}"


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    tokens = Tokens(tmp_path / "tokens")
    return Logins(tokens, tokens.add("panel", Role.OPERATOR), tokens.add("guest", Role.VIEWER))


class Trail(logging.Handler):
    """What the audit trail says."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(record.getMessage()))

    def take(self) -> list[dict[str, Any]]:
        """Return the lines since the last time."""
        taken, self.lines = self.lines, []
        return taken


@pytest.fixture
def trail() -> Iterator[Trail]:
    handler = Trail()
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)
