"""What `everywire gen` does with .rep files: written, told apart from other descriptions, and read into Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from everywire.model import Object

LARGEST: Final = 4 << 20
"""Bytes of a description that is read."""


def is_rep(source: str, data: bytes) -> bool:
    """Return whether the description *data* from the file *source* is a .rep file: any other is XML."""
    return source.endswith(".rep") or (source == "-" and not data.lstrip().startswith(b"<"))


def rep_text(classes: Sequence[type[Object]], *, qt5: bool) -> str:
    """Return a .rep file for classes; raise an error that shows what repc would not read."""
    from everywire.errors import ModelError
    from everywire.remoteobjects.rep.describing import rep_of
    from everywire.remoteobjects.rep.older import for_qt5
    from everywire.remoteobjects.rep.parsing import parse
    from everywire.remoteobjects.rep.printing import print_rep
    from everywire.tables import Table

    for cls in classes:
        if issubclass(cls, Table):
            raise ModelError(
                f"{cls.__name__} is a table, which needs no .rep file: a Qt program gets it by acquireModel; "
                "as the value of another object's property it is a MODEL there"
            )
    rep = rep_of(*classes)
    text = print_rep(for_qt5(rep) if qt5 else rep)
    parse(text, "what would be written")
    return text


def python_of_rep(data: bytes, source: str, name: str, interfaces: Sequence[str]) -> str:
    """Return Python classes for a .rep file."""
    from everywire.errors import ModelError
    from everywire.remoteobjects.generating import python_source
    from everywire.remoteobjects.rep.parsing import parse

    if interfaces:
        raise ModelError("--interface is for D-Bus; all classes of a .rep file belong together")
    if len(data) > LARGEST:
        raise ModelError(f"{source} has more than {LARGEST >> 20} MiB, which no .rep file has")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # comments in an old file; repc wants nothing but ASCII elsewhere
    return python_source(parse(text, "standard input" if source == "-" else source), name)
