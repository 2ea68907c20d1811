"""Calls over every wire: arguments, results, order, many at once, cancelling, and every way to fail."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator

import pytest

from everywire import (
    Code,
    Fault,
    Limits,
    LinkError,
    ModelError,
    Object,
    OutOfRange,
    Property,
    ReplicaState,
    prop,
    slot,
)
from everywire.remoteobjects.wire import replicating
from everywire.runtime import channel
from tests.conformance.plant import BATCH, NOON, Boiler, Desk, LooseBoiler, Mode, Reading, States, Valves
from tests.conformance.wires import Place


async def test_defaults_and_keywords_reach_the_slot(place: Place) -> None:
    async with place.hosting(desk=Desk()), place.connect("desk", Desk) as desk:
        assert await desk.add(1) == 1101
        assert await desk.add(1, 2) == 1003
        assert await desk.add(1, third=3) == 104
        assert await desk.add(third=3, first=1, second=2) == 6


async def test_every_kind_of_result_arrives(place: Place) -> None:
    source = Desk()
    async with place.hosting(desk=source), place.connect("desk", Desk) as desk:
        assert await desk.nothing() is None
        assert desk.calls == 1
        assert await desk.divide(17, 5) == (3, 2)
        assert await desk.find("attic") == Reading(20.5, "attic", NOON)
        assert await desk.find("") is None
        assert await desk.mirror(Mode.HEATING) is Mode.HEATING
        assert await desk.mirror(Mode.HEATING, Valves.INLET) is Mode.OFF
        for value in (None, 1, "a", [1, [2.5]], {"a": b"b"}):
            assert await desk.anything(value) == value


async def test_a_struct_in_a_variant_arrives_as_its_fields(place: Place) -> None:
    async with place.hosting(desk=Desk()), place.connect("desk", Desk) as desk:
        answer = await desk.anything(BATCH)
        label = answer["label"] if isinstance(answer, dict) else answer.label
        assert label == BATCH.label


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_thousand_calls_at_once_are_all_answered(place: Place) -> None:
    source = Desk()
    async with place.hosting(desk=source), place.connect("desk", Desk) as desk:
        answers = await asyncio.gather(*[desk.add(number) for number in range(1000)])
        assert answers == [number + 1100 for number in range(1000)]
        assert source.order == list(range(1000))


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_thousand_slots_that_wait_start_in_order_and_answer_in_any(place: Place) -> None:
    """Only `pending_calls` of them run at once; the others wait in the link."""
    source = Desk()
    async with place.hosting(desk=source), place.connect("desk", Desk) as desk:
        calls = [desk.hold(number) for number in range(1000)]
        await source.bell.until(lambda: len(source.holding) >= 100)
        assert len(source.order) <= Limits().pending_calls
        source.release(*range(1000))
        assert await asyncio.gather(*calls) == list(range(1000))
        assert source.order == list(range(1000))


async def test_big_calls_over_a_link_of_small_limits_are_all_answered(place: Place) -> None:
    """The caller's own outbox fills, waits and empties again."""
    tight = Limits(drain=0.0, unsent_soft=4096)
    async with place.hosting(desk=Desk(), limits=tight), place.connect("desk", Desk, limits=tight) as desk:
        texts = [str(number) * 5000 for number in range(100)]
        answers = await asyncio.gather(*[desk.anything(text) for text in texts])
        assert answers == texts


async def test_what_is_too_large_for_a_frame_is_refused_by_name_and_the_link_lives(place: Place) -> None:
    class Store(Object):
        label: Property[bytes] = prop(b"", writable=True)

        @slot
        async def size(self, data: bytes) -> int:
            return len(data)

        @slot
        async def parts(self, data: bytes) -> AsyncIterator[int]:
            yield len(data)

    small, huge = Limits(drain=0.0, frame=100_000), b"x" * 200_000
    async with place.hosting(store=Store(), limits=small), place.connect("store", Store, limits=small) as store:
        states = States(store)
        asked = (lambda: store.size(huge), lambda: Store.label.push(store, huge), lambda: anext(store.parts(huge)))
        for ask in asked:
            if place.wire.name == "memory":  # it has no frames
                await ask()
                continue
            with pytest.raises(Fault, match=r"larger than Limits\.frame") as refused:
                await ask()
            assert (refused.value.code, refused.value.may_have_run) == (Code.RESOURCE_EXHAUSTED, False)
        assert await store.size(b"x") == 1
        assert states.items == []


async def test_a_call_that_waits_too_long_for_its_turn_fails_at_its_caller(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (channel, replicating):
        monkeypatch.setattr(module, "GRACE", 0.1)
    few, source = Limits(drain=0.0, pending_calls=2), Desk()
    async with place.hosting(desk=source, limits=few), place.connect("desk", Desk) as desk:
        holding = [desk.hold(number) for number in range(2)]
        with pytest.raises(Fault) as late:
            await desk.never()
        assert late.value.code is Code.DEADLINE_EXCEEDED
        source.release(0, 1)
        assert await asyncio.gather(*holding) == [0, 1]


async def test_calls_that_wait_and_calls_that_do_not_start_in_one_order(place: Place) -> None:
    source = Desk()
    async with place.hosting(desk=source), place.connect("desk", Desk) as desk:
        calls = [desk.hold(n) if n % 3 == 0 else desk.add(n) for n in range(60)]
        source.release(*range(60))
        await asyncio.gather(*calls)
        assert [n for n in source.order if n % 3 == 0] == list(range(0, 60, 3))
        assert [n for n in source.order if n % 3] == [n for n in range(60) if n % 3]


async def test_a_slow_call_holds_up_nobody(place: Place) -> None:
    source = Desk()
    async with place.hosting(desk=source), place.connect("desk", Desk) as desk:
        slow = desk.hold(1)
        assert await desk.add(1) == 1101
        assert not slow.done()
        source.release(1)
        assert await slow == 1
        assert await slow == 1, "a pending call may be awaited again"


async def test_a_pending_call_is_whatever_asyncio_wants_it_to_be(place: Place) -> None:
    async with place.hosting(desk=Desk()), place.connect("desk", Desk) as desk:
        assert inspect.isawaitable(desk.add(1))
        assert await asyncio.create_task(desk.add(1)) == 1101
        assert await asyncio.wait_for(desk.add(2), 5) == 1102
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(desk.add(number)) for number in range(3)]
        assert [task.result() for task in tasks] == [1100, 1101, 1102]


async def test_a_call_is_on_its_way_before_anybody_awaits_it(place: Place) -> None:
    source = Desk()
    async with place.hosting(desk=source), place.connect("desk", Desk) as desk:
        call = desk.hold(5)
        await source.bell.until(lambda: 5 in source.holding)
        source.release(5)
        assert await call == 5


async def test_cancelling_a_call_cancels_the_slot_at_the_host(place: Place) -> None:
    source = Desk()
    async with place.hosting(desk=source), place.connect("desk", Desk) as desk:
        first, second, task = desk.hold(1), desk.hold(2), asyncio.create_task(desk.hold(3))
        await source.bell.until(lambda: source.holding == {1, 2, 3})
        assert first.cancel()
        assert not first.cancel()
        task.cancel()
        await source.bell.until(lambda: source.holding == {2})
        assert sorted(source.cancelled) == [1, 3]
        source.release(2)
        assert await second == 2
        with pytest.raises(asyncio.CancelledError):
            await first
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_caller_that_times_out_cancels_the_slot(place: Place) -> None:
    source = Desk()
    async with place.hosting(desk=source), place.connect("desk", Desk) as desk:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(desk.hold(1), 0.01)
        await source.bell.until(lambda: source.order and not source.holding)
        assert source.cancelled == [1]


async def test_a_slot_knows_who_calls_which_object(place: Place) -> None:
    source = Desk()
    wire = place.wire.caller
    async with place.hosting(desk=source), place.connect("desk", Desk) as desk:
        assert await desk.who() == f"desk.who for {wire}"
        assert await desk.who_later() == f"desk.who_later for {wire}"
    with pytest.raises(LookupError):
        await source.who()


# ------------------------------------------------------------------------------------------------------------- faults
def refusal(error: BaseException) -> tuple[Code, bool]:
    """Return the code of a refusal, here or at the host, and whether the slot may have run."""
    if isinstance(error, Fault):
        return error.code, error.may_have_run
    return (Code.OUT_OF_RANGE if isinstance(error, OutOfRange) else Code.INVALID_ARGUMENT), False


@pytest.mark.parametrize("later", [False, True], ids=["at_once", "later"])
async def test_a_raised_fault_keeps_its_code_and_message(place: Place, later: bool) -> None:
    async with place.hosting(desk=Desk()), place.connect("desk", Desk) as desk:
        refuse = desk.refuse_later if later else desk.refuse
        for code in Code:
            with pytest.raises(Fault) as caught:
                await refuse(code.name, f"since {code.value} ü")
            assert (caught.value.code, caught.value.message) == (code, f"since {code.value} ü")


async def test_a_long_message_is_cut_to_a_kibibyte(place: Place) -> None:
    async with place.hosting(desk=Desk()), place.connect("desk", Desk) as desk:
        with pytest.raises(Fault) as caught:
            await desk.refuse("ABORTED", "ü" * 5000)
        assert len(caught.value.message.encode()) <= 1024


@pytest.mark.parametrize("slot", ["explode", "explode_later"])
async def test_an_exception_in_a_slot_tells_its_class_and_nothing_more(place: Place, slot: str) -> None:
    async with place.hosting(desk=Desk()), place.connect("desk", Desk) as desk:
        with pytest.raises(Fault) as caught:
            await getattr(desk, slot)()
        assert caught.value.code is Code.UNKNOWN
        assert "ValueError" in caught.value.message
        assert "swordfish" not in str(caught.value)
        assert caught.value.may_have_run
        assert await desk.add(1) == 1101


async def test_a_result_of_a_wrong_type_is_the_hosts_fault(place: Place) -> None:
    async with place.hosting(desk=Desk()), place.connect("desk", Desk) as desk:
        with pytest.raises(Fault) as caught:
            await desk.lie()
        assert caught.value.code is Code.INTERNAL
        assert await desk.add(1) == 1101


async def test_a_slot_that_runs_too_long_is_stopped(place: Place) -> None:
    async with place.hosting(desk=Desk()), place.connect("desk", Desk) as desk:
        with pytest.raises(Fault) as caught:
            await desk.never()
        assert caught.value.code is Code.DEADLINE_EXCEEDED


async def test_arguments_that_do_not_fit_are_refused_where_they_are_written(place: Place) -> None:
    source = Desk()
    async with place.hosting(desk=source, boiler=Boiler()), place.connect("desk", Desk) as desk:
        with pytest.raises(ModelError, match="first"):
            await desk.add("one")
        with pytest.raises(OutOfRange):
            await desk.add(2**63)
        with pytest.raises(TypeError):
            await desk.add()
        with pytest.raises(TypeError):
            await desk.add(1, 2, 3, 4)
        with pytest.raises(TypeError):
            await desk.add(1, nonsense=2)
        assert source.order == []


async def test_what_only_the_host_can_refuse_is_refused_and_never_runs(place: Place) -> None:
    """The caller's class takes anything; a wire that knows the host's types may refuse before it sends."""
    source = Boiler()
    async with place.hosting(boiler=source), place.connect("boiler", LooseBoiler) as boiler:
        for argument, code in (("ten", Code.INVALID_ARGUMENT), (-1, Code.OUT_OF_RANGE), (65536, Code.OUT_OF_RANGE)):
            with pytest.raises((Fault, ModelError)) as caught:
                await boiler.boost(argument)
            assert refusal(caught.value) == (code, False)
        assert source.current == 20.0
        assert await boiler.boost(1) == 60


async def test_calls_fail_at_once_while_there_is_no_link(place: Place) -> None:
    source = Desk()
    async with place.hosting(desk=source) as node, place.connect("desk", Desk) as desk:
        held = desk.hold(1)
        await source.bell.until(lambda: source.holding)
        node.withdraw("desk")
        with pytest.raises(Fault) as caught:
            await held
        assert caught.value.code is Code.UNAVAILABLE
        assert caught.value.may_have_run
        with pytest.raises(Fault) as caught:
            await desk.add(1)
        assert caught.value.code is Code.UNAVAILABLE
        assert not caught.value.may_have_run


async def test_nobody_there_is_a_link_error(place: Place) -> None:
    async with place.hosting(desk=Desk()):
        pass
    with pytest.raises(LinkError):
        async with place.connect("desk", Desk, timeout=0):
            pass


# --------------------------------------------------------------------------------------------------------------- push
async def test_a_push_returns_the_value_that_the_source_took(place: Place) -> None:
    source = Boiler()
    async with place.hosting(boiler=source), place.connect("boiler", Boiler) as boiler:
        assert await Boiler.target.push(boiler, 22) == 22.0
        assert await Boiler.target.push(boiler, 22) == 22.0
        assert await Boiler.mode.push(boiler, Mode.COOLING) is Mode.COOLING
        assert (boiler.target, boiler.mode) == (source.target, source.mode) == (22.0, Mode.COOLING)


async def test_a_push_returns_the_value_that_the_source_made_of_it(place: Place) -> None:
    source = Boiler()

    def at_most_30(value: float) -> None:
        if value > 30.0:
            source.target = 30.0

    Boiler.target.on_change(source, at_most_30)
    async with place.hosting(boiler=source), place.connect("boiler", Boiler) as boiler:
        assert await Boiler.target.push(boiler, 33.0) == 30.0
        assert boiler.target == source.target == 30.0


async def test_a_push_outside_the_range_is_refused_and_nothing_changes(place: Place) -> None:
    source = Boiler()
    async with (
        place.hosting(boiler=source),
        place.connect("boiler", Boiler) as boiler,
        place.connect("boiler", LooseBoiler) as loose,
    ):
        with pytest.raises(OutOfRange, match="35"):
            await Boiler.target.push(boiler, 99.0)
        for value, code in ((99.0, Code.OUT_OF_RANGE), ("warm", Code.INVALID_ARGUMENT)):
            with pytest.raises((Fault, ModelError)) as caught:
                await LooseBoiler.target.push(loose, value)
            assert refusal(caught.value) == (code, False)
        with pytest.raises(ModelError):
            await Boiler.mode.push(boiler, "off")
        assert boiler.target == source.target == 21.0


async def test_a_push_of_a_read_only_property_is_refused(place: Place) -> None:
    source = Boiler()
    async with place.hosting(boiler=source), place.connect("boiler", Boiler) as boiler:
        with pytest.raises(Fault) as caught:
            await Boiler.current.push(boiler, 1.0)
        assert caught.value.code is Code.FAILED_PRECONDITION
        assert boiler.current == source.current == 20.0


async def test_a_push_without_a_link_fails_at_once(place: Place) -> None:
    async with place.hosting(boiler=Boiler()) as node, place.connect("boiler", Boiler) as boiler:
        states = States(boiler)
        node.withdraw("boiler")
        await states.reached(ReplicaState.SUSPECT)
        with pytest.raises(Fault) as caught:
            await Boiler.target.push(boiler, 22.0)
        assert caught.value.code is Code.UNAVAILABLE
