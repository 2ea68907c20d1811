"""`everywire serve`: finds a class by its name, makes one object and serves it until it is told to end."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from everywire.cli.exits import listed, suggestion
from everywire.cli.looping import until_interrupted
from everywire.cli.printing import plain_table, print_json
from everywire.errors import ModelError
from everywire.model import Object
from everywire.model.names import snake
from everywire.runtime.node import Node
from everywire.runtime.wires import Wire, wire_of
from everywire.transport.address import is_loopback

if TYPE_CHECKING:
    from everywire.runtime.tokens import Tokens

LOOK: Final = 0.1
"""Seconds between looks whether the program that started us has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What stands between the object and strangers; *tokens* and *audit* are files."""

    tokens: str | None = None
    audit: str | None = None
    insecure: bool = False


async def serve(target: str, name: str | None, urls: Sequence[str], guards: Guards, *, json: bool) -> None:
    """Serve an object of the class *target* (``module:Class``) at *urls* until Ctrl-C or SIGTERM."""
    cls = load_class(target)
    name = name or snake(cls.__name__)
    audited(guards)
    tokens = token_file(guards)
    async with Node(tokens=tokens) as node:
        node.publish(_make(cls, target), name)
        addresses = await node.serve(*(_wire_at(url, insecure=guards.insecure) for url in urls))
        with redirect_stdout(sys.stderr if any(map(_is_stdio, addresses)) else sys.stdout):
            if json:
                print_json({"object": name, "class": cls.__name__, "addresses": addresses})
            else:
                told = zip(addresses, urls, strict=True)
                rows = [("  " + address, who_may_connect(url, tokens=tokens is not None)) for address, url in told]
                print(f"{name} ({cls.__name__}) is served at")
                print("\n".join(plain_table(rows[0], rows[1:])))
                print("Ctrl-C ends it.", flush=True)
        await until_interrupted(_unreachable(node) if any(map(_is_stdio, addresses)) else None)


def audited(guards: Guards) -> None:
    """Let each denial leave a line where the guards say."""
    if guards.audit is not None:
        from everywire.cli.auditing import audit_to

        audit_to(guards.audit)


def token_file(guards: Guards) -> Tokens | None:
    """Return who may log in, where a login is demanded."""
    return None if guards.tokens is None else _tokens_of(guards.tokens)


async def _unreachable(node: Node) -> None:
    """Wait until the node has no address any more: it had only the standard input and output, and they have ended."""
    while node.addresses:  # noqa: ASYNC110  nodes do not tell, and this is for standard input and output alone
        await asyncio.sleep(LOOK)


def _is_stdio(address: str) -> bool:
    """Return whether the standard output belongs to a link, so that nothing else may be written there."""
    return address.partition(":")[0].rpartition("+")[2] == "stdio"


def _tokens_of(file: str) -> Tokens:
    from everywire.runtime.tokens import Tokens

    tokens = Tokens(file)
    if not tokens.grants:
        advice = f"everywire token add NAME --role operator --tokens {file}"
        print(f"everywire: {file} has no entries, so nobody can log in yet: {advice}", file=sys.stderr)
    return tokens


def _wire_at(url: str, *, insecure: bool) -> Wire:
    wire = wire_of(url)
    if not insecure or not hasattr(wire, "insecure"):
        return wire
    settings: Any = wire
    allowed: Wire = replace(settings, insecure=True)
    return allowed


def load_class(target: str) -> type[Object]:
    """Return the class that ``module:Class`` names; raise ModelError that says which half is wrong."""
    module_name, colon, class_name = target.partition(":")
    if not colon or not module_name or not class_name:
        raise ModelError(f"{target!r} is no MODULE:CLASS; it looks like everywire.cli.plant:Thermostat")
    if os.getcwd() not in sys.path:  # noqa: PTH109  as `python -m` does, so that one's own file is found
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not error.name or not (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ModelError(f"{module_name} needs {error.name}, which is not installed") from error
        raise ModelError(
            f"there is no module {module_name!r}; modules are looked for in {os.getcwd()} and on PYTHONPATH"  # noqa: PTH109
        ) from error
    classes = [key for key, value in vars(module).items() if _is_object_class(value) and not _is_of_tables(value)]
    found = getattr(module, class_name, None)
    if found is None:
        raise ModelError(
            f"{module_name} has no class {class_name!r}; it has {listed(classes)}.{suggestion(class_name, classes)}"
        )
    if not _is_object_class(found):
        raise ModelError(f"{target} is not a class derived from everywire.Object; {module_name} has {listed(classes)}")
    cls: type[Object] = found
    return cls


def who_may_connect(url: str, *, tokens: bool = False) -> str:
    """Return in words who is let in by the default policy at *url*, an address to listen at with its settings."""
    transport = url.partition(":")[0].rpartition("+")[2]
    if transport in ("local", "localabstract", "unix"):
        return "for this user and root"
    if transport == "memory":
        return "for this process"
    if transport == "dbus":
        return "for this user and root, where the policy of the bus lets them in"
    if "://" not in url:
        return ""
    host = url.partition("://")[2].partition("?")[0].partition("/")[0].rpartition(":")[0].strip("[]")
    certificates = "ca=" in url.partition("?")[2]
    near = is_loopback(host) or host == "localhost"
    plain = "" if near or transport in ("tls", "https", "wss") else ", in clear text"
    if tokens:
        return f"for who has a token{' or a listed certificate' if certificates else ''}{plain}"
    if certificates:
        return "for clients whose certificate is known"
    others = "" if near else "; others are strangers, who get nothing"
    return f"for everybody on this machine, anonymously{others}"


def _is_object_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Object) and value is not Object


def _is_of_tables(value: type) -> bool:
    """Whether *value* is one of the library's classes of tables, which modules import and do not mean to serve."""
    return value.__module__.partition(".tables")[0] == "everywire"


def _make(cls: type[Object], target: str) -> Object:
    try:
        return cls()
    except TypeError as error:
        raise ModelError(
            f"{target} cannot be made without arguments ({error}); serve a subclass that needs none"
        ) from error
