"""What `everywire doctor` finds about this machine: interpreter, libraries, sockets, directories, limits, clock."""

from __future__ import annotations

import enum
import importlib.metadata
import os
import platform
import re
import resource
import socket
import ssl
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from everywire.cli.looping import fast_loop
from everywire.errors import EverywireError, MissingExtra
from everywire.runtime.limits import DEFAULT_LIMITS
from everywire.transport.local_names import abstract_address, socket_path, unix_family

OLDEST_PYTHON: Final = (3, 11)
OLDEST_OPENSSL: Final = (1, 1, 1)
"""The first with TLS 1.3."""
FOR_DEVELOPERS: Final = frozenset({"all", "bench", "dev", "fuzz", "test"})
"""Extras that `doctor` does not ask for."""
OTHER_FILES: Final = 64
"""Descriptors that a host needs beside one for each connection."""
_REQUIREMENT: Final = re.compile(r"([\w.-]+)\s*([^;]*)(?:;.*extra == ['\"](\w+)['\"])?")


class State(enum.Enum):
    """How a thing stands."""

    WORKS = "works"
    WARNING = "warning"
    """It works, and something about it should be known."""
    MISSING = "missing"
    """Not installed, or this system has none: no fault."""
    BROKEN = "BROKEN"
    PLANNED = "planned"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; *advice* says what to do."""

    what: str
    state: State
    found: str
    advice: str = ""


def system() -> Iterator[Finding]:
    """Yield what there is to say about this machine."""
    for what, check in SYSTEM.items():
        try:
            yield check(what)
        except (OSError, EverywireError) as error:
            yield Finding(what, State.MISSING, str(error))


def _python(what: str) -> Finding:
    found = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding(what, State.BROKEN, found, "Python 3.11 or newer is needed")
    return Finding(what, State.WORKS, found)


def _loop(what: str) -> Finding:
    factory = fast_loop()
    if factory is None:
        return Finding(what, State.MISSING, "the stock loop of asyncio is used", str(MissingExtra("cli")))
    factory().close()
    return Finding(what, State.WORKS, f"uvloop {importlib.metadata.version('uvloop')}")


def _unix(what: str) -> Finding:
    with tempfile.TemporaryDirectory(prefix="ew-") as folder, socket.socket(unix_family()) as probe:
        probe.bind(socket_path(f"{folder}/s"))
        return Finding(what, State.WORKS, "AF_UNIX")


def _abstract(what: str) -> Finding:
    with socket.socket(unix_family()) as probe:
        probe.bind(abstract_address(f"everywire-doctor-{os.getpid()}"))
        return Finding(what, State.WORKS, "Linux")


def _ipv6(what: str) -> Finding:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        return Finding(what, State.MISSING, f"no loopback address ::1 ({error.strerror})", "use 127.0.0.1")
    return Finding(what, State.WORKS, "::1")


def _openssl(what: str) -> Finding:
    if ssl.OPENSSL_VERSION_INFO[:3] < OLDEST_OPENSSL or not ssl.HAS_TLSv1_3:
        return Finding(what, State.BROKEN, ssl.OPENSSL_VERSION, "TLS 1.3 is needed")
    return Finding(what, State.WORKS, ssl.OPENSSL_VERSION)


def _temporary(what: str) -> Finding:
    folder = Path(socket_path("x")).parent
    return _directory(what, folder, "relative local: names are sockets there, as in Qt", "set TMPDIR", shared=True)


def _runtime(what: str) -> Finding:
    folder = os.environ.get("XDG_RUNTIME_DIR")
    if not folder:
        return Finding(what, State.MISSING, "not set", "put private sockets into a directory of mode 0700")
    return _directory(what, Path(folder), "a place for private sockets", "it should be yours and of mode 0700")


def _directory(what: str, folder: Path, purpose: str, advice: str, *, shared: bool = False) -> Finding:
    try:
        status = folder.stat()
    except OSError as error:
        return Finding(what, State.WARNING, f"{folder}: {error.strerror}", advice)
    mode = stat.S_IMODE(status.st_mode)
    found = f"{folder}, mode {mode:04o}: {purpose}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(what, State.WARNING, f"{found}, but this user may not write there", advice)
    if shared and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return Finding(what, State.WARNING, f"{found}, where others may replace them", "chmod +t, or set TMPDIR")
    if not shared and (mode & 0o077 or status.st_uid != os.getuid()):
        return Finding(what, State.WARNING, f"{found}, where others may look", advice)
    return Finding(what, State.WORKS, found)


def _files(what: str) -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = DEFAULT_LIMITS.connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        found = f"{soft}, fewer than the {DEFAULT_LIMITS.connections} connections of Limits need"
        raised = "" if hard == resource.RLIM_INFINITY or hard >= needed else ", which this user may not"
        return Finding(what, State.WARNING, found, f"ulimit -n {needed}{raised}; or Limits(connections=…)")
    return Finding(what, State.WORKS, "no limit" if soft == resource.RLIM_INFINITY else str(soft))


def _clock(what: str) -> Finding:
    now, built = time.time(), Path(__file__).stat().st_mtime
    found = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if now < built - 86_400:
        advice = "set it: certificates and tokens that expire are judged by it"
        return Finding(what, State.WARNING, f"{found} is before everywire was installed here", advice)
    return Finding(what, State.WORKS, f"{found}, ticks of {time.get_clock_info('monotonic').resolution * 1e9:g} ns")


SYSTEM: Final[dict[str, Callable[[str], Finding]]] = {
    "Python": _python,
    "event loop": _loop,
    "Unix sockets": _unix,
    "abstract sockets": _abstract,
    "IPv6": _ipv6,
    "OpenSSL": _openssl,
    "temp directory": _temporary,
    "XDG_RUNTIME_DIR": _runtime,
    "open files": _files,
    "clock": _clock,
}


# ------------------------------------------------------------------------------------------------------------ extras
def libraries() -> Iterator[Finding]:
    """Yield what of each extra is installed; those for developers are left out."""
    try:
        lines = importlib.metadata.requires("everywire") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("everywire", State.WARNING, "runs without being installed, so its extras are not known")
        return
    extras: dict[str, list[tuple[str, str]]] = {}
    for line in lines:
        if (match := _REQUIREMENT.match(line)) and match[3] not in FOR_DEVELOPERS:
            extras.setdefault(match[3] or "", []).append((match[1], match[2].strip()))
    for extra, needed in extras.items():
        yield _extra(extra, needed)


def _extra(extra: str, needed: list[tuple[str, str]]) -> Finding:
    there = {name: found for name, _ in needed if (found := _version(name))}
    old = [f"{name} {there[name]} ({least})" for name, least in needed if name in there and _older(there[name], least)]
    lacking = [name for name, _ in needed if name not in there]
    what = f"everywire[{extra}]" if extra else "everywire"
    found = ", ".join([*(f"{name} {version}" for name, version in there.items()), *(f"no {name}" for name in lacking)])
    command = str(MissingExtra(extra)) if extra else "pip install everywire"
    if old:
        return Finding(what, State.BROKEN, f"too old: {', '.join(old)}", command)
    return Finding(what, State.MISSING, found, command) if lacking else Finding(what, State.WORKS, found)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _older(version: str, wanted: str) -> bool:
    least = re.search(r">=\s*([\d.]+)", wanted)
    return least is not None and _numbers(version) < _numbers(least[1])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))
