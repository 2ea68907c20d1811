"""W3C Web of Things: the Thing Description (1.1) of an object, with forms relative to where the client found it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from everywire.http.schema import Schema, Schemas
from everywire.http.wire import HttpObject
from everywire.model import Kind, Member

MEDIA: Final = b"application/td+json"
CONTEXT: Final = ("https://www.w3.org/2019/wot/td/v1", "https://www.w3.org/2022/wot/td/v1.1")
"""In this order for readers of 1.0, which node-wot is (TD 1.1 section 5.3.1.1)."""


def thing(hosted: HttpObject, *, base: str, security: dict[str, Any]) -> Schema:
    """Return the description of one object; *base* is the URL that its forms are relative to."""
    contract, schemas = hosted.contract, Schemas(exact=False)
    found = _head(hosted.name, contract.doc, base, security)
    found["properties"] = {m.name: _property(hosted, m, schemas) for m in contract.of_kind(Kind.PROPERTY)}
    found["actions"] = {m.name: _action(hosted, m, schemas) for m in contract.of_kind(Kind.SLOT)}
    found["events"] = {m.name: _event(hosted, m, schemas) for m in contract.of_kind(Kind.SIGNAL)}
    found["forms"] = [{"href": f"{_place(hosted)}/properties", "op": "readallproperties", **_JSON}]
    found["links"] = [
        {"href": f"{_place(hosted)}/contract", "rel": "alternate", "type": "application/json"},
        {"href": "openapi.json", "rel": "service-desc", "type": "application/json"},
    ]
    return found


def collection(objects: Iterable[HttpObject], *, base: str, security: dict[str, Any]) -> Schema:
    """Return the description of a host of several objects, or none: itself a Thing, which links to theirs."""
    found = _head("everywire host", "Each of its items is a Thing.", base, security)
    found["links"] = [{"href": f"{_place(o)}/thing", "rel": "item", "type": MEDIA.decode()} for o in objects]
    return found


_JSON: Final = {"contentType": "application/json"}


def _head(title: str, doc: str, base: str, security: dict[str, Any]) -> Schema:
    found: Schema = {"@context": CONTEXT, "title": title}
    if doc:
        found["description"] = doc
    return {**found, "base": base, "securityDefinitions": security, "security": list(security)}


def _property(hosted: HttpObject, member: Member, schemas: Schemas) -> Schema:
    place = f"{_place(hosted)}/properties/{member.name}"
    operations = ["readproperty", "writeproperty"] if member.writable else ["readproperty"]
    return {
        **_documented(member),
        **schemas.value(member.parameters[0]),
        "readOnly": not member.writable,
        "observable": True,
        "forms": [{"href": place, "op": operations, **_JSON}, _watch(place, "observeproperty", "unobserveproperty")],
    }


def _action(hosted: HttpObject, member: Member, schemas: Schemas) -> Schema:
    form: Schema = {"href": f"{_place(hosted)}/slots/{member.name}", "op": "invokeaction", **_JSON}
    found: Schema = {**_documented(member), "synchronous": True}
    if member.parameters:
        found["input"] = schemas.arguments(member)
    if member.stream:
        form["response"] = {"contentType": "application/x-ndjson"}
    if member.result is not None:
        found["output"] = schemas.of(member.result)
    return {**found, "forms": [form]}


def _event(hosted: HttpObject, member: Member, schemas: Schemas) -> Schema:
    place = f"{_place(hosted)}/signals/{member.name}"
    data = schemas.listed(tuple(parameter.type for parameter in member.parameters))
    return {**_documented(member), "data": data, "forms": [_watch(place, "subscribeevent", "unsubscribeevent")]}


def _watch(place: str, *operations: str) -> Schema:
    """Return the form of an event stream; the content type is that of an event's data, as node-wot takes it."""
    return {"href": place, "op": list(operations), **_JSON, "subprotocol": "sse"}


def _documented(member: Member) -> Schema:
    return {"description": member.doc} if member.doc else {}


def _place(hosted: HttpObject) -> str:
    return f"objects/{quote(hosted.name, safe='')}"
