"""How generated source writes names: as they are, or through their modules; and the imports that this takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from everywire.model.literals import WIDTH, text
from everywire.model.types import EnumType, StructOf, Type
from everywire.model.typetext import type_text, word_of


class Spelling:
    """Writes names for one module, in whose classes members hide names of the module and of the language."""

    def __init__(
        self,
        homes: Mapping[str, tuple[str, ...]],
        members: set[str],
        classes: set[str],
        word: Callable[[Type], str] = word_of,
    ) -> None:
        """Take the modules and the names that they have, and the names of all members and classes to be written."""
        self._homes = homes
        self._home = {name: module for module, names in homes.items() for name in names}
        self._members, self._classes, self._word = members, classes, word
        self._plain: dict[str, set[str]] = {}
        self._modules: set[str] = set()

    def __call__(self, name: str) -> str:
        """Return what to write for *name* of the standard library or of ours, and remember to import it."""
        module = self._home[name]
        if name in self._members or name in self._classes:
            self._modules.add(module)
            return f"{_alias(module)}.{name}"
        if module != "builtins":
            self._plain.setdefault(module, set()).add(name)
        return name

    def type(self, node: Type) -> str:
        """Return what to write for a type without parts, a struct or an enum."""
        if isinstance(node, (StructOf, EnumType)):
            return self.alias(node) or node.name
        return self(self._word(node))

    def annotation(self, node: Type, unit: str = "", words: Sequence[str] = ()) -> str:
        """Return the annotation of a value: its type, the *unit*, and more *words* about it."""
        plain = type_text(node, self, self.type)
        told = [*([f"{self('Unit')}({text(unit)})"] if unit else []), *words]
        if not told:
            return plain
        begin = f"{self('Annotated')}["
        inner = plain[:-1] if plain.startswith(begin) and plain.endswith("]") else f"{begin}{plain}"
        return f"{inner}, {', '.join(told)}]"

    def alias(self, node: StructOf | EnumType) -> str:
        """Return the second name of a class that a member would hide."""
        return f"_{node.name}" if node.name in self._members else ""

    def imports(self) -> Iterator[str]:
        """Yield the lines that import what was asked for."""
        ours = [module for module in self._homes if module.startswith("everywire")]
        for modules in ([module for module in self._homes if module not in ours], ours):
            lines = [f"import {module} as {_alias(module)}" for module in modules if module in self._modules]
            for module in modules:
                if names := sorted(self._plain.get(module, ()), key=_rank):
                    lines += _list_lines(f"from {module} import ", names)
            if lines:
                yield "\n".join(lines) + "\n"


def _rank(name: str) -> tuple[bool, bool, str, int]:
    """Return what sorts names as import sorters do: constants, classes, everything else; numbers by their size."""
    stem = name.rstrip("0123456789")
    number = int(name[len(stem) :] or 0)
    return not (name.isupper() and len(name) > 1), not name[:1].isupper(), stem, number


def _alias(module: str) -> str:
    return f"_{module.replace('.', '_')}_module"


def _list_lines(begin: str, items: Sequence[str]) -> list[str]:
    """Return an import on one line, or with a line for each name."""
    line = f"{begin}{', '.join(items)}"
    return [line] if len(line) <= WIDTH else [f"{begin}(", *(f"    {item}," for item in items), ")"]
