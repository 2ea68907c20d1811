"""What is said when a request fails: problem details (RFC 9457), with the code of a Fault. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from everywire.codec.json import encode
from everywire.errors import Code, Fault
from everywire.runtime.repeats import KeyReused

STATUS: Final[Mapping[Code, int]] = {
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 412,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 422,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}
"""The status that says a code; each wire has its own table."""

MEDIA: Final = b"application/problem+json"

ABSENT: Final = "no such object or member"
"""For what is not there and for what the caller may not see: nobody can tell them apart."""

Header = tuple[bytes, bytes]


class Problem(Exception):
    """A request that cannot be served; the handler that raises it has sent nothing yet."""

    def __init__(
        self,
        status: int,
        detail: str,
        code: Code,
        *,
        may_have_run: bool = False,
        headers: tuple[Header, ...] = (),
        counted: str = "",
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.code = status, detail, code
        self.may_have_run, self.headers = may_have_run, headers
        self.counted = counted
        """The limit or check under which it counts as refused; empty for what is only wrong."""

    def body(self) -> bytes:
        """Return the problem details."""
        return encode({
            "type": "about:blank",
            "title": title(self.status),
            "status": self.status,
            "detail": self.detail,
            "code": self.code.name,
            "may_have_run": self.may_have_run,
        })


def problem_of(fault: Fault) -> Problem:
    """Return what says *fault*."""
    status = 422 if isinstance(fault, KeyReused) else STATUS[fault.code]
    headers: tuple[Header, ...] = ()
    if status in (429, 503):
        headers = ((b"retry-after", b"1"),)
    elif status == 401:
        headers = (CHALLENGE,)
    code, ran = fault.code, fault.may_have_run
    return Problem(status, fault.message, code, may_have_run=ran, headers=headers, counted=code.name)


CHALLENGE: Final = (b"www-authenticate", b'Bearer realm="everywire"')


def absent() -> Problem:
    """Return the problem of what is not there, as far as the caller may know."""
    return Problem(404, ABSENT, Code.NOT_FOUND)


def not_allowed(allowed: str, detail: str = "", code: Code = Code.UNIMPLEMENTED) -> Problem:
    """Return the problem of a method that a resource does not have."""
    return Problem(405, detail or f"this resource has only {allowed}", code, headers=((b"allow", allowed.encode()),))


def title(status: int) -> str:
    """Return the phrase of a status."""
    return "Client Closed Request" if status == 499 else HTTPStatus(status).phrase
