"""Who gets in: foreign pages, forms, tokens, certificates, proxies; and that each denial leaves one line."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from everywire import InsecureBind, Limits, Role, Tokens
from everywire.http import Http
from everywire.http.exchange import Line
from tests.http.conftest import Certificates, Logins, Trail
from tests.http.peers import Events, Served, Thermostat, served

WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)
BROWSER = ("Origin: http://evil.org", "Sec-Fetch-Site: cross-site")


# ------------------------------------------------------------------------------------------------- pages in a browser
async def test_a_name_of_an_attacker_that_leads_to_us_is_not_ours(trail: Trail) -> None:
    """DNS rebinding: the page of evil.org asks evil.org, which has our address by now."""
    room = Thermostat()
    async with served(hall=room) as host:
        port = host.port
        for line in ("GET /objects", "POST /objects/hall/slots/stop", "GET /objects/hall/events", "GET /"):
            body = [] if line.startswith("POST") else None
            answer = await host.ask(line, f"Host: evil.org:{port}", f"Origin: http://evil.org:{port}", body=body)
            assert answer.problem == (421, "PERMISSION_DENIED")
            (told,) = trail.take()
            assert (told["denied"], told["named_host"], told["caller"]) == ("host", f"evil.org:{port}", "anonymous")
        assert room.seen == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("origin", ["http://evil.org", "null", "http://127.0.0.1:1"])
async def test_a_page_of_another_origin_may_nothing(trail: Trail, method: str, origin: str) -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        path = "/objects/hall/properties/target"
        answer = await host.ask(f"{method} {path}", f"Origin: {origin}", body=b"30" if method != "GET" else None)
        assert answer.status == 403
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert room.target == 21.0
        (told,) = trail.take()
        assert (told["denied"], told["named_origin"]) == ("origin", origin)


async def test_a_page_of_another_origin_may_not_listen(trail: Trail) -> None:
    async with served(hall=Thermostat()) as host:
        for headers in (BROWSER, (*BROWSER, *WEBSOCKET)):
            answer = await host.ask("GET /objects/hall/events", *headers)
            assert answer.problem == (403, "PERMISSION_DENIED")
            assert len(trail.take()) == 1
        assert not host.server.links


async def test_a_page_of_our_own_may(trail: Trail) -> None:
    async with served(hall=Thermostat()) as host:
        own = (f"Host: localhost:{host.port}", f"Origin: http://localhost:{host.port}")
        assert (await host.ask("POST /objects/hall/slots/boost", *own, body=[])).json == 600
        answer = await host.ask("GET /objects/hall/events", *own, *WEBSOCKET, head=True)
        assert answer.status == 101
        assert trail.take() == []


async def test_an_allowed_origin_may_and_may_ask_first() -> None:
    wire = Http(url="http://127.0.0.1:0?origin=https://panel.example,https://other.example", origins=("http://third",))
    async with served(wire, hall=Thermostat()) as host:
        for origin in ("https://panel.example", "https://other.example", "http://third"):
            wish = ("Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type")
            answer = await host.ask("OPTIONS /objects/hall/properties/target", f"Origin: {origin}", *wish)
            assert answer.status == 204
            assert answer.headers["access-control-allow-origin"] == origin
            assert "Content-Type" in answer.headers["access-control-allow-headers"]
            for line in ("GET /objects", "GET /nope"):
                answer = await host.ask(line, f"Origin: {origin}")
                assert answer.headers["access-control-allow-origin"] == origin
                assert answer.headers["vary"] == "Origin"
        assert (await host.ask("GET /objects", "Origin: https://evil.example")).status == 403


@pytest.mark.parametrize(
    "media",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "", "application/jsonx",
     "text/json", "application/json; charset=utf-16", "application/x-json, application/json"],
)  # fmt: skip
async def test_a_form_or_a_text_calls_nothing(media: str) -> None:
    """What a browser sends for any page without asking first."""
    room = Thermostat()
    async with served(hall=room) as host:
        for line in ("POST /objects/hall/slots/stop", "PUT /objects/hall/properties/target"):
            answer = await host.ask(line, f"Content-Type: {media}", body=b"30")
            assert answer.problem == (415, "INVALID_ARGUMENT")
            assert answer.headers["accept-post"] == "application/json"
        assert (await host.ask("POST /objects/hall/slots/stop", "Content-Length: 0")).status == 415
        assert room.seen == []
        assert room.target == 21.0


@pytest.mark.parametrize("media", ["application/json", "Application/JSON", 'application/json;charset="UTF-8"'])
async def test_json_is_taken_however_it_is_written(media: str) -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.ask("POST /objects/hall/slots/boost", f"Content-Type: {media}", body=[])
        assert answer.status == 200


async def test_reading_changes_nothing() -> None:
    """An <img> of any page can GET every path."""
    room = Thermostat()
    async with served(hall=room) as host:
        for path in ("objects/hall/slots/stop", "objects/hall/properties/target?value=30", "objects/hall/slots/stop?x"):
            await host.ask(f"GET /{path}", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image")
        assert room.seen == []
        assert room.target == 21.0


@pytest.mark.parametrize("target", ["http://evil.org/objects", "HTTP://evil.org:80/objects", "https://evil.org"])
async def test_a_target_in_absolute_form_names_the_host(target: str) -> None:
    """RFC 9112 section 3.2.2: it counts, whatever Host says."""
    async with served(hall=Thermostat()) as host:
        assert (await host.ask(f"GET {target}", "Host: 127.0.0.1")).status == 421
        answer = await host.ask(f"GET http://localhost:{host.port}/objects", "Host: evil.org")
        assert answer.status == 200


# ---------------------------------------------------------------------------------------------------------- tokens
async def test_with_tokens_every_request_must_log_in(logins: Logins, trail: Trail) -> None:
    async with served(hall=Thermostat(), tokens=logins.tokens) as host:
        for line in ("GET /", "GET /objects", "GET /nope", "GET /openapi.json", "GET /objects/hall/events"):
            answer = await host.ask(line)
            assert answer.problem == (401, "UNAUTHENTICATED")
            assert answer.headers["www-authenticate"] == 'Bearer realm="everywire"'
            (told,) = trail.take()
            assert (told["denied"], told["reason"]) == ("login", "no token")
        answer = await host.ask("GET /objects/hall/events", *WEBSOCKET)
        assert answer.problem == (401, "UNAUTHENTICATED")
        assert len(trail.take()) == 1
        assert (await host.ask("GET /objects", logins.bearer)).status == 200
        assert (await host.call("hall/slots/who", [], logins.bearer)).json == "token:panel calls hall.who over http"
        assert trail.take() == []


async def test_a_token_has_its_role(logins: Logins, trail: Trail) -> None:
    async with served(hall=Thermostat(), tokens=logins.tokens) as host:
        guest = f"Authorization: Bearer {logins.viewer}"
        assert (await host.ask("GET /objects/hall/properties/target", guest)).json == 21.0
        assert (await host.call("hall/slots/boost", [], guest)).problem == (403, "PERMISSION_DENIED")
        (told,) = trail.take()
        assert (told["denied"], told["caller"], told["member"]) == ("call", "token:guest", "boost")


@pytest.mark.parametrize(
    "header, reason",
    [
        ("Bearer panel.wrong", "wrong secret"),
        ("Bearer nobody.wrong", "unknown name"),
        ("Bearer x", "unknown name"),
        ("Bearer", "not a Bearer token"),
        ("Bearer ", "not a Bearer token"),
        ("Basic cGFuZWw6d3Jvbmc=", "not a Bearer token"),
        ("Bearer \xff\xfe.\xff", "unknown name"),
        ("Bearer " + "a" * 2000, "unknown name"),
    ],
)
async def test_a_wrong_token_is_refused(logins: Logins, trail: Trail, header: str, reason: str) -> None:
    async with served(hall=Thermostat(), tokens=logins.tokens) as host:
        answer = await host.ask("GET /objects", f"Authorization: {header}")
        assert answer.problem == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        (told,) = trail.take()
        assert (told["denied"], told["reason"]) == ("login", reason)
        assert "wrong" not in str({**told, "reason": ""})


async def test_two_tokens_are_too_many(logins: Logins) -> None:
    async with served(hall=Thermostat(), tokens=logins.tokens) as host:
        assert (await host.ask("GET /objects", logins.bearer, logins.bearer)).status == 400


async def test_a_revoked_or_expired_token_acts_on_the_next_request(logins: Logins, trail: Trail) -> None:
    tokens = logins.tokens
    async with served(hall=Thermostat(), tokens=tokens) as host, host.connection() as raw:
        await raw.send("GET /objects", logins.bearer)
        assert (await raw.answer()).status == 200
        tokens.remove("panel")
        await raw.send("GET /objects", logins.bearer)
        assert (await raw.answer()).status == 401
        old = tokens.add("old", Role.ADMIN, expires=1.0)
        await raw.send("GET /objects", f"Authorization: Bearer {old}")
        assert (await raw.answer()).status == 401
        assert [line["reason"] for line in trail.take()] == ["unknown name", "expired"]


async def test_guessing_is_slowed_down(logins: Logins) -> None:
    async with served(hall=Thermostat(), tokens=logins.tokens) as host:
        statuses = [(await host.ask("GET /objects", "Authorization: Bearer panel.no")).status for _ in range(12)]
        assert statuses[:10] == [401] * 10
        assert statuses[-1] == 429


async def test_each_refused_login_leaves_one_line_and_is_counted(logins: Logins, trail: Trail) -> None:
    async with served(hall=Thermostat(), tokens=logins.tokens) as host:
        for count in range(1, 13):
            answer = await host.ask("GET /objects", "Authorization: Bearer panel.no")
            (line,) = trail.take()
            assert (line["denied"], line["name"]) == ("login", "panel")
            assert host.node.refusals["logins"] == count
        assert answer.status == 429
        assert "too many logins" in line["reason"]


@pytest.mark.parametrize("line", ["POST /objects/hall/slots/boost", "PUT /objects/hall/properties/target"])
async def test_a_token_that_is_revoked_while_a_body_comes_calls_nothing(
    logins: Logins, trail: Trail, line: str
) -> None:
    room = Thermostat()
    async with served(hall=room, tokens=logins.tokens) as host, host.connection() as raw:
        await raw.send(line, logins.bearer, "Expect: 100-continue", "Content-Length: 2", body=b"")
        assert (await raw.head()).status == 100, "it waits for the body, so the login was good"
        logins.tokens.remove("panel")
        raw.write(b"22")
        answer = await raw.answer()
        assert answer.problem == (401, "UNAUTHENTICATED")
        assert not answer.json["may_have_run"]
        assert room.seen == []
        assert room.target == 21.0
        assert len(trail.take()) == 1


async def test_a_token_that_is_revoked_while_a_body_comes_starts_no_stream(logins: Logins) -> None:
    room = Thermostat()
    async with served(hall=room, tokens=logins.tokens) as host, host.connection() as raw:
        path = "POST /objects/hall/slots/readings"
        await raw.send(path, logins.bearer, "Expect: 100-continue", "Content-Length: 3", body=b"")
        assert (await raw.head()).status == 100
        logins.tokens.remove("panel")
        raw.write(b"[9]")
        assert (await raw.answer()).problem == (401, "UNAUTHENTICATED")
        assert not host.server.links


async def test_a_token_that_is_replaced_while_a_body_comes_has_not_the_old_role(logins: Logins) -> None:
    room = Thermostat()
    async with served(hall=room, tokens=logins.tokens) as host, host.connection() as raw:
        path = "POST /objects/hall/slots/readings"
        await raw.send(path, logins.bearer, "Expect: 100-continue", "Content-Length: 3", body=b"")
        assert (await raw.head()).status == 100
        logins.tokens.remove("panel")
        logins.tokens.add("panel", Role.VIEWER)
        raw.write(b"[9]")
        assert (await raw.answer()).status == 401
        assert not host.server.links


async def test_a_user_of_this_machine_needs_no_token_on_a_unix_socket(folder: Any, logins: Logins) -> None:
    async with served(f"http+local:{folder}/x", hall=Thermostat(), tokens=logins.tokens) as host:
        assert host.url == f"http+local:{folder}/x"
        answer = await host.call("hall/slots/who", [], "Host: any.name")
        assert answer.json.startswith("uid:")
        guest = f"Authorization: Bearer {logins.viewer}"
        assert (await host.call("hall/slots/who", [], guest)).status == 403
        assert (folder / "x").stat().st_mode & 0o777 == 0o600
        assert (await host.ask("GET /objects", "Origin: http://evil.org")).status == 403


def from_afar(host: Served, monkeypatch: pytest.MonkeyPatch, *, encrypted: bool = False) -> None:
    """Let connections look as if they came from another machine."""
    from everywire.http import _uvicorn
    from everywire.transport import Peer

    def distant(peer: Peer, abort: Any) -> Line:
        return Line(Peer(transport="tcp", address="192.0.2.7:4711", encrypted=encrypted), abort)

    monkeypatch.setattr(_uvicorn, "Line", distant)


async def test_a_stranger_from_another_machine_sees_nothing(monkeypatch: pytest.MonkeyPatch, trail: Trail) -> None:
    async with served(hall=Thermostat()) as host:
        from_afar(host, monkeypatch)
        assert (await host.ask("GET /objects")).json == []
        assert (await host.ask("GET /objects/hall")).status == 404
        assert (await host.call("hall/slots/boost")).status == 404
        assert [line["address"] for line in trail.take()] == ["192.0.2.7:4711"] * 2


async def test_a_token_without_encryption_is_refused(
    monkeypatch: pytest.MonkeyPatch, logins: Logins, trail: Trail
) -> None:
    async with served(hall=Thermostat(), tokens=logins.tokens) as host:
        from_afar(host, monkeypatch)
        answer = await host.ask("GET /objects", logins.bearer)
        assert answer.problem == (401, "UNAUTHENTICATED")
        assert "replace it" in answer.json["detail"]
        (told,) = trail.take()
        assert told["reason"] == "a token without encryption"
        assert "panel." not in str(told)
        from_afar(host, monkeypatch, encrypted=True)
        assert (await host.ask("GET /objects", logins.bearer)).status == 200


async def test_a_peer_from_another_machine_has_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(calls_per_second=0.001, calls_burst=3, drain=0.0)
    async with served(hall=Thermostat(), limits=limits) as host:
        assert [(await host.ask("GET /objects")).status for _ in range(6)] == [200] * 6
        from_afar(host, monkeypatch)
        answers = [await host.ask("GET /objects", "Host: evil.org") for _ in range(5)]
        assert [answer.status for answer in answers] == [421, 421, 421, 429, 429]
        assert answers[-1].headers["retry-after"] == "1"
        assert host.node.refusals["calls_per_second"] == 2


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: a", "X-Forwarded-Proto: https", "Forwarded: for=192.0.2.7",
     "Via: 1.1 proxy", "X-Real-IP: 192.0.2.7"],
)  # fmt: skip
async def test_who_comes_through_a_proxy_is_not_on_this_machine(header: str, trail: Trail) -> None:
    async with served(hall=Thermostat()) as host:
        assert (await host.ask("GET /objects/hall", header)).status == 404
        assert (await host.ask("GET /objects/hall", "X-Forwarded-For:")).status == 404
        assert len(trail.take()) == 2


async def test_a_proxy_on_a_unix_socket_is_not_who_asks(folder: Any, logins: Logins) -> None:
    proxied = "X-Forwarded-For: 192.0.2.7"
    async with served(f"http+local:{folder}/x", hall=Thermostat()) as host:
        assert (await host.ask("GET /objects", proxied)).json == []
    async with served(f"http+local:{folder}/x", hall=Thermostat(), tokens=logins.tokens) as host:
        assert (await host.ask("GET /objects", proxied)).status == 401
        assert (await host.ask("GET /objects", proxied, logins.bearer)).status == 200


async def test_a_proxy_may_bring_tokens(logins: Logins) -> None:
    async with served(hall=Thermostat(), tokens=logins.tokens) as host:
        answer = await host.ask("GET /objects/hall", "X-Forwarded-For: 192.0.2.7", logins.bearer)
        assert answer.status == 200


# ------------------------------------------------------------------------------------------------- TLS and certificates
def tls(certificates: Certificates, own: Any = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates.ca))
    if own is not None:
        context.load_cert_chain(own)
    return context


async def test_https_takes_tokens(certificates: Certificates, logins: Logins) -> None:
    async with served(certificates.url, hall=Thermostat(), tokens=logins.tokens) as host:
        assert host.url.startswith("https://127.0.0.1:")
        context = tls(certificates)
        assert (await host.ask("GET /objects", context=context)).status == 401
        assert (await host.ask("GET /objects", logins.bearer, context=context)).status == 200


async def test_a_client_certificate_is_an_identity(certificates: Certificates, trail: Trail) -> None:
    async with served(f"{certificates.url}&ca={certificates.ca}", hall=Thermostat()) as host:
        context = tls(certificates, certificates.client)
        answer = await host.ask("POST /objects/hall/slots/who", body=[], context=context)
        assert "CN=panel" in answer.json
        assert trail.take() == []


async def test_a_listed_certificate_logs_in_and_no_other(
    certificates: Certificates, logins: Logins, trail: Trail
) -> None:
    tokens: Tokens = logins.tokens
    wire = f"{certificates.url}&ca={certificates.ca}"
    async with served(wire, hall=Thermostat(), tokens=tokens) as host:
        context = tls(certificates, certificates.client)
        answer = await host.ask("GET /objects", context=context)
        assert answer.problem == (401, "UNAUTHENTICATED")
        (told,) = trail.take()
        assert told["reason"] == "the certificate is not listed"
        tokens.add_certificate("wall", Role.VIEWER, told["caller"])
        assert (await host.ask("GET /objects/hall", context=context)).status == 200
        assert (await host.ask("POST /objects/hall/slots/boost", body=[], context=context)).status == 403
        tokens.remove("wall")
        assert (await host.ask("GET /objects/hall", context=context)).status == 401


async def test_a_certificate_of_another_authority_gets_no_answer(certificates: Certificates, trail: Trail) -> None:
    async with served(f"{certificates.url}&ca={certificates.ca}", hall=Thermostat()) as host:
        for own in (None, certificates.foreign):
            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                await host.ask("GET /objects", context=tls(certificates, own))
        assert {line["denied"] for line in trail.take()} == {"certificate"}


async def test_a_revoked_certificate_ends_its_streams(certificates: Certificates, logins: Logins) -> None:
    wire = f"{certificates.url}&ca={certificates.ca}"
    async with served(wire, hall=Thermostat(), tokens=logins.tokens) as host:
        context = tls(certificates, certificates.client)
        logins.tokens.add_certificate("wall", Role.VIEWER, await subject(host, context))
        async with host.connection(context) as raw:
            await raw.send("GET /objects/hall/events")
            await raw.head()
            stream = Events(raw)
            await stream.next()
            logins.tokens.remove("wall")
            assert await stream.next() is None


async def subject(host: Served, context: ssl.SSLContext) -> str:
    """The subject of our certificate, as the server has it."""
    async with host.connection(context) as raw:
        await raw.send("GET /objects")
        await raw.answer()
        (connection,) = host.server._state.connections
        return str(connection.peer.subject)  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------------------- binds
async def test_a_bind_for_other_machines_needs_encryption_and_logins(
    certificates: Certificates, logins: Logins
) -> None:
    everywhere = certificates.url.replace("127.0.0.1", "0.0.0.0")
    for wire, tokens in (
        ("http://0.0.0.0:0", None),
        ("http://0.0.0.0:0", logins.tokens),
        (everywhere, None),
    ):
        with pytest.raises(InsecureBind):
            async with served(wire, tokens=tokens):
                pass
    for settings, tokens in (
        (Http(url=everywhere), logins.tokens),
        (Http(url=f"{everywhere}&ca={certificates.ca}"), None),
        (Http(url="http://0.0.0.0:0", insecure=True), None),
    ):
        async with served(settings, tokens=tokens, hall=Thermostat()):
            pass


# -------------------------------------------------------------------------------------------------------------- logs
async def test_nothing_that_a_stranger_sends_breaks_a_line_of_a_log(
    trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(hall=Thermostat()) as host:
        await host.ask("GET /objects/%0a%1b%5b31mFAKE%0d", "Origin: http://\x1b[31mevil")
        await host.ask("GET /%0a%1b%5b31mFAKE", "Host: a\x9b31m")
        await host.ask("GET /objects/%0aFAKE")
        for record in caplog.records:
            assert record.getMessage().isprintable()
        for line in trail.take():
            assert all(str(value).isprintable() for value in line.values())
