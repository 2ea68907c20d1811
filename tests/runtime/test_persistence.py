"""Replicas before their source: defaults of the class, kept values, and the files in which those lie."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import pytest

from everywire import (
    PERSISTED,
    Code,
    Fault,
    FileStore,
    LinkError,
    ModelError,
    Object,
    Property,
    ReplicaState,
    SignatureMismatch,
    StoreWarning,
    computed,
    connect,
    link_of,
    prop,
    signal,
    slot,
)
from everywire.runtime import connecting, supervisor
from everywire.runtime.persistence import MOST_BYTES
from everywire.runtime.replica import ReplicaLink
from tests.harness import LoopReports
from tests.runtime.fakes import FakeWire, lose


class Tank(Object):
    level: Property[Annotated[float, PERSISTED]] = prop(1.5, writable=True)
    names: Property[Annotated[list[str], PERSISTED]] = prop(factory=list)
    state: Property[str] = prop("idle")

    @computed(level)
    def half(self) -> float:
        return self.level / 2

    @signal
    def emptied(self) -> None: ...

    @slot
    async def fill(self) -> int:
        raise NotImplementedError


class Plain(Object):
    level: Property[float] = prop(0.0)


NEVER: Final[Any] = asyncio.Event


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "NEAR", 0.0)
    monkeypatch.setattr(connecting, "KEPT_AFTER", 0.0)


def source(**values: Any) -> FakeWire:
    """A wire whose host has a Tank with these values, which `tell` in the wire changes."""
    wire = FakeWire(cls=Tank)

    async def attach(replica: ReplicaLink) -> None:
        replica.create(Tank.__dict__["__everywire_contract__"], lambda _: Tank)
        replica.take({"level": 1.5, "names": [], "state": "idle", "half": 0.75} | values)

    wire.attaching = attach
    return wire


def nobody() -> FakeWire:
    wire = FakeWire(cls=Tank)
    wire.failures = [LinkError("nobody listens there")] * 1_000_000
    return wire


class MemoryStore:
    """Keeps bytes in memory; `saved` is set with each save."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}
        self.saved = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def load(self, name: str, kind: str) -> bytes | None:
        return self.kept.get((name, kind))

    def save(self, name: str, kind: str, data: bytes) -> None:
        self.kept[name, kind] = data
        self._loop.call_soon_threadsafe(self.saved.set)


async def test_a_block_that_does_not_wait_begins_with_the_defaults_of_the_class() -> None:
    async with connect(nobody(), "tank", Tank, wait=False) as tank:
        assert link_of(tank).state is ReplicaState.DEFAULT
        assert (tank.level, tank.names, tank.state, tank.half) == (1.5, [], "idle", 0.75)
        with pytest.raises(Fault, match="tank is default: no link to fake:x") as refused:
            await tank.fill()
        assert (refused.value.code, refused.value.may_have_run) == (Code.UNAVAILABLE, False)
        with pytest.raises(Fault, match="tank is default"):
            await Tank.level.push(tank, 2.0)


async def test_each_property_that_the_source_has_otherwise_changes_once() -> None:
    heard: list[Any] = []
    async with connect(source(level=3.0, half=1.5), "tank", Tank, wait=False) as tank:
        Tank.level.on_change(tank, heard.append)
        Tank.half.on_change(tank, heard.append)
        Tank.state.on_change(tank, heard.append)
        link_of(tank).state_changed.connect(heard.append)
        await link_of(tank).wait_valid()
        assert heard == [ReplicaState.VALID, 3.0, 1.5]


async def test_waiting_for_a_source_ends_with_the_reason_why_there_is_none() -> None:
    async with connect(nobody(), "tank", Tank, wait=False) as tank:
        with pytest.raises(LinkError, match="nobody listens there"):
            await link_of(tank).wait_valid(timeout=0.05)
        assert link_of(tank).state is ReplicaState.DEFAULT


async def test_waiting_for_an_object_that_the_host_does_not_show_names_the_others() -> None:
    wire = FakeWire(cls=Tank)
    wire.offers, wire.attaching = ("valve",), lambda _: asyncio.Event().wait()
    async with connect(wire, "tank", Tank, wait=False) as tank:
        with pytest.raises(Fault, match="no object 'tank' at fake:x; it offers valve"):
            await link_of(tank).wait_valid(timeout=0.05)


async def test_waiting_is_over_when_the_block_is() -> None:
    async with connect(nobody(), "tank", Tank, wait=False) as tank:
        waiting = asyncio.ensure_future(link_of(tank).wait_valid(timeout=None))
        await asyncio.sleep(0)
    with pytest.raises(Fault, match="its 'async with connect"):
        await waiting


async def test_a_mismatch_is_told_to_who_waits_and_a_lost_host_makes_the_defaults_count_again() -> None:
    wire = FakeWire(cls=Tank)

    async def mismatch(_: ReplicaLink) -> None:
        raise SignatureMismatch("tank is not a Tank:", ("property level is missing",))

    wire.attaching = mismatch
    async with connect(wire, "tank", Tank, wait=False) as tank:
        with pytest.raises(SignatureMismatch, match="property level is missing"):
            await link_of(tank).wait_valid()
        wire.failures = [LinkError("gone")] * 1000
        lose(wire)
        assert await link_of(tank).wait_for(ReplicaState.DEFAULT) is ReplicaState.DEFAULT
        assert tank.level == 1.5


async def test_a_refused_login_does_not_end_a_replica_that_nobody_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOCKED_OUT", 0.0)
    wire = source(level=4.0)
    wire.failures = [Fault(Code.UNAUTHENTICATED, "wrong token")] * 3
    async with connect(wire, "tank", Tank, wait=False) as tank:
        await link_of(tank).wait_valid()
        assert tank.level == 4.0


async def test_a_mistake_that_no_reconnecting_mends_is_reported(loop_reports: LoopReports) -> None:
    wire = FakeWire(cls=Tank)
    wire.failures = [LookupError("a bug")] * 1000
    async with connect(wire, "tank", Tank, wait=False) as tank:
        with pytest.raises(LinkError, match="did not become valid: a bug"):
            await link_of(tank).wait_valid(timeout=0.05)
    assert isinstance(loop_reports.pop()["exception"], LookupError)


async def test_without_a_class_there_is_nothing_to_begin_with() -> None:
    for options in ({"wait": False}, {"store": MemoryStore()}):
        with pytest.raises(ModelError, match="needs a class"):
            async with connect(nobody(), "tank", None, **options):  # type: ignore[call-overload]
                pass


# -------------------------------------------------------------------------------------------------------- values
async def test_values_are_kept_while_they_change_and_are_there_the_next_time() -> None:
    store = MemoryStore()
    async with connect(source(level=7.25, names=["a", "ü"], state="busy"), "tank", Tank, store=store):
        await store.saved.wait()
    async with connect(nobody(), "tank", Tank, store=store, wait=False) as tank:
        assert (tank.level, tank.names, tank.half) == (7.25, ["a", "ü"], 3.625)
        assert tank.state == "idle"  # was not marked


async def test_what_changed_last_is_saved_when_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "KEPT_AFTER", 3600.0)
    store = MemoryStore()
    async with connect(source(), "tank", Tank, store=store) as tank:
        Tank.level.receive(tank._everywire, 9.5)
        assert not store.kept
    assert store.kept == {("tank", "Tank"): b'{"level":9.5,"names":[]}'}


async def test_nothing_is_saved_for_a_source_that_never_was() -> None:
    store = MemoryStore()
    async with connect(nobody(), "tank", Tank, store=store, wait=False):
        pass
    assert not store.kept


async def test_values_equal_to_the_defaults_are_kept_too_for_the_next_version_has_others() -> None:
    store = MemoryStore()
    async with connect(source(), "tank", Tank, store=store):
        pass
    assert store.kept


async def test_only_properties_that_are_marked_can_be_kept() -> None:
    with pytest.raises(ModelError, match=r"Plain has nothing to keep: mark properties, as in .*PERSISTED"):
        async with connect(nobody(), "tank", Plain, store=MemoryStore()):
            pass


async def test_a_value_that_does_not_fit_any_more_is_left_out_alone() -> None:
    store = MemoryStore()
    store.kept["tank", "Tank"] = b'{"level": "high", "names": ["x"], "gone": 1}'
    with pytest.warns(StoreWarning, match=r"tank\.level"):
        async with connect(nobody(), "tank", Tank, store=store, wait=False) as tank:
            assert (tank.level, tank.names) == (1.5, ["x"])


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff\x00", b'{"level":' + b"[" * 100_000])
async def test_kept_bytes_that_are_nothing_give_a_warning_and_the_defaults(data: bytes) -> None:
    store = MemoryStore()
    store.kept["tank", "Tank"] = data
    with pytest.warns(StoreWarning, match="kept values are left out: those of tank cannot be read"):
        async with connect(nobody(), "tank", Tank, store=store, wait=False) as tank:
            assert tank.level == 1.5


async def test_a_store_that_cannot_save_is_a_warning_and_the_replica_lives() -> None:
    class Full(MemoryStore):
        def save(self, name: str, kind: str, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    with pytest.warns(StoreWarning, match="values of tank are not kept: .*No space left"):
        async with connect(source(level=2.0), "tank", Tank, store=Full()) as tank:
            assert tank.level == 2.0


async def test_a_store_that_cannot_be_read_is_a_warning_and_the_defaults() -> None:
    class Away(MemoryStore):
        def load(self, name: str, kind: str) -> bytes | None:
            raise OSError(5, "Input/output error")

    with pytest.warns(StoreWarning, match="those of tank cannot be read: .*Input/output error"):
        async with connect(nobody(), "tank", Tank, store=Away(), wait=False) as tank:
            assert tank.level == 1.5


# --------------------------------------------------------------------------------------------------------- files
def test_a_file_is_this_users_alone_and_so_is_its_folder(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "a" / "b")
    assert store.load("hall", "Tank") is None
    store.save("hall", "Tank", b"1")
    (file,) = store.folder.iterdir()
    assert file.name.startswith("hall-")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    store.save("hall", "Tank", b"22")
    assert store.load("hall", "Tank") == b"22"
    assert len(list(store.folder.iterdir())) == 1


def test_names_and_classes_do_not_share_a_file(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    names = ["hall", "Hall", "h/all", "h_all", "..", "a" * 255, "ä", "\ud800"]
    for number, name in enumerate(names):
        store.save(name, "Tank", str(number).encode())
        store.save(name, "Other", b"other")
    assert [store.load(name, "Tank") for name in names] == [str(number).encode() for number in range(len(names))]
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))


def _open_to_others(file: Path) -> None:
    file.chmod(0o622)


def _a_link(file: Path) -> None:
    file.rename(file.with_suffix(".else"))
    file.symlink_to(file.with_suffix(".else"))


def _a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _endless(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(MOST_BYTES + 1)


@pytest.mark.parametrize("harm", [_open_to_others, _a_link, _a_pipe, _endless])
def test_a_file_that_cannot_be_believed_is_left_out_by_name(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    store = FileStore(tmp_path)
    store.save("hall", "Tank", b"{}")
    (file,) = tmp_path.iterdir()
    harm(file)
    with pytest.warns(StoreWarning, match=str(file)):
        assert store.load("hall", "Tank") is None


def test_saving_never_follows_a_link_to_another_file(tmp_path: Path) -> None:
    store, other = FileStore(tmp_path / "kept"), tmp_path / "other"
    other.write_bytes(b"precious")
    store.save("hall", "Tank", b"1")
    (file,) = store.folder.iterdir()
    file.unlink()
    file.symlink_to(other)
    store.save("hall", "Tank", b"2")
    assert (other.read_bytes(), store.load("hall", "Tank")) == (b"precious", b"2")


SAVER: Final = """
import sys
from everywire import FileStore
store = FileStore(sys.argv[1])
for number in range(int(sys.argv[3])):
    store.save("hall", "Tank", sys.argv[2].encode() * 20_000)
    assert store.load("hall", "Tank") in (b"a" * 20_000, b"b" * 20_000), "torn"
"""


def test_processes_that_save_at_once_never_leave_a_part(tmp_path: Path, soak: Callable[[int, int], int]) -> None:
    rounds = str(soak(30, 1000))
    writers = [
        subprocess.Popen([sys.executable, "-c", SAVER, str(tmp_path), letter, rounds], stderr=subprocess.PIPE)
        for letter in "ab"
    ]
    told = [writer.communicate()[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], told
    assert len(list(tmp_path.iterdir())) == 1


def test_loading_says_nothing_when_all_is_well(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = FileStore(tmp_path)
        store.save("hall", "Tank", b"{}")
        assert store.load("hall", "Tank") == b"{}"
