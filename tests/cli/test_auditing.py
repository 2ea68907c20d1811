"""`--audit FILE`: the trail is this user's alone, bounded, and not lost when the file cannot be written."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from everywire.cli import auditing
from everywire.cli.auditing import AuditFile, audit_to
from everywire.errors import ModelError
from everywire.model import Caller
from everywire.runtime import audit

STRANGER = Caller(wire="qtro", address="192.0.2.7:4711")


@pytest.fixture
def trail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditFile]:
    monkeypatch.setattr(auditing, "MOST_BYTES", 2_000)
    handler = audit_to(str(tmp_path / "audit.log"))
    yield handler
    audit.log.removeHandler(handler)
    audit.log.propagate = True
    handler.close()


def test_a_flood_of_denials_fills_no_disk(trail: AuditFile, tmp_path: Path) -> None:
    for number in range(200):
        audit.denied("login", STRANGER, number=number)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["audit.log", "audit.log.1", "audit.log.2", "audit.log.3"]
    assert all(file.stat().st_size <= 2_000 for file in files)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    numbers = [json.loads(line)["number"] for file in reversed(files) for line in file.read_text().splitlines()]
    assert numbers == list(range(200 - len(numbers), 200))


def test_a_line_that_cannot_be_written_is_said_where_it_is_seen(
    trail: AuditFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: logging.LogRecord) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trail, "shouldRollover", full)
    audit.denied("login", STRANGER)
    said = capsys.readouterr().err
    assert said.startswith("everywire: the audit trail cannot be written; its line: {")
    assert json.loads(said.partition("its line: ")[2])["denied"] == "login"


def test_a_file_that_is_there_already_is_appended_to(tmp_path: Path, trail: AuditFile) -> None:
    audit.denied("login", STRANGER)
    again = AuditFile(str(tmp_path / "audit.log"))
    again.emit(logging.LogRecord("x", logging.WARNING, "", 0, "ü", (), None))
    again.close()
    assert (tmp_path / "audit.log").read_text().splitlines()[1] == "\\xfc"


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"cannot write the audit trail to {tmp_path}: Is a directory"):
        audit_to(str(tmp_path))
