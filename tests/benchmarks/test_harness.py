"""The harness of the benchmarks: its arithmetic, its plan, and one short run with real processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import local, machine, rpc
from benchmarks.__main__ import SUITES
from benchmarks.figures import Spread, figure, markdown, percentile, rate, ratio
from benchmarks.peer import Missing, Timing, WrongAnswer, expect
from benchmarks.peers import PEERS
from benchmarks.processes import Failed, Role
from benchmarks.report import BASES, Report, heads
from benchmarks.role import Order, Sample, measure
from benchmarks.rounds import Outcome, Plan, pinning, quietest
from benchmarks.timing import interleaved


def sample(calls: int = 1000, seconds: float = 0.1, foreign: float = 0.0) -> Sample:
    return Sample(calls=calls, seconds=seconds, p50_us=10.0, p99_us=20.0, cpu_us=9.0, foreign=foreign)


class ScriptedClient:
    """A client role that answers orders with the samples it was given."""

    def __init__(self, *samples: Sample) -> None:
        self._left = list(samples)
        self.orders = 0

    def sample(self, order: Order) -> Sample:
        self.orders += 1
        return self._left.pop(0)


class CountingClient:
    """A client of no peer at all: it remembers for how long it was asked to call."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float, int]] = []

    def sequential(self, seconds: float) -> Timing:
        self.asked.append(("sequential", seconds, 1))
        return Timing(4, 4_000_000, [1_000_000, 2_000_000, 3_000_000, 50_000_000])

    def outstanding(self, seconds: float, depth: int) -> Timing:
        self.asked.append(("outstanding", seconds, depth))
        return Timing(128, 2_000_000, [])


ORDER = Order(mode="sequential", seconds=0.2, warm_up=0.05, depth=64, processes=[])


def test_a_spread_is_the_median_and_the_edges() -> None:
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)


def test_no_values_have_no_spread_and_no_ratio() -> None:
    assert Spread.of([]) is None
    assert ratio(None, Spread(1, 1, 1)) is None
    assert ratio(Spread(1, 1, 1), None) is None


def test_a_ratio_divides_the_medians() -> None:
    assert ratio(Spread(140, 1, 999), Spread(100, 50, 150)) == 1.4


@pytest.mark.parametrize("share,value", [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_the_nearest_rank_whatever_the_order(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        percentile([], 0.5)


def test_a_percentile_beyond_all_values_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile([1.0], 99)


def test_a_missing_figure_is_a_dash() -> None:
    assert (figure(None, 2), rate(None)) == ("-", "-")


def test_a_rate_shows_its_range_in_thousands_and_millions() -> None:
    assert rate(Spread(49_363.4, 46_612, 1_230_000)) == "49,363 [46.6k-1.23M]"


def test_a_remark_does_not_widen_the_columns_of_a_table() -> None:
    table = markdown(("peer", "rate", "y"), [["a", "12", "3"], ["b", "missing: a long reason", ""]])
    assert table.splitlines() == [
        "| peer | rate | y |",
        "| ---- | ---: | : |",
        "| a    |   12 | 3 |",
        "| b    | missing: a long reason |   |",
    ]


def test_a_wrong_answer_is_named_with_the_number_that_was_sent() -> None:
    with pytest.raises(WrongAnswer, match=r"add_one\(41\) was answered with 41"):
        expect(41, 41)


def test_busy_time_counts_neither_idling_nor_guests_twice() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    # user nice system idle iowait irq softirq steal guest guest_nice
    assert machine.busy_seconds("cpu  1 2 3 1000 1000 4 5 6 500 500\ncpu0 ...") * ticks == pytest.approx(21)


def test_the_cpu_clock_of_a_process_is_its_own() -> None:
    before = machine.cpu_seconds([os.getpid()])
    sum(range(200_000))
    used = machine.cpu_seconds([os.getpid()]) - before
    assert 0 < used < 5


def test_a_package_that_is_absent_is_said_to_be() -> None:
    assert machine.versions(["no-such-distribution-anywhere"]) == {"no-such-distribution-anywhere": "not installed"}


def test_placements_pin_to_one_core_to_two_or_to_none() -> None:
    assert pinning("same", [2, 3]) == ([2], [2])
    assert pinning("two", [2, 3]) == ([2], [3])
    assert pinning("unpinned", [2, 3]) == ((), ())


def test_two_cores_are_missing_on_a_machine_with_one() -> None:
    with pytest.raises(Missing, match="one core"):
        pinning("two", [0])


def test_a_quiet_sample_is_taken_once() -> None:
    client = ScriptedClient(sample(foreign=0.1))
    assert quietest(client, ORDER).foreign == 0.1
    assert client.orders == 1


def test_a_disturbed_sample_is_repeated_and_the_quietest_kept_not_the_fastest() -> None:
    fastest, quiet = sample(calls=9000, foreign=0.9), sample(calls=1000, foreign=0.2)
    client = ScriptedClient(fastest, quiet, sample(calls=5000, foreign=0.5))
    assert quietest(client, ORDER) is quiet
    assert client.orders == 3


def test_a_sample_is_warmed_up_and_told_per_call() -> None:
    client = CountingClient()
    taken = measure(client, ORDER)
    assert client.asked == [("sequential", 0.05, 1), ("sequential", 0.2, 1)]
    assert (taken.calls, taken.rate, taken.p50_us, taken.p99_us) == (4, 1000.0, 2000.0, 50_000.0)


def test_a_window_has_no_latency_of_one_call() -> None:
    client = CountingClient()
    taken = measure(client, Order("outstanding", 0.2, 0.05, 64, []))
    assert client.asked == [("outstanding", 0.05, 64), ("outstanding", 0.2, 64)]
    assert (taken.rate, taken.p50_us, taken.p99_us) == (64_000.0, None, None)


def outcomes(peer: str, *rates: int) -> list[Outcome]:
    return [
        Outcome(peer, "same", number, mode, sample(calls=calls, seconds=1.0))
        for number, calls in enumerate(rates)
        for mode in ("sequential", "outstanding")
    ]


def test_ratios_are_those_to_pyside6_in_the_same_run() -> None:
    plan = Plan(peers=("c-floor", "pyside6-wait"), placements=("same",), rounds=3)
    rows = Report.of(plan, [*outcomes("c-floor", 90, 200, 100), *outcomes("pyside6-wait", 50, 40, 60)]).rows
    assert [row.sequential.ratios["pyside6-wait"] for row in rows] == [2.0, 1.0]
    assert [row.outstanding.ratios["pyside6-watcher"] for row in rows] == [None, None]
    assert [row.sequential.rounds for row in rows] == [3, 3]


def test_a_peer_without_a_sample_keeps_its_row_with_the_reason() -> None:
    plan = Plan(peers=("c-floor", "rpyc"), placements=("same",), rounds=1)
    absent = [Outcome("rpyc", "same", 0, mode, None, "no rpyc here") for mode in ("sequential", "outstanding")]
    table = Report.of(plan, [*absent, *outcomes("c-floor", 90)]).markdown().splitlines()
    (row,) = [line for line in table if line.startswith("| rpyc")]
    assert "missing: no rpyc here" in row
    assert row.count("|") == len(heads(BASES)) + 1


def test_a_mode_that_a_peer_cannot_do_is_a_dash_with_the_reason_below() -> None:
    plan = Plan(peers=("pyro5",), placements=("same",), rounds=1)
    half = [outcomes("pyro5", 90)[0], Outcome("pyro5", "same", 0, "outstanding", None, "its API waits")]
    text = Report.of(plan, half).markdown()
    assert "* pyro5, 64 outstanding: its API waits (same)" in text


def test_operations_are_timed_per_item() -> None:
    passes: list[str] = []

    def operation(name: str) -> int:
        passes.append(name)
        return 1000

    spreads = interleaved({"a": lambda: operation("a"), "b": lambda: operation("b")}, rounds=2, seconds=0.001, seed=1)
    assert set(spreads) == {"a", "b"} == set(passes)
    assert 0 < spreads["a"].low <= spreads["a"].median <= spreads["a"].high < 1e6


def test_every_local_operation_works_on_a_plain_object() -> None:
    class Ticked:
        heard = 0

        def emit(self, value: float) -> None:
            self.heard += 1

    class Thing:
        current = -1.0
        ticked = Ticked()

    for operation, _ in local.OPERATIONS.values():
        assert operation(Thing()) == len(local.VALUES)
    assert Thing.ticked.heard == 2 * len(local.VALUES)


def test_a_role_that_is_not_there_fails_with_its_last_words(tmp_path: Path) -> None:
    with Role("server", "no-such-peer", tmp_path, ()) as role, pytest.raises(Failed, match="ended: KeyError"):
        role.ready()


def test_a_client_without_a_server_fails_instead_of_hanging(tmp_path: Path) -> None:
    with Role("client", "multiprocessing", tmp_path, ()) as role, pytest.raises(Failed, match="FileNotFoundError"):
        role.ready()


def test_a_role_ends_with_its_block(tmp_path: Path) -> None:
    with Role("server", "multiprocessing", tmp_path, ()) as role:
        (process,) = role.ready()
        os.kill(process, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.skipif(shutil.which("cc") is None, reason="the floor is compiled by cc")
def test_the_floor_is_compiled_once_and_answers_every_number(tmp_path: Path) -> None:
    with Role("server", "c-floor", tmp_path, ()) as server:
        processes = server.ready()
        with Role("client", "c-floor", tmp_path, ()) as client:
            client.ready()
            taken = client.sample(Order("outstanding", 0.02, 0.0, 64, processes))
    assert taken.calls % 64 == 0 < taken.calls


def test_a_short_run_gives_rows_for_every_peer_and_valid_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = ["multiprocessing", "c-floor"] if shutil.which("cc") else ["multiprocessing"]
    written = tmp_path / "rpc.json"
    options = ["--rounds", "1", "--seconds", "0.02", "--placement", "same,unpinned", "--json", str(written)]
    assert rpc.main([*options, "--peers", ",".join(peers), "--seed", "7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for peer in peers:
        assert sum(line.startswith(f"| {peer} ") and "missing" not in line for line in lines) == 2
    report = json.loads(written.read_text(encoding="utf-8"))
    assert report["plan"]["seed"] == 7
    assert len(report["rows"]) == len(peers) * 2
    assert all(row["sequential"]["rate"]["median"] > 0 for row in report["rows"])
    assert all(taken["sample"]["calls"] > 0 for taken in report["samples"])


def test_an_unknown_peer_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        rpc.main(["--peers", "corba"])
    assert "'corba' is none of everywire" in capsys.readouterr().err


def test_the_command_lists_its_suites() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert all(suite in done.stderr for suite in SUITES)


def test_every_peer_of_the_table_has_a_module() -> None:
    for entry in PEERS.values():
        assert (ROOT / "benchmarks" / "peers" / f"{entry.module}.py").is_file()


ROOT = Path(__file__).resolve().parent.parent.parent
