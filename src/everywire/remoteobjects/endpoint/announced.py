"""Which nodes of this program are in registries, and where: so that a proxy does not show what a proxy showed."""

from __future__ import annotations

from typing import Final

from everywire.remoteobjects.codec.registry import Location
from everywire.runtime.node import Node
from everywire.runtime.proxying import is_proxied

_HERE: Final[dict[str, list[Node]]] = {}


def announce(url: str, node: Node) -> None:
    """Note that registries are told that *node* is at *url*."""
    _HERE.setdefault(url, []).append(node)


def retract(url: str, node: Node) -> None:
    """Note that *node* is not at *url* any more."""
    nodes = _HERE.get(url, [])
    if node in nodes:
        nodes.remove(node)
    if not nodes:
        _HERE.pop(url, None)


def came_from_a_proxy(location: Location) -> bool:
    """Return whether a node of this program shows the object for somebody else."""
    published = [node.published.get(location.name) for node in _HERE.get(location.url, ())]
    return any(publication is not None and is_proxied(publication.object) for publication in published)
