"""`everywire gen`: files written from classes and descriptions. The same input gives the same file, byte for byte."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from everywire.cli.grammar import debug_option, offered, timeout_option
from everywire.cli.repfiles import LARGEST, is_rep, python_of_rep, rep_text

if TYPE_CHECKING:
    from everywire.dbus.introspection import Interface, Node

F = TypeVar("F", bound=Callable[..., Any])

output_option: Final = click.option(
    "-o", "--output", "file", metavar="FILE", help="Write to this file; by default to the standard output."
)
service_option: Final = click.option(
    "--service", metavar="NAME", required=True, help="The name on the bus, such as org.acme.Climate."
)
class_argument: Final = click.argument(
    "target", metavar="[MODULE:CLASS]", required=False, shell_complete=offered("classes")
)


def _account_option(name: str, what: str, source: str, help_text: str) -> Callable[[F], F]:
    return click.option(name, what, metavar="NAME", multiple=True, shell_complete=offered(source), help=help_text)


@click.group("gen")
def gen_verbs() -> None:
    """Write files from classes and descriptions, for other tools and for Python."""


@gen_verbs.command("dbus-xml")
@click.argument("target", metavar="MODULE:CLASS", shell_complete=offered("classes"))
@click.option("--service", metavar="NAME", default="", help="The name on the bus, with which interfaces begin.")
@click.option("--interface", metavar="NAME", default="", help="The whole name of the interface.")
@click.option("--path", metavar="PATH", default="", help="The path of the object.")
@output_option
@debug_option
def dbus_xml_verb(target: str, service: str, interface: str, path: str, file: str | None) -> None:
    r"""Write a class as D-Bus introspection data.

    This is what qdbuscpp2xml does in C++. Types, units, ranges and descriptions are annotations in it.

    \b
    everywire gen dbus-xml everywire.cli.plant:Thermostat --service org.acme.Climate -o thermostat.xml
    """
    from everywire.dbus.codec import check_path
    from everywire.dbus.introspection import Node, write

    found = _interfaces(target, service, interface)
    _tell_of_streams(target)
    _put(write(Node(check_path(path) if path else "", found)), file)


@gen_verbs.command("rep")
@click.argument("targets", metavar="MODULE:CLASS...", nargs=-1, required=True, shell_complete=offered("classes"))
@click.option("--qt5", is_flag=True, help="For repc of Qt 5, which has no flags: they become numbers.")
@output_option
@debug_option
def rep_verb(targets: Sequence[str], file: str | None, *, qt5: bool) -> None:
    r"""Write classes as a .rep file, for repc and C++.

    What they use is in it: structs as PODs, enums, classes of child objects. C++ code that repc makes of it has the
    signatures of these classes, and so is accepted by them, as replica and as source.

    \b
    everywire gen rep everywire.cli.plant:Thermostat -o thermostat.rep
    """
    from everywire.cli.hosting import load_class

    classes = [load_class(target) for target in dict.fromkeys(targets)]
    text = rep_text(classes, qt5=qt5)
    for target in dict.fromkeys(targets):
        _tell_of_streams(target, "C++ has none")
    _put(text, file)


@gen_verbs.command("python")
@click.argument("source", metavar="FILE.xml|FILE.rep|URL", shell_complete=offered("descriptions"))
@click.option("--object", "object_name", metavar="OBJECT", default=".", help="At a URL: the object, or its path.")
@click.option("--interface", "names", metavar="NAME", multiple=True, help="Only this interface; may be repeated.")
@output_option
@timeout_option
@debug_option
def python_verb(source: str, object_name: str, names: Sequence[str], file: str | None, timeout: float) -> None:
    r"""Write Python classes for D-Bus interfaces, or for a .rep file of Qt Remote Objects.

    This is what qdbusxml2cpp and repc do in C++. The classes are for connect(), which then knows all types, and for
    sources, which derive from them. D-Bus interfaces are read from introspection data in a file (- is the standard
    input), or from a living object.

    \b
    everywire gen python thermostat.rep -o thermostat.py
    everywire gen python org.freedesktop.UPower.xml -o upower.py
    everywire gen python 'dbus:system?service=org.freedesktop.UPower' --object /org/freedesktop/UPower
    """
    from everywire.cli.dbus.addresses import is_dbus

    told = "" if source == "-" else Path(source).name
    data = b"" if is_dbus(source) else _read(source)
    if is_rep(source, data):
        _put(python_of_rep(data, source, told, names), file)
        return
    from everywire.dbus.generating import python_source

    if is_dbus(source):
        from everywire.cli.looping import run

        node, told = run(_introspected(source, object_name, timeout))
    else:
        node = _parsed(source, data)
    _put(python_source(_own_interfaces(node, told or source, names), told), file)


@gen_verbs.command("dbus-policy")
@class_argument
@service_option
@_account_option("--own", "owners", "accounts", "This user may own the name; may be repeated. By default root.")
@_account_option("--user", "users", "accounts", "This user may call the service; may be repeated.")
@_account_option("--group", "groups", "groups", "The users of this group may call it; may be repeated.")
@click.option("--everybody", is_flag=True, help="Everybody may call it; the object's own policy then decides alone.")
@output_option
@debug_option
def dbus_policy_verb(
    target: str | None, service: str, file: str | None, *, everybody: bool, **accounts: Sequence[str]
) -> None:
    r"""Write who may own and call a D-Bus service.

    The system's bus lets nobody own a name or call a service unless such a file says so. Everybody may introspect it;
    only owners, root, and the users and groups that are named may do more. With a class they may call its interfaces
    alone.

    \b
    everywire gen dbus-policy --service org.acme.Climate --own climate --group operators \
        -o /etc/dbus-1/system.d/org.acme.Climate.conf
    """
    from everywire.dbus.generating import Access, policy_file

    given = {what: tuple(names) for what, names in accounts.items() if names}
    access = Access(**given, everybody=everybody)
    interfaces = () if target is None else _interfaces(target, service, "")
    text = policy_file(service, access, [interface.name for interface in interfaces])
    _tell_of_strangers((*access.owners, *access.users), access.groups)
    _put(text, file)


@gen_verbs.command("dbus-service")
@click.argument("command", metavar="-- PROGRAM [ARGUMENT]...", nargs=-1, required=True)
@service_option
@click.option("--user", metavar="NAME", default="", shell_complete=offered("accounts"), help="Who runs the program.")
@click.option("--unit", metavar="UNIT", default="", help="The unit of systemd to start instead of the program.")
@output_option
@debug_option
def dbus_service_verb(command: Sequence[str], service: str, user: str, unit: str, file: str | None) -> None:
    r"""Write how a bus starts a D-Bus service.

    It starts the program when somebody calls a name that nobody owns.

    \b
    everywire gen dbus-service --service org.acme.Climate -o ~/.local/share/dbus-1/services/org.acme.Climate.service \
        -- /usr/bin/everywire serve plant:Boiler --on 'dbus:session?service=org.acme.Climate'
    """
    from everywire.dbus.generating import activation_file

    text = activation_file(service, command, user=user, unit=unit)
    _tell_of_strangers((user,) if user else (), ())
    _put(text, file)


# ------------------------------------------------------------------------------------------------------------- input
def _interfaces(target: str, service: str, interface: str) -> tuple[Interface, ...]:
    """Return the interfaces of a class that is served with these settings."""
    from everywire.cli.hosting import load_class
    from everywire.dbus.codec import check_bus_name, check_interface
    from everywire.dbus.wire.contracts import interfaces_of, placed
    from everywire.dbus.wire.declaring import declared_in
    from everywire.dbus.wire.names import interface_of
    from everywire.model import contract_of

    cls = load_class(target)
    contract = contract_of(cls)
    prefix = check_bus_name(service).replace("-", "_") if service else "local"
    name = check_interface(interface) if interface else interface_of(prefix, contract.name)
    places = placed(contract, name, {} if interface else declared_in(cls))
    return interfaces_of(contract, places)


def _tell_of_streams(target: str, why: str = "streams go through org.everywire.Object1") -> None:
    from everywire.cli.hosting import load_class
    from everywire.model import contract_of

    if left := [member.name for member in contract_of(load_class(target)).members.values() if member.stream]:
        _say(f"left out: {', '.join(left)}; {why}")


_WITHOUT: Final = ("local", "localabstract", "tcp", "tls", "ws", "wss", "http", "https")
"""Transports at which there are objects, but no classes to be written."""


def _read(source: str) -> bytes:
    """Return what is in a file, or the standard input."""
    from everywire.errors import ModelError

    try:
        if source == "-":
            return sys.stdin.buffer.read(LARGEST + 1)
        with open(source, "rb") as stream:  # noqa: PTH123  a pipe of the shell is a file too
            return stream.read(LARGEST + 1)
    except OSError as error:
        advice = "give introspection data, a .rep file, or a URL such as dbus:session?service=org.acme.Climate"
        if source.partition(":")[0].rpartition("+")[2] in _WITHOUT:
            advice = f"{advice}; of objects elsewhere connect() makes a class by itself, and 'everywire show' tells it"
        raise ModelError(f"cannot read {source}: {error.strerror}; {advice}") from error


def _parsed(source: str, data: bytes) -> Node:
    from everywire.dbus.introspection import parse
    from everywire.errors import ModelError, RemoteProtocolError

    try:
        return parse(data, limit=LARGEST)
    except RemoteProtocolError as error:
        raise ModelError(f"{source}: {error}") from None


async def _introspected(url: str, name: str, timeout: float) -> tuple[Node, str]:
    """Return what the object *name* at *url* tells of itself, and what to call it."""
    from everywire.cli.dbus.addresses import parse
    from everywire.cli.dbus.objects import look
    from everywire.cli.dbus.services import reached
    from everywire.dbus.wire.names import path_of

    where = parse(url)
    path = path_of(name, where.base)
    async with reached(where, timeout) as service:
        await look(service, path)  # or an error that names the near ones
        return await service.introspect(path), f"{service.title} {path}"


def _own_interfaces(node: Node, source: str, names: Sequence[str]) -> list[Interface]:
    """Return the interfaces that are asked for by *names*; without names all but those that every object has."""
    from everywire.cli.exits import listed, suggestion
    from everywire.dbus.wire.described import is_common
    from everywire.errors import ModelError

    known = {interface.name: interface for _, inner in node.walk() for interface in inner.interfaces}
    for name in names:
        if name not in known:
            near = suggestion(name, known)
            raise ModelError(f"{source} has no interface {name!r}; it has {listed(known)}.{near}")
    found = [known[name] for name in names] or [own for name, own in known.items() if not is_common(name)]
    if not found:
        below = [inner.name for inner in node.nodes]
        advice = f"objects below it are {listed(below)}" if below else "is it the right object?"
        raise ModelError(f"{source} has no interface of its own; {advice}")
    return found


# ------------------------------------------------------------------------------------------------------------ output
def _put(text: str, file: str | None) -> None:
    """Print *text*, or have *file* hold it: all of it or, when something fails, what it held before."""
    if file is None or file == "-":
        print(text, end="", flush=True)
        return
    from everywire.errors import ModelError

    place = Path(file)
    try:
        if place.exists() and not place.is_file():  # a terminal, a pipe
            place.write_text(text, encoding="utf-8")
        elif not place.exists() or place.read_bytes() != text.encode():  # else build tools see nothing new
            _replace(place.resolve(), text)
    except OSError as error:
        raise ModelError(f"cannot write {file}: {error.strerror}") from error


def _replace(place: Path, text: str) -> None:
    mode = place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~_umask()
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _tell_of_strangers(users: Sequence[str], groups: Sequence[str]) -> None:
    """Say which accounts this machine does not know; the file may be for another one."""
    import grp
    import pwd

    for names, find, what in ((users, pwd.getpwnam, "user"), (groups, grp.getgrnam, "group")):
        for name in names:
            try:
                _ = None if name.isdecimal() else find(name)
            except KeyError:
                _say(f"there is no {what} {name} on this machine; a bus passes over what is said of it")


def _say(text: str) -> None:
    from everywire.cli.values import to_text

    print(f"everywire: {to_text(text)}", file=sys.stderr)
