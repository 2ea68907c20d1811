"""Checks of arguments, compiled once per member: the general conversion of `model/types.py` in one expression.

The generated source holds literals and our own identifiers only, never a name from a class or a wire.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any, Final

from everywire.errors import ModelError
from everywire.model.contract import MISSING, Kind, Member, Parameter
from everywire.model.types import ATOMS, Type

Check = Callable[[tuple[Any, ...]], tuple[Any, ...]]
Convert = Callable[[Any], Any]

_NAMES: Final[dict[str, Any]] = {kind.__name__: kind for kind in ATOMS}


def compile_check(member: Member) -> Check:
    """Return a function that takes the arguments of *member* and returns them checked and converted.

    It fills in defaults of missing trailing arguments and raises ModelError or OutOfRange naming the parameter.
    """
    parameters = member.parameters
    convert = _general_check(member)
    tests = [parameter.type.test(f"a{n}") for n, parameter in enumerate(parameters)]
    if any(test is None for test in tests):
        return convert
    names = ", ".join(f"a{n}" for n in range(len(parameters)))
    condition = " and ".join(str(test) for test in tests)
    body = f"  {names}, = a\n  if {condition}: return a\n" if parameters else "  return a\n"
    source = f"def check(a):\n if len(a) == {len(parameters)}:\n{body} return convert(a)\n"
    return run_source(source, {**_NAMES, "convert": convert})["check"]  # type: ignore[no-any-return]


def compile_convert(name: str, type_: Type) -> Convert:
    """Return a function that converts one value of the property *name*, with its name in the error."""
    general = type_.convert

    def convert(value: Any) -> Any:
        try:
            return general(value)
        except ModelError as error:
            raise type(error)(f"{name}: {error}") from None

    test = type_.test("v")
    if test is None:
        return convert
    source = f"def convert(v):\n return v if {test} else general(v)\n"
    return run_source(source, {**_NAMES, "general": convert})["convert"]  # type: ignore[no-any-return]


def checked_result(result: Type | None, value: Any) -> Any:
    """Return the result of a slot as its type wants it; raise ModelError when it does not fit."""
    return None if result is None else result.convert(value)


def run_source(source: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run generated *source* with *names* as its globals and return what it defined."""
    defined: dict[str, Any] = dict(names)
    exec(_compiled(source), defined)  # noqa: S102  our own literals and identifiers only
    return defined


@lru_cache(maxsize=1024)
def _compiled(source: str) -> CodeType:
    """Return the code of *source*; few sources occur, and each child object that comes asks for all of its own."""
    return compile(source, "<everywire>", "exec")


def _general_check(member: Member) -> Check:
    parameters = member.parameters
    called = member.name if member.kind is Kind.PROPERTY else f"{member.name}({{}})"
    converts = [compile_convert(called.format(parameter.name), parameter.type) for parameter in parameters]
    required = sum(parameter.default is MISSING for parameter in parameters)

    def check(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(arguments) > len(parameters) or len(arguments) < required:
            raise ModelError(f"{member.name} takes {_count(parameters, required)}, got {len(arguments)}")
        filled = (*arguments, *(parameter.default for parameter in parameters[len(arguments) :]))
        return tuple([convert(value) for convert, value in zip(converts, filled, strict=True)])

    return check


def _count(parameters: Sequence[Parameter], required: int) -> str:
    text = str(required) if required == len(parameters) else f"{required} to {len(parameters)}"
    return f"{text} argument{'' if text == '1' else 's'}"
