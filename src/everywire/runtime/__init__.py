"""How objects live: nodes, the gate, outboxes, replicas and what keeps them linked. Knows wires only by their shape."""

from __future__ import annotations

__all__: tuple[str, ...] = ()
