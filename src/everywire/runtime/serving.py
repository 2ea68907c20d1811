"""`serve`: publish one object in three lines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from everywire.model import Object
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.node import Node
from everywire.runtime.policy import Policy
from everywire.runtime.wires import Wire

if TYPE_CHECKING:
    from everywire.runtime.tokens import Tokens


@asynccontextmanager
async def serve(
    source: Object,
    name: str,
    *,
    on: str | Iterable[str | Wire],
    policy: Policy | None = None,
    limits: Limits = DEFAULT_LIMITS,
    tokens: Tokens | None = None,
) -> AsyncGenerator[Node, None]:
    """Publish *source* as *name* on the wires *on*, one URL or several, while the block runs; gives the node.

    Raises what `Node.publish` and `Node.serve` raise.
    """
    async with Node(limits=limits, tokens=tokens) as node:
        node.publish(source, name, policy=policy)
        await node.serve(*((on,) if isinstance(on, str) else on))
        yield node
