"""What a newcomer does wrong is answered with advice, and what stands for an object says what it is."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from everywire import (
    AddressError,
    Fault,
    LocalProtocolError,
    ModelError,
    Node,
    Object,
    OutOfRange,
    Property,
    connect,
    contract_of,
    link_of,
    members,
    prop,
    serve,
    signal,
    slot,
)
from everywire.testing import Heard


class Lamp(Object):
    """Gives light."""

    level: Property[float] = prop(0.5, writable=True, minimum=0)
    watts: Property[float] = prop(5.0, maximum=60)

    @signal
    def flickered(self, times: int) -> None: ...

    @slot
    async def dim(self, by: float = 0.1) -> float:
        """Give less light."""
        self.level -= by
        return self.level

    @slot
    async def glimmer(self, times: int = 2) -> AsyncIterator[int]:
        """Flicker."""
        for number in range(times):
            yield number


@pytest.mark.parametrize("declared", [lambda: signal(float), lambda: signal(Lamp.dim)], ids=["as in Qt", "async"])  # type: ignore[arg-type]
def test_a_signal_that_is_no_method_is_refused_where_it_is_written(declared: Callable[[], Any]) -> None:
    with pytest.raises(ModelError, match=r"declared as a method|is a plain 'def'"):
        declared()


def test_a_property_that_is_only_annotated_is_refused_at_publish() -> None:
    class Forgetful(Object):
        level: Property[float]

    with pytest.raises(ModelError, match=r"Forgetful.level: is only annotated: write 'level: Property\[T\] = prop"):
        Node().publish(Forgetful(), "forgetful")


@pytest.mark.parametrize("source, got", [(Lamp, "the class Lamp"), (object(), "object")])
def test_only_an_instance_can_be_published(source: Any, got: str) -> None:
    with pytest.raises(ModelError, match=f"got {got}"):
        Node().publish(source, "lamp")


def test_a_range_with_one_end_is_told_as_such() -> None:
    lamp = Lamp()
    with pytest.raises(OutOfRange, match=r"^level: -1.0 is not at least 0$"):
        lamp.level = -1
    with pytest.raises(OutOfRange, match=r"^watts: 61.0 is not at most 60$"):
        lamp.watts = 61


def test_values_given_to_a_class_that_takes_none_are_not_forgotten_silently() -> None:
    with pytest.raises(ModelError, match=r"Lamp\(\) takes no arguments: set properties afterwards, or define __init__"):
        Lamp(level=0.7)  # type: ignore[call-arg]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_an_object_cannot_be_copied_because_the_copy_would_share_its_observers(copied: Callable[[Any], Any]) -> None:
    with pytest.raises(ModelError, match="Lamp objects have an identity"):
        copied(Lamp())


@pytest.mark.parametrize("url", ["mqtt://127.0.0.1/acme", "grpcs://acme.org", "coap://acme.org", "mqtt+tcp://acme.org"])
def test_an_address_of_a_planned_wire_says_that_it_is_planned(url: str) -> None:
    with pytest.raises(AddressError, match="is planned, but everywire does not speak it yet"):
        connect(url, "lamp")


@pytest.mark.parametrize("contract", [Lamp(), object])
def test_connect_wants_a_class_of_objects(contract: Any) -> None:
    with pytest.raises(ModelError, match="is a class derived from Object"):
        connect("memory:mistakes", "lamp", contract)


async def test_one_url_may_be_given_to_serve_without_a_list() -> None:
    async with serve(Lamp(), "lamp", on="memory:mistakes") as node:
        assert node.addresses == ("memory:mistakes",)


async def test_a_replica_takes_no_name_that_its_source_would_never_hear_of() -> None:
    async with serve(Lamp(), "lamp", on="memory:mistakes"), connect("memory:mistakes", "lamp", Lamp) as lamp:
        with pytest.raises(AttributeError, match="'levle' is no member of Lamp"):
            lamp.levle = 0.3  # type: ignore[attr-defined]
        with pytest.raises(LocalProtocolError, match="push"):
            lamp.level = 0.3
        lamp._mine = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", ["memory:mistakes", "tcp://127.0.0.1:0"])
async def test_a_stream_of_a_replica_has_the_signature_of_its_declaration(url: str) -> None:
    async with serve(Lamp(), "lamp", on=url) as node, connect(node.addresses[0], "lamp", Lamp) as lamp:
        assert str(inspect.signature(lamp.glimmer)) == "(times: int = 2) -> collections.abc.AsyncIterator[int]"
        assert [number async for number in lamp.glimmer(times=3)] == [0, 1, 2]
        with pytest.raises(TypeError, match="unexpected keyword argument 'count'"):
            lamp.glimmer(count=3)  # type: ignore[call-arg]


async def test_a_replica_whose_block_has_ended_says_so_and_tells_nobody_that_it_is_suspect() -> None:
    heard = Heard()
    async with serve(Lamp(), "lamp", on="memory:mistakes"):
        async with connect("memory:mistakes", "lamp", Lamp) as lamp:
            link_of(lamp).state_changed.connect(heard)
            assert repr(lamp) == "<replica of Lamp 'lamp' at memory:mistakes: valid>"
        assert repr(lamp) == "<replica of Lamp 'lamp' at memory:mistakes: closed>"
        with pytest.raises(Fault, match=r"lamp is closed: its 'async with connect\(…\)' has ended"):
            await lamp.dim()
    assert heard.calls == []


async def test_a_coroutine_function_cannot_listen_to_states() -> None:
    async def note(state: object) -> None: ...

    async with serve(Lamp(), "lamp", on="memory:mistakes"), connect("memory:mistakes", "lamp", Lamp) as lamp:
        with pytest.raises(ModelError, match="plain functions"):
            link_of(lamp).state_changed.connect(note)


async def test_whatever_stands_for_an_object_says_what_it_is() -> None:
    lamp = Lamp()
    assert str(contract_of(lamp)).splitlines() == [
        "Lamp:",
        "  level: f64 (writable)",
        "  watts: f64",
        "  signal flickered(times: i64)",
        "  slot dim(by: f64 = 0.1) -> f64",
        "  slot glimmer(times: i64 = 2) -> i64 (stream)",
    ]
    assert repr(contract_of(lamp)) == "<contract Lamp: level, watts, flickered, dim, glimmer>"
    assert repr(contract_of(lamp).members["watts"]) == "<member watts: f64>"
    assert (repr(Lamp.level), repr(Lamp.flickered)) == (
        "<property Lamp.level: f64 (writable)>",
        "<signal Lamp.flickered(times: i64)>",
    )
    assert repr(members(lamp)["watts"]).startswith("<property Lamp.watts: f64> of <")
    assert (repr(prop(1)), repr(signal(lambda _: None))) == ("<property without a class>", "<signal without a class>")
    lamp.flickered.connect(print)
    assert repr(lamp.flickered) == "<signal flickered with 1 connection>"
    with pytest.raises(ModelError, match="flickered carries 1 argument, but"):
        lamp.flickered.connect(lambda a, b: None)  # type: ignore[arg-type, misc]
    node = Node()
    assert repr(node) == "<node of nothing: not running>"
    async with node:
        node.publish(lamp, "lamp")
        await node.serve("memory:mistakes")
        assert repr(node) == "<node of lamp: at memory:mistakes>"
    assert repr(node) == "<node of nothing: closed>"
