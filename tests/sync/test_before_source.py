"""Replicas of programs without a loop, before their source was ever found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest

from everywire import (
    PERSISTED,
    Code,
    Fault,
    FileStore,
    ModelError,
    NeedsLoop,
    Object,
    Property,
    ReplicaState,
    link_of,
    prop,
    slot,
    sync,
)
from tests.conformance.wires import Place
from tests.sync.conftest import Connect
from tests.sync.hosts import hosting

both_ways = pytest.mark.parametrize("connect", [False, True], indirect=True, ids=["own socket", "background"])


class Hall(Object):
    level: Property[Annotated[float, PERSISTED]] = prop(1.5, writable=True)
    note: Property[str] = prop("none")

    @slot
    async def double(self, value: int) -> int:
        return 2 * value


@both_ways
def test_a_block_that_does_not_wait_has_the_defaults_and_then_the_source(place: Place, connect: Connect) -> None:
    with connect(place.listen, "hall", Hall, wait=False) as replica:
        assert (replica.level, replica.note) == (1.5, "none")
        assert link_of(replica).state is ReplicaState.DEFAULT
        with pytest.raises(Fault, match="hall is default") as refused:
            sync.run(replica.double(1))
        assert (refused.value.code, refused.value.may_have_run) == (Code.UNAVAILABLE, False)
        heard: list[float] = []
        Hall.level.on_change(replica, heard.append)
        hall = Hall()
        hall.level = 8.0
        with hosting(place, hall=hall):
            while link_of(replica).state is not ReplicaState.VALID:
                sync.process(0.1)
            assert (replica.level, heard) == (8.0, [8.0])
            assert sync.run(replica.double(21)) == 42
        assert replica.level == 8.0


@both_ways
def test_values_are_kept_for_the_next_time(place: Place, connect: Connect, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "kept")
    hall = Hall()
    hall.level = 3.25
    with hosting(place, hall=hall), connect(place.url, "hall", Hall, store=store):
        pass
    with connect(place.url, "hall", Hall, store=store, wait=False) as replica:
        assert (replica.level, replica.note) == (3.25, "none")


def test_the_first_call_of_a_program_that_did_not_wait_finds_the_source(place: Place, connect: Connect) -> None:
    with hosting(place, hall=Hall()), connect(place.url, "hall", Hall, wait=False) as replica:
        assert sync.run(replica.double(4)) == 8
        assert sync.run(Hall.level.push(replica, 2.0)) == 2.0


@both_ways
def test_without_a_class_there_is_nothing_to_begin_with(place: Place, connect: Connect) -> None:
    with pytest.raises(ModelError, match="needs a class"), connect(place.listen, "hall", wait=False):
        pass


def test_waiting_is_another_thing_without_a_loop(place: Place, connect: Connect) -> None:
    with connect(place.listen, "hall", Hall, wait=False) as replica:
        with pytest.raises(NeedsLoop, match=r"sync\.until"):
            sync.run(link_of(replica).wait_valid())
        with hosting(place, hall=Hall()):
            sync.until(lambda: link_of(replica).state is ReplicaState.VALID, 5)
