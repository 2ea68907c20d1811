from __future__ import annotations

import asyncio
import concurrent.futures
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import everywire
from everywire import (
    AddressInUse,
    ForkedError,
    Limits,
    LocalProtocolError,
    ModelError,
    NeedsLoop,
    Node,
    Object,
    OutOfRange,
    Policy,
    Property,
    WrongThread,
    computed,
    prop,
    slot,
)
from everywire.runtime.node import MAX_NAME, _disown
from everywire.runtime.replica import ReplicaLink, ReplicaState, make_replica
from tests.harness import LoopReports
from tests.runtime.fakes import FakeServer, FakeWire, Pump


@dataclass
class Reading:
    value: float


First = Reading


@dataclass
class Reading:
    text: str


class Meter(Object):
    last: Property[First] = prop(factory=lambda: First(1.0))


class Label(Object):
    last: Property[Reading] = prop(factory=lambda: Reading("a"))


class Tank(Object):
    litres: Property[float] = prop(3.0)

    @computed(litres)
    def gallons(self) -> float:
        return self.litres / 3.785

    @slot
    async def fill(self) -> None: ...


class FakeHome:
    """Another node of a program."""

    def spawn(self, coroutine: Any) -> None:
        coroutine.close()


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run *function* in a thread of its own and return its result."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


# ------------------------------------------------------------------------------------------- publish and withdraw
async def test_what_is_published_is_shown_on_every_wire_served_before_and_after() -> None:
    wire = FakeWire("fake:1")
    async with Node() as node:
        node.publish(Pump(), "one")
        assert await node.serve(wire, FakeWire("fake:2")) == ("fake:1", "fake:2")
        assert node.addresses == ("fake:1", "fake:2")
        node.publish(Pump(), "two")
        node.withdraw("one")
        assert list(node.published) == ["two"]
    expected = ["fake:1 has one", "fake:1 + two", "fake:1 - one", "fake:1 stops", "fake:1 closes"]
    assert wire.told == expected
    assert node.published == {}


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "#", "+", "?", "*", "a\nb", "x" * (MAX_NAME + 1)])
async def test_a_name_that_some_wire_cannot_carry_is_refused(name: str) -> None:
    async with Node() as node:
        with pytest.raises(ModelError, match="printable characters"):
            node.publish(Pump(), name)


async def test_reserved_and_taken_names_are_refused() -> None:
    async with Node() as node:
        node.publish(Pump(), "pump")
        with pytest.raises(ModelError, match="'pump' is already published"):
            node.publish(Pump(), "pump")
        with pytest.raises(ModelError, match="'everywire' is reserved"):
            node.publish(Pump(), "everywire")
        node.publish(Pump(), "x" * MAX_NAME)


async def test_two_types_of_one_name_cannot_be_on_one_node() -> None:
    async with Node() as node:
        node.publish(Meter(), "meter")
        with pytest.raises(ModelError, match="Reading"):
            node.publish(Label(), "label")
        assert list(node.published) == ["meter"]


async def test_withdrawing_what_is_not_there_names_what_is() -> None:
    async with Node() as node:
        with pytest.raises(ModelError, match="publishes nothing"):
            node.withdraw("pump")
        node.publish(Pump(), "pump")
        with pytest.raises(ModelError, match="'pmup'; this node publishes pump"):
            node.withdraw("pmup")


async def test_an_object_that_one_wire_cannot_carry_is_published_on_none() -> None:
    good, bad = FakeWire("fake:good"), FakeWire("fake:bad")
    async with Node() as node:
        await node.serve(good, bad)
        bad.servers[0].refuses = True
        pump = Pump()
        with pytest.raises(OutOfRange, match="fake:bad cannot carry pump"):
            node.publish(pump, "pump")
        assert good.told == ["fake:good + pump", "fake:good - pump"]
        assert node.published == {}
        await in_thread(setattr, pump, "level", 2.0)


async def test_a_computed_property_has_its_value_when_it_is_published() -> None:
    tank = Tank()
    async with Node() as node:
        node.publish(tank, "tank")
        assert "gallons" in tank._everywire.values


async def test_an_object_may_have_two_names_and_is_free_after_the_last() -> None:
    pump = Pump()
    async with Node() as node:
        node.publish(pump, "one")
        node.publish(pump, "two")
        node.withdraw("one")
        with pytest.raises(WrongThread):
            await in_thread(setattr, pump, "level", 2.0)
        node.withdraw("two")
        await in_thread(setattr, pump, "level", 3.0)


async def test_withdrawing_drops_the_connections_of_an_object_that_lives_here() -> None:
    pump, guest, heard = Pump(), Pump(), []
    guest._everywire.home = FakeHome()
    pump.dripped.connect(heard.append)
    guest.dripped.connect(heard.append)
    async with Node() as node:
        node.publish(pump, "pump")
        node.publish(guest, "guest")
        node.withdraw("pump")
        node.withdraw("guest")
    pump.dripped.emit(1)
    guest.dripped.emit(2)
    assert heard == [2]


async def test_an_object_of_a_node_in_another_thread_cannot_be_published() -> None:
    pump = Pump()
    async with Node() as node:
        node.publish(pump, "pump")
        with pytest.raises(ModelError, match="another thread"):
            await in_thread(Node().publish, pump, "pump")


async def test_objects_published_before_the_node_runs_belong_to_the_thread_of_its_loop() -> None:
    pump = Pump()
    node = await in_thread(Node)
    await in_thread(node.publish, pump, "pump")
    async with node:
        pump.level = 2.0
        with pytest.raises(WrongThread, match=r"node\.call"):
            await in_thread(setattr, pump, "level", 3.0)


async def test_a_replica_stays_with_its_thread_when_it_is_withdrawn() -> None:
    link = ReplicaLink("fake:x", "pump", Pump, FakeHome())
    replica: Any = make_replica(Pump, link)
    replica._everywire.values.update(speed=1, level=2.0)
    async with Node() as node:
        node.publish(replica, "bridge")
        node.withdraw("bridge")
        assert replica._everywire.owner == threading.get_ident()


# --------------------------------------------------------------------------------------------------------- serve
async def test_when_one_wire_fails_nothing_of_the_call_is_served() -> None:
    good, bad = FakeWire("fake:good"), FakeWire("fake:bad")
    bad.failures = [AddressInUse("fake:bad is taken")]
    async with Node() as node:
        with pytest.raises(AddressInUse, match="fake:bad"):
            await node.serve(good, bad)
        assert node.addresses == ()
        assert good.told == ["fake:good closes"]


async def test_what_changes_while_a_wire_starts_is_shown_there_too() -> None:
    slow, early = FakeWire("fake:slow"), FakeWire("fake:early")
    async with Node() as node:
        node.publish(Pump(), "old")

        async def meanwhile() -> None:
            node.publish(Pump(), "new")
            node.withdraw("old")

        slow.serving = meanwhile
        await node.serve(early, slow)
        assert slow.told == ["fake:slow has old", "fake:slow - old", "fake:slow + new"]
        assert early.told == ["fake:early has old", "fake:early + new", "fake:early - old"]


async def test_a_node_that_is_closed_while_a_wire_starts_serves_nothing() -> None:
    early, slow = FakeWire("fake:early"), FakeWire("fake:slow")
    async with Node() as node:
        slow.serving = node.aclose
        with pytest.raises(LocalProtocolError, match="closed"):
            await node.serve(early, slow)
        assert node.addresses == ()
    assert early.told == ["fake:early stops", "fake:early closes"]
    assert slow.told == ["fake:slow closes"]


async def test_changed_policies_can_be_told_to_every_wire() -> None:
    wire = FakeWire()
    async with Node() as node:
        await node.serve(wire)
        node.recheck()
        assert wire.told == ["fake:x recheck"]


async def test_a_policy_that_changes_in_another_thread_is_told_in_the_nodes() -> None:
    wire, policy = FakeWire(), Policy()
    async with Node() as node:
        await node.serve(wire)
        node.publish(Pump(), "pump", policy=policy)
        await in_thread(policy.forget)
        while wire.told[-1] != "fake:x recheck":
            await asyncio.sleep(0)
        assert wire.servers[0].thread == threading.get_ident()
    policy.forget()
    assert wire.told[-1] == "fake:x closes"


# --------------------------------------------------------------------------------------------------- life of a node
async def test_a_node_must_run_before_it_serves_or_spawns() -> None:
    node = Node()
    with pytest.raises(NeedsLoop, match="async with Node"):
        await node.serve(FakeWire())
    with pytest.raises(NeedsLoop, match="async with Node"):
        _ = node.tasks
    with pytest.raises(NeedsLoop, match="running node"):
        node.call(print)


async def test_a_node_is_entered_once() -> None:
    async with Node() as node:
        with pytest.raises(LocalProtocolError, match="make a new one"):
            await node.__aenter__()
    with pytest.raises(LocalProtocolError, match="make a new one"):
        await node.__aenter__()


async def test_a_node_that_never_ran_can_be_closed() -> None:
    node = Node()
    pump = Pump()
    node.publish(pump, "pump")
    await node.aclose()
    assert pump._everywire.owner is None


async def test_a_closed_node_says_so() -> None:
    async with Node() as node:
        pass
    with pytest.raises(LocalProtocolError, match="closed"):
        node.publish(Pump(), "pump")
    with pytest.raises(LocalProtocolError, match="closed"):
        node.withdraw("pump")
    with pytest.raises(LocalProtocolError, match="closed"):
        await node.serve(FakeWire())
    with pytest.raises(NeedsLoop):
        node.call(print)


async def test_a_closing_node_lets_running_slots_finish() -> None:
    wire, finished = FakeWire(), []
    go = asyncio.Event()

    async def running() -> None:
        await go.wait()
        finished.append(wire.told[-1])

    async with Node() as node:
        await node.serve(wire)
        wire.servers[0].tasks.append(node.spawn(running()))
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, go.set)
    assert finished == ["fake:x stops"]


@pytest.mark.parametrize("limits,fails", [(Limits(drain=0.001), False), (Limits(drain=3600), True)])
async def test_a_slot_that_takes_too_long_is_cancelled_and_so_is_all_when_the_block_fails(
    limits: Limits, fails: bool
) -> None:
    wire = FakeWire()
    task: Any = None
    try:
        async with Node(limits=limits) as node:
            await node.serve(wire)
            task = node.spawn(asyncio.Event().wait())
            wire.servers[0].tasks.append(task)
            if fails:
                raise KeyError("the block")
    except KeyError:
        pass
    assert task.cancelled()


async def test_a_node_may_be_left_in_another_task_than_it_was_entered_in() -> None:
    node = Node()
    await asyncio.create_task(node.__aenter__())
    await asyncio.create_task(node.__aexit__(None, None, None))
    assert node.tasks.closed


async def test_a_task_of_a_node_that_fails_is_reported(loop_reports: LoopReports) -> None:
    async def fail() -> None:
        raise KeyError("lost")

    async with Node() as node:
        node.spawn(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert isinstance(loop_reports.pop()["exception"], KeyError)


async def test_coroutine_functions_connected_inside_the_block_run_on_the_node() -> None:
    pump, heard = Pump(), asyncio.Event()

    async def note(drops: int) -> None:
        heard.set()

    async with Node():
        pump.dripped.connect(note)
        pump.dripped.emit(1)
        await heard.wait()


# ------------------------------------------------------------------------------------------------------- threads
async def test_other_threads_call_through_the_node() -> None:
    pump = Pump()
    async with Node() as node:
        node.publish(pump, "pump")
        assert await in_thread(lambda: node.call(setattr, pump, "level", 4.5).result()) is None
        assert pump.level == 4.5
        assert await in_thread(lambda: node.call(pump.double, 4).result()) == 8
        assert await in_thread(lambda: node.call(dict, a=1).result()) == {"a": 1}


async def test_a_failure_belongs_to_the_thread_that_called() -> None:
    pump = Pump()
    async with Node() as node:
        for function in (pump.fail, pump.fail_later, lambda: int("x")):
            with pytest.raises(ValueError):
                await in_thread(lambda f=function: node.call(f).result())


async def test_a_call_that_was_given_up_before_it_began_does_not_run() -> None:
    called: list[int] = []
    async with Node() as node:
        future = node.call(called.append, 1)
        assert future.cancel()
        await asyncio.sleep(0)
        assert called == []


async def test_a_call_that_the_end_of_the_node_interrupts_does_not_hang() -> None:
    async with Node() as node:
        waiting = node.call(asyncio.Event().wait)
        fresh = node.call(asyncio.Event().wait)
        await asyncio.sleep(0)
    for future in (waiting, fresh):
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(0)


async def test_a_call_that_arrives_at_a_closed_node_fails() -> None:
    pump = Pump()
    async with Node() as node:
        await node.tasks.aclose()
        future = node.call(pump.double, 1)
        await asyncio.sleep(0)
        with pytest.raises(LocalProtocolError, match="closed"):
            future.result(0)


# ---------------------------------------------------------------------------------------------------------- fork
FORKING = """
import asyncio, os, sys
from everywire import Fault, ForkedError, Node, Object, Property, WrongThread, connect, link_of, prop, slot

class Lamp(Object):
    lit: Property[bool] = prop(False, writable=True)

    @slot
    async def toggle(self) -> bool:
        self.lit = not self.lit
        return self.lit

def refused(kind, act, *arguments):
    try:
        act(*arguments)
    except kind:
        return True
    return False

def awaited(coroutine):
    try:
        coroutine.send(None)
    finally:
        coroutine.close()

async def main(folder):
    url = f"local:{folder}/lamp"
    lamp = Lamp()
    async with Node() as node:
        node.publish(lamp, "lamp")
        await node.serve(url)
        async with connect(url, "lamp", Lamp) as replica:
            waiting = replica.toggle()
            child = os.fork()
            if child == 0:
                every = [
                    refused(ForkedError, node.publish, Lamp(), "other"),
                    refused(ForkedError, node.withdraw, "lamp"),
                    refused(ForkedError, node.call, print),
                    refused(ForkedError, lambda: node.tasks),
                    refused(ForkedError, awaited, node.serve("memory:x")),
                    refused(ForkedError, awaited, node.aclose()),
                    refused(ForkedError, awaited, node.__aenter__()),
                    refused(WrongThread, setattr, lamp, "lit", True),
                    refused(Fault, lambda: replica.toggle().result()),
                    refused(Fault, lambda: waiting.result()),
                    refused(Fault, awaited, Lamp.lit.push(replica, True)),
                    link_of(replica).state.value == "suspect",
                    not refused(Exception, Node().publish, Lamp(), "lamp"),
                ]
                os._exit(0 if all(every) else 1)
            _, status = os.waitpid(child, 0)
            print("child", os.waitstatus_to_exitcode(status))
            print("parent", await waiting, replica.lit, link_of(replica).state.value)

asyncio.run(main(sys.argv[1]))
"""


def test_a_forked_child_cannot_use_the_node_and_the_parent_is_unharmed(tmp_path: Any) -> None:
    program = tmp_path / "forking.py"
    program.write_text(textwrap.dedent(FORKING))
    command = [sys.executable, "-W", "error", str(program), str(tmp_path)]  # relative names are looked for elsewhere
    source = str(Path(everywire.__path__[0]).parent)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=15, check=False, env={**os.environ, "PYTHONPATH": source}
    )
    assert done.stdout == "child 0\nparent True True valid\n", done.stderr


def test_the_error_of_a_forked_child_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    monkeypatch.setattr(os, "getpid", lambda: -7)
    with pytest.raises(ForkedError, match="make a new Node in the child"):
        node.publish(Pump(), "pump")


async def test_in_a_forked_child_nobody_may_write_to_the_parents_connections() -> None:
    pump = Pump()
    async with Node() as node:
        node.publish(pump, "pump")
        link = ReplicaLink("fake:x", "pump", Pump, node)
        _disown()  # what the child does first
        assert link.state is ReplicaState.SUSPECT
        with pytest.raises(WrongThread):
            pump.level = 9.0
        with pytest.raises(WrongThread):
            pump.dripped.emit(1)


async def test_an_object_of_two_nodes_lives_on_with_the_one_that_remains() -> None:
    pump, heard = Pump(), []
    pump.dripped.connect(heard.append)
    async with Node() as remaining:
        async with Node() as first:
            first.publish(pump, "pump")
            remaining.publish(pump, "pump")
        pump.dripped.emit(1)
        assert heard == [1]
        assert pump._everywire.home is remaining
        with pytest.raises(WrongThread):
            await in_thread(setattr, pump, "level", 2.0)
    pump.dripped.emit(2)
    assert heard == [1], "the last one drops the connections"
    await in_thread(setattr, pump, "level", 3.0)


async def test_a_replica_published_by_the_node_it_was_connected_in_keeps_its_home_when_that_takes_it_back() -> None:
    heard: list[int] = []
    async with Node() as node:
        link = ReplicaLink("fake:x", "pump", Pump, node)
        pump: Any = make_replica(Pump, link)
        pump._everywire.values.update(speed=0, level=1.0)
        pump.dripped.connect(heard.append)
        node.publish(pump, "bridge")
        node.withdraw("bridge")
        assert pump._everywire.home is node
        pump.dripped.deliver((1,))
        assert heard == [1]


@pytest.mark.parametrize("act", ["publish", "withdraw"])
async def test_a_node_is_changed_in_its_own_thread_only(act: str) -> None:
    async with Node() as node:
        node.publish(Pump(), "pump")
        arguments = (Pump(), "other") if act == "publish" else ("pump",)
        with pytest.raises(WrongThread, match=r"node\.call"):
            await in_thread(getattr(node, act), *arguments)
        assert list(node.published) == ["pump"]
        await asyncio.wrap_future(node.call(getattr(node, act), *arguments))


async def test_a_wire_that_cannot_carry_what_was_published_meanwhile_is_closed_again() -> None:
    class RefusingWire(FakeWire):
        async def serve(self, node: Node) -> FakeServer:
            server = FakeServer(self.url, self.told, node)
            server.refuses = True
            node.publish(Pump(), "late")
            return server

    async with Node() as node:
        refusing = RefusingWire()
        with pytest.raises(OutOfRange):
            await node.serve(refusing)
        assert refusing.told[-1] == "fake:x closes"
        assert node.addresses == ()


async def test_a_close_that_is_cancelled_while_it_waits_for_slots_closes_all_the_same() -> None:
    wire, node = FakeWire(), Node()
    node.open()
    node.publish(pump := Pump(), "pump")
    await node.serve(wire)
    waiting = node.spawn(asyncio.Event().wait())
    wire.servers[0].tasks.append(waiting)
    closing = asyncio.ensure_future(node.aclose(grace=10.0))
    while "fake:x stops" not in wire.told:
        await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert wire.told[-1] == "fake:x closes"
    assert waiting.cancelled()
    assert pump._everywire.owner is None


def test_a_program_that_is_told_to_end_in_a_call_ends_and_the_caller_hears_of_it() -> None:
    def end() -> None:
        raise KeyboardInterrupt

    futures: list[concurrent.futures.Future[None]] = []

    async def main() -> None:
        async with Node() as node:
            futures.append(node.call(end))
            await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt), asyncio.Runner() as runner:
        runner.run(main())
    assert isinstance(futures[0].exception(), KeyboardInterrupt)
