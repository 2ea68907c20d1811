"""What describes a host to people and programs: the page, OpenAPI and Thing Descriptions. Handlers only."""

from __future__ import annotations

from typing import Any, Final

from everywire.codec.json import encode
from everywire.http.exchange import Answer, Exchange
from everywire.http.hosting import HttpHost
from everywire.http.openapi import openapi
from everywire.http.page import MEDIA, POLICY, SCRIPT, STYLE, page
from everywire.http.rest import Resources
from everywire.http.things import MEDIA as THING
from everywire.http.things import collection, thing

_BEARER: Final = {"scheme": "bearer", "in": "header", "format": "opaque"}


class Showing:
    """The handlers of one host."""

    def __init__(self, host: HttpHost, rest: Resources) -> None:
        self._host, self._rest = host, rest

    async def page(self, exchange: Exchange) -> Answer:
        """Give the page for people."""
        return Answer(page(self._rest.visible(exchange), root=exchange.root), media=MEDIA, headers=(POLICY,))

    async def script(self, exchange: Exchange) -> Answer:
        """Give the page's script."""
        return Answer(SCRIPT, media=b"text/javascript; charset=utf-8")

    async def style(self, exchange: Exchange) -> Answer:
        """Give the page's style."""
        return Answer(STYLE, media=b"text/css; charset=utf-8")

    async def openapi(self, exchange: Exchange) -> Answer:
        """Give OpenAPI of what the caller may see."""
        security: dict[str, Any] = {}
        if self._host.node.tokens is not None:
            security["bearer"] = {"type": "http", "scheme": "bearer"}
        if self._host.certificates:
            security["certificate"] = {"type": "mutualTLS"}
        return Answer(encode(openapi(self._rest.visible(exchange), root=exchange.root, security=security)))

    async def thing(self, exchange: Exchange, name: str) -> Answer:
        """Give the Thing Description of one object."""
        hosted = self._rest.find(exchange, name)
        found = thing(hosted, base=_base(exchange), security=self._security())
        return Answer(encode(found), media=THING)

    async def well_known(self, exchange: Exchange) -> Answer:
        """Give what the Web of Things looks for first: the only object, or what links to all of them."""
        objects = self._rest.visible(exchange)
        security, base = self._security(), _base(exchange)
        if len(objects) == 1:
            return Answer(encode(thing(objects[0], base=base, security=security)), media=THING)
        return Answer(encode(collection(objects, base=base, security=security)), media=THING)

    def _security(self) -> dict[str, Any]:
        """Return the scheme by name; client certificates have none in Thing Descriptions."""
        return {"nosec": {"scheme": "nosec"}} if self._host.node.tokens is None else {"bearer": _BEARER}


def _base(exchange: Exchange) -> str:
    """Return the URL of our root as the client has it; its Host was found good."""
    scheme = "https" if exchange.encrypted else "http"
    return f"{scheme}://{exchange.text(b'host') or 'localhost'}{exchange.root}/"
