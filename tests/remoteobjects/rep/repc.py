"""The real repc of both generations of Qt: what it says about a .rep file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

from tests.building import needs

CORPUS: Final = Path(__file__).parent / "corpus"
FILES: Final = sorted(CORPUS.glob("*.rep"))

_PLACES: Final = {
    True: ("/usr/lib/qt5/bin/repc", "libqt5remoteobjects5-dev"),
    False: ("/usr/lib/qt6/libexec/repc", "qt6-remoteobjects-dev"),
}
_SIGNATURE: Final = re.compile(r'OBJECT_TYPE, "(\w+)"\)\s*Q_CLASSINFO\(QCLASSINFO_REMOTEOBJECT_SIGNATURE, "(\w+)"')


def repc(*, qt5: bool) -> str:
    """The program; the test is skipped, with the reason, where it is not installed."""
    return needs(*_PLACES[qt5])


def signatures_by_repc(text: str, folder: Path, *, qt5: bool) -> dict[str, str] | None:
    """The signatures in the header that repc makes of *text*; None when it refuses the text."""
    source, header = folder / "it.rep", folder / "it.h"
    source.write_text(text, encoding="utf-8")
    command = [repc(qt5=qt5), "-o", "replica", str(source), str(header)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        assert "error" in done.stderr, done.stderr
        return None
    return dict(_SIGNATURE.findall(header.read_text(encoding="utf-8")))
