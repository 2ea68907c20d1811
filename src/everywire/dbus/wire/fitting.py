"""Whether an object on D-Bus is what a class expects: each member found in the object's interfaces, or said why not.

Types are looser than between two everywire ends, for a foreign service knows only those of D-Bus: an `Enum` takes ``s``
or a number, a dataclass ``(ids)`` or ``a{sv}``, an ``int`` every whole number (`types.compile_lift` decides).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from everywire.dbus.introspection import Interface
from everywire.dbus.wire.contracts import Place, member_name, placed
from everywire.dbus.wire.declaring import Declared
from everywire.dbus.wire.described import Description, described, is_common
from everywire.dbus.wire.replicating import OBJECT, View
from everywire.dbus.wire.types import body_signature
from everywire.errors import SignatureMismatch
from everywire.model import Contract, Kind, Member
from everywire.model.contract import DEFAULT_TIMEOUT
from everywire.runtime.matching import differences

TIMEOUT: Final = 25.0
"""Seconds that a foreign method may take where nothing says otherwise, as in libdbus."""


def is_ours(interfaces: Iterable[Interface]) -> bool:
    """Return whether an object with *interfaces* is one of everywire."""
    return any(interface.name == OBJECT for interface in interfaces)


def own_interfaces(interfaces: Iterable[Interface], only: str = "") -> tuple[Interface, ...]:
    """Return the interfaces that make an object what it is; *only* the one of that name, if given."""
    return tuple(i for i in interfaces if (i.name == only if only else not is_common(i.name)))


def foreign_description(interfaces: Iterable[Interface]) -> Description:
    """Return what a foreign object offers, with the deadlines that D-Bus has by default."""
    found = described(interfaces)
    members = {name: _with_timeout(member) for name, member in found.contract.members.items()}
    return Description(replace(found.contract, members=members), found.places)


def assumed(wanted: Contract, interface: str) -> Description:
    """Return what an object offers that does not describe itself, if it is what a class expects in *interface*."""
    places = placed(wanted, interface)
    return Description(Contract(wanted.name, {name: wanted.members[name] for name in places}), places)


def fit_host(where: str, exact: Contract, description: Description, wanted: Contract | None) -> View:
    """Return the view of an object of everywire, whose *exact* contract is known; raise SignatureMismatch."""
    expected = wanted or exact
    if found := differences(expected, exact):
        raise SignatureMismatch(f"{where} is not a {expected.name}:", found)
    pairs: list[tuple[Member, Place]] = []
    missing: list[str] = []
    for name, member in expected.members.items():
        if member.stream:
            continue
        told = exact.members[name]
        named = (description.find(told, name=known) for known in (told.wire_name, member_name(told)) if known)
        here = next((found for found in named if found is not None), None) or description.find(told)
        if here is None:
            missing.append(f"{member.kind.value} {name} is in no interface")
        else:
            pairs.append((member, description.places[here]))
    return _checked(where, View(expected, exact, pairs), missing)


def fit_foreign(
    where: str,
    description: Description,
    wanted: Contract | None,
    declared: Mapping[str, Declared] | None = None,
    interface: str = "",
) -> View:
    """Return the view of an object of another program; raise SignatureMismatch.

    Of *wanted* a member is looked up where its class has *declared* it, else in *interface*, else in all interfaces.
    A signal whose interface is declared need not be announced: services in dynamic languages emit what they do not
    describe, and to hear of it is to ask nothing of them.
    """
    if wanted is None:
        return _whatever_fits(description)
    pairs: list[tuple[Member, Place]] = []
    missing: list[str] = []
    for name, member in wanted.members.items():
        at = (declared or {}).get(name)
        here = description.find(member, at.interface if at else interface, at.name if at else "")
        if here is None and at is not None and member.kind is Kind.SIGNAL:
            pairs.append((member, _unannounced(member, at)))
            continue
        if here is None or member.stream:
            missing.append(_missing(member, description, at.interface if at else interface))
            continue
        if member.writable and not description.contract.members[here].writable:
            missing.append(f"expected {member}, offered {description.contract.members[here]}")
        pairs.append((member, description.places[here]))
    interfaces = sorted({place.interface for place in description.places.values()})
    told = f" with {', '.join(interfaces)}" if interfaces else " and has no interface of its own"
    return _checked(f"{where}{told}", View(wanted, None, pairs), missing)


# Private.


def _unannounced(member: Member, at: Declared) -> Place:
    signature = body_signature(parameter.type for parameter in member.parameters)
    return Place(at.interface, at.name or member_name(member), signature)


def _with_timeout(member: Member) -> Member:
    slow = member.kind is Kind.SLOT and member.timeout == DEFAULT_TIMEOUT
    return replace(member, timeout=TIMEOUT) if slow else member


def _missing(member: Member, description: Description, interface: str) -> str:
    if member.stream:
        return f"{member.kind.value} {member.name} is missing: only hosts of everywire have streams"
    candidates = description.candidates(member.name)
    if len(candidates) > 1 and not interface:
        several = ", ".join(f"{place.interface}.{place.name}" for place in candidates)
        return f"{member.kind.value} {member.name} could be {several}: say which with interface="
    within = f" in {interface}" if interface else ""
    return f"{member.kind.value} {member.name} is missing{within}"


def _checked(where: str, view: View, missing: list[str]) -> View:
    if missing or view.misfits:
        raise SignatureMismatch(f"{where} is not a {view.contract.name}:", (*missing, *view.misfits))
    return view


def _whatever_fits(description: Description) -> View:
    """Return the view of whoever has no class: a member that cannot be used is no reason to do without the others."""
    offered = description.contract
    pairs = [(member, description.places[name]) for name, member in offered.members.items()]
    view = View(offered, None, pairs)
    if view.misfits:
        members = {name: member for name, member in offered.members.items() if name not in view.unusable}
        view.contract = replace(offered, members=members)
    return view
