"""The house's rules as tests: floors and rooms, budgets of size, public names, what an import costs, what is banned."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

import everywire

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "src" / "everywire"
MODULE_LINES: Final = 500
FUNCTION_LINES: Final = 60

NEEDS_EXTRAS: Final = ("cli", "inspector")
"""Packages that exist for an extra and may import it at their top."""

ON_LIBRARIES: Final = ("dbus", "http")
"""Slices built on the libraries of an extra: imported in adapters only, and not before the wire is used."""

RUNS_CODE: Final[dict[str, str]] = {
    "model/compile.py": "exec: checks per class, readers per signature, from literals and our own identifiers only",
}
"""Modules that may call eval, exec or compile, and on what; never on anything from a wire."""

SPAWNS_TASKS: Final[dict[str, str]] = {
    "runtime/tasks.py": "the node's task group; every task of runtime and slices starts there",
    "transport/accepting.py": "the listener awaits its tasks when it closes",
    "transport/stream.py": "the server of `listen` awaits its handlers when it closes",
}
"""Modules that may start a task, and who owns it until it ends. All others use these or asyncio.TaskGroup."""


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


OWN: Final = modules(SOURCE)
FOLDERS: Final = ("src", "tests", "fuzz", "benchmarks", "examples", "tools")
ALL: Final = [path for name in FOLDERS for path in modules(ROOT / name)]
TESTS: Final = modules(ROOT / "tests")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path, node: ast.AST | None = None) -> str:
    line = getattr(node, "lineno", None)
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file with the dotted name of what it calls."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func), node


def nothing_of(found: list[str], rule: str) -> None:
    assert not found, rule + "\n  " + "\n  ".join(found)


# ----------------------------------------------------------------------------------------------- floors and rooms
def test_imports_only_go_down_and_slices_keep_their_rooms() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_slice_with_an_engine_is_held_to_the_same_rooms() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (rooms,) = (contract for contract in settings["contracts"] if contract["id"] == "rooms")
    inner = [path.relative_to(SOURCE).with_suffix("").parts for path in OWN]
    slices = {f"everywire.{parts[0]}" for parts in inner if "engine" in parts}
    nothing_of(sorted(slices - set(rooms["containers"])), "add to contract `rooms` in pyproject.toml:")


def test_libraries_are_imported_only_at_the_edges() -> None:
    """In transport, a session, the command line, or a small `_<library>.py` adapter."""
    found = [
        f"{place(path, node)} imports {name}"
        for path in OWN
        if not may_import_libraries(path.relative_to(SOURCE))
        for name, node in imports(path)
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "everywire", "msgspec"}
    ]
    nothing_of(found, "put this import into a session, transport/, or an adapter `_<library>.py`:")


def may_import_libraries(path: Path) -> bool:
    adapter = path.name.startswith("_") and path.name != "__init__.py"
    return adapter or path.parts[0] in {*NEEDS_EXTRAS, "transport"} or "session" in path.with_suffix("").parts


# ---------------------------------------------------------------------------------------------------------- size
def test_no_module_is_longer_than_500_lines() -> None:
    sizes = {path: size(path.read_text(encoding="utf-8").splitlines()) for path in ALL}
    found = [f"{place(path)}: {lines} non-blank lines" for path, lines in sizes.items() if lines > MODULE_LINES]
    nothing_of(found, f"more than {MODULE_LINES} lines; make a package of the same name out of it (300 is the aim):")


def test_no_function_is_longer_than_60_lines() -> None:
    found = [
        f"{place(path, node)} {node.name}: {lines} non-blank lines"
        for path in ALL
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := body_lines(path, node)) > FUNCTION_LINES
    ]
    nothing_of(found, f"a body of more than {FUNCTION_LINES} lines; give its parts names (30 is the aim):")


def size(lines: list[str]) -> int:
    return sum(1 for line in lines if line.strip())


def body_lines(path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    return size(path.read_text(encoding="utf-8").splitlines()[body[0].lineno - 1 : function.end_lineno])


# -------------------------------------------------------------------------------------------------- public names
def packages() -> list[str]:
    inner = (info.name for info in pkgutil.walk_packages(everywire.__path__, "everywire.") if info.ispkg)
    return ["everywire", *(name for name in inner if name.split(".")[1] not in NEEDS_EXTRAS)]


@pytest.mark.parametrize("name", packages())
def test_a_package_lists_exactly_its_public_names(name: str) -> None:
    package = importlib.import_module(name)
    listed = getattr(package, "__all__", None)
    assert isinstance(listed, tuple), f"{name}/__init__.py needs a tuple __all__ (an empty one if all is internal)"
    assert len(set(listed)) == len(listed), f"{name}.__all__ names something twice"
    nothing_of([public for public in listed if not hasattr(package, public)], f"in {name}.__all__ but not importable:")
    nothing_of(sorted(own_names(package) - set(listed)), f"public in {name} but not in its __all__:")


def own_names(package: ModuleType) -> set[str]:
    """The public classes and functions of ours that the package binds."""
    return {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and str(getattr(value, "__module__", "")).startswith("everywire")
    }


@pytest.mark.parametrize("name", packages())
def test_everything_public_is_documented(name: str) -> None:
    """Documentation inherited from a base counts; constants are documented beside their value."""
    package = importlib.import_module(name)
    things = {listed: getattr(package, listed) for listed in getattr(package, "__all__", ())}
    for public, thing in tuple(things.items()):
        if isinstance(thing, type) and thing.__module__.startswith("everywire"):
            things |= {f"{public}.{member}": getattr(thing, member) for member in own_methods(thing)}
    found = [public for public, thing in things.items() if callable(thing) and not inspect.getdoc(thing)]
    nothing_of(sorted(found), f"public in {name} without a docstring:")


def own_methods(owner: type) -> list[str]:
    return [name for name, value in vars(owner).items() if not name.startswith("_") and inspect.isroutine(value)]


# ---------------------------------------------------------------------------------------------- cost of an import
# msgspec comes first, because it loads of its own accord what it finds installed.
FOREIGN: Final = """
import sys
import msgspec
before = set(sys.modules)
{imports}
known = {{*sys.stdlib_module_names, "everywire", "msgspec"}}
foreign = {{name.partition(".")[0] for name in set(sys.modules) - before}} - known
foreign = {{name for name in foreign if not name.startswith("_sysconfigdata_")}}  # named after the platform
sys.exit(", ".join(sorted(foreign)))
"""


def foreign_modules(imports: str) -> str:
    """What a fresh interpreter loads for these import lines besides the standard library, msgspec and us."""
    command = [sys.executable, "-W", "error", "-c", FOREIGN.format(imports=imports)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()


def test_import_everywire_loads_nothing_of_an_extra() -> None:
    assert foreign_modules("import everywire") == ""


def test_every_module_of_the_core_loads_with_msgspec_alone() -> None:
    names = (path.relative_to(SOURCE.parent).with_suffix("").parts for path in OWN)
    core = [".".join(parts).removesuffix(".__init__") for parts in names if not for_an_extra(parts[1:])]
    assert foreign_modules("\n".join(f"import {name}" for name in core)) == ""


def for_an_extra(parts: tuple[str, ...]) -> bool:
    adapter = parts[-1].startswith("_") and not parts[-1].startswith("__")
    return adapter or parts[0] in {*NEEDS_EXTRAS, *ON_LIBRARIES} or parts[-1] == "__main__"


# ----------------------------------------------------------------------------------------------------------- bans
@pytest.mark.gate
def test_nothing_unpickles_or_unmarshals() -> None:
    banned = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}
    found = [
        f"{place(path, node)} imports {name}"
        for path in OWN
        for name, node in imports(path)
        if name.partition(".")[0] in banned
    ]
    nothing_of(found, "bytes from a wire must not choose code to run (law 12):")


@pytest.mark.gate
def test_text_becomes_code_only_in_the_named_modules() -> None:
    found = [
        f"{place(path, node)} calls {name}"
        for path in OWN
        for name, node in calls(path)
        if name.removeprefix("builtins.") in {"eval", "exec", "compile", "__import__"}
        and path.relative_to(SOURCE).as_posix() not in RUNS_CODE
    ]
    nothing_of(found, "eval, exec and compile only in RUNS_CODE, with the reason why nothing from a wire gets there:")


@pytest.mark.gate
def test_no_shell_is_started() -> None:
    found = [
        f"{place(path, node)} calls {name}"
        for path in OWN
        for name, node in calls(path)
        if name in {"os.system", "os.popen", "asyncio.create_subprocess_shell", "subprocess.getoutput"}
        or any(word.arg == "shell" and not is_false(word.value) for word in node.keywords)
    ]
    nothing_of(found, "start programs by a list of arguments, without a shell:")


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_every_task_has_an_owner() -> None:
    starters = {"asyncio.create_task", "asyncio.ensure_future", "create_task", "ensure_future"}
    found = [
        f"{place(path, node)} calls {name}"
        for path in OWN
        for name, node in calls(path)
        if (name in starters or name.endswith(("loop.create_task", "loop().create_task")))
        and path.relative_to(SOURCE).as_posix() not in SPAWNS_TASKS
    ]
    nothing_of(found, "start tasks in the node's group or a TaskGroup; an owner of tasks is listed in SPAWNS_TASKS:")


def test_no_loop_policy_is_set() -> None:
    banned = ("set_event_loop_policy", "set_event_loop", "uvloop.install")
    found = [f"{place(path, node)} calls {name}" for path in OWN for name, node in calls(path) if name.endswith(banned)]
    nothing_of(found, "use asyncio.Runner(loop_factory=…):")


def test_tests_do_not_sleep() -> None:
    found = [
        f"{place(path, node)} calls {name}"
        for path in TESTS
        for name, node in calls(path)
        if name in {"time.sleep", "sleep"} or (name == "asyncio.sleep" and not only_yields(node))
    ]
    nothing_of(found, "wait for an event or a condition; a sleep is too short on a slow day:")


def only_yields(call: ast.Call) -> bool:
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def test_tests_use_named_fakes_instead_of_mocks() -> None:
    found = [place(path, node) for path in TESTS for name, node in imports(path) if name.startswith("unittest.mock")]
    nothing_of(found, "write a small class with a name:")
