"""Values of D-Bus on a command line: words to what bodies hold, and bodies to what people and programs read.

A word is written as the contract wants it, as on every wire. Where D-Bus wants a variant it is JSON or plain text; a
variant of a certain type is written ``@SIGNATURE VALUE``, within JSON ``{"@SIGNATURE": VALUE}``.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from everywire.cli.arguments import FROM_STDIN, read_stdin
from everywire.cli.values import from_json, from_text, jsonable, parse_json, to_json
from everywire.dbus.codec import Node, Variant, parse_signature
from everywire.dbus.wire.lifting import compile_lift_fds
from everywire.dbus.wire.lowering import compile_lower
from everywire.dbus.wire.signatures import one_type, type_of_signature
from everywire.dbus.wire.variants import variant_of
from everywire.errors import ModelError
from everywire.model import Parameter
from everywire.model.types import Handle, Type, short
from everywire.transport.descriptors import UnixFd

MARK: Final = "@"


# ------------------------------------------------------------------------------------------------------- inwards
def lowered(owner: str, parameter: Parameter, signature: str, text: str, fds: list[UnixFd]) -> Any:
    """Return the word *text* as a body holds it; raise ModelError that begins with *owner*.

    A descriptor is written as the number that it has in this process, as in ``3< FILE``, and joins *fds*.
    """
    shape = one_type(signature)
    try:
        if isinstance(parameter.type, Handle):
            return _descriptor(text, fds)
        text.encode()
        from_stdin = text == FROM_STDIN
        text = read_stdin() if from_stdin else text
        if "v" in signature:
            return _of_json(shape, _marked(text) if shape.code == "v" and not from_stdin else parse_json(text))
        node = parameter.type
        value = from_json(node, parse_json(text)) if from_stdin else from_text(node, text)
        return _lower(node, signature, value)
    except UnicodeEncodeError:
        raise ModelError(f"{owner}: the word is not UTF-8") from None
    except ModelError as error:
        raise ModelError(f"{owner}: {error}") from None


def of_default(parameter: Parameter, signature: str) -> Any:
    """Return the default of a parameter as a body holds it."""
    return _lower(parameter.type, signature, parameter.default)


def _lower(node: Type, signature: str, value: Any) -> Any:
    lower = compile_lower(node, signature, foreign=True)
    return value if lower is None else lower(value)


def _marked(text: str) -> Any:
    """Return the word for a variant as what JSON would have said."""
    if text.startswith(MARK):
        signature, _, rest = text[1:].partition(" ")
        node = type_of_signature(signature)
        return {f"{MARK}{signature}": parse_json(rest) if "v" in signature else _plain_text(node, rest)}
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    except RecursionError:
        raise ModelError("expected JSON or text, got something that is nested too deep") from None


def _plain_text(node: Type, text: str) -> Any:
    """Return a word of a certain type as what JSON would have said; errors name the type."""
    return jsonable(from_text(node, text))


def _of_json(shape: Node, raw: Any) -> Any:
    """Return decoded JSON as a body holds it, by the shape that D-Bus wants."""
    match shape.code:
        case "v":
            return _variant(raw)
        case "a" if shape.parts[0].code == "{":
            key, value = shape.parts[0].parts
            given: dict[str, Any] = _expect(dict, raw, shape)
            return {_key(key, name): _of_json(value, item) for name, item in given.items()}
        case "a" if shape.parts[0].code != "y":
            return [_of_json(shape.parts[0], item) for item in _expect(list, raw, shape)]
        case "(":
            parts: list[Any] = _expect(list, raw, shape)
            if len(parts) != len(shape.parts):
                raise ModelError(f"expected {len(shape.parts)} items for {str(shape)!r}, got {len(parts)}")
            return [_of_json(inner, part) for inner, part in zip(shape.parts, parts, strict=True)]
        case _:
            node = type_of_signature(str(shape))
            return _lower(node, str(shape), from_json(node, raw))


def _variant(raw: Any) -> Variant:
    if isinstance(raw, dict) and len(cast("dict[str, Any]", raw)) == 1:
        ((key, inner),) = cast("dict[str, Any]", raw).items()
        if key.startswith(MARK):
            return Variant(key[1:], _of_json(one_type(key[1:]), inner))
    if isinstance(raw, dict):
        return Variant("a{sv}", {key: _variant(item) for key, item in cast("dict[str, Any]", raw).items()})
    if isinstance(raw, list):
        return Variant("av", [_variant(item) for item in cast("list[Any]", raw)])
    return variant_of(raw)


def _key(shape: Node, text: str) -> Any:
    node = type_of_signature(str(shape))
    return _lower(node, str(shape), from_text(node, text))


def _expect(kind: type, raw: Any, shape: Node) -> Any:
    if not isinstance(raw, kind):
        what = "an object" if kind is dict else "an array"
        raise ModelError(f"expected {what} of JSON for {str(shape)!r}, got {short(raw)}")
    return raw


def _descriptor(text: str, fds: list[UnixFd]) -> int:
    try:
        fds.append(UnixFd(int(text)))
    except (ValueError, OSError):
        raise ModelError(f"expected the number of an open file, as in 3 with 3< FILE, got {short(text)!r}") from None
    return len(fds) - 1


# ------------------------------------------------------------------------------------------------------ outwards
def lifted(node: Type, signature: str, raw: Any, fds: tuple[Any, ...] = ()) -> Any:
    """Return what came in a body as a value of *node*; as it is where it does not fit, for services err."""
    try:
        return node.convert(compile_lift_fds(node, signature)(raw, fds))
    except ModelError:
        return plain(raw)


def plain(value: Any) -> Any:
    """Return *value* without the variants in it, each of which becomes what it holds."""
    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, UnixFd):
        return f"file descriptor {value.fileno()}"
    return value


def shown(signature: str, body: tuple[Any, ...]) -> str:
    """Return the values of a body, separated by commas."""
    nodes = parse_signature(signature)
    return ", ".join(_shown(node, value) for node, value in zip(nodes, body, strict=True))


def _shown(node: Node, value: Any) -> str:
    """Return a value as JSON writes it; paths and signatures stand without quotes."""
    if node.code == "v":
        return _shown(one_type(value.signature), value.value)
    if node.code in "og":
        return str(value) or '""'
    return to_json(plain(value))
