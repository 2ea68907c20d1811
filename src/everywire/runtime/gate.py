"""The only door through which a remote call reaches an object: limit, authorize, validate, invoke, check result.

A wire binds each callable member to a `Door` when its object is published. What a link received becomes a list of
events, and one driver coroutine takes the whole list through the gate: a slot that cannot suspend is awaited in place,
any other gets a task. Nothing here is done per call that could be done per chunk or per publish, because this is the
path of every call.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from typing import Any, Final, Protocol

import msgspec

from everywire.errors import Code, Fault, ModelError, OutOfRange
from everywire.model import Call, Caller, Member, Object, Role
from everywire.runtime import audit
from everywire.runtime.policy import Policy

log: Final = logging.getLogger("everywire.gate")


class Door:
    """All that is known about one callable member of one published object; made once, at publish.

    `check` takes the decoded arguments and returns them checked. `reply` makes the frame of a result, checking that it
    fits; it gets the token by which the caller knows its call, and a negative token wants no reply. `decode` belongs
    to the wire's engine.
    """

    __slots__ = ("check", "decode", "member", "method", "name", "owner", "policy", "reply", "suspends", "timeout")

    def __init__(
        self,
        name: str,
        member: Member,
        *,
        owner: Object,
        method: Callable[..., Awaitable[Any]],
        check: Callable[[tuple[Any, ...]], tuple[Any, ...]],
        reply: Callable[[Any, Any], bytes],
        policy: Policy,
        suspends: bool,
        decode: Any = None,
    ) -> None:
        self.name, self.member, self.owner, self.policy = name, member, owner, policy
        self.method, self.check, self.reply, self.decode = method, check, reply, decode
        self.suspends, self.timeout = suspends, member.timeout

    def shut(self) -> None:
        """Let nobody through any more, whatever a link remembers: the object was taken back."""
        self.policy = _NOBODY


_NOBODY: Final = Policy(role=lambda _: Role.STRANGER, revision=-1)


class Invoked(msgspec.Struct, frozen=True, gc=False):
    """A call arrived: its door, its decoded arguments, and the token its reply must carry (negative: none wanted)."""

    door: Door
    arguments: tuple[Any, ...]
    token: Any


class Asking(Protocol):
    """Who asks, and what it was permitted before."""

    caller: Caller
    granted: dict[Door, int]
    """Doors that the caller may use, with the revision of the policy that said so."""


class Inbound(Asking, Protocol):
    """What the gate needs of a link that calls arrive on."""

    door: Door | None
    """The door whose slot runs in place now, for `current_call`."""
    credit: int
    """Calls that may start before `exhausted` is asked; zero while the link must not be served."""

    def stalled(self) -> bool:
        """Say whether to stop at an event that is no call: at the limit of running calls those still come through."""
        ...

    frames: list[bytes]

    def exhausted(self) -> bool:
        """Say whether to stop here; otherwise credit was renewed."""
        ...

    def keep(self, rest: Iterable[Any]) -> None:
        """Keep the *rest* of a chunk until the link may be served again."""
        ...

    def start(self, door: Door, arguments: tuple[Any, ...], token: Any) -> None:
        """Run a slot that may suspend in a task of its own."""
        ...

    def refused(self, door: Door, token: Any, fault: Fault) -> None:
        """Answer with *fault*."""
        ...

    def other(self, event: Any) -> None:
        """Handle an event that is not a call."""
        ...


class CurrentCall(msgspec.Struct, frozen=True):
    """What a slot may ask about the call it serves."""

    caller: Caller
    object: str
    member: Member


current_link: ContextVar[Any] = ContextVar("current_link", default=None)
"""The inbound link whose chunk is driven, or the CurrentCall of a slot that has a task of its own."""


def current_call() -> CurrentCall:
    """Return who calls the running slot, and which; raise LookupError outside of a remote call."""
    found = current_link.get()
    if isinstance(found, CurrentCall):
        return found
    door: Door | None = getattr(found, "door", None)
    if door is None:
        raise LookupError("current_call() is for slots that a remote caller has called")
    return CurrentCall(found.caller, door.name, door.member)


async def drive(link: Inbound, events: Iterable[Any]) -> None:
    """Take the *events* of one chunk through the gate, in order; never suspends itself."""
    granted = link.granted.get
    append = link.frames.append
    remaining = iter(events)
    for event in remaining:
        if type(event) is not Invoked:
            if link.credit <= 0 and link.stalled():
                link.keep((event, *remaining))
                return
            link.credit -= 1
            link.other(event)
            continue
        door, token = event.door, event.token
        try:
            if link.credit <= 0 and link.exhausted():
                link.keep((event, *remaining))
                return
            link.credit -= 1
            if granted(door) != door.policy.revision:
                authorize(link, door, event.arguments)
            try:
                arguments = door.check(event.arguments)
            except ModelError as error:
                link.refused(door, token, invalid(error))
                continue
            if door.suspends:
                link.start(door, arguments, token)
                continue
            link.door = door
            value = await door.method(*arguments)
            if token >= 0:
                append(door.reply(token, value))
        except Exception as error:  # noqa: BLE001  one slot's failure must not lose the calls behind it
            link.refused(door, token, fault_of(error, door))
        except BaseException as error:
            link.refused(door, token, fault_of(error, door))
            if not isinstance(error, asyncio.CancelledError):  # the program is told to end; it may go on after all
                link.keep(remaining)
                raise


def run_to_end(driver: Any) -> None:
    """Run a driver coroutine, which never suspends, to its end."""
    try:
        driver.send(None)
    except StopIteration:
        return
    driver.close()
    raise RuntimeError("a slot that cannot suspend has suspended")


def authorize(link: Asking, door: Door, arguments: tuple[Any, ...]) -> None:
    """Raise Fault unless the caller may use *door*; remember a permission on the link, never a refusal."""
    policy, caller = door.policy, link.caller
    revision = policy.revision  # read first: a change during the question makes the answer old
    seen = policy.sees(caller)
    if seen and policy.allows(caller, door.member):
        link.granted[door] = revision
        return
    call = Call(door.name, door.member, arguments, caller)
    audit.denied("call", caller, object=call.target, member=call.member.name, seen=seen)
    if policy.hide or not seen:
        raise Fault(Code.NOT_FOUND, "no such object or member", may_have_run=False)  # the words for what is not there
    raise Fault(Code.PERMISSION_DENIED, f"{door.name}.{door.member.name} is not allowed", may_have_run=False)


def invalid(error: ModelError) -> Fault:
    """Return the Fault for arguments that do not fit."""
    code = Code.OUT_OF_RANGE if isinstance(error, OutOfRange) else Code.INVALID_ARGUMENT
    return Fault(code, str(error), may_have_run=False)


def fault_of(error: BaseException, door: Door) -> Fault:
    """Return the Fault that answers a call that ended with *error*; details stay in this host's log, under an id."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, asyncio.CancelledError):
        return Fault(Code.CANCELLED, f"{door.member.name} was cancelled")
    token = uuid.uuid4().hex[:8]
    log.error("%s.%s failed [%s]", door.name, door.member.name, token, exc_info=error)
    return Fault(Code.UNKNOWN, f"{type(error).__name__} in {door.member.name} (id {token} in the host's log)")
