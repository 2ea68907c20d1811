"""D-Bus addresses: what they say, and where the buses of a login are."""

from __future__ import annotations

from pathlib import Path

import pytest

from everywire import AddressError, LinkError
from everywire.dbus.session import bus_address, parse_places


def test_places_are_read_in_order() -> None:
    first, second = parse_places("unix:path=/run/user/1000/bus,guid=0af1;tcp:host=::1,port=55556,family=ipv6")
    assert (first.transport, first.guid, str(first.address())) == ("unix", "0af1", "local:/run/user/1000/bus")
    assert str(second.address()) == "tcp://[::1]:55556"
    assert second.guid == ""


def test_escapes_are_undone_and_made_again() -> None:
    (place,) = parse_places("unix:abstract=/tmp/a%20b%2cc")
    assert str(place.address()) == "localabstract:/tmp/a b,c"
    assert parse_places(str(place)) == (place,)


@pytest.mark.parametrize(
    "text",
    ["", ";", "unix", "launchd:env=X", "unix:path", "unix:path=/a,path=/b", "unix:colour=red", "tcp:port=x",
     "tcp:port=70000", "/run/bus", "unix:path=/a:nonsense=1,b"],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(AddressError, match="looks like unix:path="):
        parse_places(text)


def test_an_address_for_listening_only_says_so() -> None:
    with pytest.raises(AddressError, match="does not say where"):
        parse_places("unix:tmpdir=/tmp")[0].address()


def test_the_buses_of_a_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/one")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/run/two")
    assert bus_address("session") == "unix:path=/run/one"
    assert bus_address("system") == "unix:path=/run/two"
    assert bus_address("unix:path=/run/three") == "unix:path=/run/three"
    monkeypatch.delenv("DBUS_SYSTEM_BUS_ADDRESS")
    assert bus_address("system") == "unix:path=/var/run/dbus/system_bus_socket"


def test_a_session_bus_is_also_found_by_its_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(LinkError, match="dbus-run-session"):
        bus_address("session")
    (tmp_path / "bus").touch()
    assert bus_address("session") == f"unix:path={tmp_path}/bus"
