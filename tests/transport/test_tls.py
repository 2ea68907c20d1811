"""TLS: who is trusted, who is known, and that nothing is said before."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from everywire.errors import AddressError, LinkError
from everywire.transport import ByteStream, Peer, accept, dial, listen, open_stream, parse_address
from everywire.transport import linking as linking_module
from everywire.transport.failures import tls_reason
from everywire.transport.tls import dialing_context, listening_context, subject_text
from tests.transport.receivers import Accepted, Certificates, RecordingReceiver, echo

both_loops = pytest.mark.loops("asyncio", "uvloop")


@both_loops
async def test_a_trusted_listener_is_talked_to_encrypted(certificates: Certificates) -> None:
    async with (
        listen(certificates.listen, echo) as listener,
        open_stream(f"{listener.url}?ca={certificates.ca}") as stream,
    ):
        assert stream.peer.encrypted
        assert stream.peer.loopback
        assert not stream.end()
        await stream.write(b"secret")
        assert await stream.read_exactly(6) == b"secret"


@both_loops
async def test_a_client_certificate_makes_its_subject_known(certificates: Certificates) -> None:
    accepted, ours = Accepted(), RecordingReceiver()
    listener = await accept(certificates.listen_mutual, accepted)
    assert "?" not in listener.url
    connection = await dial(f"{listener.url}?ca={certificates.ca}&cert={certificates.client}", ours)
    theirs = await accepted.next()
    assert theirs.connection.peer.subject == "CN=operator\\, night shift,OU=Plant,O=Acme"
    connection.close()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    await listener.close()


@both_loops
async def test_a_listener_of_another_authority_is_not_trusted(certificates: Certificates, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    accepted = Accepted()
    listener = await accept(certificates.listen, accepted)
    for settings in (f"?ca={tmp_path / 'other.pem'}", ""):
        with pytest.raises(LinkError, match=r"the certificate is not trusted: .*; give its authority with ca=FILE"):
            await dial(f"{listener.url}{settings}", RecordingReceiver())
    assert not accepted.receivers
    await listener.close()


@both_loops
async def test_a_certificate_for_another_name_is_not_trusted(certificates: Certificates) -> None:
    listener = await accept(certificates.listen.replace("127.0.0.1", "127.0.0.2"), Accepted())
    with pytest.raises(LinkError, match=r"not trusted: .*127\.0\.0\.2"):
        await dial(f"{listener.url}?ca={certificates.ca}", RecordingReceiver())
    await listener.close()


@both_loops
@pytest.mark.parametrize("certificate", ["none", "of another authority"])
async def test_a_client_without_a_trusted_certificate_reaches_no_receiver(
    certificates: Certificates, certificate: str, tmp_path: Path
) -> None:
    accepted, ours = Accepted(), RecordingReceiver()
    refused: list[tuple[Peer, str]] = []
    listener = await accept(certificates.listen_mutual, accepted, on_refused=lambda *told: refused.append(told))
    url = f"{listener.url}?ca={certificates.ca}"
    if certificate != "none":
        trustme.CA().issue_cert("x@example.org").private_key_and_cert_chain_pem.write_to_path(tmp_path / "c.pem")
        url += f"&cert={tmp_path / 'c.pem'}"
    connection = await dial(url, ours)
    connection.write(b"let me in")  # TLS 1.3 tells the client only after its side of the handshake
    await ours.until_called("lost")
    assert "add cert=FILE&key=FILE of an authority that it knows" in str(ours.error)
    assert not accepted.receivers
    await listener.close()
    assert listener.refused == 1
    ((peer, reason),) = refused
    assert reason == ("no certificate" if certificate == "none" else "unable to get local issuer certificate")
    assert peer.address.startswith("127.0.0.1:")
    assert peer.subject is None


@both_loops
async def test_an_accepting_listener_that_says_nothing_is_no_refusal(certificates: Certificates) -> None:
    async def leave(stream: ByteStream) -> None:
        await stream.read_exactly(1)

    async with (
        listen(certificates.listen, leave) as listener,
        open_stream(f"{listener.url}?ca={certificates.ca}") as stream,
    ):
        await stream.write(b"x")
        assert await stream.read() == b""


@both_loops
async def test_who_speaks_no_tls_showed_no_certificate_that_could_be_refused(certificates: Certificates) -> None:
    refused: list[str] = []
    listener = await accept(certificates.listen_mutual, Accepted(), on_refused=lambda _, why: refused.append(why))
    async with open_stream(listener.url.replace("tls", "tcp")) as stream:
        await stream.write(b"GET / HTTP/1.1\r\n\r\n")
        with suppress(LinkError):
            while await stream.read():
                pass
    await listener.close()
    assert listener.refused == 1
    assert not refused


@both_loops
async def test_who_speaks_no_tls_is_refused_and_others_go_on(certificates: Certificates) -> None:
    async with listen(certificates.listen, echo) as listener:
        plain = listener.url.replace("tls", "tcp")
        async with open_stream(plain) as stream:
            await stream.write(b"GET / HTTP/1.1\r\n\r\n")
            try:
                while await stream.read():
                    pass
            except LinkError:
                pass
        async with open_stream(f"{listener.url}?ca={certificates.ca}") as stream:
            await stream.write(b"x")
            assert await stream.read() == b"x"
        assert listener.refused == 1


@both_loops
async def test_a_peer_that_keeps_silent_in_the_handshake_is_cut(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking_module, "HANDSHAKE_TIMEOUT", 0.02)
    async with listen(certificates.listen, echo) as listener:
        async with open_stream(listener.url.replace("tls", "tcp")) as stream:
            assert await stream.read() == b""
        assert listener.refused == 1


@both_loops
async def test_nothing_is_sent_before_the_handshake_is_finished(certificates: Certificates) -> None:
    """A listener that never answers the client's hello sees only that hello, and the receiver is told nothing."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        ours = RecordingReceiver()
        address = f"tls://127.0.0.1:{server.getsockname()[1]}?ca={certificates.ca}"
        dialling = loop.create_task(dial(address, ours))
        sock, _ = await loop.sock_accept(server)
        with sock:
            hello = await loop.sock_recv(sock, 65536)
            assert hello[0] == 22  # a handshake record, RFC 8446 section 5.1
            assert ours.calls == []
        with pytest.raises(LinkError, match=r"no connection to|no TLS connection to"):
            await dialling


@both_loops
async def test_dialling_tls_where_plain_text_is_spoken_says_so() -> None:
    async def greet(stream: ByteStream) -> None:
        await stream.write(b"220 welcome to plain text\r\n")
        await stream.read()

    async with listen("tcp://127.0.0.1:0", greet) as listener:
        with pytest.raises(LinkError, match="does not speak TLS; use tcp://"):
            await dial(listener.url.replace("tcp", "tls"), RecordingReceiver())


async def test_a_listener_needs_a_certificate() -> None:
    with pytest.raises(AddressError, match=r"add \?cert=FILE&key=FILE"):
        await accept("tls://127.0.0.1:0", Accepted())


async def test_files_that_cannot_be_used_are_named(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    here = "tls://127.0.0.1:0"
    with pytest.raises(LinkError, match=r"cannot read the certificate .*none.pem"):
        await accept(f"{here}?cert={tmp_path}/none.pem", Accepted())
    with pytest.raises(LinkError, match=r"cannot use the certificate .*ca.pem"):
        await accept(f"{here}?cert={certificates.ca}", Accepted())
    with pytest.raises(LinkError, match=r"cannot use the certificate .*: they are not PEM files"):
        await accept(f"{here}?cert={certificates.listener}&key={certificates.client}", Accepted())
    with pytest.raises(LinkError, match=r"cannot read the authorities in .*none.pem"):
        await accept(f"{certificates.listen}&ca={tmp_path}/none.pem", Accepted())
    with pytest.raises(LinkError, match=r"cannot use the authorities in .*empty.pem"):
        await dial(f"tls://127.0.0.1:1?ca={tmp_path}/empty.pem", RecordingReceiver())


def test_an_encrypted_key_never_asks_the_terminal(certificates: Certificates, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form

    text = certificates.client.read_bytes()
    key = form.load_pem_private_key(text, None)
    locked = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"x"))
    (tmp_path / "key.pem").write_bytes(locked)
    with pytest.raises(LinkError, match=r"key\.pem is encrypted; give one without a pass phrase"):
        listening_context(parse_address(f"tls://h:0?cert={certificates.client}&key={tmp_path / 'key.pem'}"))


def test_only_tls_12_and_13_with_authenticated_ciphers_are_offered(certificates: Certificates) -> None:
    server = listening_context(parse_address(certificates.listen))
    client = dialing_context(parse_address("tls://h:1"))
    for context in (server, client):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert {cipher["protocol"] for cipher in context.get_ciphers()} == {"TLSv1.2", "TLSv1.3"}
        assert all("GCM" in cipher["name"] or "CHACHA20" in cipher["name"] for cipher in context.get_ciphers())
    assert client.check_hostname


@pytest.mark.parametrize(
    "subject, text",
    [
        ([[("countryName", "DE")], [("commonName", "a"), ("userId", "7")]], "CN=a+UID=7,C=DE"),
        ([[("commonName", ' a,b+c"d;e<f>g\\h ')]], 'CN=\\ a\\,b\\+c\\"d\\;e\\<f\\>g\\\\h\\ '),
        ([[("commonName", "#1")], [("emailAddress", "x@y")]], "emailAddress=x@y,CN=\\#1"),
        ([[("commonName", "a\0b")]], "CN=a\\00b"),
        ([[("commonName", " ")]], "CN=\\ "),
    ],
)
def test_a_subject_is_written_as_rfc_4514_says(subject: list[list[tuple[str, str]]], text: str) -> None:
    assert subject_text({"subject": subject}) == text


def test_no_certificate_has_no_subject() -> None:
    assert subject_text(None) is None
    assert subject_text({}) is None


def test_a_tls_error_without_advice_is_told_in_its_own_words() -> None:
    error = ssl.SSLError(1, "x")
    error.reason = "SOMETHING_NEW"
    assert tls_reason(error) == "something new"
