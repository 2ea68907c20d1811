"""Names of objects and paths, both ways, and names of interfaces."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from everywire import ModelError
from everywire.dbus.codec import check_path
from everywire.dbus.wire.names import NAME_TABLE, escape, interface_of, name_of, path_of, unescape
from everywire.model.names import pascal

BASE = "/org/acme/Climate"
PUBLISHED = st.text(st.characters(exclude_characters="/\\#+?*\0", exclude_categories=("Cs",)), min_size=1, max_size=20)
"""What a node takes as the name of an object, and more."""
ELEMENTS = st.text("ab5fF_cé"[:-1] + "0123456789", min_size=1, max_size=12)
BASES = st.sampled_from(["/", "/a", BASE])


@pytest.mark.parametrize(
    "name, element",
    [
        ("hall", "hall"),
        ("room 1", "room_201"),
        ("set_point", "set_point"),
        ("set_20", "set_5f20"),
        ("a_ab", "a_5fab"),
        ("a_AB", "a_AB"),
        ("__ab", "__5fab"),
        ("_", "_"),
        ("Grüße", "Gr_c3_bc_c3_9fe"),
        ("org.acme-2", "org_2eacme_2d2"),
        ("\N{THERMOMETER}", "_f0_9f_8c_a1"),
        ("..", "_2e_2e"),
    ],
)
def test_a_name_is_one_element_of_a_path(name: str, element: str) -> None:
    assert escape(name) == element
    assert unescape(element) == name
    assert path_of(name, BASE) == f"{BASE}/{element}"
    assert name_of(f"{BASE}/{element}", BASE) == name


@given(name=PUBLISHED, base=BASES)
@example(name=".", base="/")
def test_every_name_comes_back_from_its_path(name: str, base: str) -> None:
    path = path_of(name, base)
    assert check_path(path) == path
    assert name_of(path, base) == name


@given(one=PUBLISHED, other=PUBLISHED)
def test_two_names_have_two_paths(one: str, other: str) -> None:
    assert (path_of(one, BASE) == path_of(other, BASE)) == (one == other)


@given(elements=st.lists(ELEMENTS, max_size=4), base=BASES)
def test_every_path_of_others_has_a_name_that_leads_to_it(elements: list[str], base: str) -> None:
    for path in ("/" + "/".join(elements), "/".join((base.rstrip("/"), *elements)) or "/"):
        assert path_of(name_of(path, base), base) == path


@pytest.mark.parametrize(
    "path, name",
    [
        (BASE, "."),
        (f"{BASE}/hall/fan", "hall/fan"),
        (f"{BASE}/dev_AA_BB", "dev_AA_BB"),
        (f"{BASE}/dev_aa_bb", f"{BASE}/dev_aa_bb"),
        (f"{BASE}/a_2fb", f"{BASE}/a_2fb"),
        (f"{BASE}/_2e", f"{BASE}/_2e"),
        (f"{BASE}/a_41", f"{BASE}/a_41"),
        (f"{BASE}s/hall", f"{BASE}s/hall"),
        ("/org/bluez/hci0", "/org/bluez/hci0"),
        ("/", "/"),
    ],
)
def test_a_path_that_no_name_was_escaped_to_stays_a_path(path: str, name: str) -> None:
    assert name_of(path, BASE) == name
    assert path_of(name, BASE) == path


@pytest.mark.parametrize("name", ["", "a//b", "/a/", "/a b", "//", "a/", "half \ud800"])
def test_what_leads_nowhere_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"object path"):
        path_of(name, BASE)


def test_the_interface_of_a_class_is_below_its_service() -> None:
    assert interface_of("org.acme.Climate", "Thermostat") == "org.acme.Climate.Thermostat1"
    assert interface_of("local", "Thermostat") == "local.Thermostat1"
    for prefix, cls in (("org.acme-x", "A"), ("org.acme", "Größe"), ("a" * 250, "Thermostat")):
        with pytest.raises(ModelError, match=rf"no interface name: .* rename the class {cls}, or give interface="):
            interface_of(prefix, cls)


def test_the_table_says_what_is() -> None:
    rows = {row.python: row.example for row in NAME_TABLE}
    for text, example_ in rows.items():
        (name,) = re.findall("`(.*?)`", text)
        if text.startswith("class"):
            assert interface_of("org.acme.Climate", name) == example_
        elif text.startswith(("property", "signal", "slot")):
            assert example_.startswith(pascal(name))
        else:
            assert path_of(name, BASE) == example_
