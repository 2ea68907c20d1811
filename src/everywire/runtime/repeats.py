"""`Repeats`: answers of calls by the key that their caller gave, so that a call that is sent again does not run again.

Callers who heard no answer cannot know whether their call ran; with a key they may simply ask again. Bounded in number,
time and bytes; a key whose answer was given up for space is refused, not run.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final

from everywire.errors import Code, Fault
from everywire.runtime.tasks import TaskSet

MOST_KEYS: Final = 4096
"""Keys that are remembered, of all callers."""
MOST_OF_ONE: Final = 512
"""Of one caller, so that it cannot push out the keys of others."""
KEPT_FOR: Final = 600.0
"""Seconds for which an answer is kept."""
MOST_BYTES: Final = 4 * 1024 * 1024
"""Of all answers; the oldest are given up first."""
LONGEST_ANSWER: Final = 64 * 1024
"""A longer answer is not kept; that the call ran is."""


class KeyReused(Fault):
    """The key was given with another call before."""

    def __init__(self) -> None:
        reused = "this key was used for another call; make a new key for each call"
        super().__init__(Code.INVALID_ARGUMENT, reused, may_have_run=False)


class Repeats:
    """Remembers answers; one for each server of a wire."""

    def __init__(self, tasks: TaskSet) -> None:
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._of_one: Counter[str] = Counter()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def once(self, who: str, key: str, call: bytes, run: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """Return what *run* answers, or what it answered when *who* gave *key* first; raise its Fault again.

        *call* tells calls apart. A call that the gate refused is not remembered. Raises KeyReused.
        """
        self._forget_old()
        kept = self._kept.get((who, key))
        if kept is None:
            kept = self._remember(who, key, call)
            self._tasks.spawn(self._run((who, key), kept, run()))
        elif kept.call != call:
            raise KeyReused
        try:
            return await asyncio.shield(kept.answer)
        except Fault as fault:  # a fresh one: what is raised again and again would gather tracebacks
            raise Fault(fault.code, fault.message, may_have_run=fault.may_have_run) from None

    # Private.

    def _remember(self, who: str, key: str, call: bytes) -> _Kept:
        if self._of_one[who] >= MOST_OF_ONE:
            self._forget(next((place for place, kept in self._kept.items() if place[0] == who and kept.over), None))
        elif len(self._kept) >= MOST_KEYS:
            self._forget(next((place for place, kept in self._kept.items() if kept.over), None))
        kept = _Kept(call, self._loop.create_future(), self._loop.time())
        self._kept[who, key] = kept
        self._of_one[who] += 1
        return kept

    async def _run(self, place: tuple[str, str], kept: _Kept, work: Coroutine[Any, Any, bytes]) -> None:
        try:
            answer = await work
        except Fault as fault:
            _settle(kept.answer, fault)
            if not fault.may_have_run:
                self._forget(place)
        except BaseException:
            _settle(kept.answer, Fault(Code.UNAVAILABLE, "the host is closing"))
            self._forget(place)
            raise
        else:
            kept.answer.set_result(answer)
            self._keep(place, kept, len(answer))

    def _keep(self, place: tuple[str, str], kept: _Kept, size: int) -> None:
        if size > LONGEST_ANSWER:
            kept.give_up(self._loop)
            return
        kept.size = size
        self._bytes += size
        for old in self._kept.values():
            if self._bytes <= MOST_BYTES:
                return
            if old is not kept and old.size:
                self._bytes -= old.size
                old.give_up(self._loop)

    def _forget_old(self) -> None:
        now = self._loop.time()
        while self._kept:
            place, kept = next(iter(self._kept.items()))
            if not kept.over or now - kept.since < KEPT_FOR:
                return
            self._forget(place)

    def _forget(self, place: tuple[str, str] | None) -> None:
        kept = None if place is None else self._kept.pop(place, None)
        if place is None or kept is None:
            return
        self._bytes -= kept.size
        self._of_one[place[0]] -= 1
        if not self._of_one[place[0]]:
            del self._of_one[place[0]]


class _Kept:
    """A call with a key, and its answer to be."""

    __slots__ = ("answer", "call", "since", "size")

    def __init__(self, call: bytes, answer: asyncio.Future[bytes], since: float) -> None:
        self.call, self.answer, self.since, self.size = call, answer, since, 0

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self.answer.done()

    def give_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep only that the call ran."""
        self.size = 0
        self.answer = loop.create_future()
        _settle(self.answer, Fault(Code.ABORTED, "this call ran before; its answer is no longer kept"))


def _settle(answer: asyncio.Future[bytes], fault: Fault) -> None:
    answer.set_exception(fault)
    answer.exception()  # perhaps nobody waits; then it is no unheard failure
