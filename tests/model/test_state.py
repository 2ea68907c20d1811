"""Who may touch an object, and where the failures of observers are reported."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from everywire.errors import WrongThread
from everywire.model.state import State, report, without
from tests.harness import LoopReports
from tests.model.samples import Broken, Recorder, Room


def in_thread(act: Callable[[], object]) -> BaseException | None:
    """Run *act* in another thread; return what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001  looked at by the test
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def set_current(room: Room, value: float) -> None:
    room.current = value


def test_an_object_with_an_owner_is_touched_only_by_its_thread() -> None:
    room = Room()
    room._everywire.owner = threading.get_ident()
    room.current = 1.0
    room.beeped.emit()
    for act in (lambda: set_current(room, 2.0), room.beeped.emit):
        error = in_thread(act)
        assert isinstance(error, WrongThread)
        assert 'node.call(setattr, room, "current", 22.5)' in str(error)
    assert room.current == 1.0


def test_an_object_without_an_owner_is_touched_by_any_thread() -> None:
    room = Room()
    assert in_thread(lambda: set_current(room, 2.0)) is None
    assert room.current == 2.0


async def test_a_failure_is_reported_to_the_running_loop(loop_reports: LoopReports, unraisable: Recorder) -> None:
    room, broken = Room(), Broken()
    Room.extra.on_change(room, broken)
    room.overheated.connect(broken)
    room._everywire.watch(broken)
    room.extra = 1.0
    room.overheated.emit(1.0, "x")
    assert [context["exception"] for context in loop_reports] == [broken.error] * 4
    assert {context["message"] for context in loop_reports} == {"an observer failed"}
    assert all(context["observer"] is broken for context in loop_reports)
    loop_reports.clear()
    assert unraisable.told == []


def test_a_failure_without_a_loop_is_reported_to_the_hook(unraisable: Recorder) -> None:
    broken = Broken()
    report(broken.error, broken)
    (told,) = unraisable.told
    assert (told.exc_type, told.exc_value) == (RuntimeError, broken.error)
    assert told.exc_traceback is not None


def test_a_failure_before_asyncio_was_imported_is_reported_to_the_hook(
    unraisable: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "asyncio")
    error = RuntimeError()
    report(error, None)
    assert [told.exc_value for told in unraisable.told] == [error]


def test_python_prints_what_the_hook_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    room = Room()
    Room.current.on_change(room, Broken())
    room.current = 1.0
    printed = capsys.readouterr().err
    assert "RuntimeError: broken observer" in printed
    assert "Broken object" in printed
    assert room.current == 1.0


class Interrupting:
    """An observer during which the user presses Ctrl-C."""

    def __call__(self, *_arguments: Any) -> None:
        raise KeyboardInterrupt


def test_only_failures_are_caught_not_the_end_of_the_program() -> None:
    room = Room()
    Room.current.on_change(room, Interrupting())
    with pytest.raises(KeyboardInterrupt):
        room.current = 1.0


def test_wires_hear_first() -> None:
    room, told = Room(), Recorder()
    Room.current.on_change(room, lambda _: told("later"))
    room._everywire.listen("current", lambda _: told("wire"), first=True)
    room.beeped.connect(lambda: told("later"))
    room.beeped.attach(lambda: told("wire"), first=True)
    room.current = 1.0
    room.beeped.emit()
    assert told.told == ["wire", "later"] * 2


def test_a_watcher_ends_when_it_is_disconnected() -> None:
    state, recorder = State({}, {}), Recorder()
    stop = state.watch(recorder)
    state.tell("one")  # type: ignore[arg-type]
    stop()
    state.tell("two")  # type: ignore[arg-type]
    assert recorder.told == ["one"]


class EqualToAll:
    def __eq__(self, _other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_one_occurrence_is_taken_out_by_identity() -> None:
    one, two = EqualToAll(), EqualToAll()
    assert without((one, two, two), two) == (one, two)
    assert without((one, two, two), two)[0] is one
    assert without((one,), two)[0] is one


async def test_a_loop_that_reports_needs_no_task(loop_reports: LoopReports) -> None:
    error = RuntimeError()
    asyncio.get_running_loop().call_soon(report, error, None)
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done
    assert loop_reports.pop()["exception"] is error
