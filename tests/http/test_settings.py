"""The settings of the wire and its URLs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from everywire import AddressError, MissingExtra, Node
from everywire.http import Http
from everywire.http.settings import shown
from everywire.runtime.wires import wire_of
from tests.http.peers import served


@pytest.mark.parametrize(
    "url, address, path, again",
    [
        ("http://127.0.0.1:8080", "tcp://127.0.0.1:8080", "", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "tcp://127.0.0.1:8080", "", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/a/b/", "tcp://[::1]:8080", "/a/b", "http://[::1]:8080/a/b"),
        ("http://plant.example", "tcp://plant.example:80", "", "http://plant.example:80"),
        ("http://[::1]", "tcp://[::1]:80", "", "http://[::1]:80"),
        ("https://h?ca=F", "tls://h:443?ca=F", "", "https://h:443"),
        ("http+tcp://h:1", "tcp://h:1", "", "http://h:1"),
        ("tls://h:1", "tls://h:1", "", "https://h:1"),
        ("http+local:/run/x", "local:/run/x", "", "http+local:/run/x"),
        ("local:x", "local:x", "", "http+local:x"),
        ("localabstract:x", "localabstract:x", "", "http+localabstract:x"),
    ],
)
def test_a_url_names_a_place_and_a_place_has_one_url(url: str, address: str, path: str, again: str) -> None:
    place = Http(url=url).place()
    assert (str(place.address), place.path) == (address, path)
    assert shown(place) == again
    assert shown(Http(url=again).place()) == again


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://h:1?ca=x", "http+local:/x", "http+localabstract:x"])
def test_every_url_implies_the_wire(url: str) -> None:
    assert isinstance(wire_of(url), Http)


@pytest.mark.parametrize(
    "url",
    ["http:", "http://", "http://h:x", "http://user@h:1", "http://h:1?no=1", "http://h:1?cert=x", "ftp://h:1",
     "http://h:1#x", "stdio:", "http+memory:x", "memory:x", "http://h:1?host", "http://::1:80", "http://h:99999",
     "http+local:", "http+local:/x?ca=y"],
)  # fmt: skip
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(AddressError) as refused:
        Http(url=url).place()
    assert str(refused.value)


def test_hosts_and_origins_come_from_both() -> None:
    place = Http(url="http://h:1?host=a,b&origin=http://x", hosts=("c",), origins=("http://y",)).place()
    assert place.hosts == ("c", "a", "b")
    assert place.origins == ("http://y", "http://x")


def test_a_token_is_never_shown(tmp_path: Path) -> None:
    secret = "panel.swordfish"
    assert secret not in repr(Http(url="https://h:1", token=secret))
    assert secret not in repr(Http(url="https://h:1", token=secret).place())
    assert Http(url=f"https://h:1?token={tmp_path}/t").place().credential.file == f"{tmp_path}/t"


@pytest.mark.parametrize(
    "wire, said",
    [
        (Http(url="http://127.0.0.1:0", token="a.b"), "a token is for who connects"),
        ("http://127.0.0.1:0?token=x", "a token is for who connects"),
        ("http://127.0.0.1:0/things", "mount everywire.http.asgi"),
        ("https://127.0.0.1:0", "needs a certificate"),
        ("http://127.0.0.1:0?origin=null", "is no origin"),
        ("http://127.0.0.1:0?host=a:1", "names no host"),
    ],
)
async def test_what_cannot_be_served_says_why(wire: Any, said: str) -> None:
    with pytest.raises(AddressError, match=said):
        async with served(wire):
            pass


async def test_what_is_for_hosts_is_refused_to_clients() -> None:
    async with Node() as node:
        with pytest.raises(AddressError, match="for who serves"):
            await Http(url="http://127.0.0.1:1?host=x").open(node)


async def test_the_port_that_the_system_chose_is_shown() -> None:
    async with served("http://127.0.0.1:0?host=plant.local") as host:
        assert host.url.startswith("http://127.0.0.1:")
        assert host.port
        assert "plant" not in host.url


@pytest.mark.parametrize("library", ["httptools", "starlette", "uvicorn", "websockets"])
def test_a_missing_library_is_named_by_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("everywire.http")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"^pip install 'everywire\[http\]'$"):
        importlib.import_module("everywire.http")
    with pytest.raises(MissingExtra):
        wire_of("http://127.0.0.1:8080")


def test_a_port_that_is_none_is_named_in_the_words_of_the_url() -> None:
    with pytest.raises(AddressError, match=r"'http://127\.0\.0\.1:99999': 99999 is no port; it looks like http://"):
        Http(url="http://127.0.0.1:99999").place()
