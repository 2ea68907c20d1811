from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from everywire import Limits
from everywire.runtime.limits import DEFAULT_LIMITS, KIB, MIB, Refusals, SlowPeer

ROOT: Final = Path(__file__).resolve().parents[2]


def test_every_bound_can_be_changed_by_name_and_none_afterwards() -> None:
    limits = Limits(**dict.fromkeys((field.name for field in dataclasses.fields(Limits)), 7))
    assert set(dataclasses.asdict(limits).values()) == {7}
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(limits, "frame", 8)  # noqa: B010  type checkers refuse the plain one


def test_the_defaults_are_ordered_as_they_must_be() -> None:
    limits = DEFAULT_LIMITS
    assert limits.frame_before_authentication < limits.frame < limits.unsent_hard
    assert limits.unsent_soft < limits.unsent_hard
    assert limits.connections_per_address <= limits.connections_per_user <= limits.connections
    assert (limits.frame_before_authentication, limits.unsent_hard) == (16 * KIB, 16 * MIB)
    assert limits.slow_peer is SlowPeer.DROP_OLDEST


def test_refusals_count_by_name() -> None:
    refusals = Refusals()
    refusals["frame"] += 1
    assert (refusals["frame"], refusals["never"]) == (1, 0)


def test_the_page_of_limits_is_made_of_them() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "limits.py", "--check"], check=False)
    assert done.returncode == 0, "docs/limits.md is not of today: python tools/limits.py writes it"
