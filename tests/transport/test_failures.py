"""Every failure is told with its reason and, where there is any, advice."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess

import pytest

from everywire.errors import AddressInUse, LinkError
from everywire.transport import parse_address
from everywire.transport.failures import dial_failed, link_lost
from everywire.transport.sockets import _bind_failed, connect_tcp
from tests.transport.programs import command
from tests.transport.test_listening import NamesResolver


@pytest.mark.parametrize(
    "error, reason",
    [
        (PermissionError(errno.EACCES, ""), "run as the user that listens"),
        (OSError(errno.EHOSTUNREACH, ""), "the host cannot be reached"),
        (OSError(errno.EMFILE, ""), "no file descriptors left"),
        (OSError(errno.EIO, ""), os.strerror(errno.EIO)),
        (TimeoutError(), "no answer in 3 s"),
        (TimeoutError(errno.ETIMEDOUT, ""), "the host did not answer"),
        (UnicodeError("label too long"), "label too long"),
    ],
)
def test_a_failed_dial_says_why(error: Exception, reason: str) -> None:
    told = dial_failed("tcp://h:1", error, 3)
    assert str(told).startswith("no connection to tcp://h:1: ")
    assert reason in str(told)


def test_a_tls_handshake_that_nobody_answers_may_be_no_tls() -> None:
    told = dial_failed("tls://h:1", ConnectionAbortedError("SSL handshake is taking longer than 5 seconds"), 3)
    assert str(told) == "no TLS connection to tls://h:1: the peer accepted, but did not answer; it may not speak TLS"


@pytest.mark.parametrize(
    "error, reason",
    [
        (ConnectionResetError(errno.ECONNRESET, ""), "the peer cut the connection"),
        (TimeoutError(errno.ETIMEDOUT, ""), "the peer no longer answers"),
        (OSError(errno.EIO, ""), os.strerror(errno.EIO)),
        (OSError("odd"), "odd"),
        (ConnectionResetError(), "ConnectionResetError"),
    ],
)
def test_a_loss_says_why_and_keeps_its_cause(error: Exception, reason: str) -> None:
    lost = link_lost("tcp", error)
    assert str(lost) == f"tcp connection lost: {reason}"
    assert lost.__cause__ is error


def test_a_named_loss_stays_as_it_is() -> None:
    error = LinkError("known")
    assert link_lost("tcp", error) is error


@pytest.mark.parametrize(
    "error, kind, reason",
    [
        (OSError(errno.EADDRINUSE, ""), AddressInUse, "take another port"),
        (PermissionError(errno.EACCES, ""), LinkError, "ports below 1024 need privileges"),
        (OSError(errno.ENOBUFS, ""), LinkError, os.strerror(errno.ENOBUFS)),
        (OverflowError("port must be 0-65535"), LinkError, "port must be"),
    ],
)
def test_a_failed_bind_says_why(error: Exception, kind: type[LinkError], reason: str) -> None:
    told = _bind_failed(parse_address("tcp://h:1"), error)
    assert type(told) is kind
    assert reason in str(told)


async def test_a_host_that_never_answers_costs_its_share_of_the_timeout_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address is a listener whose backlog is full, the second one answers."""
    with (
        socket.socket() as full,
        socket.socket() as filler,
        socket.socket() as second,
        socket.create_server(("127.0.0.2", 0)) as server,
    ):
        port = server.getsockname()[1]
        full.bind(("127.0.0.1", port))
        full.listen(0)
        for sock in (filler, second):
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", NamesResolver("127.0.0.1", "127.0.0.2"))
        with await connect_tcp(parse_address(f"tcp://two:{port}"), 0.2) as sock:
            assert sock.getpeername()[0] == "127.0.0.2"


PORTABLE = """
import asyncio, socket
sys.modules["fcntl"] = sys.modules["uvloop"] = None
from everywire.errors import UnsupportedPlatform
from everywire.transport import listen, open_stream

async def echo(stream):
    await stream.write(await stream.read())

async def main():
    for name in ("AF_UNIX", "SO_PEERCRED", "TCP_USER_TIMEOUT", "TCP_KEEPIDLE"):
        delattr(socket, name)
    async with listen("tcp://127.0.0.1:0", echo) as listener, open_stream(listener.url) as stream:
        await stream.write(b"portable")
        print((await stream.read_exactly(8)).decode())
    try:
        async with listen("local:x", echo):
            pass
    except UnsupportedPlatform as error:
        print(error)

asyncio.run(main())
"""


def test_tcp_needs_nothing_that_only_unix_has() -> None:
    done = subprocess.run(command(PORTABLE), capture_output=True, text=True, timeout=15, check=False)
    assert done.stdout.splitlines() == [
        "portable",
        "this Python has no Unix sockets (AF_UNIX); use tcp://127.0.0.1:PORT instead",
    ], done.stderr
