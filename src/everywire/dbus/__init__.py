"""D-Bus: objects, signals and slots on a bus and from peer to peer."""

from __future__ import annotations
