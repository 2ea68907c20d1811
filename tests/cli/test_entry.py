"""How the command starts: its help, what that costs, and what happens without the extra."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import Result

import everywire
from everywire.cli.exits import MEANINGS
from everywire.cli.looping import fast_loop


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "everywire", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"everywire {everywire.__version__}\n"


def test_help_lists_verbs_and_exit_codes(cli: Callable[..., Result]) -> None:
    shown = cli("--help").stdout
    assert all(f"  {verb} " in shown for verb in ("serve", "list", "get", "set", "call", "watch", "demo"))
    assert all(f"{code:3d}  {meaning}\n" in shown for code, meaning in MEANINGS.items())


@pytest.mark.parametrize("verb", ["serve", "list", "get", "set", "call", "watch", "demo"])
def test_every_verb_explains_itself(cli: Callable[..., Result], verb: str) -> None:
    assert f"Usage: everywire {verb}" in cli(verb, "--help").stdout


def test_help_loads_neither_a_loop_nor_rich() -> None:
    code = (
        "import sys; sys.argv = ['everywire', '--help']; from everywire.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'asyncio', 'rich', 'uvloop', 'msgspec'} & set(sys.modules)))"
    )
    assert python(code).stdout.splitlines()[-1] == "[]"


def test_a_missing_extra_is_one_line_and_exit_code_2() -> None:
    done = python("import sys; sys.modules['click'] = None; from everywire.cli import main; main()")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "pip install 'everywire[cli]'\n")


def test_another_missing_module_is_not_hidden() -> None:
    done = python("import sys; sys.modules['everywire.cli.exits'] = None; from everywire.cli import main; main()")
    assert "ModuleNotFoundError" in done.stderr


def test_uvloop_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fast_loop() is not None
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert fast_loop() is None
