"""Types that annotations name where D-Bus has a type of its own and Python has none: paths and signatures.

File descriptors are the third: `everywire.transport.descriptors.UnixFd` names its node itself. Other wires carry
`ObjectPath` and `Signature` as the texts that they are, and refuse a member with a `UnixFd` at publish.
"""

from __future__ import annotations

from typing import Annotated, Final

from everywire.dbus.codec import check_path, check_signature
from everywire.model.types import Exact, Form

PATH: Final = Exact(str, Form("o", check_path, "/"))
"""The type of object paths."""
SIGNATURE: Final = Exact(str, Form("g", check_signature, ""))
"""The type of signatures."""

# `typing` keeps what it has made by equality, in which both types are plain text; so each names its form beside.
ObjectPath = Annotated[str, PATH.form, PATH]
"""A text that is an object path, ``o`` on the wire: ``Property[ObjectPath]``. Another text is a ModelError."""
Signature = Annotated[str, SIGNATURE.form, SIGNATURE]
"""A text that is a signature, ``g`` on the wire. Another text is a ModelError."""
