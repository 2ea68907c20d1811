"""Where the lines of the audit trail go: a file of this user's alone, bounded, and the standard error when it fails."""

from __future__ import annotations

import logging
import os
import sys
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from typing import Final

from everywire.errors import ModelError

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of one file; whoever floods a host with logins that fail must not fill its disk."""
KEPT: Final = 3
"""Older files that are kept beside it: FILE.1 is the youngest."""


class AuditFile(RotatingFileHandler):
    """Appends to a file that only its owner can read."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return TextIOWrapper(os.fdopen(descriptor, "ab"), encoding="ascii", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Say a line that could not be written where it is seen."""
        print(f"everywire: the audit trail cannot be written; its line: {record.getMessage()}", file=sys.stderr)


def audit_to(file: str) -> AuditFile:
    """Let the audit trail go to *file* from now on; raise ModelError when it cannot be written."""
    try:
        handler = AuditFile(file, maxBytes=MOST_BYTES, backupCount=KEPT)
    except OSError as error:
        raise ModelError(f"cannot write the audit trail to {file}: {error.strerror}") from error
    logger = logging.getLogger("everywire.audit")
    logger.addHandler(handler)
    logger.propagate = False
    return handler
