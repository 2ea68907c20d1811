"""Unix socket names: where Qt looks for them, and how one is claimed without ever displacing a living listener.

QLocalServer binds aside and *renames* over the name when access flags are set, which steals a living server's name
(seen with Qt 6.12). Here a name is claimed in this order, under an flock'ed file beside it:

1. connect to it: an answer means that it lives, and the claim is refused; a refusal by the kernel means that its owner
   died, and the file is removed; anything but a socket is left alone and the claim is refused;
2. bind and listen within a fresh directory of mode 0700, set mode 0600, then link(2) into place, which fails if
   somebody who does not know our lock came first. So the name never exists before it answers, or with more rights.

Linux first; macOS could follow as it is. Windows has no such names here: see `UnsupportedPlatform`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from everywire.errors import AddressError, AddressInUse, LinkError, UnsupportedPlatform

LONGEST_PATH: Final = 106
"""Bytes of a socket path that Qt accepts (sun_path of 108 less two)."""

_LOCK_TIMEOUT: Final = 5.0
_LOCK_PAUSE: Final = 0.005
_BACKLOG: Final = 512  # a herd of reconnecting replicas; the kernel cuts it to net.core.somaxconn


def unix_family() -> socket.AddressFamily:
    """AF_UNIX, or UnsupportedPlatform where there is none."""
    family: socket.AddressFamily | None = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise UnsupportedPlatform("this Python has no Unix sockets (AF_UNIX); use tcp://127.0.0.1:PORT instead")
    return family


def socket_path(name: str) -> str:
    """The file a local name stands for, as Qt has it: absolute as it is, else within TMPDIR or /tmp."""
    folder = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108  # QDir::tempPath; see the module's text on safety
    path = name if name.startswith("/") else f"{os.path.normpath(folder)}/{name}"
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise AddressError(f"local:{name} is too long: {path} has {length} bytes, a socket path at most {LONGEST_PATH}")
    return path


def abstract_address(name: str) -> bytes:
    """The abstract socket address of a name: NUL and its bytes, exact length, no file and no permissions."""
    if sys.platform != "linux":
        raise UnsupportedPlatform("abstract socket names (localabstract:) exist on Linux only; use local:NAME")
    address = b"\0" + os.fsencode(name)
    if len(address) > LONGEST_PATH + 1:
        raise AddressError(f"localabstract:{name} is too long: at most {LONGEST_PATH} bytes")
    return address


def listen_abstract(name: str) -> socket.socket:
    """Listen under an abstract name; the kernel frees it with its owner, so none can be stale."""
    address = abstract_address(name)
    sock = socket.socket(unix_family(), socket.SOCK_STREAM)
    try:
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(f"somebody listens at localabstract:{name} already; choose another name") from error
        raise LinkError(f"cannot listen at localabstract:{name}: {error.strerror}") from error
    sock.setblocking(False)
    return sock


@dataclass(frozen=True, slots=True)
class LocalName:
    """A claimed socket path with its listening socket; `release` gives both back."""

    path: str
    socket: socket.socket
    identity: tuple[int, int]

    def release(self) -> None:
        """Remove the file if it is still ours, and stop listening.

        In this order: as long as our socket is open the kernel cannot give its inode number to another file.
        """
        with contextlib.suppress(OSError):
            if _identity(os.lstat(self.path)) == self.identity:
                Path(self.path).unlink()
        self.socket.close()


async def claim(path: str) -> LocalName:
    """Listen at `path`; AddressInUse if somebody does or if it is not a socket, LinkError if it cannot be made."""
    family = unix_family()
    try:
        async with _locked(path):
            _clear_dead(path, family)
            return _listen(path, family)
    except OSError as error:
        if isinstance(error, LinkError | UnsupportedPlatform):
            raise
        raise _cannot(path, error) from error


@contextlib.asynccontextmanager
async def _locked(path: str) -> AsyncGenerator[None]:
    """Hold the lock file beside `path`. Waits by trying: a stopped holder must not stop our loop."""
    import asyncio  # here, for programs without a loop take names from this module

    lock = f"{path}.lock"
    deadline = asyncio.get_running_loop().time() + _LOCK_TIMEOUT
    while (descriptor := _try_lock(lock)) is None:
        if asyncio.get_running_loop().time() > deadline:
            raise LinkError(f"cannot listen at {path}: another process has held {lock} for {_LOCK_TIMEOUT:g} s; end it")
        await asyncio.sleep(_LOCK_PAUSE)
    try:
        yield
    finally:
        _unlock(lock, descriptor)


def _try_lock(lock: str) -> int | None:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    held = False
    try:
        _flock(descriptor)
        held = _identity(os.fstat(descriptor)) == _identity(os.lstat(lock))
    except (BlockingIOError, FileNotFoundError):
        pass
    finally:
        if not held:
            os.close(descriptor)
    return descriptor if held else None


def _unlock(lock: str, descriptor: int) -> None:
    # Removed while held; `_try_lock` sees that a file it locked is no longer the one of that name.
    with contextlib.suppress(OSError):
        Path(lock).unlink()
    os.close(descriptor)


def _flock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError as error:
        text = "this Python has no fcntl.flock, which local names need; use tcp://127.0.0.1:PORT"
        raise UnsupportedPlatform(text) from error
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _clear_dead(path: str, family: socket.AddressFamily) -> None:
    """Remove the socket file of a dead listener; AddressInUse for anything else of that name."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise AddressInUse(f"{path} is not a socket and is left alone; remove it or choose another name")
    if _lives(path, family):
        raise AddressInUse(f"somebody listens at {path} already; stop that process or choose another name")
    with contextlib.suppress(FileNotFoundError):
        if _identity(os.lstat(path)) == _identity(found):
            Path(path).unlink()


def _lives(path: str, family: socket.AddressFamily) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            # EAGAIN: its backlog is full. EACCES: another user's. EPROTOTYPE: datagrams. None of these is dead.
            return True
        return True


def _listen(path: str, family: socket.AddressFamily) -> LocalName:
    private = tempfile.mkdtemp(prefix=".everywire-", dir=Path(path).parent)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        born = f"{private}/s"
        _bind(sock, private, born)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
        Path(born).chmod(0o600)
        identity = _identity(os.lstat(born))
        os.link(born, path)
    except BaseException:
        sock.close()
        raise
    finally:
        shutil.rmtree(private, ignore_errors=True)
    return LocalName(path, sock, identity)


def _bind(sock: socket.socket, private: str, born: str) -> None:
    if len(os.fsencode(born)) <= LONGEST_PATH:
        sock.bind(born)
        return
    # The private directory made a long path too long; Linux also reaches it through a descriptor.
    directory = os.open(private, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.bind(f"/proc/self/fd/{directory}/s")
    finally:
        os.close(directory)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _cannot(path: str, error: OSError) -> LinkError:
    if isinstance(error, FileExistsError):
        return AddressInUse(f"somebody began to listen at {path} at the same moment; choose another name")
    if isinstance(error, FileNotFoundError):
        return LinkError(f"cannot listen at {path}: its directory does not exist; create it with mode 0700")
    if isinstance(error, PermissionError):
        return LinkError(f"cannot listen at {path}: this user may not write in {Path(path).parent} or to {path}.lock")
    return LinkError(f"cannot listen at {path}: {error.strerror or error}")
