"""Objects over HTTP: REST, event streams, WebSockets, OpenAPI and Thing Descriptions, served and consumed.

`Http` are the settings of the wire, and `asgi` makes an application that mounts anywhere. Needs the extra `http`.
"""

from __future__ import annotations

from importlib.util import find_spec

from everywire.errors import MissingExtra as _MissingExtra

if None in map(find_spec, ("httptools", "starlette", "uvicorn", "websockets")):  # some would be missed only in use
    raise _MissingExtra("http")

from everywire.http.asgi import Mountable, asgi
from everywire.http.settings import Http, Place

__all__ = ("Http", "Mountable", "Place", "asgi")
