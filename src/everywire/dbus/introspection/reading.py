"""Introspection data read from XML that a stranger may have written.

Sizes are bounded, also of what comes out when the entities of a document type are expanded; nothing is fetched from
elsewhere. Elements and attributes that nobody knows are passed over, as the specification asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from textwrap import dedent
from typing import Final, NamedTuple, NoReturn, TypeVar
from xml.parsers import expat

from everywire.dbus.codec.names import check_interface, check_member
from everywire.dbus.codec.signatures import check_signature, parse_signature
from everywire.dbus.introspection.data import (
    DOC_STRING,
    Access,
    Argument,
    Interface,
    Member,
    Method,
    Node,
    Property,
    Signal,
)
from everywire.errors import ModelError, RemoteProtocolError
from everywire.model.types import short

MAX_BYTES: Final = 4 << 20
"""Longest text that is read."""
MAX_ELEMENTS: Final = 100_000
"""Most elements of it, unknown ones included."""
MAX_DEPTH: Final = 64
"""Deepest element."""
MAX_MEMBERS: Final = 4096
"""Most members of an object."""
MAX_NAME: Final = 255
"""Longest name of a property or argument; other names have rules of their own."""

T = TypeVar("T")


def parse(xml: str | bytes, *, limit: int = MAX_BYTES) -> Node:
    """Return what *xml* describes; raise RemoteProtocolError when it is too large or no introspection data."""
    try:
        data = xml.encode() if isinstance(xml, str) else xml
    except UnicodeEncodeError:
        raise _wrong("it has characters that are none") from None
    if len(data) > limit:
        raise _wrong(f"{len(data)} bytes where {limit} are the most")
    reader = _Reader("utf-8" if isinstance(xml, str) else None, limit)
    root = reader.read(data)
    if root.tag != "node":
        raise _wrong(f"it begins with <{short(root.tag)}> and not with <node>")
    return _node(root)


class _Element:
    """An element that means something to us, with those in it; *is_doc*: a description for people, or a part of one."""

    __slots__ = ("attributes", "children", "comment", "is_doc", "tag", "text")

    def __init__(self, tag: str, attributes: Mapping[str, str], comment: str, *, is_doc: bool = False) -> None:
        self.tag, self.attributes, self.comment, self.is_doc = tag, attributes, comment, is_doc
        self.children: list[_Element] = []
        self.text: list[str] = []

    def of(self, *tags: str) -> list[_Element]:
        """Return the children with one of these tags."""
        return [child for child in self.children if child.tag in tags]


class _Reader:
    """Makes a tree of the known elements, within the limits; text is kept in descriptions only."""

    def __init__(self, encoding: str | None, limit: int) -> None:
        self._parser = parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.EntityDeclHandler = self._entity
        parser.AttlistDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.CommentHandler = self._take_comment
        self._open: list[_Element | None] = []  # None for one that is passed over
        self._root: _Element | None = None
        self._count = 0
        self._comment = ""
        self._limit = limit
        self._references = 0

    def read(self, data: bytes) -> _Element:
        self._references = data.count(b"&")
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            raise _wrong(f"it is no XML: {error}") from None
        except (LookupError, ValueError) as error:  # the encoding it names
            raise _wrong(f"its encoding cannot be read: {error}") from None
        assert self._root is not None, "expat takes no text without an element"
        return self._root

    def _entity(self, _name: str, is_parameter: bool, value: str | None, *_: object) -> None:  # noqa: FBT001
        """Allow short texts, as some services' files have them, if all together stay below the limit once filled in."""
        if is_parameter or value is None or "&" in value or len(value) * self._references > self._limit:
            self._refuse()

    def _refuse(self, *_: object) -> NoReturn:
        raise _wrong("its document type declares what could make it grow without end, or what is elsewhere")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise _wrong(f"more than {MAX_ELEMENTS} elements, or deeper than {MAX_DEPTH}")
        comment, self._comment = self._comment, ""
        above = self._open[-1] if self._open else None
        element = None
        if self._root is None:
            element = self._root = _Element(tag, attributes, comment)
        elif above is not None and (above.is_doc or _is_doc(tag)):
            element = _Element(tag, attributes, comment, is_doc=True)
            element.text += [f"{attributes['name']}: "] if tag == "doc:error" and "name" in attributes else []
            self._break(above, tag)
        elif above is not None and tag in _KNOWN.get(above.tag, ()):
            element = _Element(tag, attributes, comment)
        if element is not None and above is not None:
            above.children.append(element)
        self._open.append(element)

    def _end(self, tag: str) -> None:
        self._comment = ""
        element = self._open.pop()
        above = self._open[-1] if self._open else None
        if element is not None and above is not None and above.is_doc:
            is_example = tag == "doc:code" and above.tag == "doc:example"
            above.text += [_AS_IS, dedent("".join(element.text))] if is_example else element.text
            self._break(above, tag)

    def _break(self, above: _Element, tag: str) -> None:
        if above.is_doc and tag.rpartition(":")[2] not in _INLINE:
            above.text.append(_BREAK)

    def _text(self, text: str) -> None:
        if self._open and (element := self._open[-1]) is not None and element.is_doc:
            element.text.append(text)

    def _take_comment(self, text: str) -> None:
        self._comment = text


_BREAK: Final = "\x00"
"""Where a paragraph of a description ends; no XML has this character."""
_AS_IS: Final = "\x01"
"""What a paragraph begins with whose lines and blanks are kept."""
_OF_MEMBER: Final = ("arg", "annotation")
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "node": ("node", "interface", "annotation"),
    "interface": ("method", "signal", "property", "annotation"),
    "method": _OF_MEMBER,
    "signal": _OF_MEMBER,
    "property": ("annotation",),
    "arg": ("annotation",),
}
_INLINE: Final = frozenset({"ref", "tt", "b", "i", "em", "a", "span", "dbus-ref", "member-ref"})


def _is_doc(tag: str) -> bool:
    return tag.startswith(("doc:", "tp:")) or tag == "docstring"


def _node(element: _Element) -> Node:
    name = element.attributes.get("name", "")
    if len(name) > _LONGEST_PATH or _NODE_NAME.fullmatch(name) is None:
        raise _wrong(f"{short(name)!r} is no name of a node: one looks like hall, or /org/acme/hall for the outermost")
    told = _told(element, name)
    interfaces = tuple(_interface(child) for child in element.of("interface"))
    if (count := sum(len(interface.members) for interface in interfaces)) > MAX_MEMBERS:
        raise _wrong(f"an object with {count} members, where {MAX_MEMBERS} are the most")
    return Node(
        name,
        interfaces,
        tuple(_node(child) for child in element.of("node")),
        told.annotations,
        told.doc,
    )


_LONGEST_PATH: Final = 4096
_NODE_NAME: Final = re.compile(r"|/|/?[A-Za-z0-9_]+(?:/[A-Za-z0-9_]+)*")


def _interface(element: _Element) -> Interface:
    name = _attribute(element, "name", "an interface")
    _checked(check_interface, name, "an interface")
    told = _told(element, name)
    members = tuple(_MEMBERS[child.tag](name, child) for child in element.of(*_MEMBERS))
    return Interface(name, members, told.annotations, told.doc)


def _method(interface: str, element: _Element) -> Method:
    name, place = _member_name(interface, element)
    told = _told(element, name)
    inputs: list[Argument] = []
    outputs: list[Argument] = []
    for child in element.of("arg"):
        direction = child.attributes.get("direction", "in")
        if direction not in ("in", "out"):
            raise _wrong(f"{place}: {short(direction)!r} is no direction; there are in and out")
        (inputs if direction == "in" else outputs).append(_argument(place, child, told))
    _checked(check_signature, "".join(argument.signature for argument in inputs), place)
    _checked(check_signature, "".join(argument.signature for argument in outputs), place)
    return Method(name, tuple(inputs), tuple(outputs), told.annotations, told.doc)


def _signal(interface: str, element: _Element) -> Signal:
    name, place = _member_name(interface, element)
    told = _told(element, name)
    arguments = tuple(_argument(place, child, told) for child in element.of("arg"))
    _checked(check_signature, "".join(argument.signature for argument in arguments), place)
    return Signal(name, arguments, told.annotations, told.doc)


def _property(interface: str, element: _Element) -> Property:
    name = _free_name(_attribute(element, "name", f"a property of {interface}"), interface)
    place = f"{interface}.{name}"
    access = element.attributes.get("access", "")
    if access not in _ACCESS:
        raise _wrong(f"{place}: {short(access)!r} is no access; there are {', '.join(_ACCESS)}")
    told = _told(element, name)
    return Property(name, _single(element, place), _ACCESS[access], told.annotations, told.doc)


_ACCESS: Final = {access.value: access for access in Access}
_MEMBERS: Final[Mapping[str, Callable[[str, _Element], Member]]] = {
    "method": _method,
    "signal": _signal,
    "property": _property,
}


def _argument(place: str, element: _Element, of_member: _Told) -> Argument:
    name = _free_name(element.attributes.get("name", ""), place)
    told = _told(element, name)
    return Argument(_single(element, place), name, told.annotations, told.doc or of_member.arguments.get(name, ""))


def _member_name(interface: str, element: _Element) -> tuple[str, str]:
    name = _attribute(element, "name", f"a {element.tag} of {interface}")
    _checked(check_member, name, interface)
    return name, f"{interface}.{name}"


def _free_name(name: str, place: str) -> str:
    if len(name) > MAX_NAME or not name.isprintable():
        raise _wrong(f"{place}: {short(name)!r} is no name that can be shown, of at most {MAX_NAME} characters")
    return name


def _single(element: _Element, place: str) -> str:
    signature = _attribute(element, "type", place)
    if len(_checked(parse_signature, signature, place)) != 1:
        raise _wrong(f"{place}: {short(signature)!r} is not a single complete type")
    return signature


def _attribute(element: _Element, name: str, place: str) -> str:
    value = element.attributes.get(name)
    if not value:
        raise _wrong(f"{place}: <{element.tag}> lacks its {name}")
    return value


def _checked(check: Callable[[str], T], text: str, place: str) -> T:
    try:
        return check(text)
    except ModelError as error:
        raise _wrong(f"{place}: {error}") from None


def _wrong(why: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"not introspection data: {why}")


# ------------------------------------------------------------------------------------------- annotations, descriptions
class _Told(NamedTuple):
    """What is said about an element beside what it is; *arguments* are described in a comment of their member."""

    annotations: dict[str, str]
    doc: str
    arguments: Mapping[str, str]


def _told(element: _Element, name: str) -> _Told:
    annotations: dict[str, str] = {}
    for child in element.of("annotation"):
        value = child.attributes.get("value")
        if value is None:
            raise _wrong(f"an annotation of {short(name)!r} lacks its value")
        annotations.setdefault(_attribute(child, "name", f"an annotation of {short(name)!r}"), value)
    commented, arguments = _comment_of(element.comment, name)
    written = next((_paragraphs(child) for child in element.children if child.is_doc), "")
    return _Told(annotations, annotations.pop(DOC_STRING, "") or written or commented, arguments)


def _paragraphs(element: _Element) -> str:
    parts = (
        part.strip().removeprefix(_AS_IS).strip("\n").rstrip() if _AS_IS in part else " ".join(part.split())
        for part in "".join(element.text).split(_BREAK)
    )
    return "\n\n".join(filter(None, parts))


def _comment_of(comment: str, name: str) -> tuple[str, dict[str, str]]:
    """Return what a comment in the style of gdbus-codegen says about *name* and about its arguments.

    Its first line is the name with a colon; a comment that begins otherwise speaks of something else.
    """
    lines = [line.strip() for line in comment.strip().splitlines()]
    head, colon, rest = lines[0].partition(":") if lines else ("", "", "")
    if not name or not colon or head != name:
        return "", {}
    doc: list[str] = [rest.strip()]
    arguments: dict[str, str] = {}
    current = ""
    for line in lines[1:]:
        if mark := _COMMENTED.fullmatch(line):
            current = mark[1]
            arguments[current] = mark[2]
        elif line and current:
            arguments[current] += f" {line}"
        else:
            current = ""
            doc.append(line)
    paragraphs = (" ".join(part.split()) for part in "\n".join(doc).split("\n\n"))
    return "\n\n".join(filter(None, (arguments.pop("short_description", ""), *paragraphs))), arguments


_COMMENTED: Final = re.compile(r"@(\w+): *(.*)")
