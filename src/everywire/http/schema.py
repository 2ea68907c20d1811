"""Types as JSON Schema: exactly for OpenAPI 3.1, and in the subset that Thing Descriptions have. Knows no objects."""

from __future__ import annotations

from typing import Any, Final

from everywire.codec.json import SAFE, lowered
from everywire.model import MISSING, Member, Parameter
from everywire.model.types import (
    DATE,
    DATETIME,
    DURATION,
    STR,
    TIME,
    UUID_,
    Bytes,
    DictOf,
    EnumType,
    Exact,
    Float,
    Int,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
)

Schema = dict[str, Any]

_FORMATS: Final = {DATETIME: "date-time", DATE: "date", TIME: "time", DURATION: "duration", UUID_: "uuid"}


class Schemas:
    """Makes schemas; *exact* ones name structs and enums and collect them in `named`.

    Thing Descriptions have one type for each value and no references. Theirs are therefore inline, and leave unsaid
    what is rare: whole numbers beyond 2^53, NaN and infinities are texts.
    """

    def __init__(self, *, exact: bool) -> None:
        self._exact = exact
        self.named: dict[str, Schema] = {}

    def of(self, node: Type) -> Schema:
        """Return the schema of a type."""
        match node:
            case Int():
                return self._int(node)
            case Float():
                return self._float(node)
            case Bytes():
                return {"type": "string", "contentEncoding": "base64"}
            case Exact():
                return _plain(node)
            case EnumType() | StructOf():
                return self._reference(node)
            case _:
                return self._compound(node)

    def value(self, parameter: Parameter) -> Schema:
        """Return the schema of a property or parameter, with its unit and default."""
        found = self.of(parameter.type)
        if parameter.unit:
            found = {**found, "unit" if not self._exact else "x-unit": parameter.unit}
        if parameter.default is not MISSING:
            found = {**found, "default": lowered(parameter.type, parameter.default)}
        return found

    def arguments(self, member: Member) -> Schema:
        """Return the schema of a slot's arguments by name."""
        required = [parameter.name for parameter in member.parameters if parameter.default is MISSING]
        found: Schema = {
            "type": "object",
            "properties": {parameter.name: self.value(parameter) for parameter in member.parameters},
        }
        if required:
            found["required"] = required
        if self._exact:
            found["additionalProperties"] = False
        return found

    def listed(self, nodes: tuple[Type, ...]) -> Schema:
        """Return the schema of an array with one item of each type."""
        count = len(nodes)
        if not self._exact:
            return {"type": "array", "items": [self.of(node) for node in nodes], "minItems": count, "maxItems": count}
        found: Schema = {"type": "array", "items": False, "minItems": count, "maxItems": count}
        return {**found, "prefixItems": [self.of(node) for node in nodes]} if nodes else found

    # Private.

    def _int(self, node: Int) -> Schema:
        low, high = node.bounds
        found: Schema = {"type": "integer"}
        safe = low >= -SAFE and high <= SAFE
        if safe or node.low is not None:
            found["minimum"] = low
        if safe or node.high is not None:
            found["maximum"] = high
        if safe or not self._exact:
            return found
        text = {"type": "string", "pattern": "^-?[0-9]{1,20}$", "description": "beyond 2^53"}
        return {"anyOf": [{**found, "format": "int64" if node.signed else "uint64"}, text]}

    def _float(self, node: Float) -> Schema:
        found: Schema = {"type": "number"}
        if node.low is not None:
            found["minimum"] = node.low
        if node.high is not None:
            found["maximum"] = node.high
        if not self._exact:
            return found
        found["format"] = "double" if node.bits == 64 else "float"
        texts = ["Infinity"] * (node.high is None) + ["-Infinity"] * (node.low is None)
        if node.low is None and node.high is None:  # NaN lies outside every bound
            texts.append("NaN")
        return {"anyOf": [found, {"enum": texts}]} if texts else found

    def _compound(self, node: Type) -> Schema:
        match node:
            case ListOf():
                return {"type": "array", "items": self.of(node.item)}
            case TupleOf():
                if node.variadic:
                    return {"type": "array", "items": self.of(node.items[0])}
                return self.listed(node.items)
            case DictOf():
                found: Schema = {"type": "object"}
                return {**found, "additionalProperties": self.of(node.value)} if self._exact else found
            case OptionalOf():
                return {"anyOf" if self._exact else "oneOf": [self.of(node.item), {"type": "null"}]}
            case _:
                return {}  # anything

    def _reference(self, node: EnumType | StructOf) -> Schema:
        if not self._exact:
            return self._named(node)
        name = "".join(char if char.isascii() else f".{ord(char):x}" for char in node.name)  # OpenAPI's are ASCII
        if name not in self.named:
            self.named[name] = {}  # its place, in order
            self.named[name] = self._named(node)
        return {"$ref": f"#/components/schemas/{name}"}

    def _named(self, node: EnumType | StructOf) -> Schema:
        if isinstance(node, EnumType):
            return {"type": "integer"} if node.flag else {"type": "string", "enum": list(node.cls.__members__)}
        found: Schema = {
            "type": "object",
            "properties": {field.name: self.of(field.type) for field in node.fields},
            "required": [field.name for field in node.fields if field.required],
        }
        if self._exact:
            found["additionalProperties"] = False
        elif not found["required"]:
            del found["required"]
        return found


def _plain(node: Exact) -> Schema:
    if node is STR or node.kind is str:
        return {"type": "string"}
    return {"type": "boolean"} if node.kind is bool else {"type": "string", "format": _FORMATS[node]}
