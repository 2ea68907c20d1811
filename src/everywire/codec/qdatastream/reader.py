"""Reading QVariants and the user types inside them: containers by C++ name, enums, gadgets, Remote Objects' own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from everywire.codec.qdatastream.layouts import NO_TYPES, Streamed, UserTypes, enumeration
from everywire.codec.qdatastream.names import (
    CORE,
    LISTS,
    MAPS,
    PAIRS,
    TypeName,
    number_on_wire,
    parse_type_name,
    type_of_number,
)
from everywire.codec.qdatastream.stream import DEFAULT_VERSION, NULL, Buffer, ByteReader, Order, as_text
from everywire.codec.qdatastream.types import ObjectReference, Opaque, TypeId, UnknownUserType
from everywire.codec.qdatastream.values import VALUES
from everywire.errors import RemoteProtocolError

T = TypeVar("T")

MAX_DEPTH: Final = 64
"""How many lists, maps, structures and variants may be inside each other."""

MAX_COLLISIONS: Final = 100
"""How many keys of a map may share their hash with others."""

PICKLE: Final = "PySide::PyObjectWrapper"
"""A Python object that PySide could not map, as a pickle: nothing that anybody should open."""


class Reader(ByteReader):
    """A bounded reader of QVariants; `types` names the enums and gadgets that may occur.

    Every method raises `RemoteProtocolError` for malformed bytes, and its subclass `UnknownUserType` for a value whose
    layout is not known. The reader is of no further use after either.
    """

    def __init__(
        self,
        data: Buffer,
        position: int = 0,
        end: int | None = None,
        *,
        order: Order = "<",
        version: int = DEFAULT_VERSION,
        types: UserTypes = NO_TYPES,
        max_depth: int = MAX_DEPTH,
    ) -> None:
        super().__init__(data, position, end, order=order, version=version)
        self._types = types
        self._levels_left = max_depth
        self._user_number = number_on_wire(TypeId.USER, version)

    def learn(self, types: UserTypes) -> None:
        """Take what the peer has just said about *types*, for the values that follow."""
        self._types = {**self._types, **types}

    def read_variant(self) -> object:
        """A QVariant as a plain Python value; None for an invalid one."""
        number = self.read_int("u32")
        self.read_bool()  # "is null": says nothing, a default value of the type follows all the same
        if number == TypeId.INVALID:
            return None
        if number == self._user_number:
            return self.read_named(self.read_c_string())
        type_id = type_of_number(number, self.version)
        if type_id is None:
            raise UnknownUserType(str(number))
        return self.read_as(type_id)

    def read_as(self, type_id: TypeId) -> object:
        """The bare value of a type given by number, without the head of a QVariant."""
        match type_id:
            case TypeId.QVARIANT_MAP | TypeId.QVARIANT_HASH:
                return self._nested(lambda: self._read_map(self.read_string, self.read_variant))
            case TypeId.QVARIANT_LIST:
                return self._nested(lambda: self.read_items(self.read_variant))
            case TypeId.QVARIANT:
                return self._nested(self.read_variant)
            case TypeId.QTEXT_FORMAT:
                return self._read_text_format()
            case _ if type_id in VALUES:
                return VALUES[type_id].read(self)
            case _:
                raise UnknownUserType(type_id.name)

    def read_named(self, type_name: str) -> object:
        """The bare value of a type given by its C++ name, without the head of a QVariant.

        Lists and sets become list, maps and hashes dict, pairs tuple, enums int, gadgets dict.
        """
        special = _SPECIAL.get(type_name)
        if special is not None:
            return self._nested(lambda: special(self))
        parsed = parse_type_name(type_name)
        if parsed is None:
            raise UnknownUserType(type_name)
        return self._read_parsed(parsed)

    def _read_parsed(self, wanted: TypeName) -> object:
        name, arguments = wanted
        enum = enumeration(wanted, self._types, self.version)
        if enum is not None:
            return self.read_int(enum[1])
        if not arguments:
            return self._read_plain(name)
        if name in LISTS and len(arguments) == 1:
            return self._nested(lambda: self.read_items(self._reader_of(arguments[0])))
        if name in MAPS and len(arguments) == 2:
            read_key, read_value = map(self._reader_of, arguments)
            return self._nested(lambda: self._read_map(read_key, read_value))
        if name in PAIRS and len(arguments) == 2:
            return self._nested(lambda: tuple(self._read_parsed(argument) for argument in arguments))
        raise UnknownUserType(name)

    def _reader_of(self, wanted: TypeName) -> Callable[[], object]:
        codec = None if wanted.arguments else VALUES.get(CORE.get(wanted.name, TypeId.USER))
        return partial(self._read_parsed, wanted) if codec is None else partial(codec.read, self)

    def _read_plain(self, name: str) -> object:
        if name in CORE:
            return self.read_as(CORE[name])
        layout = self._types.get(name)
        match layout:
            case str():
                return self._nested(lambda: self.read_named(layout))
            case Streamed():
                return self._nested(lambda: layout.read(self))
            case tuple():
                return self._nested(lambda: {member: self.read_variant() for member, _ in layout})
            case _:
                raise UnknownUserType(name)

    def _read_text_format(self) -> Opaque:
        start = self.position
        self.read_int("i32")
        self.read_named("QMap<int,QVariant>")
        return Opaque("QTextFormat", self.taken_since(start))

    def _read_map(self, read_key: Callable[[], object], read_value: Callable[[], object]) -> dict[object, object]:
        pairs = self.read_items(lambda: (read_key(), read_value()))
        try:
            if len(pairs) - len({hash(key) for key, _ in pairs}) > MAX_COLLISIONS:
                _refuse_collisions(pairs)
            return dict(pairs)
        except TypeError as error:  # a list, for example, cannot be a key of a dict
            raise RemoteProtocolError(f"a map with keys that Python cannot look up: {error}") from error

    def _nested(self, read: Callable[[], T]) -> T:
        if self._levels_left == 0:
            raise RemoteProtocolError(f"values nested too deeply at byte {self.position}")
        self._levels_left -= 1
        value = read()
        self._levels_left += 1
        return value

    def _read_pickle(self) -> Opaque:
        """What PySide sends for Python objects that it cannot map: a length and a pickle, which is never opened."""
        return Opaque(PICKLE, self.take(self.read_int("i32")))

    def _read_object_reference(self) -> ObjectReference:
        name, type_name = self.read_string(), self.read_string()
        kind = self.read_int("u8")
        definition = self.read_bytes()
        is_null = self.read_bool()
        if kind > 2:
            raise RemoteProtocolError(f"object {name[:80]!r} is of kind {kind}, known are 0 to 2")
        return ObjectReference(name, type_name, kind, definition, None if is_null else self.read_bytes())

    def _read_gadget_list(self) -> object:
        """QSQ_: a container type, its value type, and a stream of its own with the value type again and the items."""
        type_name, _ = as_text(self.read_bytes()), self.read_bytes()
        return self._read_blob(type_name, key_count=0)

    def _read_gadget_map(self) -> object:
        """QAS_: as QSQ_, with a key type before each value type."""
        type_name, _, _ = as_text(self.read_bytes()), self.read_bytes(), self.read_bytes()
        return self._read_blob(type_name, key_count=1)

    def _read_blob(self, type_name: str, *, key_count: int) -> object:
        """The stream within is written with the peer's defaults: big endian, whatever the order of the link."""
        size = self.read_int("u32")
        start = self.position
        self.skip(0 if size == NULL else size)
        # Read where it is: these can be inside each other, and each copy would be as long as the one around it.
        inner = Reader(
            self._data,
            start,
            self.position,
            order=">",
            version=self.version,
            types=self._types,
            max_depth=self._levels_left,
        )
        names = [as_text(inner.read_bytes()) for _ in range(key_count + 1)]
        try:
            if key_count:
                value: object = inner._read_map(lambda: inner.read_named(names[0]), lambda: inner.read_named(names[1]))
            else:
                value = inner.read_items(lambda: inner.read_named(names[0]))
        except UnknownUserType:
            # The stream has a length, so nothing behind it is lost.
            return Opaque(type_name, self.taken_since(start))
        inner.expect_end()
        return value


def _refuse_collisions(pairs: list[tuple[object, object]]) -> None:
    """Raise if too many different keys share a hash, which makes a dict slow.

    Hashes of UUIDs, pairs and points are no secret, so that a peer can think up as many of one hash as it likes.
    """
    firsts: dict[int, object] = {}
    others: set[object] = set()
    for key, _ in pairs:
        first = firsts.setdefault(hash(key), key)
        if first is not key and first != key:
            others.add(key)
        if len(others) > MAX_COLLISIONS:
            raise RemoteProtocolError(f"a map of {len(pairs)} entries whose keys have been made to collide")


_SPECIAL: Final[dict[str, Callable[[Reader], object]]] = {
    PICKLE: Reader._read_pickle,
    "QRemoteObjectPackets::QRO_": Reader._read_object_reference,
    "QRemoteObjectPackets::QSQ_": Reader._read_gadget_list,
    "QRemoteObjectPackets::QAS_": Reader._read_gadget_map,
}
