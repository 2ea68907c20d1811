"""Objects on Qt Remote Objects: names, types and indices of contracts, frames of events, doors of calls. No asyncio."""

from __future__ import annotations

__all__: tuple[str, ...] = ()
