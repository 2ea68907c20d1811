"""Files that a bus reads about a service: who may own and call it, and how to start it.

The policy is for the system's bus, where nobody may own a name or call a service unless a file says so
(dbus-daemon(1), "CONFIGURATION FILE"; dbus-broker reads the same). Later and more special rules win: those of a group
over those for everybody, those of a user over both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import quoteattr

from everywire.dbus.codec.names import check_bus_name, check_interface
from everywire.dbus.wire.standard import EVERYWIRE_OBJECT, INTROSPECTABLE, OBJECT_MANAGER, PEER, PROPERTIES
from everywire.errors import ModelError

_HEAD: Final = (
    '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n'
)
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,254}\$?")
"""Names of users and groups as Linux systems have them, or their numbers; also those of a domain."""
_LOOK: Final = (INTROSPECTABLE.name, PEER.name)
"""What everybody may call: which interfaces there are, and whether somebody answers."""
_COMMON: Final = (PROPERTIES.name, OBJECT_MANAGER.name, EVERYWIRE_OBJECT.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may do what; owners and root may always call, and with *everybody* the object's own policy decides alone."""

    owners: Sequence[str] = ("root",)
    users: Sequence[str] = ()
    groups: Sequence[str] = ()
    everybody: bool = False

    def __post_init__(self) -> None:
        for name in (*self.owners, *self.users, *self.groups):
            if _ACCOUNT.fullmatch(name) is None:
                raise ModelError(f"{name!r} is no user or group: one looks like climate, or 1000")


def policy_file(service: str, access: Access, interfaces: Iterable[str] = ()) -> str:
    """Return the file for /etc/dbus-1/system.d: who may own *service*, and call its *interfaces*, or all of them."""
    _check_service(service)
    callable_ = (*map(check_interface, interfaces),)
    return "".join((_HEAD, "<busconfig>\n", *_policies(service, access, callable_), "</busconfig>\n"))


def _policies(service: str, access: Access, interfaces: Sequence[str]) -> Iterator[str]:
    calls = list(_calls(service, interfaces))
    yield "  <!-- Everybody may look, and nothing else unless a rule below allows it. -->\n"
    denied = [f'<deny own="{service}"/>', f'<deny send_destination="{service}" send_type="method_call"/>']
    looks = [f'<allow send_destination="{service}" send_interface="{name}"/>' for name in _LOOK]
    yield from _policy('context="default"', [*denied, *looks, *(calls if access.everybody else ())])
    users = [name for name in (*access.users, "root") if name not in access.owners]
    callers = {"group": access.groups, "user": users}
    for kind, names in callers.items():
        for name in dict.fromkeys(names):
            yield from _policy(f"{kind}={quoteattr(name)}", calls)
    for name in dict.fromkeys(access.owners):
        yield from _policy(f"user={quoteattr(name)}", [f'<allow own="{service}"/>', *calls])


def _calls(service: str, interfaces: Sequence[str]) -> Iterator[str]:
    if not interfaces:
        yield f'<allow send_destination="{service}"/>'
    for name in dict.fromkeys((*interfaces, *_COMMON, *_LOOK)) if interfaces else ():
        yield f'<allow send_destination="{service}" send_interface="{name}"/>'


def _policy(whom: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"  <policy {whom}>\n"
    yield from (f"    {rule}\n" for rule in rules)
    yield "  </policy>\n"


def activation_file(service: str, command: Sequence[str], *, user: str = "", unit: str = "") -> str:
    """Return the `.service` file by which a bus starts *command* when somebody calls *service* and nobody owns it.

    *user* is who runs it, which the system's bus must know; with a *unit* systemd starts that instead.
    """
    _check_service(service)
    if not command or not command[0].startswith("/"):
        raise ModelError("a bus starts a program by its whole path, such as /usr/bin/everywire: it knows no PATH")
    if bad := next((word for word in command if not word.isprintable()), None):
        raise ModelError(f"{bad!r} cannot stand in a .service file: it has characters that cannot be shown")
    lines = [f"Name={service}", f"Exec={' '.join(map(_quoted, command))}"]
    if user:
        lines.append(f"User={Access(owners=[user]).owners[0]}")
    if unit:
        if _UNIT.fullmatch(unit) is None:
            raise ModelError(f"{unit!r} is no unit of systemd: one looks like climate.service")
        lines.append(f"SystemdService={unit}")
    return "\n".join(("[D-BUS Service]", *lines, ""))


_UNIT: Final = re.compile(r"[A-Za-z0-9:_.\\@-]{1,240}\.service")


def _quoted(word: str) -> str:
    """Return *word* as the bus splits it: by the rules of a shell, after those of desktop files."""
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", word):
        return word
    escaped = re.sub(r'([\\"$`])', r"\\\1", word).replace("\\", "\\\\")
    return f'"{escaped}"'


def _check_service(service: str) -> None:
    if check_bus_name(service).startswith(":"):
        raise ModelError(f"{service} is the name that a bus has given to one connection; a service has one of its own")
