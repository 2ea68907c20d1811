"""What the tests of promises are given: one way to tell a figure and hold it to what was promised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

PROMISES: Final = {
    "declared": "R3",
    "stalled": "R1",
    "mutations": "R4",
    "fuzzing": "R4",
    "bombs": "R5",
    "calls_in_flight": "R7",
    "restarts": "R8",
    "herd": "R9",
    "silent": "R14",
    "before_login": "R15",
    "users": "R16",
    "names": "R28",
    "limits": "limit",
}
"""Module of tests -> the promise that it holds."""


class Figures:
    """Tells figures, which the end of a run lists, and fails the test where one is beyond its promise."""

    def __init__(self, promise: str, record: Callable[[str, object], None]) -> None:
        self._promise, self._record = promise, record

    def __call__(self, what: str, value: float, unit: str = "", *, at_most: float | None = None) -> None:
        """Tell that *what* is *value*, and that no more than *at_most* was promised."""
        shown = f"{value if isinstance(value, int) else format(value, '.4g')} {unit}".strip()
        if at_most is not None:
            shown += f" (at most {at_most:g})"
        self._record(f"{self._promise}: {what}", shown)
        assert at_most is None or value <= at_most, f"{self._promise}: {what} is {shown}"


@pytest.fixture
def figure(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Figures:
    """`figure("growth", 3.2, "MiB", at_most=24)`."""
    module = request.path.stem.removeprefix("test_")
    return Figures(PROMISES[module], record_property)
