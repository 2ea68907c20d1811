"""`serve` for programs without a loop: the object lives in the background, on any wire."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager

from everywire.model import Object
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.node import Node
from everywire.runtime.policy import Policy
from everywire.runtime.serving import serve as serve_in_loop
from everywire.runtime.tokens import Tokens
from everywire.runtime.wires import Wire
from everywire.sync.threads import shared_thread


@contextmanager
def serve(
    source: Object,
    name: str,
    *,
    on: str | Iterable[str | Wire],
    policy: Policy | None = None,
    limits: Limits = DEFAULT_LIMITS,
    tokens: Tokens | None = None,
) -> Generator[Node]:
    """Publish *source* as *name* on the wires *on*, while the `with` block runs; gives the node.

    Its slots run in a thread of their own, to which the object belongs meanwhile: `node.call(setattr, room, "current",
    22.5)` reaches it from here. Raises what `everywire.serve` raises.
    """
    with (
        shared_thread() as thread,
        thread.enter(serve_in_loop(source, name, on=on, policy=policy, limits=limits, tokens=tokens)) as node,
    ):
        yield node
