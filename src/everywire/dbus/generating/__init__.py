"""Files from descriptions: Python classes from interfaces, and what a bus reads about a service. Text only, no I/O."""

from __future__ import annotations

from everywire.dbus.generating.busfiles import Access, activation_file, policy_file
from everywire.dbus.generating.python import python_source

__all__ = ("Access", "activation_file", "policy_file", "python_source")
