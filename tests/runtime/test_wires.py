from __future__ import annotations

from typing import Any

import pytest

from everywire import AddressError, Memory, MissingExtra, RemoteObjects
from everywire.http import Http
from everywire.runtime import wires
from everywire.runtime.wires import IMPLIED, WIRES, wire_of


@pytest.mark.parametrize(
    "url,made",
    [
        ("local:climate", RemoteObjects(url="local:climate")),
        ("tcp://127.0.0.1:65213", RemoteObjects(url="tcp://127.0.0.1:65213")),
        ("qtro+tls://host:65214?ca=ca.pem", RemoteObjects(url="tls://host:65214?ca=ca.pem")),
        ("memory:plant", Memory(url="memory:plant")),
        ("memory+memory:plant", Memory(url="memory:plant")),
        ("http://127.0.0.1:8080", Http(url="http://127.0.0.1:8080")),
        ("https://host:8443?ca=ca.pem", Http(url="https://host:8443?ca=ca.pem")),
        ("http+local:/run/plant", Http(url="local:/run/plant")),
    ],
)
def test_an_address_names_its_wire_or_implies_it(url: str, made: Any) -> None:
    assert wire_of(url) == made


def test_settings_are_taken_as_they_are() -> None:
    settings = Memory(url="memory:plant")
    assert wire_of(settings) is settings


@pytest.mark.parametrize(
    "url", ["", "climate", "nonsense:x", "nonsense+tcp://h:1", "qtro+", "qtro+:x", "+tcp:x", "tcp"]
)
def test_what_is_no_address_is_told_what_one_looks_like(url: str) -> None:
    with pytest.raises(AddressError) as refused:
        wire_of(url)
    assert repr(url) in str(refused.value)
    assert "local:climate, tcp://127.0.0.1:65213" in str(refused.value)


def test_a_wire_whose_library_is_missing_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WIRES, "ghost", ("no_such_library_of_ghosts", "Ghost", "ghost"))  # type: ignore[arg-type]
    with pytest.raises(MissingExtra, match=r"^pip install 'everywire\[ghost\]'$"):
        wire_of("ghost+tcp://host:1")


@pytest.mark.parametrize("module,extra", [("everywire.no_such_slice", "ghost"), ("no_such_library_of_ghosts", "")])
def test_a_missing_module_of_our_own_or_the_core_is_no_missing_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, extra: str
) -> None:
    monkeypatch.setitem(WIRES, "ghost", (module, "Ghost", extra))  # type: ignore[arg-type]
    with pytest.raises(ModuleNotFoundError, match=module):
        wire_of("ghost+tcp://host:1")


def test_every_implied_wire_exists() -> None:
    assert set(IMPLIED.values()) <= set(WIRES)
    assert wires.WIRES["qtro"][0] == "everywire.remoteobjects"
