"""Hosts for the verbs, each a process of its own, on every wire there is between processes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import trustme

from tests.dbus import lab

ADDRESSES: Final = {
    "local": ("local:{folder}/s", ""),
    "localabstract": ("localabstract:{folder}/s", ""),
    "tcp": ("tcp://127.0.0.1:0", ""),
    "tls": ("tls://127.0.0.1:0?cert={folder}/host.pem", "?ca={folder}/ca.pem"),
    "http": ("http://127.0.0.1:0", ""),
    "https": ("https://127.0.0.1:0?cert={folder}/host.pem", "?ca={folder}/ca.pem"),
    "http+local": ("http+local:{folder}/s", ""),
    "dbus": ("dbus:{bus}?service=org.acme.Climate", ""),
    "dbus+local": ("dbus+local:{folder}/s", ""),
    "dbus+tcp": ("dbus+tcp://127.0.0.1:0", ""),
}
"""Wire -> where a host listens, and what is added to its address to reach it."""


@contextmanager
def hosting(program: str, wire: str = "local") -> Iterator[str]:
    """Run *program* of this folder as a host on *wire*; give the URL that leads to it."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ew-"))
        bus = stack.enter_context(lab.running()).address if wire == "dbus" else ""
        if wire in ("tls", "https"):
            authority = trustme.CA()
            authority.cert_pem.write_to_path(f"{folder}/ca.pem")
            authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(f"{folder}/host.pem")
        listen, dial = (text.format(folder=folder, bus=bus) for text in ADDRESSES[wire])
        command = [sys.executable, str(Path(__file__).with_name(program)), listen]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
            assert host.stdout is not None
            address = host.stdout.readline().strip()
            assert address, f"{program} did not start"
            yield address + dial
            host.communicate(timeout=15)
