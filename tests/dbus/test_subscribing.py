"""Whom a signal concerns: what is remembered by its header goes with every change. And calls given up in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from everywire import Code, Fault
from everywire.dbus.codec import Kind, Message
from everywire.dbus.session.matching import BUS, BUS_PATH, Match
from everywire.dbus.session.subscribing import LONGEST_KNOWN, MOST_KNOWN, Subscriptions
from everywire.dbus.session.timeouts import Timeouts
from everywire.runtime.limits import Refusals

SERVICE = "org.acme.Plant"


class Bus:
    """A bus on which :1.1 owns the service, and which takes every rule."""

    is_bus = True

    def __init__(self) -> None:
        self.refusals = Refusals()

    async def ask_bus(self, member: str, signature: str, *body: Any) -> tuple[Any, ...]:
        return ()

    async def owner(self, name: str) -> str:
        return ":1.1"

    def tell_bus(self, member: str, signature: str, *body: Any) -> None:
        """Take a rule back."""


def signal(*body: Any, sender: str = ":1.1", path: str = "/hall", member: str = "Moved") -> Message:
    return Message(kind=Kind.SIGNAL, sender=sender, path=path, interface="org.acme.Plant1", member=member, body=body)


def owner_changed(old: str, new: str) -> Message:
    return Message(
        kind=Kind.SIGNAL,
        sender=BUS,
        path=BUS_PATH,
        interface=BUS,
        member="NameOwnerChanged",
        signature="sss",
        body=(SERVICE, old, new),
    )


async def test_the_same_header_is_genuine_only_as_long_as_its_sender_owns_the_name() -> None:
    bus, heard = Bus(), list[Any]()
    subscriptions = Subscriptions(bus)
    await subscriptions.add(Match(sender=SERVICE, path="/hall"), heard.append)
    first, second = signal(1), signal(2, sender=":1.2")
    for message in (first, second, owner_changed(":1.1", ":1.2"), first, second):
        subscriptions.dispatch(message)
    assert heard == [first, second]
    assert bus.refusals["spoofed"] == 2


async def test_arguments_are_looked_at_in_every_message() -> None:
    subscriptions, heard = Subscriptions(Bus()), list[Any]()
    await subscriptions.add(Match(path="/hall", args={0: "up"}), heard.append)
    for text in ("up", "down", "up", "down"):
        subscriptions.dispatch(signal(text))
    assert [message.body for message in heard] == [("up",), ("up",)]


async def test_a_subscription_counts_from_the_next_signal_on_and_until_it_is_closed() -> None:
    subscriptions, heard = Subscriptions(Bus()), list[str]()
    subscriptions.dispatch(signal())
    somewhere = await subscriptions.add(Match(member="Moved"), lambda _: heard.append("anywhere"))
    subscriptions.dispatch(signal())
    await subscriptions.add(Match(path="/hall"), lambda _: heard.append("here"))
    subscriptions.dispatch(signal())
    somewhere.close()
    subscriptions.dispatch(signal())
    assert heard == ["anywhere", "here", "anywhere", "here"]


async def test_headers_of_strangers_are_remembered_in_bounds() -> None:
    subscriptions, heard = Subscriptions(Bus()), list[Any]()
    await subscriptions.add(Match(interface="org.acme.Plant1"), heard.append)
    for number in range(2 * MOST_KNOWN + 1):
        subscriptions.dispatch(signal(sender=f":1.{number}"))
    assert len(heard) == 2 * MOST_KNOWN + 1
    assert len(subscriptions._concerned) <= MOST_KNOWN
    known = dict(subscriptions._concerned)
    subscriptions.dispatch(signal(path="/" + "a" * LONGEST_KNOWN))
    assert len(heard) == 2 * MOST_KNOWN + 2
    assert subscriptions._concerned == known


# Calls that are given up.


async def test_each_call_is_given_up_at_its_own_time() -> None:
    loop = asyncio.get_running_loop()
    timeouts, calls = Timeouts(loop), {name: loop.create_future() for name in ("late", "early", "answered", "patient")}
    order: list[str] = []
    for number, (name, seconds) in enumerate({"late": 0.06, "early": 0.01, "answered": 0.02, "patient": 60.0}.items()):
        calls[name].add_done_callback(lambda _, name=name: order.append(name))
        timeouts.add(number, seconds, calls[name])
    calls["answered"].set_result(None)
    timeouts.discard(2)
    begun = loop.time()
    await asyncio.wait([calls["late"], calls["early"]])
    assert loop.time() - begun >= 0.05
    assert order == ["answered", "early", "late"]
    for name in ("late", "early"):
        with pytest.raises(TimeoutError):
            calls[name].result()
    assert not calls["patient"].done()
    timeouts.close()
    assert timeouts._timer is None


async def test_a_call_that_was_done_meanwhile_is_let_be() -> None:
    loop = asyncio.get_running_loop()
    timeouts, done, other = Timeouts(loop), loop.create_future(), loop.create_future()
    timeouts.add(1, 0.0, done)
    timeouts.add(2, 0.0, other)
    done.set_result("answered")
    with pytest.raises(TimeoutError):
        await other
    assert done.result() == "answered"
    assert timeouts._timer is None


async def test_an_owner_that_the_bus_does_not_tell_is_not_nobody() -> None:
    class Silent(Bus):
        async def owner(self, name: str) -> str:
            raise Fault(Code.DEADLINE_EXCEEDED, "the bus did not answer")

    subscriptions = Subscriptions(Silent())
    with pytest.raises(Fault, match="did not answer"):
        await subscriptions.follow(SERVICE, lambda old, new: None)
    assert not subscriptions._followed
    assert not subscriptions._rules
