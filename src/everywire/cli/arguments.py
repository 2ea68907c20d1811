"""The words after a slot's name become its arguments, converted by the contract; the members a command may name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from everywire.cli.exits import listed, suggestion
from everywire.cli.values import from_json, from_text, parse_json
from everywire.errors import ModelError
from everywire.model import MISSING, Contract, Kind, Member, Parameter

FROM_STDIN = "-"

_VERBS = {
    Kind.PROPERTY: "read it by 'everywire get'",
    Kind.SIGNAL: "hear it by 'everywire watch'",
    Kind.SLOT: "call it by 'everywire call'",
}


def member_named(contract: Contract, name: str, *kinds: Kind) -> Member:
    """Return the member *name*, by its Python or its wire's name; raise ModelError with what there is."""
    known = {member.name: member for kind in kinds for member in contract.of_kind(kind)}
    by_wire = {member.wire_name: member for member in known.values() if member.wire_name}
    found = known.get(name) or by_wire.get(name)
    if found is not None:
        return found
    other = contract.members.get(name)
    if other is not None:
        raise ModelError(f"{name} is a {other.kind.value}, not a {_or(kinds)}: {_VERBS[other.kind]}")
    has = f"it has {listed(known)}" if known else "it has none"
    raise ModelError(f"{contract.name} has no {_or(kinds)} {name!r}; {has}.{suggestion(name, known)}")


def bind(member: Member, words: Sequence[str]) -> list[Any]:
    """Return the arguments of the slot *member* for the *words* ``VALUE`` and ``NAME=VALUE``; raise ModelError."""
    given = words_by_parameter(member, words)
    return [_value(member, parameter, given) for parameter in member.parameters]


def words_by_parameter(member: Member, words: Sequence[str]) -> dict[str, str]:
    """Return which of the *words* each parameter of *member* gets, but for those with defaults; raise ModelError."""
    by_name = {parameter.name: parameter for parameter in member.parameters}
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in by_name:
            _give(given, member, name, value)
        elif equals and name.isidentifier() and suggestion(name, by_name):
            raise ModelError(f"{member.name} has no parameter {name!r}.{suggestion(name, by_name)}")
        else:
            _give(given, member, _next_free(member, given), word)
    for parameter in member.parameters:
        if parameter.name not in given and parameter.default is MISSING:
            raise ModelError(f"{member.name} needs {parameter.name}: {member}")
    return given


def read_value(node_owner: str, parameter: Parameter, text: str) -> Any:
    """Return *text* as a value for *parameter*; ``-`` reads JSON from the standard input. Raises ModelError."""
    try:
        if text == FROM_STDIN:
            return from_json(parameter.type, parse_json(read_stdin()))
        text.encode()
        return from_text(parameter.type, text)
    except UnicodeEncodeError:
        raise ModelError(f"{node_owner}: the word is not UTF-8") from None
    except ModelError as error:
        raise ModelError(f"{node_owner}: {error}") from None


def read_stdin() -> str:
    """Return the standard input; raise ModelError when it cannot be read."""
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise ModelError("the standard input is closed, and - reads it")
    try:
        text = sys.stdin.read()
        text.encode()  # some locales let anything in
    except UnicodeError as error:
        raise ModelError(f"the standard input is not UTF-8: {error}") from None
    except OSError as error:
        raise ModelError(f"the standard input cannot be read: {error.strerror}") from None
    return text


def _give(given: dict[str, str], member: Member, name: str, value: str) -> None:
    if name in given:
        raise ModelError(f"{member.name}: {name} is given twice")
    given[name] = value


def _next_free(member: Member, given: dict[str, str]) -> str:
    for parameter in member.parameters:
        if parameter.name not in given:
            return parameter.name
    count = len(member.parameters)
    takes = f"{count} argument{'' if count == 1 else 's'}" if count else "no arguments"
    raise ModelError(f"{member.name} takes {takes}: {member}")


def _value(member: Member, parameter: Parameter, given: dict[str, str]) -> Any:
    if parameter.name in given:
        return read_value(f"{member.name}({parameter.name})", parameter, given[parameter.name])
    return parameter.default


def _or(kinds: Sequence[Kind]) -> str:
    return ", ".join(kind.value for kind in kinds[:-1]) + " or " * (len(kinds) > 1) + kinds[-1].value
