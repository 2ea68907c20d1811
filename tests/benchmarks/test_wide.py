"""The suites with several processes: what their roles check, and a short run of each with real processes."""

from __future__ import annotations

import importlib.util
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fanout, http, scaling
from benchmarks.actors.hearing import Audience
from benchmarks.actors.scaling_clients import answer_to, call_of, check_reply
from benchmarks.casts import Cast, interleaved
from benchmarks.peer import Missing, WrongAnswer
from benchmarks.processes import Actor, Failed
from everywire.remoteobjects.codec import Invoke, InvokeReply, decode_packet

QT = importlib.util.find_spec("PySide6") is not None


# What is heard.


def heard_by(numbers: list[float], *, first: int = 1, count: int = 3, stamped: bool = False) -> list[Any]:
    results: list[Any] = []
    audience = Audience(1, results.append)
    audience.expect(first, count, stamped=stamped)
    for number in numbers:
        audience.replicas[0].hear(number)
    return results


def test_an_audience_is_done_when_each_replica_has_heard_the_last_number() -> None:
    results: list[Any] = []
    audience = Audience(2, results.append)
    audience.expect(1, 2, stamped=False)
    one, two = audience.replicas
    for replica, number in ((one, 1.0), (one, 2.0), (two, 1.0)):
        replica.hear(number)
    assert results == []
    two.hear(2.0)
    assert [result["wrong"] for result in results] == [""]


@pytest.mark.parametrize("numbers", [[1.0, 3.0], [2.0], [1.0, 1.0], [1.0, 2.0, 4.0]])
def test_a_number_that_is_lost_repeated_or_out_of_order_is_told(numbers: list[float]) -> None:
    (result,) = heard_by(numbers)
    assert "was to come" in result["wrong"]


def test_stamped_deliveries_give_the_time_that_they_took() -> None:
    (result,) = heard_by([1.0, 2.0, 3.0], first=0, stamped=True)
    assert result["p99_us"] >= result["p50_us"] > 0


# What the sockets of `scaling` say and check.


def test_the_bare_calls_are_those_of_qt_remote_objects() -> None:
    call = decode_packet(call_of(41)[4:], from_host=False)
    assert isinstance(call, Invoke)
    assert (call.name, call.arguments, call.serial) == ("counter", (41,), 41)
    reply = decode_packet(answer_to(41, 41)[4:], from_host=True)
    assert isinstance(reply, InvokeReply)
    assert (reply.name, reply.serial, reply.value) == ("counter", 41, 42)


def test_a_wrong_reply_is_told() -> None:
    check_reply(answer_to(41, 41), 41)
    with pytest.raises(WrongAnswer, match=r"add_one\(41\)"):
        check_reply(answer_to(42, 41), 41)


# What the load of `http` reads and checks.


def served_by(text: bytes) -> int:
    """A port at which one connection gets *text*, whatever it asks, and is closed."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with listening, listening.accept()[0] as sock:
            sock.recv(65536)
            sock.sendall(text)

    threading.Thread(target=answer, daemon=True).start()
    port: int = listening.getsockname()[1]
    return port


@pytest.mark.parametrize(
    "answer,problem",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n21.6", "21.6"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n21", "closed"),
    ],
    ids=["another value", "another status", "half an answer"],
)
def test_the_load_takes_no_answer_for_another(tmp_path: Path, answer: bytes, problem: str) -> None:
    with Actor("http_load", "load", tmp_path, (), port=served_by(answer)) as load:
        load.ready()
        with pytest.raises(Failed, match=problem):
            load.ask("get", seconds=0.01, connections=1)


def test_the_load_notices_an_event_that_is_missing(tmp_path: Path) -> None:
    events = b"data: [1]\n\ndata: [3]\n\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    text = head + b"%x\r\n%b\r\n" % (len(events), events)
    with Actor("http_load", "load", tmp_path, (), port=served_by(text)) as load:
        load.ready()
        load.ask("listen", listeners=1)
        load.ask("heard", first=1, count=3)
        with pytest.raises(Failed, match="where 2 was to come"):
            load.answer("done", 10.0)


# The harness.


def test_every_case_comes_once_in_every_round() -> None:
    cases = list(interleaved(["a", "b", "c"], 3, seed=4))
    assert [sorted(case for number, case in cases if number == each) for each in range(3)] == [["a", "b", "c"]] * 3
    assert cases == list(interleaved(["a", "b", "c"], 3, seed=4))


def test_a_disturbed_sample_is_taken_again_and_the_quietest_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with Cast("unpinned") as cast:
        watched = iter([("fast", 0.9), ("quiet", 0.2), ("loud", 0.5)])
        monkeypatch.setattr(cast, "_watched", lambda _take: next(watched))
        assert cast.quietest(lambda: "") == ("quiet", 0.2)


def test_an_actor_without_its_library_is_missing_and_one_that_fails_has_last_words(tmp_path: Path) -> None:
    with Actor("no_such_module", "host", tmp_path, ()) as actor, pytest.raises(Missing, match="no_such_module"):
        actor.ready()
    with Actor("scaling_clients", "no such role", tmp_path, ()) as actor, pytest.raises(Failed, match="KeyError"):
        actor.ready()


# One short run of each.


def run(suite: Any, arguments: list[str], written: Path) -> list[dict[str, Any]]:
    """Run a suite quickly; return its samples."""
    assert suite.main(["--quick", "--seed", "7", "--json", str(written), *arguments]) == 0
    samples: list[dict[str, Any]] = json.loads(written.read_text(encoding="utf-8"))["samples"]
    assert [sample["problem"] for sample in samples if sample["problem"]] == []
    return samples


def test_fanout_delivers_every_number_to_every_replica(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peers = ["everywire", "everywire-stock", *(["pyside6"] if QT else [])]
    arguments = ["--peers", ",".join(peers), "--shapes", "10,4 processes", "--placement", "same"]
    samples = run(fanout, [*arguments, "--deliveries", "400", "--paced", "3"], tmp_path / "fanout.json")
    assert len(samples) == len(peers) * 2 * 2
    assert all(sample["rate"] > 0 and sample["p50_us"] > 0 for sample in samples)
    assert "| 4 processes |" in capsys.readouterr().out


def test_scaling_calls_on_every_connection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = ["everywire", "everywire-stock", "uvloop-raw", *(["pyside6"] if QT else [])]
    arguments = ["--peers", ",".join(hosts), "--counts", "3,30", "--seconds", "0.01"]
    samples = run(scaling, arguments, tmp_path / "scaling.json")
    assert len(samples) == len(hosts) * 2
    assert all(sample["robin"] > 0 and sample["one"] > 0 and sample["wave"] > 0 for sample in samples)
    assert "uvloop-raw" in capsys.readouterr().out


def test_the_memory_of_a_connection_is_known_when_there_are_many(tmp_path: Path) -> None:
    (sample,) = run(scaling, ["--peers", "everywire", "--counts", "500", "--seconds", "0.01"], tmp_path / "memory.json")
    assert 0.5 < sample["resident_kb"] < 100
    assert 0.5 < sample["heap_kb"] < 100


def test_http_answers_every_request_and_tells_every_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = [name for name in ("fastapi", "aiohttp") if importlib.util.find_spec(name) is None]
    servers = [name for name in http.SERVERS if name not in absent]
    arguments = ["--peers", ",".join(servers), "--placement", "same", "--seconds", "0.01", "--events", "200"]
    samples = run(http, arguments, tmp_path / "http.json")
    assert len(samples) == sum(len(http.SERVERS[name].tasks) for name in servers)
    assert all(sample["rate"] > 0 for sample in samples)
    assert "| POST x 16 " in capsys.readouterr().out
