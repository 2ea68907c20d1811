"""`everywire serve`: finds a class by its name, makes one object and serves it until it is told to end."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from everywire.cli.exits import listed, suggestion
from everywire.cli.looping import until_interrupted
from everywire.cli.printing import plain_table, print_json
from everywire.errors import ModelError
from everywire.model import Object
from everywire.model.names import snake
from everywire.runtime.node import Node


async def serve(target: str, name: str | None, urls: Sequence[str], *, json: bool) -> None:
    """Serve an object of the class *target* (``module:Class``) at *urls* until Ctrl-C or SIGTERM."""
    cls = load_class(target)
    name = name or snake(cls.__name__)
    async with Node() as node:
        node.publish(_make(cls, target), name)
        addresses = await node.serve(*urls)
        if json:
            print_json({"object": name, "class": cls.__name__, "addresses": addresses})
        else:
            rows = [("  " + address, who_may_connect(address)) for address in addresses]
            print(f"{name} ({cls.__name__}) is served at")
            print("\n".join(plain_table(rows[0], rows[1:])))
            print("Ctrl-C ends it.", flush=True)
        await until_interrupted()


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
    classes = {key: value for key, value in vars(module).items() if _is_object_class(value)}
    found = getattr(module, class_name, None)
    if found is None:
        raise ModelError(
            f"{module_name} has no class {class_name!r}; it has {listed(classes)}.{suggestion(class_name, classes)}"
        )
    if not _is_object_class(found):
        raise ModelError(f"{target} is not a class derived from everywire.Object; {module_name} has {listed(classes)}")
    cls: type[Object] = found
    return cls


def who_may_connect(url: str) -> str:
    """Return in words who the default policy lets in at *url*."""
    scheme = url.partition(":")[0].rpartition("+")[2]
    return {
        "local": "for this user and root",
        "localabstract": "for this user and root",
        "tcp": "for everybody on this machine",
        "tls": "for clients whose certificate is known",
        "memory": "for this process",
    }.get(scheme, "")


def _is_object_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Object) and value is not Object


def _make(cls: type[Object], target: str) -> Object:
    try:
        return cls()
    except TypeError as error:
        raise ModelError(
            f"{target} cannot be made without arguments ({error}); serve a subclass that needs none"
        ) from error
