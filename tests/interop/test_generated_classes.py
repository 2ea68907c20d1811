"""The Python classes for the .rep files of the C++ programs are those that `everywire gen python` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from everywire import contract_of
from everywire.remoteobjects.generating import python_source
from everywire.remoteobjects.rep.parsing import parse
from everywire.remoteobjects.rep.signature import signature_of, signatures
from tests.interop import modern, plant

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["plant", "modern"])
def test_the_classes_are_generated(name: str) -> None:
    """`everywire gen python tests/interop/cpp/plant.rep -o tests/interop/plant.py` makes them anew."""
    rep = parse((HERE / "cpp" / f"{name}.rep").read_text(encoding="utf-8"))
    assert (HERE / f"{name}.py").read_text(encoding="utf-8") == python_source(rep, f"{name}.rep")


@pytest.mark.parametrize("qt5", [False, True], ids=["Qt 6", "Qt 5"])
def test_the_classes_have_the_signatures_of_their_files(qt5: bool) -> None:
    for name, module in (("plant", plant), ("modern", modern)):
        if qt5 and module is modern:
            continue  # Qt 5 has no such file
        rep = parse((HERE / "cpp" / f"{name}.rep").read_text(encoding="utf-8"))
        for cls, signature in signatures(rep, qt5=qt5).items():
            assert (cls, signature_of(contract_of(getattr(module, cls)), qt5=qt5)) == (cls, signature)
