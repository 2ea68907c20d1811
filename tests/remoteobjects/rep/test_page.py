"""The page about .rep files says what really comes out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from everywire import Object
from everywire.remoteobjects import RepError
from everywire.remoteobjects.generating import python_source
from everywire.remoteobjects.rep.describing import rep_of
from everywire.remoteobjects.rep.parsing import parse
from everywire.remoteobjects.rep.printing import print_rep

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "howto" / "rep.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def heater() -> Iterator[ModuleType]:
    """The module that the page imports."""
    module = ModuleType("heater")
    sys.modules["heater"] = module
    exec(compile(blocks("python")[0], "heater.py", "exec", dont_inherit=True), vars(module))
    yield module
    del sys.modules["heater"]


def test_the_generated_class_is_the_one_on_the_page() -> None:
    (rep,) = blocks("rep")
    assert python_source(parse(rep), "heater.rep") == blocks("python")[0]


def test_the_error_is_the_one_on_the_page() -> None:
    (rep,) = blocks("rep")
    with pytest.raises(RepError) as caught:
        parse(rep.replace("PROP(double setPoint=20)", "PROP(double setPoint=20 READPUHS)"), "heater.rep")
    (console,) = blocks("console")
    assert f"everywire: {caught.value}\n" == console.partition("\n")[2]


async def test_the_program_on_the_page_runs(
    heater: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program: dict[str, Any] = {"__name__": "program"}
    source = blocks("python")[1].replace("local:heaters", f"local:{folder}/heaters")
    exec(compile(source, "program.py", "exec", dont_inherit=True), program)
    await program["main"]()
    assert capsys.readouterr().out == "120 State.Heating\n"


def test_the_python_class_on_the_page_becomes_a_rep_file() -> None:
    module = ModuleType("pump")
    sys.modules["pump"] = module
    exec(compile(blocks("python")[2], "pump.py", "exec", dont_inherit=True), vars(module))
    pump: type[Object] = module.Pump
    text = print_rep(rep_of(pump))
    assert "ENUM class Speed : quint8 { SLOW=1, FAST }" in text
    assert "PROP(SpeedEnum::Speed speed PERSISTED)" in text
    assert "PROP(QVector<int> counts READONLY)" in text
    assert "SLOT(int primeNOW(const QString & why))" in text
