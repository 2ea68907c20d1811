"""Links without a loop: lost, killed, stopped, withdrawn, changed, limited, and back again."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from everywire import (
    AddressError,
    Code,
    Fault,
    Limits,
    LinkError,
    Node,
    ReplicaState,
    SignatureMismatch,
    WrongThread,
    link_of,
    sync,
)
from everywire.remoteobjects.codec import Handshake, encode_packet
from tests.conformance.plant import Boiler, Counters, Desk, Feeder, Pump
from tests.conformance.wires import QUICK, Place
from tests.sync.conftest import Connect, both_ways, every_transport
from tests.sync.hosts import host_process, hosting, started

VALID, SUSPECT = ReplicaState.VALID, ReplicaState.SUSPECT


def state_of(replica: object) -> ReplicaState:
    return link_of(replica).state  # type: ignore[arg-type]


@every_transport
@both_ways
def test_a_killed_host_fails_calls_and_a_new_one_is_found(place: Place, connect: Connect) -> None:
    with host_process(place) as host, connect(place.url, "feeder", Feeder) as feeder:
        states: list[ReplicaState] = []
        link_of(feeder).state_changed.connect(states.append)
        assert sync.run(feeder.settle()) == 0
        hanging = [feeder.hang() for _ in range(5)]
        sync.run(feeder.settle())
        host.kill()
        for call in hanging:
            with pytest.raises(Fault) as caught:
                sync.run(call)
            assert caught.value.code is Code.UNAVAILABLE
        sync.until(lambda: states, 5)
        with pytest.raises(Fault) as caught:
            sync.run(feeder.settle())
        assert (caught.value.code, caught.value.may_have_run) == (Code.UNAVAILABLE, False)
        assert feeder.serial == 0, "values stay readable"
        with host_process(place):
            sync.until(lambda: state_of(feeder) is VALID, 10)
            assert sync.run(feeder.settle()) == 0
            assert states == [SUSPECT, VALID]


def test_a_call_after_the_loss_brings_the_link_back_by_itself(place: Place, connect: Connect) -> None:
    with host_process(place) as host, connect(place.url, "desk", Desk) as desk:
        assert sync.run(desk.add(1)) == 1101
        host.kill()
        with pytest.raises(Fault, match="the link was lost"):
            sync.run(desk.add(1))
        with host_process(place):
            with pytest.raises(Fault, match="no link"):  # made before the link was back
                sync.run(desk.add(1))
            assert sync.run(desk.add(1)) == 1101


def test_a_push_after_the_loss_waits_for_the_link(place: Place, connect: Connect) -> None:
    with Hosted(place, boiler=Boiler()) as hosted, connect(place.url, "boiler", Boiler) as boiler:
        hosted.restart()
        sync.until(lambda: state_of(boiler) is not VALID, 5)
        assert sync.run(Boiler.target.push(boiler, 25.0)) == 25.0


def test_reading_a_property_notices_the_loss_and_brings_the_link_back(place: Place, connect: Connect) -> None:
    with Hosted(place, counters=Counters()) as hosted, connect(place.url, "counters", Counters) as counters:
        hosted.restart(counters=changed(Counters(), first=7))
        end = time.monotonic() + 10
        while counters.first != 7:
            assert time.monotonic() < end
        assert state_of(counters) is VALID


def test_reading_never_waits_for_a_host_that_is_gone(place: Place, connect: Connect) -> None:
    with host_process(place) as host, connect(place.url, "counters", Counters) as counters:
        host.stop()
        begun = time.monotonic()
        assert [counters.first for _ in range(100)] == [0] * 100
        host.kill()
        assert [counters.first for _ in range(100)] == [0] * 100
        assert time.monotonic() - begun < 2.0
        assert state_of(counters) is SUSPECT


@both_ways
def test_a_stopped_host_costs_a_call_its_deadline_and_nothing_more(place: Place, connect: Connect) -> None:
    with host_process(place) as host, connect(place.url, "desk", Desk) as desk:
        sync.run(desk.nothing())
        host.stop()
        begun = time.monotonic()
        with pytest.raises(Fault) as caught:
            sync.run(desk.never())
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        assert 2.0 < time.monotonic() - begun < 4.0, "its own 0.2 s, 2 s of grace, and what sweeps are late"
        host.go_on()
        assert sync.run(desk.add(1)) == 1101


@both_ways
def test_resync_tells_what_has_really_changed(place: Place, connect: Connect) -> None:
    first = changed(Counters(), first=1, second=2, text="a", tags=[1])
    second = changed(Counters(), first=1, second=5, text="a", tags=[1])
    with Hosted(place, counters=first) as hosted, connect(place.url, "counters", Counters) as counters:
        told: list[tuple[str, object]] = []
        states: list[ReplicaState] = []
        link_of(counters).state_changed.connect(states.append)
        for name in ("first", "second", "text", "tags", "total", "setting"):
            getattr(Counters, name).on_change(counters, lambda value, name=name: told.append((name, value)))
        hosted.restart(counters=second)
        sync.until(lambda: states == [SUSPECT, VALID], 10)
        sync.run(counters.settle())
        assert sorted(told, key=str) == [("second", 5), ("total", 6)]


@both_ways
def test_a_withdrawn_object_is_suspect_until_it_is_published_again(place: Place, connect: Connect) -> None:
    source = Counters()
    with hosting(place, counters=source) as host, connect(place.url, "counters", Counters) as counters:
        told: list[int] = []
        Counters.first.on_change(counters, told.append)
        host.set(source, first=1)
        host.do(host.node.withdraw, "counters")
        sync.until(lambda: state_of(counters) is SUSPECT, 5)
        begun = time.monotonic()
        with pytest.raises(Fault) as caught:
            sync.run(counters.settle())
        assert caught.value.code is Code.UNAVAILABLE
        assert time.monotonic() - begun < 0.9, "what is withdrawn is not waited for"
        source.first = 2
        host.do(host.node.publish, source, "counters")
        sync.until(lambda: state_of(counters) is VALID, 5)
        sync.run(counters.settle())
        assert told == [1, 2]


@both_ways
def test_an_object_that_comes_back_as_something_else_is_a_mismatch(place: Place, connect: Connect) -> None:
    with Hosted(place, it=Desk()) as hosted, connect(place.url, "it", Desk) as desk:
        hosted.restart(it=Pump())
        sync.until(lambda: state_of(desk) is ReplicaState.SIGNATURE_MISMATCH, 10)
        assert isinstance(link_of(desk).error, SignatureMismatch)
        with pytest.raises(Fault, match="signature mismatch"):
            sync.run(desk.add(1))
        hosted.restart(it=Desk())
        sync.until(lambda: state_of(desk) is VALID, 10)
        assert sync.run(desk.add(1)) == 1101


def test_an_object_that_is_published_again_as_something_else_is_one_too(place: Place, connect: Connect) -> None:
    with hosting(place, it=Desk()) as host, connect(place.url, "it", Desk) as desk:
        host.do(host.node.withdraw, "it")
        host.do(host.node.publish, Pump(), "it")
        sync.until(lambda: state_of(desk) is ReplicaState.SIGNATURE_MISMATCH, 10)
        host.do(host.node.withdraw, "it")
        host.do(host.node.publish, Desk(), "it")
        sync.until(lambda: state_of(desk) is VALID, 10)
        assert sync.run(desk.add(1)) == 1101


@both_ways
def test_a_host_that_comes_later_is_waited_for(place: Place, connect: Connect) -> None:
    with hosting(place, desk=Desk()):
        pass
    waiting = threading.Event()
    results: list[int] = []

    def wait() -> None:
        waiting.set()
        with connect(place.url, "desk", Desk, timeout=10.0) as desk:
            results.append(sync.run(desk.add(1)))

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    with hosting(place, desk=Desk()):
        thread.join()
    assert results == [1101]


@both_ways
def test_waiting_ends_with_a_reason(place: Place, connect: Connect) -> None:
    with hosting(place, desk=Desk()):
        pass
    with pytest.raises(LinkError, match="start the host first"), connect(place.url, "desk", Desk, timeout=0):
        pass
    with pytest.raises(LinkError, match="start the host first"), connect(place.url, "desk", Desk, timeout=0.3):
        pass
    with pytest.raises(AddressError, match="names no host and port"), connect("tcp://:0", "desk", Desk):
        pass


def test_a_listener_that_says_nothing_is_named(folder: object) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with (
            pytest.raises(LinkError, match="said nothing of Qt Remote Objects"),
            sync.connect(url, "desk", Desk, timeout=0, limits=Limits(handshake=0.2)),
        ):
            pass
        with (
            pytest.raises(LinkError, match=r"did not answer within 0\.2 s"),
            sync.connect(url, "desk", Desk, timeout=0.2),
        ):
            pass


def test_a_listener_that_hangs_up_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with (
            pytest.raises(LinkError, match=f"{url}: the host hung up without a word of Qt Remote Objects"),
            sync.connect(url, "desk", Desk, timeout=0),
        ):
            pass
        thread.join()


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", encode_packet(Handshake("QtRO 1.3")), b"\xff" * 64]
)
def test_a_host_that_speaks_nonsense_is_named(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"

        def speak() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(said)
                peer.recv(4096)

        thread = threading.Thread(target=speak)
        thread.start()
        with (
            pytest.raises(LinkError, match=r"did not become valid|did not answer"),
            sync.connect(url, "desk", Desk, timeout=0),
        ):
            pass
        thread.join()


def test_tls_checks_the_name_of_its_host(folder: object, certificates: tuple[object, object]) -> None:
    cert, ca = certificates
    with sync.LoopThread() as thread, thread.enter(Node(limits=QUICK)) as node:
        thread.call(node.publish, Desk(), "desk").result()
        (url,) = thread.run(node.serve(f"tls://127.0.0.1:0?cert={cert}"))
        with sync.connect(f"{url}?ca={ca}", "desk", Desk) as desk:
            assert sync.run(desk.add(1)) == 1101
        with pytest.raises(LinkError, match="not trusted"), sync.connect(url, "desk", Desk, timeout=0):
            pass
        port = url.rpartition(":")[2]
        other = f"tls://127.0.0.2:{port}?ca={ca}"
        with pytest.raises(LinkError), sync.connect(other, "desk", Desk, timeout=0):
            pass
        (plain,) = thread.run(node.serve("tcp://127.0.0.1:0"))
        url = plain.replace("tcp:", "tls:") + f"?ca={ca}"
        with pytest.raises(LinkError, match="does not speak TLS"), sync.connect(url, "desk", Desk, timeout=0):
            pass


def test_a_certificate_for_another_name_is_refused(tmp_path: object, certificates: tuple[object, object]) -> None:
    import trustme

    authority = trustme.CA()
    folder = str(tmp_path)
    authority.cert_pem.write_to_path(f"{folder}/ca.pem")
    authority.issue_cert("elsewhere.example").private_key_and_cert_chain_pem.write_to_path(f"{folder}/other.pem")
    with sync.LoopThread() as thread, thread.enter(Node(limits=QUICK)) as node:
        thread.call(node.publish, Desk(), "desk").result()
        (url,) = thread.run(node.serve(f"tls://127.0.0.1:0?cert={folder}/other.pem"))
        with (
            pytest.raises(LinkError, match=r"not trusted.*(mismatch|not valid)"),
            sync.connect(f"{url}?ca={folder}/ca.pem", "desk", Desk, timeout=0),
        ):
            pass


def test_a_host_that_demands_a_client_certificate_says_so(certificates: tuple[object, object]) -> None:
    cert, ca = certificates
    with sync.LoopThread() as thread, thread.enter(Node(limits=QUICK)) as node:
        thread.call(node.publish, Desk(), "desk").result()
        (url,) = thread.run(node.serve(f"tls://127.0.0.1:0?cert={cert}&ca={ca}"))
        with (
            pytest.raises(LinkError, match="cert=FILE&key=FILE"),
            sync.connect(f"{url}?ca={ca}", "desk", Desk, timeout=0),
        ):
            pass
        with sync.connect(f"{url}?ca={ca}&cert={cert}", "desk", Desk) as desk:
            assert sync.run(desk.add(1)) == 1101


@every_transport
@both_ways
def test_large_values_travel_both_ways(place: Place, connect: Connect, soak: Callable[[int, int], int]) -> None:
    size = 3 * 1024 * 1024
    with hosting(place, desk=Desk()), connect(place.url, "desk", Desk) as desk:
        values = [random.randbytes(size) for _ in range(soak(3, 20))]
        calls = [desk.anything(value) for value in values]
        assert [sync.run(call) for call in calls] == values
        with pytest.raises(Fault) as caught:
            sync.run(desk.anything(bytes(5 * 1024 * 1024)))
        assert (caught.value.code, caught.value.may_have_run) == (Code.RESOURCE_EXHAUSTED, False)
        assert sync.run(desk.add(1)) == 1101


def test_calls_to_a_host_that_does_not_read_are_bounded(place: Place) -> None:
    limits = Limits(unsent_hard=1024 * 1024)
    block = bytes(64 * 1024)
    with host_process(place) as host, sync.connect(place.url, "desk", Desk, limits=limits) as desk:
        sync.run(desk.nothing())
        host.stop()
        calls = []
        with pytest.raises(Fault) as caught:
            for _ in range(1000):
                calls.append(desk.anything(block))  # noqa: PERF401  the calls before the refusal count
        assert (caught.value.code, caught.value.may_have_run) == (Code.RESOURCE_EXHAUSTED, False)
        assert len(calls) < 100
        host.go_on()
        assert all(sync.run(call) == block for call in calls)
        assert sync.run(desk.add(1)) == 1101


def test_a_frame_beyond_the_limit_ends_the_link(place: Place) -> None:
    source, limits = Feeder(), Limits(frame=100_000)
    with hosting(place, feeder=source) as host, sync.connect(place.url, "feeder", Feeder, limits=limits) as feeder:
        host.set(source, block=bytes(200_000))
        sync.until(lambda: state_of(feeder) is SUSPECT, 5)
        assert "Limits.frame" in str(link_of(feeder).error)
        assert len(feeder.block) == 0


def test_a_link_of_another_thread_is_refused_with_advice(place: Place, connect: Connect) -> None:
    with (
        hosting(place, desk=Desk(), counters=Counters()),
        connect(place.url, "desk", Desk) as desk,
        connect(place.url, "counters", Counters) as counters,
    ):
        found: list[str] = []

        def use(action: Callable[[], object]) -> None:
            try:
                action()
            except WrongThread as error:
                found.append(str(error))

        call = desk.add(5)
        for action in (
            lambda: counters.first,
            lambda: desk.add(1),
            lambda: sync.run(call),
            lambda: sync.run(Counters.setting.push(counters, 1)),
        ):
            thread = threading.Thread(target=use, args=(action,))
            thread.start()
            thread.join()
        assert len(found) == 4
        assert all("sync.connect in this thread too" in text for text in found)
        assert sync.run(call) == 1105


def test_each_thread_has_links_of_its_own(place: Place, connect: Connect) -> None:
    source = Desk()
    results: dict[int, list[int]] = {}
    with hosting(place, desk=source):

        def work(number: int) -> None:
            with connect(place.url, "desk", Desk) as desk:
                results[number] = [sync.run(desk.add(number, place, 0)) for place in range(50)]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {number: [number + place for place in range(50)] for number in range(8)}


FORKING = """
import os
from everywire import sync
kind, url = sys.argv[1:]
with sync.connect(url, "desk", Desk, background=kind == "True") as desk:
    assert sync.run(desk.add(1)) == 1101
    child = os.fork()
    if not child:
        try:
            try:
                sync.run(desk.add(1))
            except Fault as fault:
                assert fault.code is Code.UNAVAILABLE, fault
            assert desk.calls == 0
            with sync.connect(url, "desk", Desk, background=kind == "True") as own:
                assert sync.run(own.add(2)) == 1102
        except BaseException as error:
            print("child:", repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    print(os.waitpid(child, 0)[1], sync.run(desk.add(3)), flush=True)
"""


@pytest.mark.parametrize("background", [False, True])
def test_a_fork_leaves_the_link_to_the_parent(place: Place, background: bool) -> None:
    with hosting(place, desk=Desk()), started(FORKING, background, place.url) as program:
        assert program.line() == "0 1103"


def test_a_descriptor_is_given_back(place: Place, connect: Connect) -> None:
    with hosting(place, desk=Desk()):
        before = descriptors()
        for background in (False, True):
            with sync.connect(place.url, "desk", Desk, background=background) as desk:
                sync.run(desk.nothing())
    assert descriptors() < before


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Hosted:
    """A host that can be started again, with other objects, at the same place."""

    def __init__(self, place: Place, **objects: object) -> None:
        self._place, self._objects = place, objects
        self._now: object = None

    def __enter__(self) -> Hosted:
        self._start(**self._objects)
        return self

    def __exit__(self, *_: object) -> None:
        self._now.__exit__(None, None, None)  # type: ignore[attr-defined]

    def restart(self, **objects: object) -> None:
        self._now.__exit__(None, None, None)  # type: ignore[attr-defined]
        self._start(**(objects or {name: type(source)() for name, source in self._objects.items()}))

    def _start(self, **objects: object) -> None:
        self._now = hosting(self._place, **objects)  # type: ignore[arg-type]
        self._now.__enter__()


def changed(source: Counters, **values: object) -> Counters:
    for name, value in values.items():
        setattr(source, name, value)
    return source
