"""Which pages may use a server: Host and Origin, by every shape that a name can have."""

from __future__ import annotations

from typing import Any

import pytest

from everywire import AddressError
from everywire.http.exchange import Exchange
from everywire.http.guarding import MOST_KNOWN, Rules
from everywire.http.problems import Problem
from everywire.transport.web_names import host_name


async def nothing(*_: object) -> Any:
    return None


def exchange(*headers: tuple[str, str], scheme: str = "http", method: str = "GET") -> Exchange:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Exchange({"type": "http", "headers": raw, "scheme": scheme, "method": method}, nothing, nothing)


def status(rules: Rules, *headers: tuple[str, str], scheme: str = "http") -> int:
    try:
        rules.check(exchange(*headers, scheme=scheme))
    except Problem as problem:
        return problem.status
    return 200


@pytest.mark.parametrize(
    "header, name",
    [
        ("127.0.0.1", "127.0.0.1"),
        ("LocalHost:8080", "localhost"),
        ("localhost.", "localhost"),
        ("localhost.:80", "localhost"),
        ("[::1]:8080", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ("a_b-c.example", "a_b-c.example"),
        ("xn--grn-hoa.example", "xn--grn-hoa.example"),
    ],
)
def test_a_host_is_compared_in_one_form(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    "header",
    ["", ".", ":80", "localhost:", "localhost:0", "localhost:65536", "localhost:x", "::1", "[::1", "[::1]x", "[x]:80",
     "user@localhost", "localhost/", "localhost, evil.org", "localhost evil.org", "http://localhost", "a" * 254, "ü",
     "localhost\t", "127.0.0.1:80:80", "[127.0.0.1]%", "localhost:８０"],
)  # fmt: skip
def test_what_names_no_host_is_refused(header: str) -> None:
    assert host_name(header) is None
    if all(ord(char) < 256 for char in header):
        assert status(Rules(bound="127.0.0.1"), ("host", header)) == 400


@pytest.mark.parametrize(
    "bound, good, bad",
    [
        ("127.0.0.1", ["localhost", "127.0.0.1", "[::1]:9"], ["evil.org", "192.168.1.5", "127.0.0.2", "0.0.0.0"]),
        ("localhost", ["localhost:80", "127.0.0.1"], ["localhost.evil.org", "evil.org"]),
        ("::1", ["[::1]", "localhost"], ["[::2]", "evil.org"]),
        ("0.0.0.0", ["192.168.1.5:80", "[fe80::1]", "localhost"], ["evil.org", "plant"]),
        ("", ["10.0.0.1", "[2001:db8::1]"], ["evil.org"]),
        ("::", ["10.0.0.1", "localhost"], ["evil.org"]),
        ("192.168.1.5", ["192.168.1.5:8443"], ["localhost", "127.0.0.1", "192.168.1.6"]),
        ("plant.example", ["plant.example", "PLANT.example."], ["localhost", "evil.org"]),
    ],
)
def test_a_server_answers_to_where_it_listens(bound: str, good: list[str], bad: list[str]) -> None:
    """DNS rebinding: an attacker's name that leads to us is not ours."""
    rules = Rules(bound=bound)
    assert {status(rules, ("host", host)) for host in good} == {200}
    assert {status(rules, ("host", host)) for host in bad} == {421}
    named = Rules(bound=bound, hosts=["plant.local", "[2001:db8::7]"])
    assert status(named, ("host", "Plant.Local:443")) == 200
    assert status(named, ("host", "[2001:db8::7]")) == 200


def test_a_unix_socket_has_any_name_or_none() -> None:
    rules = Rules(bound=None)
    assert status(rules, ("host", "whatever")) == 200
    assert status(rules) == 200
    assert status(rules, ("host", "!")) == 400
    assert status(Rules(bound="127.0.0.1")) == 400


def test_a_header_with_one_value_comes_once() -> None:
    rules = Rules(bound="127.0.0.1")
    assert status(rules, ("host", "localhost"), ("host", "localhost")) == 400
    assert status(rules, ("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://localhost")) == 400
    assert status(rules, ("host", "localhost"), ("accept", "a"), ("accept", "b")) == 200


@pytest.mark.parametrize(
    "host, scheme, origin",
    [
        ("localhost:8080", "http", "http://localhost:8080"),
        ("LOCALHOST:8080", "http", "http://localhost:8080"),
        ("localhost", "http", "http://localhost:80"),
        ("localhost:443", "https", "https://localhost"),
        ("[::1]:8080", "http", "http://[::1]:8080"),
        ("127.0.0.1:8080", "ws", "http://127.0.0.1:8080"),
        ("127.0.0.1:8080", "wss", "https://127.0.0.1:8080"),
    ],
)
def test_pages_of_our_own_may(host: str, scheme: str, origin: str) -> None:
    assert status(Rules(bound="127.0.0.1"), ("host", host), ("origin", origin), scheme=scheme) == 200


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://evil.org", "http://localhost:9999", "https://localhost:8080", "http://localhost:8080.evil.org",
     "http://localhost:8080/", "file://", "http://localhost:8080@evil.org", "http://127.0.0.1:8080", "localhost:8080",
     "http://localhost:8080 http://evil.org", "HTTP://localhost:8081", "chrome-extension://abc"],
)  # fmt: skip
def test_pages_of_others_may_not(origin: str) -> None:
    expected = 200 if origin == "http://localhost:8080/" else 403  # no browser writes the slash, and it means the same
    assert status(Rules(bound="127.0.0.1"), ("host", "localhost:8080"), ("origin", origin)) == expected


def test_an_allowed_origin_may_and_is_told() -> None:
    rules = Rules(bound="127.0.0.1", origins=["https://Panel.example:443/"])
    asked = exchange(("host", "localhost"), ("origin", "https://panel.example"))
    rules.check(asked)
    assert (b"access-control-allow-origin", b"https://panel.example") in asked.extra
    assert (b"vary", b"Origin") in asked.extra
    assert not any(name == b"access-control-allow-credentials" for name, _ in asked.extra)
    assert status(rules, ("host", "localhost"), ("origin", "http://panel.example")) == 403
    assert status(rules, ("host", "localhost"), ("origin", "null")) == 403
    own = exchange(("host", "localhost"), ("origin", "http://localhost"))
    rules.check(own)
    assert own.extra == ()


def test_only_an_allowed_origin_has_its_preflight_answered() -> None:
    rules = Rules(bound="127.0.0.1", origins=["https://panel.example"])
    wish = ("access-control-request-method", "PUT")
    asked = exchange(("host", "localhost"), ("origin", "https://panel.example"), wish, method="OPTIONS")
    rules.check(asked)
    assert dict(rules.preflight(asked) or ())[b"access-control-allow-methods"] == b"GET, HEAD, PUT, POST, OPTIONS"
    own = exchange(("host", "localhost"), ("origin", "http://localhost"), wish, method="OPTIONS")
    rules.check(own)
    assert not rules.preflight(own)
    assert rules.preflight(exchange(("host", "localhost"), method="OPTIONS")) is None


@pytest.mark.parametrize("origin", ["null", "*", "panel.example", "https://", "https://a b"])
def test_what_is_no_origin_cannot_be_allowed(origin: str) -> None:
    with pytest.raises(AddressError, match="is no origin; one looks like"):
        Rules(origins=[origin])


@pytest.mark.parametrize("host", ["", "plant:8080", "."])
def test_what_is_no_host_cannot_be_named(host: str) -> None:
    with pytest.raises(AddressError, match="names no host"):
        Rules(hosts=[host])


def test_few_hosts_are_remembered() -> None:
    rules = Rules(bound="0.0.0.0")
    for n in range(2 * MOST_KNOWN):
        assert status(rules, ("host", f"10.0.{n // 256}.{n % 256}")) == 200
    assert len(rules._known) == MOST_KNOWN
