"""What a client asks a host for, and what the answers mean. Knows no objects."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from everywire.errors import Code, Fault, LinkError, RemoteProtocolError
from everywire.http._client import Answer, ClientConnection, Hears
from everywire.runtime.credentials import Credential, wanted
from everywire.runtime.limits import Limits
from everywire.transport import Address
from everywire.transport.address import is_loopback

PROBLEM: Final = "application/problem+json"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a client goes: an address of the floor, the path under which the host is mounted, and its token."""

    url: str
    """As the user wrote it, for errors."""
    address: Address
    prefix: str = ""
    credential: Credential = Credential()

    def object_path(self, name: str, rest: str = "") -> str:
        """Return the path of the object *name*, or of what belongs to it."""
        return f"/objects/{quote(name, safe='')}{rest}"

    def connection(self, limits: Limits, listener: Hears | None = None) -> ClientConnection:
        """Return what makes one request there."""
        return ClientConnection(self.url, self.address, limits, listener)

    def token(self) -> str:
        """Return what logs in, or nothing; raise LinkError rather than show it to whoever listens to the network."""
        if not self.credential:
            return ""
        address = self.address
        if address.transport == "tcp" and not (address.host == "localhost" or is_loopback(address.host)):
            raise LinkError(f"{self.url}: a token does not go over plain http to another machine; use https://")
        return ".".join(self.credential.read())


async def fetch(target: Target, path: str, limits: Limits) -> bytes:
    """Return the body of GET *path*; raise Fault or LinkError for what the host says, RemoteProtocolError else."""
    answer = await target.connection(limits).ask(target.prefix + path, target.token(), upgrade=False)
    if answer.status != 200:
        raise refusal_of(target, path, answer)
    return answer.body


async def upgrade(target: Target, path: str, connection: ClientConnection) -> None:
    """Make *connection* a WebSocket at *path*; raises what the answer says when it is refused."""
    answer = await connection.ask(target.prefix + path, target.token(), upgrade=True)
    if not connection.upgraded:
        connection.abort()
        raise refusal_of(target, path, answer)


class _Problem(msgspec.Struct):
    """Problem details (RFC 9457), as far as they matter here."""

    detail: str = ""
    code: str = ""


def refusal_of(target: Target, path: str, answer: Answer) -> Exception:
    """Return the error that a refused request stands for."""
    problem = _problem_in(answer)
    if problem is None:
        return RemoteProtocolError(
            f"{target.url} speaks HTTP, but is no everywire host: it answers {target.prefix}{path} with {answer.status}"
        )
    detail = problem.detail or answer.reason
    if answer.status == 401:
        said = f"{target.url}: {detail}" if target.credential else wanted(target.url, target.address, "Http")
        return Fault(Code.UNAUTHENTICATED, said, may_have_run=False)
    if answer.status == 421:
        return LinkError(f"{target.url}: {detail}")
    if answer.status == 503:
        return LinkError(f"{target.url} is busy: {detail}")
    code = Code[problem.code] if problem.code in Code.__members__ else Code.UNKNOWN
    return Fault(code, detail, may_have_run=False)


def _problem_in(answer: Answer) -> _Problem | None:
    """Return what an everywire host says of a refused request; None when it is none."""
    if not answer.media.startswith(PROBLEM):
        return None
    try:
        return msgspec.json.decode(answer.body, type=_Problem)
    except msgspec.MsgspecError:
        return None
