"""Introspection data as XML: well-formed whatever the texts are, and read back the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from everywire.dbus.introspection.data import DOC_STRING, Argument, Interface, Member, Method, Node, Property, Signal

DOCTYPE: Final = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)


def write(node: Node) -> str:
    """Return *node* as XML."""
    return DOCTYPE + "".join(_node_lines(node, ""))


def _node_lines(node: Node, indent: str) -> Iterator[str]:
    inner = [
        *_annotation_lines(node, indent + "  "),
        *(line for interface in node.interfaces for line in _interface_lines(interface, indent + "  ")),
        *(line for child in node.nodes for line in _node_lines(child, indent + "  ")),
    ]
    yield from _element_lines(indent, "node", {"name": node.name}, inner)


def _interface_lines(interface: Interface, indent: str) -> Iterator[str]:
    inner = [
        *_annotation_lines(interface, indent + "  "),
        *(line for member in interface.members for line in _member_lines(member, indent + "  ")),
    ]
    yield from _element_lines(indent, "interface", {"name": interface.name}, inner)


def _member_lines(member: Member, indent: str) -> Iterator[str]:
    inner = [*_annotation_lines(member, indent + "  ")]
    match member:
        case Property():
            attributes = {"name": member.name, "type": member.signature, "access": member.access.value}
            yield from _element_lines(indent, "property", attributes, inner)
        case Signal():
            inner += (line for argument in member.arguments for line in _argument_lines(argument, "", indent + "  "))
            yield from _element_lines(indent, "signal", {"name": member.name}, inner)
        case Method():
            inner += (line for argument in member.inputs for line in _argument_lines(argument, "in", indent + "  "))
            inner += (line for argument in member.outputs for line in _argument_lines(argument, "out", indent + "  "))
            yield from _element_lines(indent, "method", {"name": member.name}, inner)


def _argument_lines(argument: Argument, direction: str, indent: str) -> Iterator[str]:
    attributes = {"name": argument.name, "type": argument.signature, "direction": direction}
    yield from _element_lines(indent, "arg", attributes, [*_annotation_lines(argument, indent + "  ")])


def _annotation_lines(told: Node | Interface | Member | Argument, indent: str) -> Iterator[str]:
    annotations = {**told.annotations, **({DOC_STRING: told.doc} if told.doc else {})}
    for name, value in annotations.items():
        yield f'{indent}<annotation name="{_escaped(name)}" value="{_escaped(value)}"/>\n'


def _element_lines(indent: str, tag: str, attributes: Mapping[str, str], inner: list[str]) -> Iterator[str]:
    begin = "".join(f' {name}="{_escaped(value)}"' for name, value in attributes.items() if value)
    if not inner:
        yield f"{indent}<{tag}{begin}/>\n"
        return
    yield f"{indent}<{tag}{begin}>\n"
    yield from inner
    yield f"{indent}</{tag}>\n"


def _escaped(text: str) -> str:
    """Return *text* as the value of an attribute; what no XML can hold is shown as the replacement character."""
    return _NOT_XML.sub("\ufffd", text).translate(_ENTITIES)


_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ENTITIES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
