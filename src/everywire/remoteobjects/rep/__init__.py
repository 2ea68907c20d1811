"""The .rep language of Qt Remote Objects: what it says about members, its texts, and the signatures of its classes."""

from __future__ import annotations

__all__ = ()
