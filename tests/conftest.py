"""Rules that hold for every test: async tests on a checked loop, no foreign network, no unexpected skip."""

from __future__ import annotations

import inspect
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

import hypothesis
import pytest

from tests.harness import SOAK, LoopbackOnly, LoopReports, run, soak

ALLOWED_SKIPS: Final[dict[str, str]] = {}
"""Start of a test's id -> why CI may skip it. Every other skip fails there: a test that does not run proves nothing."""

NO_SKIP: Final = os.environ.get("CI") == "true" or os.environ.get("EVERYWIRE_NO_SKIP") == "1"

# deadline: the machine is shared; the 20 s of pytest-timeout hold. too_slow: for the same reason.
_ALL: Final[dict[str, Any]] = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [hypothesis.HealthCheck.too_slow],
}
hypothesis.settings.register_profile("ci", max_examples=50, **_ALL)
hypothesis.settings.register_profile("soak", max_examples=2000, **_ALL)
hypothesis.settings.load_profile("soak" if SOAK else "ci")


# ------------------------------------------------------------------------------------------------- async tests
@pytest.fixture(autouse=True)
def loop_kind(request: pytest.FixtureRequest) -> str:
    """The kind of loop an async test runs on; `@pytest.mark.loops("asyncio", "uvloop")` runs it on each."""
    return getattr(request, "param", "asyncio")


@pytest.fixture(autouse=True)
def loop_reports() -> LoopReports:
    """What the loop's exception handler was told. A test that expects a report takes it out; the rest fails it."""
    return []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("loops")
    if marker is not None:
        metafunc.parametrize("loop_kind", marker.args, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def test_…` by `harness.run`."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    given: dict[str, Any] = pyfuncitem.funcargs
    wanted = {name: given[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def body() -> None:
        await pyfuncitem.obj(**wanted)

    run(body, kind=given["loop_kind"], reports=given["loop_reports"], limit=_limit(pyfuncitem))
    return True


def _limit(item: pytest.Item) -> float | None:
    """Seconds after which the loop itself ends the test: a little before pytest-timeout would; None is never."""
    marker = item.get_closest_marker("timeout")
    option = item.config.getoption("timeout", None)
    default = item.config.getini("timeout") if option is None else option
    seconds = default if marker is None else marker.kwargs.get("timeout", *marker.args[:1])
    return 0.9 * float(seconds) if seconds else None


# -------------------------------------------------------------------------------------------------- other rules
@pytest.fixture(name="soak", scope="session")
def soak_count() -> Callable[[int, int], int]:
    """`soak(small, full)`: how often to do a thing, by whether this is `make soak`."""
    return soak


@pytest.fixture(autouse=True, scope="session")
def _no_foreign_network() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, LoopbackOnly(getattr(socket.socket, name)))
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Architecture first, QtAsyncio's loop and foreign peers last; tests marked `soak` only in `make soak`."""
    if not SOAK:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("soak")])
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if item.path.name == "test_architecture.py":
        return 0
    if item.get_closest_marker("interop"):
        return 3
    # Last of all loops: it leaves something in Qt's queue by which a qasync loop, had it the next turn, would crash.
    callspec = getattr(item, "callspec", None)
    return 2 if callspec is not None and callspec.params.get("loop_kind") == "qtasyncio" else 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Any:
    return _refuse_skip((yield))


def _refuse_skip(report: Any) -> Any:
    """Turn a skip that nobody allowed into a failure, in CI."""
    expected = hasattr(report, "wasxfail") or report.nodeid.startswith(tuple(ALLOWED_SKIPS))
    if NO_SKIP and report.outcome == "skipped" and not expected:
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: {reason}\nA skip fails in CI unless ALLOWED_SKIPS in conftest.py has it"
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that tests recorded by `record_property(name, value)`."""
    passed = terminalreporter.stats.get("passed", [])
    figures = [(report.nodeid, *figure) for report in passed for figure in report.user_properties]
    if figures:
        terminalreporter.section("figures")
    for test, name, value in figures:
        terminalreporter.write_line(f"{test}: {name} = {value}")
