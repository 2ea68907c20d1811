"""Bytes to values and back, shared by several protocols. Pure: no I/O, no clock."""

from __future__ import annotations

__all__: tuple[str, ...] = ()
