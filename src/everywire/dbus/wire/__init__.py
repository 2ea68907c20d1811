"""Contracts, names, types and errors as D-Bus has them, and objects on it."""

from __future__ import annotations

__all__ = ()
