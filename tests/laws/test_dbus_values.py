"""Law 3 on D-Bus: every value of every type comes back as it was, through the bytes of every writer and reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everywire import ModelError, Range
from everywire.dbus import ObjectPath
from everywire.dbus.codec import marshal, parse_signature
from everywire.dbus.wire.replicating import Value
from everywire.dbus.wire.types import (
    compile_lift,
    compile_lower,
    signature_of,
    type_of_signature,
    types_of_signature,
)
from everywire.model.annotations import type_of
from everywire.model.types import ANY, AnyType, OptionalOf, StructOf, Type
from tests.conformance.plant import SAMPLES
from tests.dbus.bodies import arrivals, lifted, lowered, texts, travelled
from tests.harness import soak
from tests.laws.dbus import BODIES
from tests.laws.values import KINDS, TYPES, VALUES

every_kind = pytest.mark.parametrize("kind", KINDS)
per_kind = settings(max_examples=soak(12, 500))


def same(kind: str, one: Any, other: Any) -> bool:
    """Say whether two values are equal and, but for variants, of one class."""
    return one == other and (isinstance(TYPES[kind], AnyType) or type(one) is type(other))


@every_kind
@per_kind
@given(data=st.data())
def test_a_value_comes_back_as_it_was_and_one_with_nul_is_refused(kind: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[kind])
    raw = lowered(TYPES[kind], value)
    if any("\0" in text for text in texts(raw)):
        with pytest.raises(ModelError, match="NUL"):
            marshal(signature_of(TYPES[kind]), (raw,))
    else:
        assert all(same(kind, back, value) for back in travelled(TYPES[kind], value))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_sample_of_the_conformance_suite_comes_back_but_for_nul(sample: Any) -> None:
    for value in sample.values:
        if isinstance(value, str) and "\0" in value:
            continue
        assert all(same(sample.name, back, value) for back in travelled(TYPES[sample.name], value))


@every_kind
@per_kind
@given(data=st.data())
def test_a_value_in_a_variant_comes_back_too(kind: str, data: st.DataObject) -> None:
    """As the values of properties travel; of what is only in a variant nobody told the receiver the signature."""
    node, value = TYPES[kind], data.draw(VALUES[kind])
    raw = lowered(node, value, "v")
    if not any("\0" in text for text in texts(raw)):
        assert all(same(kind, lifted(node, back, "v"), value) for back in arrivals("v", raw))


@every_kind
@per_kind
@given(data=st.data())
def test_whoever_knows_only_the_signature_can_send_the_value_on(kind: str, data: st.DataObject) -> None:
    """A program without the class reads a value by its signature, and writes it back the same."""
    node, value = TYPES[kind], data.draw(VALUES[kind])
    signature, raw = signature_of(node), lowered(node, value)
    if any("\0" in text for text in texts(raw)):
        return
    for known in (type_of_signature(signature), ANY):
        for arrived in arrivals(signature, raw):
            theirs = lifted(known, arrived, signature)
            assert all(
                same(kind, lifted(node, back), value) for back in arrivals(signature, lowered(known, theirs, signature))
            )


@given(body=BODIES)
def test_every_signature_is_a_type_and_its_values_are_read_and_written_alike(body: tuple[str, tuple[Any, ...]]) -> None:
    signature, values = body
    for shape, node, raw in zip(parse_signature(signature), types_of_signature(signature), values, strict=True):
        text = str(shape)
        if "h" in text:
            continue
        assert signature_of(node) == text
        assert lifted(node, lowered(node, lifted(node, raw, text)), text) == lifted(node, raw, text)


@every_kind
@per_kind
@given(data=st.data())
def test_hostile_bodies_are_values_or_model_errors(kind: str, data: st.DataObject) -> None:
    """Whatever signature a stranger sends to whichever type: it fits, or it is refused by name."""
    node, (signature, values) = TYPES[kind], data.draw(BODIES)
    for shape, raw in zip(parse_signature(signature), values, strict=True):
        try:
            value = lifted(node, raw, str(shape))
        except ModelError:
            continue
        assert repr(node.convert(value)) == repr(value)


@every_kind
@per_kind
@given(data=st.data())
def test_replicas_take_what_the_type_takes_and_nothing_else(kind: str, data: st.DataObject) -> None:
    """They leave the check out where what is read is always of the type."""
    node, (signature, values) = TYPES[kind], data.draw(BODIES)
    for shape, raw in zip(parse_signature(signature), values, strict=True):
        text = str(shape)
        if "h" not in text:
            assert taken(by_replicas, node, raw, text) == taken(lifted, node, raw, text)


def by_replicas(node: Type, raw: Any, signature: str) -> Any:
    """Return what a replica makes of what a foreign service tells."""
    return Value(node, None, signature, sent=False).lift(raw, ())


def taken(lift: Callable[[Type, Any, str], Any], node: Type, raw: Any, signature: str) -> str:
    """Return what *lift* makes of *raw*."""
    try:
        return repr(lift(node, raw, signature))
    except ModelError as error:
        return type(error).__name__


@pytest.mark.parametrize(
    "annotation, signature, raw",
    [(Annotated[float, Range(0, 9)], "d", 9.5), (ObjectPath, "s", "no path"), (int, "d", 1.5), (bool, "s", "yes")],
)
def test_replicas_refuse_what_is_read_well_but_not_of_the_type(annotation: Any, signature: str, raw: Any) -> None:
    with pytest.raises(ModelError):
        by_replicas(type_of(annotation), raw, signature)


@per_kind
@given(data=st.data())
def test_a_struct_is_read_from_a_dict_of_options_by_name(data: st.DataObject) -> None:
    for kind, node in TYPES.items():
        if isinstance(node, StructOf):
            value = data.draw(VALUES[kind])
            raw = lowered(node, value, "a{sv}")
            assert lifted(node, raw, "a{sv}") == value
            absent = {f.name for f in node.fields if isinstance(f.type, OptionalOf) and getattr(value, f.name) is None}
            assert raw.keys() == {field.name for field in node.fields} - absent


def test_coders_of_plain_types_cost_nothing() -> None:
    plain = ("bool", "int", "u8", "u64", "float", "str", "bytes", "list_float", "list_list", "dict_str", "array")
    assert [name for name in plain if compile_lower(TYPES[name]) is not None] == []
    assert [name for name in plain if compile_lift(TYPES[name])(plain) is not plain] == []
