"""Classes built from contracts, for replicas whose class is not at hand: attributes, docstrings and signatures."""

from __future__ import annotations

from typing import Any

from everywire.errors import Code, Fault
from everywire.model.contract import MISSING, Contract, Kind, Member
from everywire.model.names import is_public
from everywire.model.objects import Object
from everywire.model.properties import Property
from everywire.model.reading import set_contract
from everywire.model.signals import Signal
from everywire.model.slots import MARK


def build_class(contract: Contract) -> type[Object]:
    """Return a class with the members of *contract*.

    Names from a wire enter as data, never as source. A member whose name is no public identifier becomes no attribute;
    `members(replica)[name]` reaches it.
    """
    cls = empty_class(contract.name, contract.doc)
    fill_class(cls, contract)
    return cls


def empty_class(name: str, doc: str) -> type[Object]:
    """Return a class for `fill_class`; until then types of members may name it already, its own among them."""
    return type(name if is_public(name) else "Replica", (Object,), {"__doc__": doc, "__module__": __name__})


def fill_class(cls: type[Object], contract: Contract) -> None:
    """Give a class of `empty_class` the members of *contract*."""
    handles = {name: _handle(member) for name, member in contract.members.items()}
    for name, handle in handles.items():
        if not hasattr(handle, MARK):
            handle.__set_name__(cls, name)
        if is_public(name):
            setattr(cls, name, handle)
    cls.__everywire_declared__ = handles
    set_contract(cls, contract)


def _handle(member: Member) -> Any:
    if member.kind is Kind.PROPERTY:
        return Property[Any](
            MISSING,
            lambda: member.type.zero,
            writable=member.writable,
            unit=member.unit,
            minimum=None,
            maximum=None,
            doc=member.doc,
            number=member.number,
        )
    if member.kind is Kind.SIGNAL:

        def signal(*_arguments: Any) -> None:
            """Declare only."""

        return Signal[*tuple[Any, ...]](_documented(signal, member))

    async def slot(*_arguments: Any, **_named: Any) -> Any:
        raise Fault(Code.UNIMPLEMENTED, f"{member.name} is only known by its contract", may_have_run=False)

    setattr(slot, MARK, member.timeout)
    return _documented(slot, member)


def _documented(function: Any, member: Member) -> Any:
    function.__name__ = function.__qualname__ = member.name
    function.__doc__ = member.doc
    return function
