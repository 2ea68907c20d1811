"""Children of replicas: what a host's references to objects become on one link. Knows no sockets.

A child is bound by the value of its parent's property, and has a channel of its own under the name that the reference
gives it. What a reference says is a stranger's: one that cannot be used is a value that does not fit, and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from everywire.errors import Code, EverywireError, Fault, LinkError, ModelError, RemoteProtocolError, SignatureMismatch
from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.model.building import empty_class
from everywire.model.types import child_type
from everywire.remoteobjects.codec import Dialect, ObjectReference, UserTypes
from everywire.remoteobjects.codec.extension import NAME
from everywire.remoteobjects.codec.references import ReferenceKind, class_in, values_in
from everywire.remoteobjects.codec.registry import REGISTRY
from everywire.remoteobjects.engine import LONGEST_NAME, reply_head
from everywire.remoteobjects.wire.layout import Layout, is_table_class, layout_in, layout_of, read_definition_of
from everywire.remoteobjects.wire.looks import user_types
from everywire.runtime.limits import MOST_NESTED
from everywire.runtime.replica import ChildLink, ReplicaLink

if TYPE_CHECKING:
    from everywire.remoteobjects.wire.replicating import Channel, Link

_KINDS: Final[dict[int, str]] = {ReferenceKind.CLASS: "an object without rows", ReferenceKind.MODEL: "an item model"}

MOST_INNER_MEMBERS: Final = 16_384
"""Of all children of one object: a host's few bytes for a member are thousands here."""
MOST_CLASSES: Final = 256
"""Classes of children that are remembered for one object."""
BUILT: Final = empty_class.__module__
"""Where classes are from that are built because the user has none."""
PLAIN: Final = "QObject"
"""A class without members of its own, which Qt does not describe."""

Offered = tuple[Contract, Layout, UserTypes]
"""What a child offers, where its members are, and the types by C++ name that occur in its values."""


class Classes:
    """What the host has told about classes of children on the present link: Qt describes each only once."""

    def __init__(self) -> None:
        self._known: dict[str, Offered] = {}

    def clear(self) -> None:
        """Forget everything: on another link all is told again."""
        self._known.clear()

    def find(self, channel: Channel, link: Link, reference: ObjectReference, described: type | None) -> Offered:
        """Return what a child offers; raise ModelError or RemoteProtocolError when nobody knows.

        *described* is its class as the host has described it exactly, or as both have generated it from one .rep.
        """
        definition = class_in(reference, link.engine.dialect)
        if definition is None:
            return self._told_before(channel, link, reference, described)
        types = definition.user_types()
        if described is not None:
            contract = contract_of(described)
            layout = layout_in(definition, contract)
            if layout is None:
                raise ModelError(f"its class {contract.name} is not what the host has described")
            offered = contract, layout, types
        else:
            offered = (*read_definition_of(definition, reference.type_name or "Child"), types)
        if reference.type_name not in self._known and len(self._known) >= MOST_CLASSES:
            raise ModelError(f"the host tells of more than {MOST_CLASSES} classes of children")
        self._known[reference.type_name] = offered
        return offered

    def _told_before(
        self, channel: Channel, link: Link, reference: ObjectReference, described: type[Object] | None
    ) -> Offered:
        known = self._known.get(reference.type_name)
        if known is not None and (reference.type_name or _fits(known, reference, link.engine.dialect)):
            return known
        if described is not None:
            contract = contract_of(described)
            return contract, layout_of(contract), user_types(contract) if channel.exact else {}
        if reference.type_name == PLAIN:
            return Contract(PLAIN), Layout(), {}
        raise _unknown(reference)


class Undescribed(ModelError):
    """A child of which the host does not say what it is."""


def _fits(known: Offered, reference: ObjectReference, dialect: Dialect) -> bool:
    """Return whether a child of a class without a name may be of the one that the host has described.

    Qt takes all such classes for one, and describes only the first.
    """
    contract, layout, types = known
    values = values_in(reference, dialect, types)
    properties = contract.of_kind(Kind.PROPERTY)
    if len(values) != len(properties):
        return False
    pairs = ((child_type(member.type), values[layout.properties[member.name]]) for member in properties)
    return all((child is not None) == isinstance(value, ObjectReference) for child, value in pairs)


def _unknown(reference: ObjectReference) -> ModelError:
    if reference.type_name:
        return ModelError(f"the host does not say what a {reference.type_name[:80]!r} is")
    return Undescribed('the host does not say what it is; name its class by Q_CLASSINFO("RemoteObject Type", …)')


class Brood:
    """The children of one replica, over all reconnects; `above` is that of the replica's parent."""

    def __init__(self, channel: Channel, above: Brood | None) -> None:
        self._channel, self._above = channel, above
        self._depth: int = 1 if above is None else above._depth + 1
        self.classes: Classes = Classes() if above is None else above.classes

    def begin(self) -> None:
        """A host begins to tell of the replica: what is known of classes is that of another link."""
        if self._above is None:
            self.classes.clear()

    def take(self, link: Link, member: Member, offered: Member, raw: object) -> Object | None:
        """Return the replica of the child that *raw* refers to, with its values; None when there is none.

        Raises ModelError or SignatureMismatch when it can be no child, or not one as *member* declares it.
        """
        replica = self._channel.replica
        try:
            try:
                child = self._take(link, member, offered, raw)
            except Undescribed as error:  # no fault of the host, which may hold more of interest
                replica.child_lost(member.name, LinkError(str(error)))
                link.misfit(replica.name, f"{member.name}: {error}")
                child = None
            if child is None:
                member.type.convert(None)  # there must be one, perhaps
        except EverywireError as error:
            replica.child_lost(member.name, LinkError(f"{member.name} holds what cannot be used: {error}"))
            if isinstance(error, RemoteProtocolError):
                raise ModelError(str(error)) from error
            raise
        return child

    def _take(self, link: Link, member: Member, offered: Member, raw: object) -> Object | None:
        node, replica = child_type(member.type), self._channel.replica
        if raw is None or (isinstance(raw, ObjectReference) and raw.parameters is None):
            replica.child_lost(member.name, LinkError(f"{replica.name} holds no {member.name} now"))
            return None
        if node is None or not isinstance(raw, ObjectReference) or raw.kind == ReferenceKind.GADGET:
            raise ModelError("the host sends no reference to an object")
        known = replica.children.get(member.name)
        self._check_name(link, raw.name, known)
        own = node.cls is not Object and node.cls.__module__ != BUILT
        if own and is_table_class(node.cls) != (raw.kind == ReferenceKind.MODEL):
            raise ModelError(f"a {node.name} is expected, and the host has {_KINDS[raw.kind]}")
        if raw.kind == ReferenceKind.MODEL:
            return self._take_model(link, member, node.cls if own else None, raw)
        if known is not None and getattr(known.channel, "is_model", False):
            replica.children.pop(member.name).close()  # another kind of object was there before
            known = None
        described = child_type(offered.type) if link.extended or self._channel.exact else None
        contract, layout, types = self.classes.find(
            self._channel, link, raw, None if described is None or described.cls is Object else described.cls
        )
        values = values_in(raw, link.engine.dialect, {**link.engine.types, **types})
        cls = None if node.cls is Object or (node.cls.__module__ == BUILT and described is None) else node.cls
        child = self._link_of(link, member, raw.name, cls, len(contract.members))
        if types:
            link.learn(f"{raw.type_name} of {self._root.replica.name}", types)
        try:
            self._bind(link, child, (contract, layout), values)
        except SignatureMismatch:
            if known is not child or cls is not None:
                raise
            replica.children.pop(member.name).close()  # of no certain class, and now of another
            child = self._link_of(link, member, raw.name, cls, len(contract.members))
            self._bind(link, child, (contract, layout), values)
        return child.instance  # type: ignore[no-any-return]

    def _take_model(self, link: Link, member: Member, cls: type[Object] | None, raw: ObjectReference) -> Object:
        """Return the replica of a table; every peer knows its class."""
        known = self._channel.replica.children.get(member.name)
        if known is not None and not getattr(known.channel, "is_model", False):
            self._channel.replica.children.pop(member.name).close()  # another kind of object was there before
        child = self._link_of(link, member, raw.name, cls)
        values = values_in(raw, link.engine.dialect, link.engine.types)
        self._bind(link, child, (Contract(""), Layout()), values, is_model=True)
        return child.instance  # type: ignore[no-any-return]

    def _link_of(self, link: Link, member: Member, name: str, cls: type[Object] | None, size: int = 0) -> ChildLink:
        """Return the link of the child, which has *size* members, the same as before where it can be."""
        replica = self._channel.replica
        known = replica.children.get(member.name)
        if known is None or cls not in (None, known.cls):
            if self._depth >= MOST_NESTED:
                raise ModelError(f"children of children more than {MOST_NESTED} deep")
            most, (count, members) = link.limits.children, _weigh(self._root.replica)
            if count >= most:
                raise ModelError(f"more than {most} child objects, all the way down: see Limits.children")
            if members + size > MOST_INNER_MEMBERS:
                raise ModelError(f"child objects with more than {MOST_INNER_MEMBERS} members together")
        if known is not None and known.name != name and known.channel is not None:
            known.channel.detach(_gone(known))  # answers come under the name that was called
        return replica.child(member.name, name, cls)

    def _bind(
        self,
        link: Link,
        child: ChildLink,
        offered: tuple[Contract, Layout],
        values: tuple[Any, ...],
        *,
        is_model: bool = False,
    ) -> None:
        channel: Channel | None = child.channel
        if channel is None:
            channel = child.channel = self._channel.of_child(child, is_model=is_model)
        channel.unroute()
        child.remote = link.remote(channel)
        try:
            channel.attach(link, *offered, values, exact=self._channel.exact)
        except EverywireError:
            child.lose(LinkError("its values cannot be used"), _gone(child))
            raise

    def _check_name(self, link: Link, name: str, known: ChildLink | None) -> None:
        """Raise ModelError when the child would take the place of another object of the link."""
        if not name or len(name) > LONGEST_NAME or name in (NAME, REGISTRY):
            raise ModelError(f"{name[:80]!r} is no name for a child object")
        owner = link.engine.routes.get(reply_head(name, link.engine.dialect))
        own = known is not None and known.channel is not None and owner is known.channel.waiting
        if (owner is not None and not own) or name in (link.objects or ()) or self._is_above(name):
            raise ModelError(f"another object is called {name[:80]!r} already")

    def _is_above(self, name: str) -> bool:
        brood: Brood | None = self
        while brood is not None:
            if brood._channel.replica.name == name:
                return True
            brood = brood._above
        return False

    @property
    def _root(self) -> Channel:
        brood = self
        while brood._above is not None:
            brood = brood._above
        return brood._channel


def _weigh(replica: ReplicaLink) -> tuple[int, int]:
    """Return how many children there are, all the way down, and how many members they have together."""
    count = members = 0
    for child in replica.children.values():
        inner, theirs = _weigh(child)
        own = 0 if child.cls is None else len(contract_of(child.cls).members)
        count, members = count + 1 + inner, members + own + theirs
    return count, members


def _gone(child: ChildLink) -> Fault:
    return Fault(Code.UNAVAILABLE, f"{child.name} is gone")
