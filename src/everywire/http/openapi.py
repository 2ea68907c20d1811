"""`/openapi.json`: OpenAPI 3.1 of the objects that a caller may see; the same from whatever host it is asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from everywire.http.problems import title
from everywire.http.schema import Schema, Schemas
from everywire.http.wire import HttpObject
from everywire.model import Kind, Member

VERSION: Final = "1"
"""Of the mapping; see docs/wires/http.md."""

_DETAILS: Final = "problem-details"
"""No class can have this name."""
_PROBLEM: Final[Schema] = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "one of gRPC's status codes"},
        "may_have_run": {"type": "boolean", "description": "false: certainly not"},
    },
    "required": ["type", "title", "status", "detail", "code", "may_have_run"],
}
_ANSWERS: Final = (400, 401, 403, 404, 409, 412, 413, 415, 421, 422, 429, 500, 503, 504)
_EVENTS: Final[dict[str, Schema]] = {"text/event-stream": {}}
_KEY: Final[Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A call that is sent again with its key does not run again.",
    "schema": {"type": "string", "maxLength": 255},
}


def openapi(objects: Iterable[HttpObject], *, root: str, security: dict[str, Any]) -> Schema:
    """Return the description; *root* is the path below which ours begin, *security* what `components` holds of it."""
    schemas = Schemas(exact=True)
    paths: dict[str, Any] = {}
    tags: list[Schema] = []
    for hosted in objects:
        tags.append({"name": hosted.name, "description": hosted.contract.doc})
        for member in hosted.contract.members.values():
            place, operations = _member(hosted, member, schemas)
            paths[place] = operations
        paths[f"{_place(hosted)}/events"] = {"get": _listening(hosted, f"{hosted.name} events", "All that happens.")}
    schemas.named[_DETAILS] = _PROBLEM
    found: Schema = {
        "openapi": "3.1.0",
        "info": {"title": "everywire objects", "version": VERSION},
        "servers": [{"url": root or "/"}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas.named, "responses": _responses()},
    }
    if security:
        found["components"]["securitySchemes"] = security
        found["security"] = [{name: []} for name in security]
    return found


def _member(hosted: HttpObject, member: Member, schemas: Schemas) -> tuple[str, Schema]:
    match member.kind:
        case Kind.PROPERTY:
            return f"{_place(hosted)}/properties/{member.name}", _property(hosted, member, schemas)
        case Kind.SIGNAL:
            place = f"{_place(hosted)}/signals/{member.name}"
            return place, {"get": _listening(hosted, f"{hosted.name} {member.name} signal", member.doc)}
        case _:
            return f"{_place(hosted)}/slots/{member.name}", {"post": _slot(hosted, member, schemas)}


def _property(hosted: HttpObject, member: Member, schemas: Schemas) -> Schema:
    value = schemas.value(member.parameters[0])
    read = _operation(hosted, f"{hosted.name} {member.name} read", member.doc)
    answer = {"description": "The value.", "content": {**_json(value), **_EVENTS}}
    found: Schema = {"get": {**read, "responses": {"200": answer, **_references()}}}
    if member.writable:
        write = _operation(hosted, f"{hosted.name} {member.name} write", member.doc)
        kept = {"description": "The value that it then has.", "content": _json(value)}
        body = {"required": True, "content": _json(value)}
        found["put"] = {**write, "requestBody": body, "responses": {"200": kept, **_references()}}
    return found


def _slot(hosted: HttpObject, member: Member, schemas: Schemas) -> Schema:
    by_name = schemas.arguments(member)
    places = {"type": "array", "maxItems": len(member.parameters), "description": "by position"}
    found = _operation(hosted, f"{hosted.name} {member.name} call", member.doc)
    found["requestBody"] = {"required": False, "content": _json({"anyOf": [by_name, places]})}
    if not member.stream:
        found["parameters"] = [_KEY]
    answers: Schema
    if member.result is None:
        answers = {"204": {"description": "It has run."}}
    elif member.stream:
        item = {"schema": schemas.of(member.result)}
        content = {"application/x-ndjson": item, "text/event-stream": {}}
        answers = {"200": {"description": "Its items, a line or an event each.", "content": content}}
    else:
        answers = {"200": {"description": "The result.", "content": _json(schemas.of(member.result))}}
    return {**found, "responses": {**answers, **_references()}}


def _listening(hosted: HttpObject, name: str, doc: str) -> Schema:
    answer = {"description": "One event for each.", "content": _EVENTS}
    return {**_operation(hosted, name, doc), "responses": {"200": answer, **_references()}}


def _operation(hosted: HttpObject, name: str, doc: str) -> Schema:
    found: Schema = {"operationId": quote(name.replace(" ", "."), safe="."), "tags": [hosted.name]}
    return {**found, "description": doc} if doc else found


def _place(hosted: HttpObject) -> str:
    return f"/objects/{quote(hosted.name, safe='')}"


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _references() -> Schema:
    return {"default": {"$ref": "#/components/responses/Problem"}}


def _responses() -> Schema:
    told = ", ".join(f"{status} {title(status)}" for status in _ANSWERS)
    content = {"application/problem+json": {"schema": {"$ref": f"#/components/schemas/{_DETAILS}"}}}
    return {"Problem": {"description": told, "content": content}}
