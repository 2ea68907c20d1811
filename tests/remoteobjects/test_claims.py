"""Who claims which name in a registry: the oldest claim is the entry, and each is its owner's alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire import Code, Fault
from everywire.remoteobjects.codec.registry import Location
from everywire.remoteobjects.wire.claims import NO_CHANGE, Change, Claims, check_location, check_room


def at(port: int, name: str = "hall") -> Location:
    return Location(name, "Thermostat", f"tcp://127.0.0.1:{port}")


def test_the_first_claim_is_the_entry_and_the_next_one_takes_its_place() -> None:
    claims = Claims()
    assert claims.add("a", at(1)) == Change(None, at(1))
    assert claims.add("b", at(2)) == NO_CHANGE
    assert claims.locations == {"hall": at(1)}
    assert claims.remove("a", "hall") == Change(at(1), at(2))
    assert claims.remove("b", "hall") == Change(at(2), None)
    assert claims.locations == {}
    assert len(claims) == 0


def test_the_same_place_from_another_link_is_no_news() -> None:
    claims = Claims()
    claims.add("first", at(1))
    claims.add("again", at(1))
    assert claims.drop("first") == [NO_CHANGE], "a host that came back before its old link was missed"
    assert claims.locations == {"hall": at(1)}


def test_nobody_takes_back_what_another_said() -> None:
    claims = Claims()
    claims.add("a", at(1))
    assert claims.remove("b", "hall") == NO_CHANGE
    assert claims.drop("b", at(1).url) == []
    assert claims.locations == {"hall": at(1)}


def test_an_owner_may_move_its_object() -> None:
    claims = Claims()
    claims.add("a", at(1))
    assert claims.add("a", at(2)) == Change(at(1), at(2))
    assert len(claims) == 1


def test_a_host_is_dropped_by_its_url() -> None:
    claims = Claims()
    claims.add("a", at(1, "x"))
    claims.add("a", at(2, "y"))
    assert claims.drop("a", at(1).url) == [Change(at(1, "x"), None)]
    assert claims.locations == {"y": at(2, "y")}


def test_a_full_registry_refuses_new_names_and_keeps_old_ones() -> None:
    claims = Claims(most=2)
    claims.add("a", at(1, "x"))
    claims.add("b", at(1, "x"))
    with pytest.raises(Fault, match="holds 2 entries") as caught:
        claims.add("c", at(1, "x"))
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert claims.add("a", at(2, "x")) == Change(at(1, "x"), at(2, "x"))


def test_one_link_claims_so_many_names_and_no_more() -> None:
    claims = Claims()
    claims.add("a", at(1, "x"))
    check_room(claims, "a", "x", 1)
    with pytest.raises(Fault, match="one link may register 1 object"):
        check_room(claims, "a", "y", 1)
    check_room(claims, "b", "y", 1)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from("abc"), st.sampled_from("xy"), st.integers(1, 3)),
            st.tuples(st.just("remove"), st.sampled_from("abc"), st.sampled_from("xy"), st.just(0)),
            st.tuples(st.just("drop"), st.sampled_from("abc"), st.just(""), st.just(0)),
        )
    )
)
def test_who_hears_of_every_change_knows_the_table(steps: list[tuple[str, str, str, int]]) -> None:
    claims, heard = Claims(), dict[str, Location]()
    for what, owner, name, port in steps:
        if what == "add":
            changes = [claims.add(owner, at(port, name))]
        else:
            changes = claims.drop(owner) if what == "drop" else [claims.remove(owner, name)]
        for removed, added in changes:
            if removed is not None:
                assert heard.pop(removed.name) == removed
            if added is not None:
                assert added.name not in heard
                heard[added.name] = added
        assert heard == claims.locations
    for owner in "abc":
        claims.drop(owner)
    assert (len(claims), dict(claims.locations)) == (0, {})
    assert vars(claims) == vars(Claims()), "nothing is left of anybody"


@pytest.mark.parametrize(
    "location",
    [
        Location("", "T", "tcp://h:1"),
        Location("x" * 256, "T", "tcp://h:1"),
        Location("a\nb", "T", "tcp://h:1"),
        Location("Registry", "T", "tcp://h:1"),
        Location("everywire", "T", "tcp://h:1"),
        Location("hall", "T" * 256, "tcp://h:1"),
        Location("hall", "T\x1b[2J", "tcp://h:1"),
        Location("hall", "T", ""),
        Location("hall", "T", "nowhere"),
        Location("hall", "T", "tcp://h:1 x"),
        Location("hall", "T", "tcp://h:1\n"),
        Location("hall", "T", "tcp://" + "h" * 2048),
    ],
)
def test_an_entry_that_no_host_needs_is_refused(location: Location) -> None:
    with pytest.raises(Fault) as caught:
        check_location(location)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("url", ["tcp://[::1]:1", "local:/run/plant/host", "localabstract:x", "qnx:x", "my-own:thing"])
def test_any_url_of_qt_may_be_registered(url: str) -> None:
    check_location(Location("hall", "", url))
