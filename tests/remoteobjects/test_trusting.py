"""Which of the URLs that a registry tells are connected to, and with what."""

from __future__ import annotations

import pytest

from everywire import AddressError, LinkError
from everywire.remoteobjects import Location, Registry
from everywire.remoteobjects.endpoint.trusting import place_of, trusted_hosts
from everywire.transport import parse_address

NEAR = parse_address("tcp://127.0.0.1:65212")
FAR = parse_address("tcp://registry.plant.example:65212")


def at(url: str) -> Location:
    return Location("hall", "Thermostat", url)


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:1", "tcp://[::1]:1", "local:/run/x", "localabstract:x", "tcp://h:1"])
def test_a_registry_of_this_machine_may_name_this_machine(url: str) -> None:
    assert place_of(at(url), NEAR, ()) == url


@pytest.mark.parametrize("url", ["tcp://10.0.0.7:1", "tls://plant.example:1", "tcp://[fe80::1]:1", "qtro+ws://h:1/x"])
def test_any_registry_may_name_another_machine(url: str) -> None:
    assert place_of(at(url), FAR, ()) == url.removeprefix("qtro+")


@pytest.mark.parametrize(
    "url",
    [
        "tcp://127.0.0.1:22",
        "tcp://127.8.8.8:22",
        "tcp://[::1]:22",
        "tcp://[::ffff:127.0.0.1]:22",
        "tcp://localhost:22",
        "tcp://LOCALHOST.:22",
        "tcp://a.localhost:22",
        "local:climate",
        "localabstract:x",
    ],
)
def test_a_registry_elsewhere_does_not_send_us_to_our_own_machine(url: str) -> None:
    with pytest.raises(LinkError, match="advertise another"):
        place_of(at(url), FAR, ())


@pytest.mark.parametrize(
    "url",
    [
        *("tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://:1", "tcp://h:0", "tcp://[::ffff:0.0.0.0]:1"),
        *("tcp://127.1:1", "tcp://2130706433:1", "tcp://0x7f.1:1", "tcp://0x7f000001:1", "tcp://0:1"),
    ],
)
@pytest.mark.parametrize("registry", [NEAR, FAR])
def test_nobody_connects_to_every_interface_or_to_a_number_in_disguise(url: str, registry: object) -> None:
    with pytest.raises(LinkError, match="not connect"):
        place_of(at(url), registry, ())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        *("stdio:", "memory:x", "http://h:1", "dbus:session", "http+tcp://h:1", "registry+tcp://h:1", "file:///", ""),
        *("tls://h:1?ca=/etc/passwd", "tls://h:1?cert=a&key=b", "tcp://h:1?token=/home/me/token", "tcp://me@h:1"),
    ],
)
def test_other_transports_and_settings_are_not_believed(url: str) -> None:
    with pytest.raises(LinkError):
        place_of(at(url), NEAR, ())


def test_settings_go_to_trusted_hosts_only() -> None:
    hosts = trusted_hosts(["tls://*.plant.example:*?ca=ca.pem&token=t", "tcp://10.0.0.7:1", "local:/run/plant/*"])
    assert place_of(at("tls://a.plant.example:5"), FAR, hosts) == "tls://a.plant.example:5?ca=ca.pem&token=t"
    assert place_of(at("tcp://10.0.0.7:1"), FAR, hosts) == "tcp://10.0.0.7:1"
    assert place_of(at("local:/run/plant/x"), FAR, hosts) == "local:/run/plant/x", "the user's word counts"
    web = trusted_hosts(["qtro+wss://*.plant.example:*/objects?ca=ca.pem"])
    assert place_of(at("qtro+wss://a.plant.example:5/objects"), FAR, web) == "wss://a.plant.example:5/objects?ca=ca.pem"
    for url in (
        *("tls://plant.example:5", "tls://a.plant.example.evil:5", "tls://evil:5", "tcp://a.plant.example:5"),
        *("tls://evil:1/.plant.example:5", "tls://aXplant.example:5", "tcp://10.0.0.7:11", "tcp://10.0.0.70:1"),
        *("local:/run/plant/x/y", "local:/run/plant", "local:x"),
    ):
        with pytest.raises(LinkError):
            place_of(at(url), FAR, hosts)


@pytest.mark.parametrize("text", ["", "plant.example", "http://h:1", "tls:", "tls://h:1?nonsense=1", "tcp://h:1?ca=x"])
def test_what_is_no_trusted_host_is_refused_at_once(text: str) -> None:
    with pytest.raises(AddressError):
        trusted_hosts([text])


def test_trusted_hosts_stand_in_the_url_too() -> None:
    url = "registry+tls://r:1?ca=x.pem&hosts=tls://*.plant:*%3Fca=ca.pem%26token=t,tcp://10.0.0.7:*"
    registry = Registry(url=url)
    assert registry.place_of(at("tls://a.plant:5")) == "tls://a.plant:5?ca=ca.pem&token=t"
    assert registry.place_of(at("tcp://10.0.0.7:99")) == "tcp://10.0.0.7:99"
    assert str(registry.reached().address) == "tls://r:1?ca=x.pem"


def test_a_token_of_the_registry_goes_to_the_registry_alone() -> None:
    registry = Registry(url="tcp://r.example:1", token="me." + "s" * 43)
    assert registry.reached().credential
    assert registry.place_of(at("tcp://h:1")) == "tcp://h:1"
    assert "token" not in repr(registry)


@pytest.mark.parametrize("url", ["registry+tcp://r:1?hosts=", "registry+tcp://r:1?hosts=tcp://a:1&hosts=tcp://b:1"])
def test_trusted_hosts_are_given_once(url: str) -> None:
    with pytest.raises(AddressError, match="once"):
        Registry(url=url).reached()
    with pytest.raises(AddressError, match="once"):
        Registry(url="registry+tcp://r:1?hosts=tcp://a:1", hosts=("tcp://b:1",)).reached()
