"""`everywire token`: who may log in at a host. A token is printed once, alone on the standard output."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from everywire.cli.grammar import debug_option, json_option

if TYPE_CHECKING:
    from everywire.runtime.tokens import Grant, Tokens

F = TypeVar("F", bound=Callable[..., Any])

ROLES: Final = ("viewer", "operator", "admin")
_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Expiry(click.ParamType[float]):
    """A span of time from now, such as 30d, or a date; becomes seconds since the epoch."""

    name = "30d|2027-01-31"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the moment that *value* means."""
        if isinstance(value, float):
            return value
        span = _SPAN.fullmatch(str(value))
        if span is not None:
            return time.time() + int(span[1]) * _SECONDS[span[2]]
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither a span such as 12h, 30d or 8w nor a date such as 2027-01-31", param, ctx)
        if moment.timestamp() <= time.time():
            self.fail(f"{value!r} is in the past", param, ctx)
        return moment.timestamp()


def default_file() -> Path:
    """Return where the entries are kept unless somebody says otherwise (XDG Base Directory Specification)."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(folder) if folder.startswith("/") else Path.home() / ".config") / "everywire" / "tokens.json"


def tokens_option(function: F) -> F:
    """Give a verb the option for the file of entries."""
    return click.option(
        "--tokens",
        "file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="File of the entries; by default everywire/tokens.json in $XDG_CONFIG_HOME or ~/.config.",
    )(function)


@click.group("token")
def token_verbs() -> None:
    """Say who may log in at a host, and as what.

    The host is started with the same file: everywire serve … --tokens FILE. Changes hold from the next call on.
    """


@token_verbs.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the owner may do at most.")
@click.option("--expires", "moment", type=Expiry(), help="When it ends: a span such as 12h, 30d, 8w, or a date.")
@click.option("--certificate", metavar="SUBJECT", help="For who shows a client certificate with this subject instead.")
@tokens_option
@debug_option
def add_verb(name: str, role: str, moment: float | None, certificate: str | None, file: Path | None) -> None:
    r"""Make a token and print it, once: only what checks it is kept.

    \b
    (umask 077; everywire token add panel --role operator --expires 30d > panel.token)
    everywire get 'tls://plant:65214?ca=ca.pem&token=panel.token' hall
    everywire token add office --role viewer --certificate 'CN=office,O=Acme'
    """
    from everywire.model import Role

    tokens = _opened(file, create=True)
    until = f" until {_date(moment)}" if moment is not None else ""
    if certificate is not None:
        tokens.add_certificate(name, Role[role.upper()], certificate, expires=moment)
        _say(f"who shows the client certificate {certificate} may log in as {role}{until}")
        return
    token = tokens.add(name, Role[role.upper()], expires=moment)
    try:
        _keep_private()
        print(token, flush=True)
    except BaseException:
        tokens.remove(name)  # nobody has seen it
        raise
    advice = "keep the token in a file of mode 0600, and add ?token=FILE to the address"
    _say(f"{name} may log in as {role}{until}: {advice}")


@token_verbs.command("list")
@tokens_option
@json_option
@debug_option
def list_verb(file: Path | None, *, json: bool) -> None:
    """List the entries; secrets are not kept, so there are none to show."""
    from everywire.cli.printing import print_json, print_table

    grants = tuple(_opened(file).grants.values())
    if json:
        print_json([_as_json(grant) for grant in grants])
        return
    rows = [(grant.name, grant.role.name.lower(), grant.certificate or "token", _until(grant)) for grant in grants]
    print_table(("NAME", "ROLE", "LOGS IN BY", "EXPIRES"), rows)


@token_verbs.command("remove")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@tokens_option
@debug_option
def remove_verb(names: Sequence[str], file: Path | None) -> None:
    """Take entries away: their links end, at the latest after a second."""
    tokens = _opened(file)
    for name in names:
        tokens.remove(name)
        _say(f"{name} may not log in any more")


def _opened(file: Path | None, *, create: bool = False) -> Tokens:
    from everywire.runtime.tokens import Tokens

    place = default_file() if file is None else file
    if create and file is None:
        place.parent.parent.mkdir(parents=True, exist_ok=True)
        place.parent.mkdir(mode=0o700, exist_ok=True)
    return Tokens(place)


def _keep_private() -> None:
    """When the token goes into a file, see to it that nobody else can read that."""
    try:
        descriptor = sys.stdout.fileno()
        found = os.fstat(descriptor)
    except OSError:  # captured, as in a test
        return
    if not stat.S_ISREG(found.st_mode) or not found.st_mode & 0o077:
        return
    if found.st_size == 0:
        os.fchmod(descriptor, 0o600)
        _say("the file of the token now has mode 0600: it could be read by others")
    else:
        _say("others can read the file that the token goes to: chmod 600 it")


def _as_json(grant: Grant) -> dict[str, object]:
    expires = None if grant.expires is None else datetime.fromtimestamp(grant.expires, UTC).isoformat()
    return {
        "name": grant.name,
        "role": grant.role.name.lower(),
        "certificate": grant.certificate,
        "expires": expires,
        "expired": _is_over(grant),
    }


def _until(grant: Grant) -> str:
    if grant.expires is None:
        return "never"
    return f"{_date(grant.expires)}{', is over' if _is_over(grant) else ''}"


def _is_over(grant: Grant) -> bool:
    return grant.expires is not None and grant.expires <= time.time()


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _say(text: str) -> None:
    from everywire.cli.values import to_text

    print(f"everywire: {to_text(text)}", file=sys.stderr)
