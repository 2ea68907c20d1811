"""The body of a request: read within limits, then as JSON. Knows no members."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from everywire.codec.json import decode
from everywire.errors import Code, ModelError
from everywire.http.exchange import Exchange, Gone, bad_request
from everywire.http.problems import Problem
from everywire.runtime.limits import Limits

SLOWEST: Final = 64 * 1024
"""Bytes a second that a client must send at least, after what it may take to begin."""

_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_OTHERS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def require_json(exchange: Exchange) -> None:
    """Raise Problem(415) unless the body says that it is JSON: a form or a plain text needs no leave of a browser."""
    media, _, settings = exchange.text(b"content-type").partition(";")
    charset = settings.strip().lower().replace('"', "")
    if media.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        detail = "this needs a body of Content-Type: application/json, for instance curl --json '{}' …"
        raise Problem(415, detail, Code.INVALID_ARGUMENT, headers=((b"accept-post", b"application/json"),))


async def read_body(exchange: Exchange, limits: Limits) -> bytes:
    """Return the body; raise Problem when it is too large (before it is read, if it says so) or too slow, or Gone."""
    declared = exchange.headers.get(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limits.frame:
        raise _too_large(limits)
    begun = asyncio.get_running_loop().time()
    found: bytes | bytearray = b""
    try:
        async with asyncio.timeout(limits.handshake) as patience:
            while True:
                message = await exchange.receive()
                if message["type"] != "http.request":
                    raise Gone
                found = _joined(found, message.get("body", b""))
                if len(found) > limits.frame:
                    raise _too_large(limits)
                if not message.get("more_body", False):
                    return bytes(found)
                patience.reschedule(begun + limits.handshake + len(found) / SLOWEST)
    except TimeoutError:
        close = ((b"connection", b"close"),)
        late = "the body did not come in time"
        raise Problem(408, late, Code.DEADLINE_EXCEEDED, headers=close, counted="handshake") from None


def _joined(found: bytes | bytearray, more: bytes) -> bytes | bytearray:
    """Return what was found so far with *more*; most bodies come at once, and are not copied."""
    if not found:
        return more
    joined = found if isinstance(found, bytearray) else bytearray(found)
    joined += more
    return joined


def read_json(body: bytes, depth: int) -> Any:
    """Return the JSON data of a body; raise Problem(400) when it is none, or nested deeper than *depth*."""
    try:
        data = decode(body)
    except ModelError as error:
        raise bad_request(str(error)) from None
    if body.count(b"[") + body.count(b"{") > depth and _is_deeper(body, depth):
        raise bad_request(f"nested deeper than {depth} levels")
    return data


def _is_deeper(body: bytes, depth: int) -> bool:
    """Return whether valid JSON is nested deeper: each pass takes the innermost brackets away, at C's speed."""
    rest = _STRINGS.sub(b"", body).translate(_BRACKETS, _OTHERS)
    for _ in range(depth):
        if not rest:
            return False
        rest = rest.replace(b"[]", b"")
    return bool(rest)


def _too_large(limits: Limits) -> Problem:
    return Problem(413, f"a body has at most {limits.frame} bytes", Code.RESOURCE_EXHAUSTED, counted="frame")
