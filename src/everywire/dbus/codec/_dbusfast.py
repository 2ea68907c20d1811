"""What we use of dbus-fast: its variants, and its writer of bodies.

Not its reader: a malformed body can end the process (version 5.2, in the compiled part), and it checks little of what a
peer sends. `bodies.py` reads as fast what comes often, but for large dicts.
"""

from __future__ import annotations

import struct
from typing import Any

from dbus_fast import Variant
from dbus_fast._private.marshaller import Marshaller

from everywire.dbus.codec.signatures import layout_of, parse_signature
from everywire.errors import ModelError

__all__ = ("Variant", "marshal")


def marshal(signature: str, body: tuple[Any, ...] | list[Any]) -> bytes:
    """Return *body* as bytes; raise ModelError when it does not fit *signature*."""
    layout = layout_of(signature, "<")
    try:
        if layout is not None:
            return layout.pack(*body)
        if len(body) == len(parse_signature(signature)):
            return bytes(Marshaller(signature, list(body)).marshall())
    except struct.error as error:
        if len(body) == len(parse_signature(signature)):
            raise ModelError(f"values do not fit the signature {signature!r}: {error}") from None
    except Exception as error:  # noqa: BLE001  dbus-fast raises what the struct module, str and dict raise
        raise ModelError(f"values do not fit the signature {signature!r}: {error}") from None
    raise ModelError(f"{len(body)} values where the signature {signature!r} has {len(parse_signature(signature))}")
