"""Who may connect where, how many, and what happens when the system runs short."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from everywire.errors import AddressError, AddressInUse, InsecureBind, LinkError, UnsupportedPlatform
from everywire.transport import Peer, accept, dial, listen, open_stream, parse_address
from everywire.transport.accepting import Admission, SocketListener, _Bound, links
from everywire.transport.address import is_loopback
from everywire.transport.sockets import peer_of
from tests.harness import LoopReports, run
from tests.transport.programs import FEW_DESCRIPTORS, line, started
from tests.transport.receivers import ONE_MIB, Accepted, Certificates, RecordingReceiver, echo

OTHERS_REACH = [
    "0.0.0.0",
    "",
    "[::]",
    "192.0.2.1",
    "[2001:db8::1]",
    "[::ffff:0.0.0.0]",
    "[::ffff:192.0.2.1]",
]


class NamesResolver:
    """Stands in for a loop's getaddrinfo: one name, these addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def __call__(self, host: str, port: int, **options: object) -> list[tuple[object, ...]]:
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in at], socket.SOCK_STREAM, 6, "", (at, port)) for at in self.addresses]


@pytest.mark.parametrize("host", OTHERS_REACH)
async def test_a_bind_that_others_reach_is_refused_without_encryption(host: str) -> None:
    with pytest.raises(InsecureBind, match=r"bind 127\.0\.0\.1, or use tls:// .*, or say insecure=True"):
        await accept(f"tcp://{host}:0", Accepted())


@pytest.mark.parametrize("host", OTHERS_REACH)
async def test_a_bind_that_others_reach_needs_authentication(host: str, certificates: Certificates) -> None:
    with pytest.raises(InsecureBind, match=r"demand tokens \(--tokens FILE, .*\) or client certificates \(ca=FILE\)"):
        await accept(f"tls://{host}:0?cert={certificates.listener}", Accepted())


@pytest.mark.parametrize("host", OTHERS_REACH)
async def test_authentication_alone_does_not_make_a_bind_safe(host: str) -> None:
    with pytest.raises(InsecureBind, match=r"without encryption, so that tokens alone do not help; .* use tls:// with"):
        await accept(f"tcp://{host}:0", Accepted(), authenticated=True)


async def test_tls_to_receivers_that_authenticate_their_peers_may_be_reached(certificates: Certificates) -> None:
    await (await accept(f"tls://0.0.0.0:0?cert={certificates.listener}", Accepted(), authenticated=True)).close()


@pytest.mark.parametrize("addresses", [("192.0.2.1",), ("127.0.0.1", "192.0.2.1"), ("::1", "::ffff:192.0.2.1")])
async def test_a_name_is_judged_by_all_its_addresses(
    addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", NamesResolver(*addresses))
    with pytest.raises(InsecureBind, match="could be reached from other machines"):
        await accept("tcp://plant.example:0", Accepted())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]", "localhost", "[::ffff:127.0.0.1]"])
async def test_loopback_needs_no_permission(host: str) -> None:
    await (await accept(f"tcp://{host}:0", Accepted())).close()


async def test_the_host_may_bind_openly_when_it_says_so_or_demands_certificates(certificates: Certificates) -> None:
    listener = await accept("tcp://0.0.0.0:0", Accepted(), insecure=True)
    assert listener.url.startswith("tcp://0.0.0.0:")
    await listener.close()
    await (await accept("tcp://:0", Accepted(), insecure=True)).close()
    mutual = f"tls://0.0.0.0:0?cert={certificates.listener}&ca={certificates.ca}"
    await (await accept(mutual, Accepted())).close()


def test_loopback_is_a_fact_of_literal_addresses_only() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("localhost")
    assert not is_loopback("")
    assert not is_loopback("fe80::1%lo")


async def test_a_port_in_use_is_named_with_advice() -> None:
    listener = await accept("tcp://127.0.0.1:0", Accepted())
    with pytest.raises(AddressInUse, match=rf"{listener.url} already; stop it, or take another port"):
        await accept(listener.url, Accepted())
    await listener.close()
    await (await accept(listener.url, Accepted())).close()


async def test_a_memory_name_in_use_is_refused_and_one_of_an_ended_loop_is_not() -> None:
    async def forget() -> None:
        await accept("memory:forgotten", Accepted())

    await asyncio.to_thread(run, forget)
    with pytest.raises(LinkError, match="nobody listens there in this process"):
        await dial("memory:forgotten", RecordingReceiver())
    listener = await accept("memory:forgotten", Accepted())
    with pytest.raises(AddressInUse):
        await accept("memory:forgotten", Accepted())
    with pytest.raises(LinkError, match="another event loop; use local:forgotten"):
        await asyncio.to_thread(run, lambda: dial("memory:forgotten", RecordingReceiver()))
    await listener.close()


async def test_an_address_this_machine_has_not_is_named() -> None:
    with pytest.raises(LinkError, match="this machine has no such address"):
        await accept("tcp://192.0.2.1:0", Accepted(), insecure=True)


async def test_the_peer_is_known_by_the_kernel(folder: Path) -> None:
    accepted, ours = Accepted(), RecordingReceiver()
    listener = await accept(f"local:{folder}/x", accepted)
    connection = await dial(listener.url, ours)
    ourselves = Peer(transport="local", uid=os.getuid(), gid=os.getgid(), pid=os.getpid(), loopback=True)
    theirs = await accepted.next()
    assert (theirs.connection.peer, connection.peer) == (ourselves, ourselves)
    connection.close()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    await listener.close()


async def test_a_loopback_tcp_peer_is_nobody_in_particular() -> None:
    accepted, ours = Accepted(), RecordingReceiver()
    listener = await accept("tcp://127.0.0.1:0", accepted)
    connection = await dial(listener.url, ours)
    peer = (await accepted.next()).connection.peer
    assert (peer.uid, peer.pid, peer.subject, peer.loopback, peer.encrypted) == (None, None, None, True, False)
    assert connection.peer.address == listener.url.removeprefix("tcp://")
    connection.abort()
    await (await accepted.next()).until_called("lost")
    await ours.until_called("lost")
    await listener.close()


def test_a_mapped_peer_is_its_ipv4_self() -> None:
    class MappedSocket(socket.socket):
        def getpeername(self) -> tuple[str, int, int, int]:
            return ("::ffff:127.0.0.1", 5, 0, 0)

    with MappedSocket(socket.AF_INET6) as sock:
        peer = peer_of("tcp", sock)
    assert (peer.address, peer.loopback) == ("127.0.0.1:5", True)


async def test_unix_peers_without_credentials_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_PEERCRED")
    one, two = socket.socketpair()
    with one, two:
        assert peer_of("local", one) == Peer(transport="local", loopback=True)


@pytest.mark.loops("asyncio", "uvloop")
@pytest.mark.parametrize("limit", ["max_connections", "max_per_peer"])
async def test_a_connection_beyond_a_limit_is_closed_and_counted(folder: Path, limit: str) -> None:
    async with listen(f"local:{folder}/x", echo, **{limit: 2}) as listener:  # type: ignore[arg-type]
        async with open_stream(listener.url), open_stream(listener.url) as second:
            await second.write(b"x")
            assert await second.read(1) == b"x"
            async with open_stream(listener.url) as third:
                assert await third.read() == b""
            assert listener.refused == 1
        async with open_stream(listener.url) as after:
            await after.write(b"room again")
            assert await after.read_exactly(10) == b"room again"


async def test_memory_has_the_same_limits() -> None:
    async with listen("memory:few", echo, max_connections=1) as listener:
        async with open_stream(listener.url) as stream:
            with pytest.raises(LinkError, match="as many connections as it allows"):
                await dial(listener.url, RecordingReceiver())
            await stream.write(b"x")
            assert await stream.read() == b"x"
        assert listener.refused == 1


def test_peers_are_counted_by_uid_or_remote_address() -> None:
    admission = Admission(max_connections=5, max_per_uid=2, max_per_address=1)
    user, other = Peer(transport="local", uid=1, loopback=True), Peer(transport="local", uid=2, loopback=True)
    remote, again = Peer(transport="tcp", address="192.0.2.1:5"), Peer(transport="tcp", address="192.0.2.1:6")
    nobody = Peer(transport="tcp", address="127.0.0.1:5", loopback=True)
    assert [admission.admit(peer) for peer in (user, user, user, other, remote, again)] == [
        True, True, False, True, True, False
    ]  # fmt: skip
    assert admission.admit(nobody)
    assert not admission.admit(nobody)
    admission.release(remote)
    assert admission.admit(again)
    assert admission.refused == 3


async def test_a_receiver_that_cannot_be_made_costs_its_connection_only(
    folder: Path, loop_reports: LoopReports
) -> None:
    accepted = Accepted()
    broken = [True]

    def make() -> RecordingReceiver:
        if broken.pop() if broken else False:
            raise ZeroDivisionError
        return accepted()

    listener = await accept(f"local:{folder}/x", make)
    first, second = RecordingReceiver(), RecordingReceiver()
    await dial(listener.url, first)
    await first.until_called("lost")
    assert isinstance(loop_reports.pop()["exception"], ZeroDivisionError)
    connection = await dial(listener.url, second)
    await accepted.next()
    connection.abort()
    await second.until_called("lost")
    await (await accepted.next()).until_called("lost")
    await listener.close()


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
async def test_exhausted_descriptors_are_survived_without_spinning(folder: Path, kind: str) -> None:
    url = f"local:{folder}/x"
    with started(FEW_DESCRIPTORS, url, kind, 3600, 0) as process:  # it rests until a connection of its own ends
        async with AsyncExitStack() as waiting, AsyncExitStack() as served:
            for _ in range(15):
                await served.enter_async_context(open_stream(url))
            late = [await waiting.enter_async_context(open_stream(url)) for _ in range(30)]
            assert await line(process) == "exhausted\n"
            await late[-1].write(b"in the end")
            await served.aclose()
            for stream in late[:20]:
                await stream.aclose()
            assert await late[-1].read_exactly(10) == b"in the end"
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        rest = await asyncio.to_thread(process.stdout.read)
        assert rest.count("\n") < 40  # at most one for each connection that ended, not one for each turn of the loop
        assert "odd" not in rest
        assert process.wait() == 0


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
async def test_accepting_goes_on_when_descriptors_are_freed_elsewhere(folder: Path, kind: str) -> None:
    url = f"local:{folder}/x"
    with started(FEW_DESCRIPTORS, url, kind, 0.02, 20) as process:
        async with AsyncExitStack() as open_ones:
            streams = [await open_ones.enter_async_context(open_stream(url)) for _ in range(20)]
            assert await line(process) == "exhausted\n"
            assert process.stdin is not None
            process.stdin.write("free\n")
            process.stdin.flush()
            await streams[-1].write(b"go on")
            assert await streams[-1].read_exactly(5) == b"go on"


async def test_a_connection_still_being_established_is_closed_with_its_listener(
    folder: Path, certificates: Certificates
) -> None:
    """Cancelled before its first step, and in its handshake."""
    listener = await accept(f"local:{folder}/x", Accepted())
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{folder}/x")
        listener._acceptable()  # type: ignore[attr-defined]  # as the loop does, but without turning it
        await listener.close()
        assert client.recv(1) == b""
    listener = await accept(certificates.listen, Accepted())
    async with open_stream(listener.url.replace("tls", "tcp")) as stream:
        while not listener._establishing:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        await listener.close()
        with suppress(LinkError):
            assert await stream.read() == b""


async def test_a_peer_that_is_gone_before_it_is_accepted_harms_nobody(folder: Path) -> None:
    class FlakySocket(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            if failures:
                raise OSError(failures.pop(), "failed")
            return super().accept()

    failures = [errno.ECONNABORTED, errno.EPERM]
    accepted, ours = Accepted(), RecordingReceiver()
    sock = FlakySocket(socket.AF_UNIX)
    sock.bind(str(folder / "x"))
    sock.listen()
    sock.setblocking(False)
    bound = _Bound(parse_address(f"local:{folder}/x"), sock, sock.close)
    listener = SocketListener(bound, links(accepted, ONE_MIB), Admission())
    connection = await dial(listener.url, ours)
    await accepted.next()
    connection.abort()
    await asyncio.gather(ours.until_called("lost"), accepted.receivers[0].until_called("lost"))
    await listener.close()


async def test_loops_without_add_reader_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", missing)
    with pytest.raises(UnsupportedPlatform, match="SelectorEventLoop"):
        await accept("tcp://127.0.0.1:0", Accepted())


@pytest.mark.parametrize(
    "url, reason",
    [
        ("tcp://127.0.0.1:9", "nobody listens there; start the host first"),
        ("local:/nonexistent/x", "no such name; start the host first"),
        ("localabstract:everywire-nobody", "nobody listens there"),
        ("memory:nobody", "nobody listens there in this process"),
    ],
)
@pytest.mark.loops("asyncio", "uvloop")
async def test_where_nobody_listens_is_a_link_error_with_advice(url: str, reason: str) -> None:
    if url.startswith("local:"):
        url = url.replace("/nonexistent", os.environ.get("TMPDIR", "/tmp") + "/nonexistent")
    with pytest.raises(LinkError, match=reason):
        await dial(url, RecordingReceiver())


async def test_what_is_for_listening_only_cannot_be_dialled() -> None:
    with pytest.raises(AddressError, match="for listening only"):
        await dial("tcp://127.0.0.1:0", RecordingReceiver())
    with pytest.raises(AddressError, match="for listening only"):
        await dial("tcp://:80", RecordingReceiver())


async def test_every_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listen("tcp://127.0.0.1:0", echo) as listener:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", NamesResolver("::1", "127.0.0.1"))
        async with open_stream(listener.url.replace("127.0.0.1", "plant.example")) as stream:
            assert stream.peer.loopback


async def test_an_unknown_host_is_told_to_check_its_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*place: object, **options: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(LinkError, match=r"host name is unknown .*; check its spelling"):
        await dial("tcp://plant.example:1", RecordingReceiver())
    with pytest.raises(LinkError, match="host name is unknown; check its spelling"):
        await accept("tcp://plant.example:1", Accepted())
