"""Imports point down and a plug-in keeps to its side of the wall: an AST walk, and a few processes.

An area is a module or package directly below ``harness``. What is on one line may not import each other.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import harness

PACKAGE = Path(harness.__file__).parent

# From the top to the bottom: an area imports only from lines below its own.
ORDER = [
    {"__main__", "api"},
    {"cli"},
    {"study", "report"},
    {"kept"},
    {"scoring"},
    {"engine", "search"},
    {"train"},
    {"store", "cache", "trackers"},
    {"studyfile"},
    {"pipelines"},
    {"models"},
    {"datasets", "neurons", "layers"},
    {"events"},
    {"contracts"},
    {"trial"},
    {"space", "ids", "guard", "scratch", "shipped", "paths"},
    {"errors", "__init__"},
]
LEVEL = {area: len(ORDER) - at for at, areas in enumerate(ORDER) for area in areas}

# What a plug-in may import: the contracts, and networks, events and values; never what runs or stores.
PLUG_INS = {"datasets", "pipelines", "neurons"}
ALLOWED = {"contracts", "layers", "models", "neurons", "pipelines", "datasets", "events"} | {
    "errors",
    "ids",
    "space",
    "paths",
}

RAY = {f"engine/{name}.py" for name in ("tune", "tune_parts", "mapping", "cluster", "pool", "faults")}
LIBRARIES = {  # library: the areas whose files may import it
    "typer": {"cli"},
    "rich": {"cli", "studyfile", "report", "scoring"},
    "optuna": {"search"},
    "pyarrow": {"store"},
    "altair": {"report", "api"},
    "tensorboardX": {"trackers"},
    "mlflow": {"trackers"},
    "wandb": {"trackers"},
    "vl_convert": {"report"},
    "jinja2": {"report"},
    "spikingjelly": {"models", "layers", "neurons", "pipelines", "datasets", "events", "train"},
}


@cache
def modules() -> dict[str, Path]:
    """Every module by its dotted name without ``harness.``; the package itself is ``__init__``."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] == "__init__" and len(parts) > 1:
            parts = parts[:-1]
        found[".".join(parts)] = path
    return found


def area(module: str) -> str:
    """The area of a module."""
    return module.split(".")[0]


def _imports(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, dotted name) of what a tree imports, inside functions as well."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they point"
            found += [(node.lineno, f"{node.module}.{name.name}") for name in node.names]
    return found


@cache
def imports(module: str) -> tuple[tuple[int, str], ...]:
    """(line, dotted name) of what a module imports anywhere."""
    return tuple(_imports(ast.parse(modules()[module].read_text(encoding="utf-8"))))


def ours(name: str) -> str | None:
    """The module that an import of the package means; None for libraries."""
    if name.split(".")[0] != "harness":
        return None
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in modules():
        parts.pop()
    return ".".join(parts) or "__init__"


def test_every_area_has_a_place() -> None:
    assert {area(module) for module in modules()} == set(LEVEL)


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_point_down(module: str) -> None:
    here = area(module)
    if module == "__init__":  # names what api makes, for type checkers
        assert _at_import_time(module) == set()
        return
    for line, name in imports(module):
        target = ours(name)
        if target is not None and area(target) != here:
            where = f"harness/{module.replace('.', '/')}:{line}"
            assert LEVEL[area(target)] < LEVEL[here], f"{where}: {here} imports {name}"


def test_no_import_cycle() -> None:
    """No cycle between modules at import time; what only a type checker reads does not count."""
    graph = {module: _at_import_time(module) - {module} for module in modules()}
    TopologicalSorter(graph).prepare()  # raises CycleError with the cycle


def _at_import_time(module: str) -> set[str]:
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    found: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {target for _, name in _imports(node) if (target := ours(name)) is not None}
        todo += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("module", [name for name in sorted(modules()) if area(name) in PLUG_INS])
def test_a_plug_in_imports_contracts_and_what_is_beside_it(module: str) -> None:
    for line, name in imports(module):
        target = ours(name)
        if target is not None:
            assert area(target) in ALLOWED, f"harness/{module.replace('.', '/')}:{line}: imports {name}"


def test_only_the_engine_imports_ray() -> None:
    having = {
        str(path.relative_to(PACKAGE))
        for module, path in modules().items()
        if any(name.split(".")[0] == "ray" for _, name in imports(module))
    }
    assert having == RAY


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_a_library_has_its_place(library: str) -> None:
    having = {
        area(module)
        for module in modules()
        if any(name.split(".")[0] == library for _, name in imports(module))
    }
    assert having, f"nothing imports {library} any more"
    assert having <= LIBRARIES[library]


def test_only_the_command_line_prints() -> None:
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                assert area(module) == "cli", f"{path.name}:{node.lineno} prints"


NOTHING_HEAVY = """
import importlib, pkgutil, sys
package = importlib.import_module("{package}")
for found in pkgutil.walk_packages(getattr(package, "__path__", []), "{package}."):
    importlib.import_module(found.name)
came = [name for name in {heavy!r} if name in sys.modules]
sys.exit(f"brings {{came}}" if came else 0)
"""


@pytest.mark.parametrize(
    ("package", "heavy"),
    [
        ("harness.scoring", ["torch", "ray", "spikingjelly", "altair", "vl_convert"]),
        ("harness.report", ["torch", "ray", "spikingjelly"]),
        ("harness.cli.app", ["torch", "ray", "optuna", "altair", "vl_convert"]),
        ("harness.search", ["torch", "ray"]),
        ("harness.contracts", ["ray", "optuna", "pyarrow", "pandas"]),
    ],
)
def test_what_a_package_pulls_in_at_run_time(package: str, heavy: list[str]) -> None:
    """Every module of it is imported in a fresh process; what must not come along has not."""
    code = NOTHING_HEAVY.format(package=package, heavy=heavy)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{package}: {done.stderr}"
