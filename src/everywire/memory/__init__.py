"""The wire without bytes: objects of one program reach each other through the same gate as over any other wire."""

from __future__ import annotations

from everywire.memory.endpoint import Memory

__all__ = ("Memory",)
