"""What an object is, before any wire: pure Python, no I/O, no event loop (but for `model/waiting.py`)."""

from __future__ import annotations

from everywire.model.contract import MISSING, Contract, Kind, Member, Missing, Parameter
from everywire.model.events import Call, Caller, Changed, Emitted, Event, Reply, Role
from everywire.model.marks import Range, Unit, Width, f32, i8, i16, i32, i64, u8, u16, u32, u64
from everywire.model.objects import Object
from everywire.model.properties import Computed, Property, computed, prop
from everywire.model.reading import contract_of
from everywire.model.signals import BoundSignal, Signal, signal
from everywire.model.slots import slot

__all__ = (
    "MISSING",
    "BoundSignal",
    "Call",
    "Caller",
    "Changed",
    "Computed",
    "Contract",
    "Emitted",
    "Event",
    "Kind",
    "Member",
    "Missing",
    "Object",
    "Parameter",
    "Property",
    "Range",
    "Reply",
    "Role",
    "Signal",
    "Unit",
    "Width",
    "computed",
    "contract_of",
    "f32",
    "i8",
    "i16",
    "i32",
    "i64",
    "prop",
    "signal",
    "slot",
    "u8",
    "u16",
    "u32",
    "u64",
)
