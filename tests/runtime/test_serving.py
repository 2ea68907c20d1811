from __future__ import annotations

import pytest

from everywire import Limits, Policy, serve
from tests.runtime.fakes import FakeWire, Pump


async def test_serve_publishes_one_object_while_the_block_runs() -> None:
    one, two = FakeWire("fake:1"), FakeWire("fake:2")
    policy, limits = Policy(), Limits(pending_calls=3)
    async with serve(Pump(), "pump", on=[one, two], policy=policy, limits=limits) as node:
        assert node.addresses == ("fake:1", "fake:2")
        assert node.limits is limits
        assert node.published["pump"].policy is policy
    assert one.told == ["fake:1 has pump", "fake:1 stops", "fake:1 closes"]
    assert two.told == ["fake:2 has pump", "fake:2 stops", "fake:2 closes"]


async def test_a_block_that_fails_ends_the_serving() -> None:
    wire = FakeWire()
    with pytest.raises(KeyError):
        async with serve(Pump(), "pump", on=[wire]):
            raise KeyError("the block")
    assert wire.told[-1] == "fake:x closes"
