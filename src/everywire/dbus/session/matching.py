"""`Match`: which messages somebody wants (D-Bus Specification, "Match Rules"), as text for a bus and as a test here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from everywire.dbus.codec import Kind, Message, check_bus_name, check_interface, check_member, check_path
from everywire.errors import ModelError
from everywire.model.types import short

BUS: Final = "org.freedesktop.DBus"
BUS_PATH: Final = "/org/freedesktop/DBus"
MOST_ARGUMENTS: Final = 64
"""Arguments that a rule can look at: 0 to 63."""

_WORDS: Final = {
    Kind.CALL: "method_call",
    Kind.RETURN: "method_return",
    Kind.ERROR: "error",
    Kind.SIGNAL: "signal",
}
_LOOKS: Final = "one looks like type='signal',interface='org.acme.Thermostat1',member='Overheated'"
_KEYS: Final = {
    "type": "kind",
    "eavesdrop": "eavesdrop",
    **{key: key for key in ("sender", "interface", "member", "path", "path_namespace", "destination", "arg0namespace")},
}
_ARGUMENT: Final = re.compile(r"arg(\d{1,2})(path)?", re.ASCII)
_NO_ARGUMENTS: Final[Mapping[int, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A rule; what is not given matches everything. Raises ModelError for a name that no message could have.

    *sender* may be a well-known name: then messages of its present owner match. *args* compares leading arguments of
    type text, *arg_paths* compares them as paths of which one contains the other, *arg0namespace* compares the first as
    a name and everything below it. Beside *path*, *path_namespace* takes a path and everything below it.
    """

    kind: Kind | None = Kind.SIGNAL
    sender: str = ""
    interface: str = ""
    member: str = ""
    path: str = ""
    path_namespace: str = ""
    destination: str = ""
    args: Mapping[int, str] = field(default_factory=lambda: _NO_ARGUMENTS, hash=False)
    arg_paths: Mapping[int, str] = field(default_factory=lambda: _NO_ARGUMENTS, hash=False)
    arg0namespace: str = ""
    eavesdrop: bool = False

    def __post_init__(self) -> None:
        for text, check in (
            (self.sender, check_bus_name),
            (self.destination, check_bus_name),
            (self.interface, check_interface),
            (self.member, check_member),
            (self.path, check_path),
            (self.path_namespace, check_path),
        ):
            if text:
                check(text)
        if self.path and self.path_namespace:
            raise ModelError("a match rule has a path or a path_namespace, not both")
        for number in (*self.args, *self.arg_paths):
            if not 0 <= number < MOST_ARGUMENTS:
                raise ModelError(f"a match rule looks at the arguments 0 to {MOST_ARGUMENTS - 1}, not at {number}")

    def __str__(self) -> str:
        pairs = {
            "type": "" if self.kind is None else _WORDS[self.kind],
            "sender": self.sender,
            "interface": self.interface,
            "member": self.member,
            "path": self.path,
            "path_namespace": self.path_namespace,
            "destination": self.destination,
            **{f"arg{number}": value for number, value in self.args.items()},
            **{f"arg{number}path": value for number, value in self.arg_paths.items()},
            "arg0namespace": self.arg0namespace,
            "eavesdrop": "true" if self.eavesdrop else "",
        }
        always = {f"arg{number}" for number in self.args}  # an empty text is something to compare with
        return ",".join(f"{key}={_quoted(value)}" for key, value in pairs.items() if value or key in always)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rule that *text* is; an empty one matches every message. Raises ModelError."""
        given: dict[str, Any] = {"kind": None}
        args: dict[int, str] = {}
        paths: dict[int, str] = {}
        for key, value in _pairs(text):
            table: dict[Any, Any]
            name: Any
            number = _ARGUMENT.fullmatch(key)
            if number is not None:
                table, name = (paths if number[2] else args), int(number[1])
            elif key in _KEYS:
                table, name = given, _KEYS[key]
            else:
                raise ModelError(f"a match rule knows no {short(key)!r}; {_LOOKS}")
            if table.get(name) is not None:
                raise ModelError(f"a match rule has {key} once, not twice")
            table[name] = _value(key, value)
        return cls(**given, args=args, arg_paths=paths)

    def matches(self, message: Message, owner: str | None = None) -> bool:
        """Return whether *message* is wanted; *owner* is the unique name behind a well-known *sender*."""
        return self.matches_head(message, owner) and (not self.looks_inside or self.matches_body(message))

    @property
    def looks_inside(self) -> bool:
        """Whether it depends on arguments."""
        return bool(self.args or self.arg_paths or self.arg0namespace)

    def matches_head(self, message: Message, owner: str | None = None) -> bool:
        """Return whether *message* is wanted as far as its header says; see `matches`."""
        if self.kind is not None and message.kind is not self.kind:
            return False
        if self.sender and message.sender != (self.sender if owner is None else owner):
            return False
        for wanted, found in (
            (self.interface, message.interface),
            (self.member, message.member),
            (self.path, message.path),
            (self.destination, message.destination),
        ):
            if wanted and wanted != found:
                return False
        return not self.path_namespace or _is_below(message.path, self.path_namespace)

    def matches_body(self, message: Message) -> bool:
        """Return whether *message* is wanted as far as its arguments say."""
        body = message.body
        texts: dict[int, str] = {n: v for n, v in enumerate(body[:MOST_ARGUMENTS]) if isinstance(v, str)}
        if any(texts.get(number) != value for number, value in self.args.items()):
            return False
        if any(not _paths_meet(texts.get(number), value) for number, value in self.arg_paths.items()):
            return False
        name = self.arg0namespace
        return not name or texts.get(0) == name or texts.get(0, "").startswith(f"{name}.")


def _is_below(path: str, root: str) -> bool:
    return root in ("/", path) or path.startswith(f"{root}/")


def _paths_meet(found: str | None, wanted: str) -> bool:
    """Return whether two paths are equal, or the one that ends with a slash contains the other."""
    if found is None:
        return False
    return (
        found == wanted
        or (wanted.endswith("/") and found.startswith(wanted))
        or (found.endswith("/") and wanted.startswith(found))
    )


def _quoted(value: str) -> str:
    """Return *value* between apostrophes; one within is written outside of them, behind a backslash."""
    return "'" + value.replace("'", "'\\''") + "'"


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield keys and values: between apostrophes all stands for itself, elsewhere a backslash takes the next one so."""
    at = 0
    while at < len(text):
        key, equals, _ = text[at:].partition("=")
        if not equals:
            raise ModelError(f"{short(text)!r} is no match rule: {_LOOKS}")
        at += len(key) + 1
        value, quoted = "", False
        while at < len(text) and (quoted or text[at] != ","):
            if text[at] == "'":
                quoted = not quoted
            else:
                at += not quoted and text[at : at + 2] == "\\'"
                value += text[at]
            at += 1
        if quoted:
            raise ModelError(f"{short(text)!r} is no match rule: an apostrophe is not closed")
        at += 1
        yield key.strip(), value


def _value(key: str, value: str) -> Any:
    if key == "type":
        kinds = {word: kind for kind, word in _WORDS.items()}
        if value not in kinds:
            raise ModelError(f"a match rule knows no type {short(value)!r}; there are {', '.join(kinds)}")
        return kinds[value]
    if key == "eavesdrop":
        if value not in ("true", "false"):
            raise ModelError("eavesdrop is true or false")
        return value == "true"
    return value
