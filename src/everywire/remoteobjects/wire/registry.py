"""The object `Registry` of a host: hosts tell it where objects are, and it tells everybody. It dials nobody.

Calls pass the gate as those of any object. What differs is the form of the values, which Qt knows by heart, and that a
claim belongs to the link that made it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Final

from everywire.errors import Code, Fault
from everywire.model import Member, Object, Property, contract_of, prop, signal, slot
from everywire.model.compile import compile_check
from everywire.model.state import Disconnect
from everywire.remoteobjects.codec import (
    CallKind,
    Dialect,
    Init,
    InitDynamic,
    Invoke,
    InvokeReply,
    ObjectInfo,
    UserTypes,
    encode_packet,
)
from everywire.remoteobjects.codec.registry import (
    ADD_SOURCE,
    ADDED,
    REGISTRY,
    REGISTRY_TYPES,
    REMOVE_SERVER,
    REMOVE_SOURCE,
    REMOVED,
    Location,
    registry_definition,
    written_location,
    written_table,
)
from everywire.remoteobjects.engine import invoke_head
from everywire.remoteobjects.rep.marks import CONSTANT
from everywire.remoteobjects.wire.claims import Change, Claims, check_location, check_room
from everywire.remoteobjects.wire.hosting import Listening
from everywire.runtime.gate import Door, current_link
from everywire.runtime.limits import Refusals
from everywire.runtime.node import Publication
from everywire.runtime.policy import Policy

log: Final = logging.getLogger("everywire.registry")


@dataclass(frozen=True)
class Whereabouts:
    """QRemoteObjectSourceLocationInfo: the class of an object, and the URL of its host."""

    type_name: str
    host_url: str


Entry = tuple[str, Whereabouts]


class RegistryObject(Object):
    """Where objects are, by name."""

    source_locations: Property[Annotated[dict[str, Whereabouts], CONSTANT]] = prop(factory=dict)
    """What a listener gets when it comes; `HostedRegistry` makes it of the claims."""

    @signal
    def remote_object_added(self, entry: Entry) -> None:
        """An object can be found."""

    @signal
    def remote_object_removed(self, entry: Entry) -> None:
        """An object can no longer be found."""

    def __init__(self, most_per_link: int, refusals: Refusals) -> None:
        self.claims = Claims()
        self._most, self._refusals = most_per_link, refusals

    @slot
    async def add_source(self, entry: Entry) -> None:
        """Say where an object is; forgotten when the link is lost."""
        link = current_link.get()
        location = Location(entry[0], entry[1].type_name, entry[1].host_url)
        try:
            if REGISTRY not in link.attached:
                problem = "acquire the object Registry first: what is added lasts as long as the replica of it"
                raise Fault(Code.FAILED_PRECONDITION, problem, may_have_run=False)
            check_location(location)
            check_room(self.claims, link, location.name, self._most)
            change = self.claims.add(link, location)
        except Fault as fault:
            self._refusals["registrations"] += 1
            first = self._refusals["registrations"] == 1  # only this one aloud: there may be any number
            level = logging.WARNING if first else logging.DEBUG
            log.log(level, "%s may not register %.80r: %s", link.caller, location.name, fault.message)
            raise
        self.tell(change)

    @slot
    async def remove_source(self, entry: Entry) -> None:
        """Take back what was said about an object, on the link on which it was said."""
        self.tell(self.claims.remove(current_link.get(), entry[0]))

    @slot
    async def remove_server(self, url: str) -> None:
        """Take back all that was said about a host, on the link on which it was said."""
        self.tell(*self.claims.drop(current_link.get(), url))

    def tell(self, *changes: Change) -> None:
        """Tell everybody who listens; what replaces an entry comes behind the news that the old one is gone."""
        for change in changes:
            if change.removed is not None:
                self.remote_object_removed.emit(_entry(change.removed))
            if change.added is not None:
                self.remote_object_added.emit(_entry(change.added))


class HostedRegistry:
    """The registry of one server, for all its links; see `wire.hosting.Hosted`."""

    def __init__(self, registry: RegistryObject, policy: Policy, dialect: Dialect) -> None:
        self.name, self.registry, self.dialect = REGISTRY, registry, dialect
        self.contract = replace(contract_of(registry), name=REGISTRY)
        self.publication = Publication(REGISTRY, registry, self.contract, policy)
        self.links: dict[Listening, None] = {}
        self._doors = {number: self._door(self.contract.members[name]) for name, number in _METHODS.items()}
        self._disconnects: list[Disconnect] = [
            registry.remote_object_added.connect(self._teller(ADDED)),
            registry.remote_object_removed.connect(self._teller(REMOVED)),
        ]

    memo: str = ""

    @property
    def info(self) -> ObjectInfo:
        """The entry in the list of objects."""
        return ObjectInfo(REGISTRY, REGISTRY)

    @property
    def user_types(self) -> UserTypes:
        """What entries are made of."""
        return REGISTRY_TYPES

    @property
    def doors(self) -> tuple[Door, ...]:
        """Every door that leads to the registry."""
        return tuple(self._doors.values())

    def routes(self, *, dynamic: bool) -> dict[bytes, Door]:
        """Return what leads a call's frame head to a door: the same for all listeners."""
        del dynamic
        return {invoke_head(REGISTRY, CallKind.METHOD, n, self.dialect): door for n, door in self._doors.items()}

    def stream(self, name: str) -> Door:
        """Raise Fault(NOT_FOUND): there are no streams."""
        raise Fault(Code.NOT_FOUND, f"{self.name} has no stream {name!r}", may_have_run=False)

    def join(self, link: Listening, *, dynamic: bool, anew: bool) -> bytes:
        """Let *link* hear of changes; return the frame with the whole table."""
        del dynamic
        self.links[link] = None
        values = (written_table(self.registry.claims.locations.values(), self.dialect),)
        if anew:
            return encode_packet(InitDynamic(REGISTRY, registry_definition(self.dialect), values), self.dialect)
        return encode_packet(Init(REGISTRY, values), self.dialect)

    def leave(self, link: Listening) -> None:
        """Drop what *link* has said, and tell the others."""
        self.links.pop(link, None)
        self.registry.tell(*self.registry.claims.drop(link))

    def close(self) -> None:
        """Tell nobody any more, and let nobody in."""
        for disconnect in self._disconnects:
            disconnect()
        self._disconnects.clear()
        for door in self.doors:
            door.shut()

    def _teller(self, index: int) -> Callable[[Entry], None]:
        def tell(entry: Entry) -> None:
            if self.links:
                location = Location(entry[0], entry[1].type_name, entry[1].host_url)
                argument = written_location(location, self.dialect)
                frame = encode_packet(Invoke(REGISTRY, CallKind.METHOD, index, (argument,)), self.dialect)
                for link in self.links:
                    link.outbox.put_notice(frame)  # never dropped: a listener would go to where nothing is any more

        return tell

    def _door(self, member: Member) -> Door:
        return Door(
            REGISTRY,
            member,
            owner=self.registry,
            method=getattr(self.registry, member.name),
            check=compile_check(member),
            reply=lambda token, _value: encode_packet(InvokeReply(REGISTRY, token, None), self.dialect),
            policy=self.publication.policy,
            suspends=False,
            decode=_read_later,
        )


def _read_later(*_frame: object) -> None:
    """Leave a call to the general path: nobody registers a thousand times a second."""


_METHODS: Final = {"add_source": ADD_SOURCE, "remove_source": REMOVE_SOURCE, "remove_server": REMOVE_SERVER}


def _entry(location: Location) -> Entry:
    return location.name, Whereabouts(location.type_name, location.url)
