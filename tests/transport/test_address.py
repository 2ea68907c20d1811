from __future__ import annotations

import pytest

from everywire.errors import AddressError
from everywire.transport import parse_address
from everywire.transport.address import bracketed


@pytest.mark.parametrize(
    "text",
    [
        "local:climate",
        "local:/run/user/1000/climate",
        "local:a name with spaces",
        "localabstract:climate",
        "tcp://127.0.0.1:65213",
        "tcp://[::1]:0",
        "tcp://:8080",
        "qtro+tcp://plant.example.org:65213",
        "tls://host:1?ca=/etc/ca.pem&cert=/a%26b.pem",
        "stdio:",
        "qcop+memory:climate",
    ],
)
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_address(text)) == text


def test_an_address_tells_its_parts() -> None:
    address = parse_address("qtro+tls://[fe80::1]:443?ca=%2Fetc%2Fca.pem&key=a%26b")
    assert (address.wire, address.transport, address.rest) == ("qtro", "tls", "//[fe80::1]:443")
    assert (address.host, address.port) == ("fe80::1", 443)
    assert dict(address.settings) == {"ca": "/etc/ca.pem", "key": "a&b"}


def test_equal_addresses_are_one_key() -> None:
    assert {parse_address("tcp://h:1"): 1}[parse_address("tcp://h:1")] == 1
    assert parse_address("tls://h:1?ca=a") != parse_address("tls://h:1?ca=b")


def test_the_dialable_address_has_no_settings() -> None:
    assert str(parse_address("qtro+tls://localhost:0?cert=a").at("::1", 7)) == "qtro+tls://[::1]:7"


@pytest.mark.parametrize("text", ["", "climate", "/run/climate", "ftp://host:1", "tcp", "TCP://host:1", "+tcp://h:1"])
def test_what_is_no_address_is_told_what_addresses_look_like(text: str) -> None:
    with pytest.raises(AddressError, match="an address looks like local:NAME"):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["tcp:host:1", "tcp://host", "tcp://host:65536", "tcp://host:1/path", "tcp://user@host:1", "tcp://host:-1"]
)
def test_a_network_address_needs_host_and_port(text: str) -> None:
    with pytest.raises(AddressError, match=r"needs a host and a port, as in tcp://127.0.0.1:65213"):
        parse_address(text)


def test_an_ipv6_address_without_brackets_is_told_about_them() -> None:
    with pytest.raises(AddressError, match="needs brackets"):
        parse_address("tcp://::1:80")


def test_an_unknown_setting_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AddressError, match="does not know the setting certificate; it knows ca, cert, key"):
        parse_address("tls://h:1?certificate=x")
    with pytest.raises(AddressError, match="local does not know the setting mode; it has none"):
        parse_address("local:x?mode=1")


def test_a_wire_may_bring_settings_of_its_own() -> None:
    address = parse_address("qtro+local:x?heartbeat=5", settings={"heartbeat"})
    assert address.settings["heartbeat"] == "5"


@pytest.mark.parametrize("query", ["?", "?&", "?ca", "?=1", "?ca=1&ca=2"])
def test_settings_that_are_no_pairs_or_are_given_twice_are_refused(query: str) -> None:
    if query == "?":
        assert not parse_address(f"tls://h:1{query}").settings
        return
    with pytest.raises(AddressError, match=r"settings look like|given twice"):
        parse_address(f"tls://h:1{query}")


@pytest.mark.parametrize("text", ["local:", "localabstract:", "memory:", "local:a\0b"])
def test_a_name_is_not_empty_and_has_no_nul(text: str) -> None:
    with pytest.raises(AddressError, match="needs a name without NUL"):
        parse_address(text)


def test_a_local_name_is_no_host() -> None:
    with pytest.raises(AddressError, match=r"a local name is no host and has no slashes before it; write local:plant$"):
        parse_address("local://plant")
    assert parse_address("local:///run/plant").rest == "///run/plant"


def test_stdio_has_no_name() -> None:
    with pytest.raises(AddressError, match="has no name"):
        parse_address("stdio:x")


def test_only_ipv6_hosts_are_bracketed() -> None:
    assert (bracketed("::1"), bracketed("host")) == ("[::1]", "host")
