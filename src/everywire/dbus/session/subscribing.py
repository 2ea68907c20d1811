"""Who wants which messages: match rules on the bus as long as somebody wants them, and owners of names followed.

A rule for a well-known sender takes messages of its present owner only. A bus delivers unicast signals without looking
at rules, so whoever sends us one in somebody else's name is found out here (CVE-2024-34397 of GLib was that).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, Final, Protocol

from everywire.dbus.codec import Kind, Message
from everywire.dbus.session.matching import BUS, Match
from everywire.errors import Code, Fault, LinkError
from everywire.runtime.limits import Refusals

OnMessage = Callable[[Message], object]
OnOwner = Callable[[str, str], object]
"""Called with the old and the new unique name; empty: nobody."""

MOST_KNOWN: Final = 1024
"""Headers of signals that are remembered with whom they concern."""
LONGEST_KNOWN: Final = 255
"""Bytes of the longest path of one that is remembered."""
MOST_WAITING: Final = 1024
"""Messages that wait for a slow reader; beyond, the oldest are dropped and counted."""


class Bus(Protocol):
    """What subscriptions need of a connection."""

    is_bus: bool
    refusals: Refusals

    async def owner(self, name: str) -> str:
        """Return the unique name behind *name*; empty when nobody has it."""
        ...

    async def ask_bus(self, member: str, signature: str, *body: Any) -> tuple[Any, ...]:
        """Call the bus itself."""
        ...

    def tell_bus(self, member: str, signature: str, *body: Any) -> None:
        """Call the bus itself, without an answer."""
        ...


class Subscription:
    """What somebody wants, until it is closed."""

    __slots__ = ("_subscriptions", "callback", "followed", "looks_inside", "rule")

    def __init__(self, subscriptions: Subscriptions, rule: Match, callback: OnMessage, followed: str) -> None:
        self._subscriptions, self.rule, self.callback, self.followed = subscriptions, rule, callback, followed
        self.looks_inside = rule.looks_inside

    def close(self) -> None:
        """Want no more; the bus is told when nobody else wants the same. A second call does nothing."""
        self._subscriptions.remove(self)


class Following:
    """Somebody who follows the owner of a name, until it is closed."""

    __slots__ = ("_callback", "_subscriptions", "name")

    def __init__(self, subscriptions: Subscriptions, name: str, callback: OnOwner) -> None:
        self._subscriptions, self.name, self._callback = subscriptions, name, callback

    @property
    def owner(self) -> str:
        """The unique name behind it; empty while nobody has it."""
        return self._subscriptions.owner(self.name)

    def tell(self, old: str, new: str) -> None:
        """Tell about a change."""
        self._callback(old, new)

    def close(self) -> None:
        """Follow no more. A second call does nothing."""
        self._subscriptions.unfollow(self)


class Subscriptions:
    """All of one connection."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self._at_path: dict[str, tuple[Subscription, ...]] = {}
        self._anywhere: tuple[Subscription, ...] = ()
        self._rules: Counter[str] = Counter()
        """How many want each."""
        self._on_bus: Counter[str] = Counter()
        """How often the bus was told each: it wants to be told as often that it is not wanted any more."""
        self._owners: dict[str, str] = {}
        self._former: dict[str, str] = {}
        """Who had each followed name before."""
        self._followers: dict[str, tuple[Following, ...]] = {}
        self._followed: Counter[str] = Counter()
        self._concerned: dict[tuple[str, ...], tuple[tuple[Subscription, bool], ...]] = {}
        """By header: whom such signals may concern, and whether they come from the owner that is wanted."""

    async def add(self, rule: Match, callback: OnMessage) -> Subscription:
        """Call *callback* with each message that matches; returns when the bus has taken the rule."""
        followed = rule.sender if self._bus.is_bus and _is_well_known(rule.sender) else ""
        if not self._bus.is_bus:
            rule = replace(rule, sender="", destination="")
        if followed:
            await self._begin_to_follow(followed)
        made = Subscription(self, rule, callback, followed)
        self._concerned.clear()
        if rule.path:
            self._at_path[rule.path] = (*self._at_path.get(rule.path, ()), made)
        else:
            self._anywhere = (*self._anywhere, made)
        try:
            await self._add_rule(str(rule))
        except BaseException:
            self.remove(made)
            raise
        return made

    def remove(self, subscription: Subscription) -> None:
        """See `Subscription.close`."""
        path = subscription.rule.path
        known = self._at_path.get(path, ()) if path else self._anywhere
        if subscription not in known:
            return
        rest = tuple(other for other in known if other is not subscription)
        self._concerned.clear()
        if not path:
            self._anywhere = rest
        elif rest:
            self._at_path[path] = rest
        else:
            del self._at_path[path]
        self._drop_rule(str(subscription.rule))
        if subscription.followed:
            self._end_following(subscription.followed)

    async def follow(self, name: str, callback: OnOwner) -> Following:
        """Call *callback* whenever the owner of *name* changes; the present one is known when this returns."""
        await self._begin_to_follow(name)
        made = Following(self, name, callback)
        self._followers[name] = (*self._followers.get(name, ()), made)
        return made

    def unfollow(self, following: Following) -> None:
        """See `Following.close`."""
        known = self._followers.get(following.name, ())
        if following not in known:
            return
        self._followers[following.name] = tuple(other for other in known if other is not following)
        self._end_following(following.name)

    def owner(self, name: str) -> str:
        """Return the unique name behind a followed *name*; empty while nobody has it."""
        return self._owners.get(name, "")

    def owned(self, name: str, sender: str) -> bool:
        """Return whether *sender* has *name* or had it last; of a name that is not followed that is not known."""
        return name not in self._owners or sender in (self._owners[name], self._former.get(name))

    def dispatch(self, message: Message) -> None:
        """Give a signal to whom it concerns, in the order in which they began to want it."""
        if message.member == "NameOwnerChanged" and message.sender == BUS and message.interface == BUS:
            self._owner_changed(message)
        key = (message.path, message.member, message.sender, message.interface, message.destination)
        concerned = self._concerned.get(key)
        if concerned is None:
            concerned = self._find(message)
            if len(self._concerned) >= MOST_KNOWN:
                self._concerned.clear()
            if len(message.path) <= LONGEST_KNOWN:
                self._concerned[key] = concerned
        for subscription, genuine in concerned:
            if subscription.looks_inside and not subscription.rule.matches_body(message):
                continue
            if not genuine:
                self._bus.refusals["spoofed"] += 1
                continue
            try:
                subscription.callback(message)
            except Exception as error:  # noqa: BLE001  one observer's failure is not the others'
                self._failed(error)

    # Private.

    def _find(self, message: Message) -> tuple[tuple[Subscription, bool], ...]:
        """Return whom signals with this header may concern, and whether they come from the owner that is wanted."""
        found: list[tuple[Subscription, bool]] = []
        for subscription in (*self._at_path.get(message.path, ()), *self._anywhere):
            rule, followed = subscription.rule, subscription.followed
            if rule.matches_head(message, self._owners.get(followed, "") or "nobody" if followed else None):
                found.append((subscription, True))
            elif followed and rule.matches_head(message, message.sender):
                found.append((subscription, False))
        return tuple(found)

    def _owner_changed(self, message: Message) -> None:
        if message.signature != "sss":
            return
        name, old, new = message.body
        if name not in self._followed:
            return
        self._owners[name] = new
        if old:
            self._former[name] = old
        self._concerned.clear()
        for following in self._followers.get(name, ()):
            self._tell(following.tell, old, new)

    def _tell(self, callback: Callable[..., object], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception as error:  # noqa: BLE001  one observer's failure is not the others'
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._loop.call_exception_handler({"message": "who listens on D-Bus failed", "exception": error})

    async def _begin_to_follow(self, name: str) -> None:
        self._followed[name] += 1
        try:
            await self._add_rule(str(_owner_rule(name)))
            if name not in self._owners:
                found = await self._bus.owner(name)
                self._owners.setdefault(name, found)  # else the bus has told of a change meanwhile
                self._concerned.clear()
        except BaseException:
            self._end_following(name)
            raise

    def _end_following(self, name: str) -> None:
        self._followed[name] -= 1
        self._drop_rule(str(_owner_rule(name)))
        if self._followed[name] <= 0:
            del self._followed[name]
            self._concerned.clear()
            self._owners.pop(name, None)
            self._former.pop(name, None)
            self._followers.pop(name, None)

    async def _add_rule(self, text: str) -> None:
        """Have the bus keep a rule; who wants the same while that is not certain asks too, as it may yet fail."""
        self._rules[text] += 1
        if not self._bus.is_bus or self._on_bus[text]:
            return
        try:
            await self._bus.ask_bus("AddMatch", "s", text)
        except BaseException as error:
            if not isinstance(error, Fault) or error.code is Code.DEADLINE_EXCEEDED:  # else the bus has refused it
                self._bus.tell_bus("RemoveMatch", "s", text)
            raise
        self._on_bus[text] += 1

    def _drop_rule(self, text: str) -> None:
        self._rules[text] -= 1
        if self._rules[text] <= 0:
            del self._rules[text]
            for _ in range(self._on_bus.pop(text, 0)):
                self._bus.tell_bus("RemoveMatch", "s", text)


class MessageStream(AsyncIterator[Message]):
    """Messages as they come; `gap` counts those that a slow reader missed. Ends with the connection, by its error."""

    def __init__(self) -> None:
        self.gap = 0
        self._waiting: deque[Message] = deque()
        self._ready = asyncio.Event()
        self._end: Exception | None = None
        self._subscription: Subscription | None = None

    def bind(self, subscription: Subscription) -> None:
        """Close *subscription* with the stream."""
        self._subscription = subscription

    def put(self, message: Message) -> None:
        """Take a message."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.gap += 1
        self._waiting.append(message)
        self._ready.set()

    def end(self, error: Exception | None) -> None:
        """The connection is gone; None: it was closed here."""
        if self._end is None:
            self._end = error or StopAsyncIteration()
        self._ready.set()

    def __aiter__(self) -> MessageStream:
        return self

    async def __anext__(self) -> Message:
        while not self._waiting:
            if self._end is not None:
                raise self._end
            self._ready.clear()
            await self._ready.wait()
        return self._waiting.popleft()

    async def aclose(self) -> None:
        """Want no more."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()
        self._waiting.clear()
        self.end(None)


def ended_by(error: Exception | None) -> Exception | None:
    """Return why streams end when a connection does: nothing, where it was closed here."""
    return error if error is None or isinstance(error, LinkError) else LinkError(str(error))


def _owner_rule(name: str) -> Match:
    return Match(kind=Kind.SIGNAL, sender=BUS, interface=BUS, member="NameOwnerChanged", args={0: name})


def _is_well_known(name: str) -> bool:
    return bool(name) and not name.startswith(":") and name != BUS
