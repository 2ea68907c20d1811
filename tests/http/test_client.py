"""The client's requests: what it says of hosts that refuse, are silent, are something else, or lie."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from everywire import (
    AddressError,
    Code,
    Fault,
    Limits,
    LinkError,
    Node,
    RemoteProtocolError,
    ReplicaState,
    Role,
    TokenError,
    connect,
    link_of,
)
from everywire.http import Http
from everywire.http.client import Target, fetch, upgrade
from everywire.http.replicas import HttpSession
from everywire.runtime.credentials import Credential
from everywire.runtime.tokens import Tokens
from everywire.transport import ByteStream, listen, parse_address
from tests.conformance.plant import Boiler, Desk, States
from tests.http.lab import hosting

Answers = Callable[[bytes], bytes | None]
FAST = Limits(drain=0.0, handshake=0.3)


@asynccontextmanager
async def somebody(answers: Answers) -> AsyncGenerator[str]:
    """Serve raw bytes: *answers* has the head of each request and gives what is said, or None to stay silent."""

    async def serve(stream: ByteStream) -> None:
        while True:
            try:
                head = await stream.read_until(b"\r\n\r\n")
            except LinkError:
                return
            answer = answers(head)
            if answer is None:
                await stream.read()
                return
            await stream.write(answer)
            if b"connection: close" in answer.lower() or not answer.startswith(b"HTTP/1.1 2"):
                return

    async with listen("tcp://127.0.0.1:0", serve) as listener:
        yield listener.url.replace("tcp:", "http:")


def response(status: str, body: bytes = b"", media: str = "application/json", extra: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n{extra}Connection: close\r\n\r\n"
    )
    return head.encode() + body


def problem(status: str, detail: str, code: str) -> bytes:
    body = f'{{"detail":"{detail}","code":"{code}"}}'.encode()
    return response(status, body, "application/problem+json; charset=utf-8")


def target(url: str, **options: Credential) -> Target:
    return Target(url=url, address=parse_address(url.replace("http:", "tcp:")), **options)  # type: ignore[arg-type]


async def opened(url: str, limits: Limits = FAST) -> HttpSession:
    async with Node(limits=limits) as node:
        return await Http(url=url).open(node)


# ---------------------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    "answer, kind, words",
    [
        (problem("401 Unauthorized", "a token is wanted", "UNAUTHENTICATED"), Fault, "needs a token: add ?token=FILE"),
        (problem("403 Forbidden", "not this origin", "PERMISSION_DENIED"), Fault, "PERMISSION_DENIED: not this origin"),
        (problem("421 Misdirected Request", "that is not my name", "INVALID_ARGUMENT"), LinkError, "not my name"),
        (problem("429 Too Many Requests", "later", "RESOURCE_EXHAUSTED"), Fault, "RESOURCE_EXHAUSTED: later"),
        (problem("503 Service Unavailable", "the host is closing", "UNAVAILABLE"), LinkError, "is busy: the host is"),
        (problem("500 Oops", "what", "OF A LATER VERSION"), Fault, "UNKNOWN: what"),
        (response("200 OK", b"<html>", "text/html"), RemoteProtocolError, "lists no objects"),
        (response("200 OK", b"[1, 2]"), RemoteProtocolError, "lists no objects"),
        (response("200 OK", b"[" * 9999), RemoteProtocolError, "lists no objects"),
        (
            response("404 Not Found", b"nope", "text/plain"),
            RemoteProtocolError,
            "is no everywire host: it answers /obj",
        ),
        (response("401 Nope", b"{", "application/problem+json"), RemoteProtocolError, "is no everywire host"),
        (response("301 Moved", extra="Location: http://127.0.0.1:1/\r\n"), RemoteProtocolError, "with 301"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", RemoteProtocolError, "does not speak HTTP"),
        (b"\0" * 20_000, RemoteProtocolError, "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", RemoteProtocolError, "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", RemoteProtocolError, "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", RemoteProtocolError, "does not speak HTTP"),
        (b"HTTP/1.0 404 File not found\r\n\r\n", RemoteProtocolError, "speaks HTTP/1.0, as no everywire host does"),
        (problem("404 Not Found", "no such object", "NOT_FOUND"), RemoteProtocolError, "not where an everywire"),
        (b"", LinkError, "closed the connection unanswered; it may want https://"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n[", LinkError, "closed"),
        (None, LinkError, "accepted the connection but did not answer"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, bytes) else None,
)
async def test_what_a_host_answers_becomes_a_named_error(answer: bytes | None, kind: type, words: str) -> None:
    async with somebody(lambda _: answer) as url:
        with pytest.raises(kind) as caught:
            await opened(url)
        assert words in str(caught.value)
        assert url.split("/")[2] in str(caught.value) or kind in (Fault, LinkError)


@pytest.mark.parametrize(
    "url,named,reason",
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1", "nobody listens there"),
        ("https://127.0.0.1:1", "https://127.0.0.1:1", "nobody listens there"),
        ("http://127.0.0.1/plant", "http://127.0.0.1:80/plant", "nobody"),  # who forgets the port sees which it is
        ("http+local:no-such-plant", "http+local:no-such-plant", "no such name"),
        ("http://:8080", "http://:8080", "names no host and port to connect to"),
    ],
)
async def test_failures_name_the_url_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, url: str, named: str, reason: str
) -> None:
    async def refused(*_: object) -> socket.socket:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    monkeypatch.setattr("everywire.transport.dialing.connect_tcp", refused)  # somebody may listen at port 80
    with pytest.raises((LinkError, AddressError), match=reason) as caught:
        await opened(url)
    assert named in str(caught.value)
    assert "tcp:" not in str(caught.value)


async def test_a_plain_host_behind_https_is_told_what_to_use() -> None:
    async with hosting(hall=Desk()) as (_, url):
        with pytest.raises(LinkError, match="does not speak TLS; use tcp:// or http://") as caught:
            await opened(url.replace("http:", "https:"))
        assert url.replace("http:", "https:") in str(caught.value)


async def test_nobody_there_is_a_link_error_with_advice() -> None:
    async with somebody(lambda _: None) as url:
        pass
    with pytest.raises(LinkError, match="start the host first"):
        await opened(url)
    with pytest.raises(LinkError, match="start the host first"):
        async with connect(url, "hall", timeout=0):
            pass


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    async with somebody(lambda _: b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[]") as url:
        assert (await opened(url)).offered == ()


async def test_what_is_asked_is_plain_http() -> None:
    heads: list[str] = []

    def note(head: bytes) -> bytes:
        heads.append(head.decode())
        return response("200 OK", b'[{"name":"hall","class":"Boiler","href":"/x"}]')

    async with somebody(note) as url:
        assert (await opened(url)).offered == ("hall",)
        assert (await opened(f"{url}/plant/one/")).offered == ("hall",)
    first, second = heads
    assert first.startswith("GET /objects HTTP/1.1\r\n")
    assert f"Host: {url.removeprefix('http://')}\r\n" in first
    assert "Authorization" not in first
    assert "Upgrade" not in first
    assert second.startswith("GET /plant/one/objects HTTP/1.1\r\n")


async def test_an_upgrade_to_something_else_is_no_everywire_host() -> None:
    def switch(head: bytes) -> bytes:
        if b"Upgrade" not in head:
            return response("200 OK", b'[{"name":"hall"}]')
        return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

    async with somebody(switch) as url:
        with pytest.raises(LinkError, match="is no everywire host: it answers /objects/hall/events with 101"):
            async with connect(url, "hall", timeout=0):
                pass


@pytest.mark.parametrize("code", ["NOT_FOUND", "PERMISSION_DENIED"])
async def test_an_upgrade_that_is_refused_is_a_fault(code: str) -> None:
    def refuse(head: bytes) -> bytes:
        if b"Upgrade" in head:
            return problem("404 Not Found" if code == "NOT_FOUND" else "403 Forbidden", "no such object", code)
        return response("200 OK", b'[{"name":"hall"}]')

    async with somebody(refuse) as url:
        with pytest.raises(Fault) as caught:
            async with connect(url, "hall", timeout=0):
                pass
        assert caught.value.code is Code[code]


async def test_an_object_that_is_not_there_is_answered_with_those_that_are() -> None:
    async with hosting(hall=Boiler(), desk=Desk()) as (_, url):
        with pytest.raises(Fault, match=r"no object 'hal' at http:.* it offers desk, hall"):
            async with connect(url, "hal", timeout=0):
                pass


async def test_names_are_quoted_in_paths() -> None:
    name = "halle süd 50%"
    async with hosting(**{name: Boiler()}) as (_, url), connect(url, name, Boiler) as room:
        assert await room.boost(1) == 60
        assert link_of(room).name == name


async def test_contracts_are_told_without_attaching() -> None:
    async with hosting(hall=Boiler()) as (_, url), Node() as node:
        session = await Http(url=url).open(node)
        contract = await session.contract("hall")
        assert (contract.name, contract.doc) == ("Boiler", "Keeps one room warm.")
        with pytest.raises(Fault) as caught:
            await session.contract("hell")
        assert caught.value.code is Code.NOT_FOUND
        await session.close()


async def test_a_contract_that_is_none_is_named_so() -> None:
    async with somebody(lambda _: response("200 OK", b"{}")) as url:
        session = HttpSession(node := Node(limits=FAST), target(url))
        with pytest.raises(RemoteProtocolError, match="described hall wrongly"):
            await session.contract("hall")
        assert node.published == {}


# -------------------------------------------------------------------------------------------------------------- tokens
@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens")


async def test_a_token_logs_in_from_a_file_and_from_the_settings(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.add("panel", Role.OPERATOR)
    file = tmp_path / "panel.token"
    file.touch(mode=0o600)
    file.write_text(token)
    async with hosting(tokens=tokens, hall=Boiler()) as (_, url):
        async with connect(f"{url}?token={file}", "hall", Boiler) as room:
            assert await room.boost(1) == 60
        async with connect(Http(url=url, token=token), "hall", Boiler) as room:
            assert await room.boost(1) == 60
        assert token not in repr(Http(url=url, token=token))
        with pytest.raises(Fault, match=r"needs a token: add \?token=FILE") as caught:
            async with connect(url, "hall", Boiler):
                pass
        assert caught.value.code is Code.UNAUTHENTICATED
        with pytest.raises(Fault, match="wrong, revoked or expired") as caught:
            async with connect(Http(url=url, token="panel." + "x" * 43), "hall", Boiler):
                pass
        assert caught.value.code is Code.UNAUTHENTICATED
        file.chmod(0o644)
        with pytest.raises(TokenError):
            async with connect(f"{url}?token={file}", "hall", Boiler):
                pass


async def test_a_revoked_token_makes_its_replica_suspect_with_the_reason(tokens: Tokens) -> None:
    token = tokens.add("panel", Role.OPERATOR)
    async with (
        hosting(tokens=tokens, hall=Boiler()) as (_, url),
        connect(Http(url=url, token=token), "hall", Boiler) as room,
    ):
        states = States(room)
        tokens.remove("panel")
        with pytest.raises(Fault) as caught:
            await room.boost(1)
        await states.reached(ReplicaState.SUSPECT)
        assert (caught.value.code, caught.value.may_have_run) == (Code.UNAUTHENTICATED, False)
        assert "UNAUTHENTICATED" in str(link_of(room).error)


async def test_a_token_does_not_go_over_plain_http_to_another_machine() -> None:
    for host in ("192.0.2.7:80", "example.org:80", "[2001:db8::1]:80"):
        with pytest.raises(LinkError, match="use https://"):
            await fetch(target(f"http://{host}", credential=Credential(token="a." + "b" * 40)), "/objects", FAST)
    for url in ("http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"):
        assert target(url, credential=Credential(token="a.bcd")).token() == "a.bcd"


async def test_a_token_goes_to_nobody_whom_the_address_does_not_name() -> None:
    """Redirections are not followed."""
    asked: list[bytes] = []

    def elsewhere(head: bytes) -> bytes:
        asked.append(head)
        return response("302 Found", extra=f"Location: {other}/objects\r\n")

    def note(head: bytes) -> bytes:
        raise AssertionError(head)

    async with somebody(note) as other, somebody(elsewhere) as url:
        with pytest.raises(RemoteProtocolError):
            await fetch(target(url, credential=Credential(token="a.bcd")), "/objects", FAST)
    assert len(asked) == 1
    assert b"Authorization: Bearer a.bcd\r\n" in asked[0]


async def test_settings_of_a_host_are_refused_to_a_client() -> None:
    for setting in ("host=panel", "origin=http://panel"):
        with pytest.raises(AddressError, match="for who serves"):
            await opened(f"http://127.0.0.1:1?{setting}")


# ---------------------------------------------------------------------------------------------------------- cancelling
async def cancelled(work: Awaitable[object], until: Awaitable[object]) -> None:
    """Begin *work* and cancel it as soon as *until* has happened."""
    task = asyncio.ensure_future(work)
    await until
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_request_closes_its_connection() -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def serve(stream: ByteStream) -> None:
        await stream.read_until(b"\r\n\r\n")
        asked.set()
        with suppress(LinkError):
            await stream.read()
        left.set()

    async with listen("tcp://127.0.0.1:0", serve) as listener:
        url = listener.url.replace("tcp:", "http:")
        await cancelled(fetch(target(url), "/objects", FAST), asked.wait())
        await left.wait()
        asked.clear()
        left.clear()
        await cancelled(upgrade(target(url), "/objects/hall/events", target(url).connection(FAST)), asked.wait())
        await left.wait()


async def test_a_connection_that_was_never_made_can_be_left() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        connection = target(f"http://127.0.0.1:{taken.getsockname()[1]}").connection(FAST)
        with pytest.raises(LinkError):
            await connection.ask("/objects", "", upgrade=False)
    connection.abort()
    connection.write(b"nobody hears it")
    await connection.leave()
