"""Failed logins are counted by where they came from; too many are refused for a while, in bounded memory."""

from __future__ import annotations

import pytest

from everywire.errors import Code, Fault
from everywire.runtime.attempts import FORGIVEN_AFTER, MOST_ADDRESSES, MOST_FAILURES, Attempts, origin_of


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def exhausted(attempts: Attempts, address: str = "192.0.2.7:1") -> None:
    for port in range(MOST_FAILURES):
        attempts.check(address)
        attempts.failed(f"{address.rpartition(':')[0]}:{port}")


def test_an_address_that_fails_too_often_is_refused_and_the_others_are_not() -> None:
    attempts = Attempts(Clock())
    exhausted(attempts)
    with pytest.raises(Fault, match="too many logins from this address") as refused:
        attempts.check("192.0.2.7:40000")
    assert refused.value.code is Code.RESOURCE_EXHAUSTED
    attempts.check("192.0.2.8:1")


def test_failures_are_forgotten_one_by_one() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    exhausted(attempts)
    clock.now += FORGIVEN_AFTER
    attempts.check("192.0.2.7:1")
    attempts.failed("192.0.2.7:1")
    with pytest.raises(Fault):
        attempts.check("192.0.2.7:1")
    clock.now += FORGIVEN_AFTER * MOST_FAILURES
    exhausted(attempts)


def test_the_memory_is_bounded_however_many_addresses_fail() -> None:
    attempts = Attempts(Clock())
    exhausted(attempts)
    for number in range(MOST_ADDRESSES - 1):
        attempts.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:1")
    with pytest.raises(Fault):
        attempts.check("192.0.2.7:1")
    for number in range(3 * MOST_ADDRESSES):
        attempts.failed(f"11.{number >> 16}.{number >> 8 & 255}.{number & 255}:1")
    assert len(attempts) == MOST_ADDRESSES


@pytest.mark.parametrize(
    "address,origin",
    [
        ("192.0.2.7:65213", "192.0.2.7"),
        ("[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::/64"),
        ("[fe80::1%eth0]:443", "fe80::/64"),
        ("", ""),
        ("somewhere", "somewhere"),
    ],
)
def test_an_attacker_is_an_ipv4_address_or_an_ipv6_network(address: str, origin: str) -> None:
    assert origin_of(address) == origin
