"""A host that demands logins: who is let in, who is not, and the line that each denial leaves."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from everywire import (
    Caller,
    Code,
    Fault,
    Limits,
    LinkError,
    Node,
    Policy,
    RemoteObjects,
    Role,
    TokenError,
    Tokens,
    connect,
)
from everywire.remoteobjects.codec import (
    AddObject,
    CallKind,
    Invoke,
    InvokeReply,
    ObjectList,
    Ping,
    Pong,
)
from everywire.remoteobjects.codec.extension import HELLO, LOGIN_FIRST, NAME, Method
from everywire.remoteobjects.session import open_session
from everywire.runtime import scram
from everywire.runtime.attempts import MOST_FAILURES
from tests.remoteobjects.guarded import (
    QUICK,
    WHO,
    Guarded,
    Machine,
    authenticate,
    begin,
    guarding,
    log_in,
    stranger,
)
from tests.remoteobjects.peers import GREETING, RawPeer, at_once, raw_host, raw_node

pytestmark = pytest.mark.usefixtures("cheap_derivations")


# ------------------------------------------------------------------------------------------------------- who is let in
@pytest.mark.loops("asyncio", "uvloop")
async def test_who_logs_in_has_the_role_of_the_entry(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarding(folder, caplog) as host:
        operator, viewer = host.tokens.add("panel", Role.OPERATOR), host.tokens.add("screen", Role.VIEWER)
        async with connect(host.wire(operator), "it", Machine) as machine:
            assert await machine.who() == "token:panel OPERATOR"
            assert await Machine.target.push(machine, 22.0) == 22.0
        async with connect(host.wire(viewer), "it", Machine) as machine:
            assert machine.target == 22.0
            with pytest.raises(Fault) as refused:
                await machine.who()
            assert refused.value.code is Code.PERMISSION_DENIED
        (line,) = await host.denied()
        assert (line["denied"], line["caller"], line["member"]) == ("call", "token:screen", "who")


async def test_a_token_comes_from_a_file_of_its_own(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarding(folder, caplog) as host:
        file = folder / "panel.token"
        file.write_text(host.tokens.add("panel", Role.OPERATOR) + "\n")
        file.chmod(0o600)
        async with connect(f"{host.url}?token={file}", "it", Machine) as machine:
            assert await machine.who() == "token:panel OPERATOR"
        file.chmod(0o644)
        with at_once(2.0), pytest.raises(TokenError, match="chmod 600"):
            async with connect(f"{host.url}?token={file}", "it", Machine, timeout=None):
                pass
        await host.denied()  # it went away when the host asked for a login


async def test_a_session_without_objects_logs_in_too(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarding(folder, caplog) as host:
        async with open_session(host.url, token=host.tokens.add("panel", Role.VIEWER)) as session:
            assert list(session.objects) == ["it"]
        with pytest.raises(Fault, match="needs a token"):
            async with open_session(host.url):
                pass


async def test_the_system_vouches_for_the_user_of_a_unix_socket(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        guarding(folder, caplog, on=f"local:{folder}/host") as host,
        connect(host.url, "it", Machine) as machine,
        connect(host.wire(host.tokens.add("panel", Role.VIEWER)), "it", Machine) as other,
    ):
        assert (await machine.who()).startswith("uid:")
        assert (await other.who()).startswith("uid:"), "a token that is not asked for is not used"


async def test_a_policy_sees_the_name_of_the_token(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    def role(caller: Caller) -> Role:
        return Role.ADMIN if caller.identity == "token:panel" else Role.STRANGER

    async with guarding(folder, caplog, policy=Policy(role=role)) as host:
        async with connect(host.wire(host.tokens.add("panel", Role.VIEWER)), "it", Machine) as machine:
            assert await machine.who() == "token:panel VIEWER"
        with pytest.raises(Fault, match="no object 'it'"):
            async with connect(host.wire(host.tokens.add("other", Role.ADMIN)), "it", Machine, timeout=0):
                pass


async def test_a_hundred_log_in_at_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarding(folder, caplog) as host, AsyncExitStack() as stack:
        token = host.tokens.add("panel", Role.OPERATOR)

        async def one() -> str:
            machine = await stack.enter_async_context(connect(host.wire(token), "it", Machine))
            return await machine.who()

        assert set(await asyncio.gather(*(one() for _ in range(100)))) == {"token:panel OPERATOR"}
        assert not host.denials


# ---------------------------------------------------------------------------------------------------------- who is not
@pytest.mark.loops("asyncio", "uvloop")
@pytest.mark.parametrize("why", ["none", "wrong secret", "unknown name", "expired"])
async def test_who_is_not_let_in_hears_it_at_once(folder: Path, caplog: pytest.LogCaptureFixture, why: str) -> None:
    async with guarding(folder, caplog) as host:
        good = host.tokens.add("panel", Role.OPERATOR)
        host.tokens.add("old", Role.OPERATOR, expires=time.time() - 1)
        token = {"none": "", "wrong secret": f"{good}x", "unknown name": f"x{good}", "expired": "old.secret"}[why]
        for timeout in (None, 10.0, 0):
            with at_once(3.0), pytest.raises(Fault) as refused:
                async with connect(host.wire(token), "it", Machine, timeout=timeout):
                    pass
            assert refused.value.code is Code.UNAUTHENTICATED
            wanted = "needs a token: add ?token=FILE" if why == "none" else "the token is wrong, expired or revoked"
            assert wanted in str(refused.value)
            assert host.url in str(refused.value)
        lines = await host.denied(3)
        reason = "it did not log in" if why == "none" else why
        assert [(line["denied"], line["reason"]) for line in lines] == [("login", reason)] * 3


async def test_an_unknown_name_is_answered_as_a_wrong_secret(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarding(folder, caplog) as host:
        host.tokens.add("panel", Role.OPERATOR)
        told: dict[str, list[Any]] = {}
        for name in ("panel", "nobody", "nobody"):
            async with stranger(host.url) as peer:
                client, answer = await begin(peer, name)
                refusal = await peer.refusal(authenticate(client.final(answer), serial=2))
                salt_and_cost = answer.split(b",", 1)[1]
                told.setdefault(name, []).append((len(answer), salt_and_cost, refusal.code, refusal.message))
                await peer.ended()
        (known,), (unknown, again) = told["panel"], told["nobody"]
        assert unknown == again, "its salt does not change"
        assert (known[0], known[2:]) == (unknown[0], unknown[2:])
        assert known[1] != unknown[1]


async def test_a_host_that_does_not_know_the_secret_is_noticed(folder: Path) -> None:
    """Who has recorded or made up a login is not taken for the host that gave the token."""
    token = Tokens(folder / "other.json").add("panel", Role.OPERATOR)

    async def impostor(peer: RawPeer) -> None:
        await peer.send(GREETING)
        await peer.find(Ping)
        await peer.send(Pong(LOGIN_FIRST))
        server = scram.Server("s" * 24)
        first = await peer.find(Invoke)
        verifier = scram.make_verifier("guess", b"0123456789abcdef")
        await peer.send(InvokeReply(NAME, first.serial, server.first(first.arguments[1], verifier)))
        second = await peer.find(Invoke)
        await peer.send(InvokeReply(NAME, second.serial, b"v=" + b"A" * 43 + b"="))
        await peer.ended()

    async with raw_host("tcp://127.0.0.1:0", impostor) as url:
        with at_once(3.0), pytest.raises(Fault, match="does not know the secret") as refused:
            async with connect(RemoteObjects(url=url, token=token), "it", Machine):
                pass
    assert refused.value.code is Code.UNAUTHENTICATED


@pytest.mark.parametrize(
    "answer", [b"", b"r=x", b"\xff", "text", 5, None, b"r=" + b"n" * 60 + b",s=MDEyMzQ1Njc4OQ==,i=2"]
)
async def test_a_host_that_speaks_nonsense_is_a_named_error(answer: Any) -> None:
    async def host(peer: RawPeer) -> None:
        await peer.send(GREETING)
        await peer.find(Ping)
        await peer.send(Pong(LOGIN_FIRST))
        first = await peer.find(Invoke)
        await peer.send(InvokeReply(NAME, first.serial, answer))
        await peer.ended()

    async with raw_host("tcp://127.0.0.1:0", host) as url:
        with pytest.raises(LinkError, match=r"did not become valid: .*(login|ASCII)"):
            async with connect(RemoteObjects(url=url, token="panel.secret"), "it", Machine, timeout=0):
                pass


async def test_a_host_that_dies_in_the_midst_of_a_login_is_a_lost_link(folder: Path) -> None:
    async def host(peer: RawPeer) -> None:
        await peer.send(GREETING)
        await peer.find(Ping)
        await peer.send(Pong(LOGIN_FIRST))
        await peer.find(Invoke)

    async with raw_host("tcp://127.0.0.1:0", host) as url:
        with pytest.raises(LinkError):
            async with connect(RemoteObjects(url=url, token="panel.secret"), "it", Machine, timeout=0):
                pass


async def test_a_host_that_never_ends_a_login_is_given_up(folder: Path) -> None:
    async def host(peer: RawPeer) -> None:
        await peer.send(GREETING)
        await peer.find(Ping)
        await peer.send(Pong(LOGIN_FIRST))
        await peer.ended()

    async with raw_host("tcp://127.0.0.1:0", host) as url:
        wire = RemoteObjects(url=url, token="panel.secret")
        with pytest.raises(LinkError, match="did not finish the login"):
            async with connect(wire, "it", Machine, timeout=0, limits=Limits(handshake=0.1)):
                pass


async def test_an_address_that_fails_too_often_is_refused_for_a_while(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(folder, caplog) as host:
        good = host.tokens.add("panel", Role.OPERATOR)
        for _ in range(MOST_FAILURES):
            with pytest.raises(Fault, match="wrong, expired or revoked"):
                async with open_session(host.url, token=f"{good}x"):
                    pass
        with at_once(1.0), pytest.raises(Fault, match="too many logins from this address") as refused:
            async with connect(host.wire(good), "it", Machine):
                pass
        assert refused.value.code is Code.RESOURCE_EXHAUSTED
        lines = await host.denied(MOST_FAILURES + 1)
        assert lines[-1]["reason"] == "too many failed logins from its address"


# -------------------------------------------------------------------------------------------------------- certificates
class Papers:
    """Certificates of one authority, and one of another."""

    def __init__(self, folder: Path) -> None:
        ours, other = trustme.CA(), trustme.CA()
        ours.cert_pem.write_to_path(folder / "ca.pem")
        ours.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "host.pem")
        for name, authority in (("listed", ours), ("unlisted", ours), ("foreign", other)):
            made = authority.issue_cert(
                f"{name}@example.org", common_name=name, organization_name="Acme", organization_unit_name="Plant"
            )
            made.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
        self.listen = f"tls://127.0.0.1:0?cert={folder / 'host.pem'}&ca={folder / 'ca.pem'}"
        self.dial = f"?ca={folder / 'ca.pem'}"
        self.folder = folder

    def shown(self, name: str) -> str:
        return f"{self.dial}&cert={self.folder / name}.pem"


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path)


def listed(host: Guarded, role: Role = Role.VIEWER) -> str:
    """Give the certificate `listed` an entry; return its subject."""
    subject = "CN=listed,OU=Plant,O=Acme"
    host.tokens.add_certificate("office", role, subject)
    return subject


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_listed_certificate_has_the_role_of_its_entry(
    folder: Path, papers: Papers, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(folder, caplog, on=papers.listen) as host:
        subject = listed(host, Role.ADMIN)
        async with connect(host.url + papers.shown("listed"), "it", Machine) as machine:
            assert await machine.who() == f"{subject} ADMIN"
            host.tokens.remove("office")
            with pytest.raises(Fault, match="was revoked"):
                await machine.who()


async def test_an_unlisted_certificate_is_nobody_until_it_logs_in(
    folder: Path, papers: Papers, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(folder, caplog, on=papers.listen) as host:
        listed(host)
        url = host.url + papers.shown("unlisted")
        with at_once(3.0), pytest.raises(Fault, match="needs a token"):
            async with connect(url, "it", Machine):
                pass
        (line,) = await host.denied()
        assert (line["caller"], line["reason"]) == ("CN=unlisted,OU=Plant,O=Acme", "the certificate is not listed")
        token = host.tokens.add("panel", Role.OPERATOR)
        async with connect(RemoteObjects(url=url, token=token), "it", Machine) as machine:
            assert await machine.who() == "token:panel OPERATOR"
        assert len(host.denials) == 1


@pytest.mark.loops("asyncio", "uvloop")
@pytest.mark.parametrize("shown", ["foreign", "none"])
async def test_a_certificate_of_another_authority_leaves_one_line(
    folder: Path, papers: Papers, caplog: pytest.LogCaptureFixture, shown: str
) -> None:
    async with guarding(folder, caplog, on=papers.listen) as host:
        with pytest.raises(LinkError):
            url = host.url + (papers.dial if shown == "none" else papers.shown(shown))
            async with connect(url, "it", Machine, timeout=0):
                pass
        (line,) = await host.denied()
        assert (line["denied"], line["wire"], line["caller"]) == ("certificate", "qtro", "anonymous")
        assert line["reason"] == ("no certificate" if shown == "none" else "unable to get local issuer certificate")
        assert line["address"].startswith("127.0.0.1:")


async def test_without_tokens_a_verified_certificate_is_an_operator(papers: Papers) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Machine(), "it")
        (url,) = await node.serve(papers.listen)
        async with connect(url + papers.shown("unlisted"), "it", Machine) as machine:
            assert await machine.who() == "CN=unlisted,OU=Plant,O=Acme None"
            assert await Machine.target.push(machine, 5.0) == 5.0


async def test_a_link_that_needs_no_login_refuses_one(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Machine(), "it")
        (url,) = await node.serve("tcp://127.0.0.1:0")
        async with raw_node(url, extended=True) as peer:
            refusal = await peer.refusal(authenticate(b"", serial=3))
            assert (refusal.code, refusal.message) == (Code.UNIMPLEMENTED, "this link needs no login")


# -------------------------------------------------------------------------------------------------- one line for each
async def test_every_denial_leaves_exactly_one_line(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarding(folder, caplog) as host:
        host.node.publish(Machine(), "vault", policy=Policy(role=lambda _: Role.STRANGER))
        async with stranger(host.url) as peer:
            await log_in(peer, host.tokens.add("screen", Role.VIEWER))
            await peer.find(ObjectList)
            for expected, packet in (
                ("call", Invoke("it", CallKind.METHOD, WHO, (), 1)),
                ("call", Invoke("it", CallKind.METHOD, 0, (99.0,), 2)),
                ("call", Invoke("vault", CallKind.METHOD, WHO, (), 3)),
                ("call", Invoke("vault", CallKind.METHOD, WHO, ("bad",), 4)),
                ("object", AddObject("vault", dynamic=True)),
                ("call", Invoke(NAME, CallKind.METHOD, Method.OPEN, ("it", "count", [], 1), 5)),
                ("object", Invoke(NAME, CallKind.METHOD, Method.OPEN, ("vault", "count", [], 2), 6)),
                ("object", Invoke(NAME, CallKind.METHOD, Method.CONTRACT, ("vault",), 7)),
            ):
                before = len(host.denials)
                await peer.send(packet)
                await peer.fence()
                told = host.denials[before:]
                assert [(line["denied"], line["caller"]) for line in told] == [(expected, "token:screen")], packet


async def test_a_flood_of_denials_leaves_no_memory_and_no_links(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarding(folder, caplog) as host:
        for _ in range(200):
            async with stranger(host.url) as peer:
                await peer.send(Ping(HELLO), authenticate(b"x" * 5_000, serial=1))
                await peer.ended()
        await host.nobody_left()
        assert len(host.denials) == 200
        assert len(host.tokens.attempts) == 1
