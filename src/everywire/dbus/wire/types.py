"""Types and values between contracts and D-Bus: the names that other modules use. The work is done beside it.

`signatures.py` knows which signature a type has, `lowering.py` and `lifting.py` compile the coders of values,
`untyped.py` and `variants.py` those of type Any, `markers.py` has the types that only D-Bus has.
"""

from __future__ import annotations

from everywire.dbus.wire.coding import Coder, same
from everywire.dbus.wire.lifting import compile_lift, compile_lift_fds
from everywire.dbus.wire.lowering import Fds, compile_lower, compile_lower_fds
from everywire.dbus.wire.markers import PATH, SIGNATURE, ObjectPath, Signature
from everywire.dbus.wire.signatures import (
    TYPE_TABLE,
    VARIANT_TABLE,
    TypeRow,
    body_signature,
    one_type,
    result_types,
    signature_of,
    type_of_signature,
    types_of_signature,
)
from everywire.dbus.wire.variants import value_of, variant_of
from everywire.model.types import holds_handle as carries_descriptors

__all__ = (
    "PATH",
    "SIGNATURE",
    "TYPE_TABLE",
    "VARIANT_TABLE",
    "Coder",
    "Fds",
    "ObjectPath",
    "Signature",
    "TypeRow",
    "body_signature",
    "carries_descriptors",
    "compile_lift",
    "compile_lift_fds",
    "compile_lower",
    "compile_lower_fds",
    "one_type",
    "result_types",
    "same",
    "signature_of",
    "type_of_signature",
    "types_of_signature",
    "value_of",
    "variant_of",
)
