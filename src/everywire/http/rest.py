"""Objects as resources: their lists, values, writes and calls. Each handler takes an exchange and gives an answer."""

from __future__ import annotations

import hashlib
from typing import Any, Final
from urllib.parse import quote

from everywire.codec.json import encode
from everywire.errors import Code
from everywire.http.bodies import read_body, read_json, require_json
from everywire.http.events import EventStream
from everywire.http.exchange import Answer, Exchange, bad_request
from everywire.http.hosting import HttpHost
from everywire.http.problems import absent, not_allowed
from everywire.http.results import ResultStream
from everywire.http.socket import serve_socket
from everywire.http.wire import HttpObject
from everywire.model import Kind, Member
from everywire.runtime import audit
from everywire.runtime.gate import Door
from everywire.runtime.requests import account_of

EVENTS: Final = b"text/event-stream"
LONGEST_KEY: Final = 255
_EMPTY: Final[tuple[Any, ...]] = ()


class Resources:
    """The handlers of one host."""

    def __init__(self, host: HttpHost) -> None:
        self._host = host

    # What may be seen.

    def visible(self, exchange: Exchange) -> list[HttpObject]:
        """Return the objects that the caller may know of."""
        caller = exchange.caller
        return [hosted for hosted in self._host.hosted.values() if hosted.publication.policy.sees(caller)]

    def find(self, exchange: Exchange, name: str) -> HttpObject:
        """Return the object *name*; raise Problem(404) also when the caller may not see it."""
        hosted = self._host.hosted.get(name)
        if hosted is None:
            raise absent()
        if not hosted.publication.policy.sees(exchange.caller):
            audit.denied("object", exchange.caller, object=name)
            raise absent()
        return hosted

    # Handlers.

    async def objects(self, exchange: Exchange) -> Answer:
        """List the objects."""
        return Answer(encode([self._summary(exchange, hosted) for hosted in self.visible(exchange)]))

    async def object(self, exchange: Exchange, name: str) -> Answer:
        """Show one object with its values."""
        hosted = self.find(exchange, name)
        head = encode(self._summary(exchange, hosted))
        return Answer(b'%b,"properties":%b}' % (head[:-1], hosted.values_json()))

    async def contract(self, exchange: Exchange, name: str) -> Answer:
        """Give the exact contract, of which `connect` makes the same class again."""
        return Answer(self.find(exchange, name).description)

    async def properties(self, exchange: Exchange, name: str) -> Answer:
        """Give the values of all properties."""
        return Answer(self.find(exchange, name).values_json())

    async def read(self, exchange: Exchange, name: str, member: str) -> Answer | None:
        """Give the value of a property, or all its values from now on as an event stream."""
        hosted = self.find(exchange, name)
        found = _member(hosted, member, Kind.PROPERTY)
        if exchange.accepts(EVENTS):
            return await self._listen(exchange, hosted, found)
        return Answer(hosted.property_json(found))

    async def write(self, exchange: Exchange, name: str, member: str) -> Answer:
        """Set a property; the answer is the value that the source then holds."""
        host, hosted = self._host, self.find(exchange, name)
        found = _member(hosted, member, Kind.PROPERTY)
        door = hosted.doors.get(member)
        if door is None:
            raise not_allowed("GET, HEAD, OPTIONS", f"{member} is not writable", Code.FAILED_PRECONDITION)
        value = read_json(await self._body(exchange, door), host.node.limits.depth)
        await host.requests.call(exchange.caller, door, lambda: (value,))
        return Answer(hosted.property_json(found))

    async def call(self, exchange: Exchange, name: str, member: str) -> Answer | None:
        """Call a slot: arguments by name or position, none for an empty body."""
        host, hosted = self._host, self.find(exchange, name)
        door = hosted.doors.get(member)
        if door is None or door.member.kind is not Kind.SLOT:
            raise absent()
        body = await self._body(exchange, door)
        raw = read_json(body, host.node.limits.depth) if body else _EMPTY
        if not isinstance(raw, (list, dict, tuple)):
            raise bad_request("the arguments of a slot are an array, or an object with their names")
        if door.member.stream:
            await self._stream(exchange, hosted, door, raw)
            return None
        key = exchange.headers.get(b"idempotency-key")
        if key is None:
            answer = await self._answer(exchange, hosted, door, raw)
        else:
            call = hashlib.sha256(b"%b\0%b\0%b" % (name.encode("utf-8", "replace"), member.encode(), body)).digest()
            who = account_of(exchange.caller)
            answer = await host.repeats.once(who, _key(key), call, lambda: self._answer(exchange, hosted, door, raw))
        return Answer(status=204) if door.member.result is None else Answer(answer)

    async def listen(self, exchange: Exchange, name: str) -> Answer | None:
        """Tell what happens to an object: over a WebSocket, or as an event stream."""
        hosted = self.find(exchange, name)
        if not exchange.websocket:
            return await self._listen(exchange, hosted, None)
        caller, login = exchange.caller, exchange.login
        await serve_socket(self._host, hosted, caller, login, exchange.scope, exchange.receive, exchange.send)
        return None

    async def signal(self, exchange: Exchange, name: str, member: str) -> Answer | None:
        """Tell the emissions of one signal as an event stream."""
        hosted = self.find(exchange, name)
        return await self._listen(exchange, hosted, _member(hosted, member, Kind.SIGNAL))

    # Private.

    async def _body(self, exchange: Exchange, door: Door) -> bytes:
        """Read the body of a call; whether the caller may make it is asked before, and again when it is taken."""
        self._host.requests.permit(exchange.caller, door)
        require_json(exchange)
        body = await read_body(exchange, self._host.node.limits)
        if not exchange.login.holds:  # a body may take its time
            raise exchange.login.over(exchange.caller)
        return body

    def _summary(self, exchange: Exchange, hosted: HttpObject) -> dict[str, Any]:
        contract = hosted.contract
        href = f"{exchange.root}/objects/{quote(hosted.name, safe='')}"
        return {"name": hosted.name, "class": contract.name, "doc": contract.doc, "href": href}

    async def _answer(self, exchange: Exchange, hosted: HttpObject, door: Door, raw: Any) -> bytes:
        value = await self._host.requests.call(exchange.caller, door, lambda: raw)
        return b"" if door.member.result is None else hosted.bodies[door.member.name](value)

    async def _listen(self, exchange: Exchange, hosted: HttpObject, member: Member | None) -> Answer | None:
        if exchange.scope["method"] == "HEAD":
            return Answer(media=EVENTS)
        await EventStream(self._host, hosted, exchange, member).run()
        return None

    async def _stream(self, exchange: Exchange, hosted: HttpObject, door: Door, raw: Any) -> None:
        if b"idempotency-key" in exchange.headers:
            raise bad_request("an Idempotency-Key is for slots that answer once, not for streams")
        arguments = self._host.requests.arguments(exchange.caller, door, lambda: raw)
        await ResultStream(self._host, hosted, door, exchange).run(arguments)


def _member(hosted: HttpObject, name: str, kind: Kind) -> Member:
    member = hosted.contract.members.get(name)
    if member is None or member.kind is not kind:
        raise absent()
    return member


def _key(header: bytes) -> str:
    """Return an Idempotency-Key: a quoted text (draft-ietf-httpapi-idempotency-key-header) or a bare one."""
    text = header.decode("latin-1").strip().strip('"')
    if not text or len(text) > LONGEST_KEY:
        raise bad_request(f"an Idempotency-Key has 1 to {LONGEST_KEY} characters")
    return text
