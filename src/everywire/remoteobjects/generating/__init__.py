"""Files from descriptions: Python classes from a .rep file. Text only, no I/O."""

from __future__ import annotations

from everywire.remoteobjects.generating.python import python_source

__all__ = ("python_source",)
