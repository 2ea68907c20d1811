"""Reads .rep files: the grammar of repc, from Qt 5.12 to Qt 6.12. Pure.

What repc takes and a compiler of C++ would refuse, is refused here, with the reason. Where repc has ways of its own (a
line break is nothing, ``unsigned int x`` is an ``unsigned`` called ``intx``) they are followed, for signatures tell.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

from everywire.remoteobjects.rep.faults import RepError
from everywire.remoteobjects.rep.marks import Modifier
from everywire.remoteobjects.rep.scanning import Scanner, is_word
from everywire.remoteobjects.rep.texts import outside_quotes, parameters_in, without_comments
from everywire.remoteobjects.rep.tree import (
    ChildDecl,
    ClassDecl,
    Directive,
    EnumDecl,
    EnumKey,
    FlagDecl,
    Inner,
    Item,
    ModelDecl,
    ParameterDecl,
    Pod,
    PodField,
    PropDecl,
    Rep,
    SignalDecl,
    SlotDecl,
    UseEnum,
)

_OUTER: Final = ("class", "POD", "ENUM", "FLAG", "USE_ENUM")
_INNER: Final = ("PROP", "SIGNAL", "SLOT", "MODEL", "CLASS", "ENUM", "FLAG")
_BOTH: Final = {*_OUTER, *_INNER}
_MODIFIERS: Final = {modifier.name: modifier for modifier in Modifier}
_DIGITS: Final = {10: frozenset("0123456789"), 16: frozenset("0123456789abcdefABCDEF")}


def parse(text: str, file: str = "") -> Rep:
    """Return what *text* declares; *file* is its name for errors. Raises RepError."""
    return _Parser(text, file).rep()


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self.scan = Scanner(text, file)
        self._enums: dict[int, tuple[Sequence[object], int, dict[str, None]]] = {}
        """Of lists of declarations, by their `id`: how many were looked at, and the names of the enums among them."""

    # ----------------------------------------------------------------------------------------------- file and classes
    def rep(self) -> Rep:
        items: list[Item] = []
        while True:
            doc = self.scan.skip()
            if not self.scan.next:
                return Rep(tuple(items))
            if self.scan.next == "#":
                items.append(Directive(self.scan.rest_of_line()))
                continue
            word, line = self.scan.peek(), self.scan.line
            if word == "class":
                items.append(self._class(doc, line))
            elif word == "POD":
                items.append(self._pod(doc, line))
            elif word == "USE_ENUM":
                items.append(UseEnum(self._use_enum(), self._doc(doc), line))
            elif word in ("ENUM", "FLAG"):
                items.append(self._enum_or_flag(doc, line, items))
            else:
                raise self._unknown(word, _OUTER, "outside of classes", "stands in a class: move it between its braces")

    def _class(self, doc: str, line: int) -> ClassDecl:
        self.scan.word("'class'")
        attribute, name = self._attribute_and_name("the name of a class")
        self.scan.expect("{", f"after 'class {name}'")
        members: list[Inner] = []
        self.scan.trailing()
        while True:
            inner_doc = self.scan.skip()
            if self.scan.take("}"):
                self.scan.end()
                return ClassDecl(name, tuple(members), attribute, self._doc(doc), line=line)
            if self.scan.next == "#":
                raise self.scan.error("a line for the preprocessor stands outside of classes: move it out of this one")
            members.append(self._inner(inner_doc, members, name))

    def _inner(self, doc: str, before: Sequence[Inner], name: str) -> Inner:
        word, line = self.scan.peek(), self.scan.line
        if word in ("ENUM", "FLAG"):
            return self._enum_or_flag(doc, line, before)
        if word == "MODEL":
            return self._model(doc, line)
        if word == "CLASS":
            return self._child(doc, line)
        if word == "PROP":
            return self._prop(doc, line)
        if word in ("SIGNAL", "SLOT"):
            return self._function(word, doc, line)
        if not self.scan.next:
            raise self.scan.error(f"the class {name} does not end: '}}' is missing")
        raise self._unknown(word, _INNER, "in a class", "cannot be declared in a class: move it out of this one")

    def _unknown(self, word: str, known: tuple[str, ...], where: str, elsewhere: str) -> RepError:
        """Return the error for a declaration that begins with *word*."""
        if word in _BOTH:
            return self.scan.error(f"{word} {elsewhere}")
        by_lower = {name.lower(): name for name in known}
        near = difflib.get_close_matches(word.lower(), by_lower, n=1)
        hint = f"; did you mean {by_lower[near[0]]}?" if near else f": {where} there are {', '.join(known)}"
        return self.scan.error(f"no declaration begins with {self.scan.shown()}{hint}")

    def _doc(self, doc: str) -> str:
        """Return the comments before a declaration that ends here, and behind it."""
        return "\n".join(filter(None, (doc, self.scan.trailing())))

    def _attribute_and_name(self, what: str) -> tuple[str, str]:
        first = self.scan.word(what)
        if self.scan.peek():
            return first, self.scan.word(what, 2)
        if len(first) < 2:
            self.scan.offset = self.scan.text.rfind(first, 0, self.scan.offset)
            self.scan.word(what, 2)
        return "", first

    def _inside(self, what: str) -> tuple[str, int]:
        """Return the text up to the closing parenthesis, and where it begins."""
        begin = self.scan.offset
        text = self.scan.until(")", what)
        if (place := text.find("/*")) >= 0:
            raise self.scan.error("repc reads no /* */ in parentheses: use //, or put it before", begin + place)
        self.scan.offset += 1
        return text, begin

    # --------------------------------------------------------------------------------------------------- enums, flags
    def _enum_or_flag(self, doc: str, line: int, before: Sequence[object]) -> EnumDecl | FlagDecl:
        if self.scan.word("ENUM or FLAG") == "FLAG":
            return self._flag(doc, line, before)
        scoped = self.scan.peek() == "class"
        if scoped:
            self.scan.word("'class'")
        name = self.scan.word("the name of an enum")
        base = ""
        if self.scan.take(":"):
            self.scan.skip()
            begin = self.scan.offset
            base = self.scan.until("{", f"the type of ENUM {name}").strip()
            if not all(is_word(word) for word in base.replace("::", " ").split()) or not base:
                raise self.scan.error(f"expected a type such as quint8, not {base!r}", begin)
        self.scan.expect("{", f"after 'ENUM {name}'")
        keys = self._keys(name)
        self.scan.end()
        return EnumDecl(name, tuple(keys), scoped, base, self._doc(doc), line)

    def _keys(self, name: str) -> list[EnumKey]:
        keys: list[EnumKey] = []
        number = -1
        while True:
            if keys and self.scan.take("}"):
                raise self.scan.error(f"repc wants no comma after the last key of {name}", self.scan.offset - 1)
            key = self.scan.word(f"a key of {name}")
            place = self.scan.offset - len(key)
            if self.scan.take("="):
                self.scan.skip()
                place, number = self.scan.offset, self._number()
            else:
                number += 1
            if not -(2**31) <= number < 2**31:
                raise self.scan.error(f"{number} does not fit an int, and repc would make a 0 of it", place)
            keys.append(EnumKey(key, number))
            if not self.scan.take(","):
                self.scan.expect("}", f"or ',' after {key}")
                return keys

    def _number(self) -> int:
        begin = self.scan.offset
        negative = self.scan.take("-")
        end = self.scan.offset
        while end < len(self.scan.text) and (self.scan.text[end].isalnum() or self.scan.text[end] == "_"):
            end += 1
        digits = self.scan.text[self.scan.offset : end]
        base = 16 if digits[:2].lower() == "0x" and not negative else 10
        bare = digits[2:] if base == 16 else digits
        if not bare or not _DIGITS[base].issuperset(bare) or len(bare) > 32:
            raise self.scan.error("expected a number: 12, -3 or 0x1F; repc computes nothing", begin)
        self.scan.offset = end
        return -int(bare) if negative else int(bare, base)

    def _flag(self, doc: str, line: int, before: Sequence[object]) -> FlagDecl:
        self.scan.expect("(", "after FLAG")
        name = self.scan.word("the name of the flags")
        enum = self.scan.word("the enum whose keys are combined")
        known = self._enums_in(before)
        if enum not in known:
            told = f"; there are {', '.join(known)}" if known else ""
            place = self.scan.offset - len(enum)
            raise self.scan.error(f"FLAG wants an ENUM that stands before it and beside it, not {enum!r}{told}", place)
        self.scan.expect(")", f"after 'FLAG({name} {enum}'")
        self.scan.end()
        return FlagDecl(name, enum, self._doc(doc), line)

    def _enums_in(self, before: Sequence[object]) -> dict[str, None]:
        """Return the names of the enums in *before*, which grows while it is read: each item is looked at once."""
        _, looked, names = self._enums.get(id(before), (before, 0, dict[str, None]()))
        names.update((item.name, None) for item in before[looked:] if isinstance(item, EnumDecl))
        self._enums[id(before)] = before, len(before), names
        return names

    def _use_enum(self) -> str:
        self.scan.word("USE_ENUM")
        self.scan.expect("(", "after USE_ENUM")
        text, begin = self._inside("USE_ENUM")
        if not all(is_word(word) for word in text.strip().split("::")):
            raise self.scan.error("expected the name of an enum, Qt::Orientation for example", begin)
        self.scan.end()
        return text.strip()

    # ----------------------------------------------------------------------------------------------------------- PODs
    def _pod(self, doc: str, line: int) -> Pod:
        self.scan.word("POD")
        attribute, name = self._attribute_and_name("the name of a POD")
        if self.scan.take("{"):
            types, fields = self._pod_in_braces(name)
        else:
            self.scan.expect("(", f"or '{{' after 'POD {name}'")
            text, begin = self._inside(f"POD {name}")
            if text.split() and text.split()[0] in ("ENUM", "FLAG"):
                raise self.scan.error(f"a POD with types of its own has braces: POD {name} {{ ENUM … }}", begin)
            types, fields = (), self._fields(without_comments(text), begin)
            if not fields:
                raise self.scan.error(f"repc passes over a POD without fields: give {name} one, or take it out", begin)
        self.scan.end()
        return Pod(name, fields, types, attribute, self._doc(doc), line)

    def _pod_in_braces(self, name: str) -> tuple[tuple[EnumDecl | FlagDecl, ...], tuple[PodField, ...]]:
        types: list[EnumDecl | FlagDecl] = []
        fields: list[PodField] = []
        more = False
        while True:
            doc = self.scan.skip()
            word = self.scan.peek()
            if word in ("ENUM", "FLAG"):
                types.append(self._enum_or_flag(doc, self.scan.line, types))
                self._refuse_comma()
            elif self.scan.take("}"):
                if more:
                    raise self.scan.error(f"expected another field of {name} after the comma", self.scan.offset - 1)
                return tuple(types), tuple(fields)
            else:
                fields += self._field_in_braces(name)
                more = self.scan.take(",")

    def _refuse_comma(self) -> None:
        begin = self.scan.offset
        if self.scan.take(","):
            advice = "repc takes a comma after ENUM and FLAG for a field without a name: leave it out"
            raise self.scan.error(advice, self.scan.offset - 1)
        self.scan.offset = begin  # what was skipped may be about the next one

    def _field_in_braces(self, name: str) -> tuple[PodField, ...]:
        begin = self.scan.offset
        depth = 0
        while self.scan.next and (depth > 0 or self.scan.next not in ",}"):
            mark = self.scan.next
            depth += (mark == "<") - (mark == ">")
            if mark in ";:{(":
                why = {";": "fields are separated by commas", ":": "repc reads no :: between braces: use parentheses"}
                raise self.scan.error(why.get(mark, f"expected ',' or '}}' after a field of {name}"))
            self.scan.offset += 1
        if not self.scan.next:
            raise self.scan.error(f"POD {name} does not end: '}}' is missing", begin)
        text = without_comments(self.scan.text[begin : self.scan.offset])
        tight = (ParameterDecl("".join(one.type.split()), one.name) for one in parameters_in(text))
        return self._as_fields(tight, begin)

    def _fields(self, text: str, begin: int) -> tuple[PodField, ...]:
        return self._as_fields(parameters_in(text), begin)

    def _as_fields(self, parameters: Iterable[ParameterDecl], begin: int) -> tuple[PodField, ...]:
        fields = tuple(PodField(one.type, one.name) for one in parameters)
        for field in fields:
            if not field.type or not is_word(field.name):
                told = f"{field.type} {field.name}".strip() or ","
                place = self._place(told.split()[-1], begin)
                raise self.scan.error(f"a field is a type and a name with a blank between them, not {told!r}", place)
        return fields

    def _place(self, word: str, begin: int) -> int:
        """Return where *word* stands after *begin*; texts without comments know their places no more."""
        found = self.scan.text.find(word, begin)
        return begin if found < 0 else found

    # ----------------------------------------------------------------------------------------------- members of classes
    def _prop(self, doc: str, line: int) -> PropDecl:
        self.scan.word("PROP")
        self.scan.expect("(", "after PROP")
        raw, begin = self._inside("PROP")
        text = without_comments(raw).strip()
        self._check_quotes(text, raw, begin)
        kind, rest = _split_type(text)
        if not rest:
            raise self.scan.error("a property is a type and a name with a blank between them: PROP(int level)", begin)
        head, equals, value = rest.partition("=")
        if equals:
            name = head.strip()
            default, words = self._default(value.strip(), begin)
        else:
            name, default = head.split()[0], ""
            words = head.strip()[len(name) :]
        self._check_name(name, kind, begin)
        modifier, persisted = self._modifiers(words.strip(), begin + len(raw) - len(raw.lstrip()))
        self.scan.end()
        return PropDecl(kind, name, default, modifier, persisted, self._doc(doc), line)

    def _check_quotes(self, text: str, raw: str, begin: int) -> None:
        """Refuse what repc cuts off: it ends at the first closing parenthesis, and takes // in a text for a comment."""
        plain, is_open = outside_quotes(text)
        if "(" in plain:
            advice = "a default has no parentheses: repc ends at the first ')'; in a text write \\051"
            raise self.scan.error(advice, self._place("(", begin))
        if is_open:
            advice = "the text does not end: repc reads no ')' and no // in it, so write \\051, and \\057 for one slash"
            raise self.scan.error(advice, begin + raw.find('"'))

    def _default(self, text: str, begin: int) -> tuple[str, str]:
        """Return a default and the words behind it."""
        end = text.rfind('"') + 1
        default, rest = text[:end], text[end:]
        words = rest.split(maxsplit=1)
        if not default:
            if not words:
                raise self.scan.error("expected a value after '='", self._place("=", begin))
            return words[0], words[1] if len(words) > 1 else ""
        if rest and not rest[0].isspace():
            raise self.scan.error("expected a blank between the default and what follows", self._place(rest, begin))
        return default, rest

    def _modifiers(self, text: str, begin: int) -> tuple[Modifier, bool]:
        words = [word.strip() for word in text.split(",")] if text else []
        for word in words:
            if word not in (*_MODIFIERS, "PERSISTED"):
                self._refuse_modifier(word, begin)
        found = [_MODIFIERS[word] for word in words if word != "PERSISTED"]
        persisted = len(found) < len(words)
        if sorted(found, key=lambda modifier: modifier.value) == [Modifier.CONSTANT, Modifier.READONLY]:
            return Modifier.CONSTANT, persisted
        if len(found) > 1:
            told = ", ".join(modifier.name for modifier in found)
            place = self.scan.text.rfind(found[-1].name, begin, self.scan.offset)
            raise self.scan.error(f"{told} exclude each other: write one of them", place)
        return found[0] if found else Modifier.READPUSH, persisted

    def _refuse_modifier(self, word: str, begin: int) -> NoReturn:
        place = self.scan.text.rfind(word, begin, self.scan.offset) if word else self.scan.offset - 1
        if " " in word and all(part in (*_MODIFIERS, "PERSISTED") for part in word.split()):
            raise self.scan.error(f"words about a property are separated by commas: {', '.join(word.split())}", place)
        near = difflib.get_close_matches(word.upper(), (*_MODIFIERS, "PERSISTED"), n=1)
        hint = f"; did you mean {near[0]}?" if near else f": there are {', '.join((*_MODIFIERS, 'PERSISTED'))}"
        raise self.scan.error(f"{word!r} is nothing that a property can be{hint}", place)

    def _check_name(self, name: str, kind: str, begin: int) -> None:
        if is_word(name):
            return
        place = self._place("".join(name.split()[:1]) or "=", begin)
        if name.startswith("*") or kind.endswith("*"):
            raise self.scan.error("a pointer means nothing elsewhere: use CLASS or MODEL for objects", place)
        raise self.scan.error(f"a name has letters, digits and underscores, not {name!r}", place)

    def _function(self, word: str, doc: str, line: int) -> SignalDecl | SlotDecl:
        self.scan.word(word)
        self.scan.expect("(", f"after {word}")
        self.scan.skip()
        begin = self.scan.offset
        head = self.scan.until("()", word).strip()
        self.scan.expect("(", f"after the name: {word}({'void ' * (word == 'SLOT')}name())")
        result, separator, name = head.rpartition(" ")
        if word == "SIGNAL" and separator:
            raise self.scan.error("a signal has a name and no result: SIGNAL(name())", begin)
        if not name:
            raise self.scan.error(f"expected the name of a {word.lower()}", begin)
        self._check_name(name, result, begin)
        raw, inner = self._inside(f"{word} {name}")
        parameters = tuple(parameters_in(without_comments(raw)))
        for parameter in parameters:
            self._check_parameter(parameter, inner)
        self.scan.expect(")", f"at the end of {word}({head}(…)")
        self.scan.end()
        if word == "SIGNAL":
            return SignalDecl(name, parameters, self._doc(doc), line)
        return SlotDecl(name, parameters, result or "void", self._doc(doc), line)

    def _check_parameter(self, parameter: ParameterDecl, begin: int) -> None:
        if not parameter.type:
            raise self.scan.error("expected a type on both sides of each comma", begin)
        if parameter.name:
            self._check_name(parameter.name.partition("=")[0], parameter.type, begin)

    def _model(self, doc: str, line: int) -> ModelDecl:
        self.scan.word("MODEL")
        name = self.scan.word("the name of a model", 2)
        self.scan.expect("(", f"after 'MODEL {name}'")
        text, begin = self._inside(f"MODEL {name}")
        roles = tuple(role.strip() for role in text.split(","))
        if not all(roles):
            raise self.scan.error(f"expected the names of roles: MODEL {name}(display, decoration)", begin)
        self.scan.end()
        return ModelDecl(name, roles, self._doc(doc), line)

    def _child(self, doc: str, line: int) -> ChildDecl:
        self.scan.word("CLASS")
        name = self.scan.word("the name of a child", 2)
        self.scan.expect("(", f"after 'CLASS {name}'")
        kind = self.scan.word("the class of the child")
        self.scan.expect(")", f"after 'CLASS {name}({kind}'")
        self.scan.end()
        return ChildDecl(name, kind, self._doc(doc), line)


def _split_type(text: str) -> tuple[str, str]:
    """Return the type at the begin of a property, and the rest: a blank outside of ``< >`` ends it."""
    depth = 0
    for place, mark in enumerate(text):
        depth += (mark == "<") - (mark == ">")
        if mark.isspace() and depth <= 0:
            return text[:place], text[place:].strip()
    return text, ""


__all__ = ("RepError", "parse")
