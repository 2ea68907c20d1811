"""Starlette's router: paths to resources, below whatever path the application is mounted at; methods are theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.routing import BaseRoute, Route, Router, WebSocketRoute


def make_router(resources: Mapping[str, Any], sockets: Mapping[str, Any], absent: Any) -> Any:
    """Return the ASGI application that gives a request to the resource of its path, and all others to *absent*."""
    routes: list[BaseRoute] = [Route(path, endpoint=resource) for path, resource in resources.items()]
    routes += [WebSocketRoute(path, endpoint=resource) for path, resource in sockets.items()]
    return Router(routes, redirect_slashes=False, default=absent)
