"""The text of a class with all that it needs of its notebook: imports, constants, functions."""

from __future__ import annotations

import ast
import builtins
import linecache
import symtable
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

from harness.errors import HarnessError


def self_contained(kind: type) -> str:
    """A module's text that defines the class and what it names, first things first.

    Names are looked up in the class's own cell, then in earlier cells, newest first; what no cell binds is
    imported from where it came, or written as a literal. Raises HarnessError for anything else.
    """
    text, namespace = _cell_of(kind)
    cells = [text, *reversed([str(cell) for cell in namespace.get("In", ())])]
    gathered = _Gathered(kind.__name__, namespace, [tree for cell in cells if (tree := _parsed(cell))])
    gathered.add(kind.__name__)
    return "\n\n".join(gathered.parts) + "\n"


class _Gathered:
    """Statements by the names that they bind, each after those that it needs."""

    def __init__(
        self, kind: str, namespace: Mapping[str, Any], cells: Sequence[tuple[str, ast.Module]]
    ) -> None:
        self.kind, self.namespace, self.cells = kind, namespace, cells
        self.parts: list[str] = []
        self.known: set[str] = set()

    def add(self, name: str) -> None:
        """Add what binds a name, and what that needs."""
        if name in self.known or hasattr(builtins, name):
            return
        self.known.add(name)
        source = next((found for text, tree in self.cells if (found := _binding(name, text, tree))), None)
        if source is None:
            source = self._by_value(name)
        for needed in _free_names(source):
            self.add(needed)
        if source not in self.parts:
            self.parts.append(source)

    def _by_value(self, name: str) -> str:
        """How to get a value that no cell binds: a module, something of a module, or a literal."""
        missing = object()
        value = self.namespace.get(name, missing)
        if isinstance(value, ModuleType):
            return f"import {value.__name__} as {name}"
        module, own = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        own = own or getattr(value, "_name", None)
        if (
            isinstance(module, str)
            and isinstance(own, str)
            and getattr(sys.modules.get(module), own, None) is value
        ):
            return f"from {module} import {own} as {name}"
        if isinstance(value, (bool, int, float, str, tuple)):
            try:
                if ast.literal_eval(repr(value)) == value:
                    return f"{name} = {value!r}"
            except (ValueError, SyntaxError):
                pass
        what = "is not defined" if value is missing else f"is a {type(value).__name__} that no worker has"
        raise HarnessError(
            f"{self.kind} uses '{name}', which {what}: define it in the class's own cell, or make it a "
            "parameter."
        )


def _cell_of(kind: type) -> tuple[str, Mapping[str, Any]]:
    """The text that a class was defined in, and the names that were known there."""
    for value in vars(kind).values():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        if isinstance(function, FunctionType) and function.__module__ == kind.__module__:
            lines = linecache.getlines(function.__code__.co_filename, function.__globals__)
            if lines:
                return "".join(lines), function.__globals__
    raise HarnessError(
        f"the text of {kind.__name__} cannot be found: define it in a notebook's cell or a file, not by "
        "exec, and "
        "with at least one method."
    )


def _parsed(text: str) -> tuple[str, ast.Module] | None:
    """A cell without its magics; None for one that is no Python."""
    plain = "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in text.splitlines())
    try:
        return plain, ast.parse(plain)
    except SyntaxError:
        return None


def _binding(name: str, text: str, tree: ast.Module) -> str | None:
    """The last top-level statement that binds a name, decorators left out."""
    lines = text.splitlines()
    for node in reversed(tree.body):
        if name in _bound(node):
            return "\n".join(lines[node.lineno - 1 : node.end_lineno])
    return None


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from ((alias.asname or alias.name.split(".")[0]) for alias in node.names)
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def _free_names(source: str) -> list[str]:
    """The names that a statement reads and does not bind, in order of appearance."""
    table = symtable.symtable(source, "cell", "exec")
    bound = {
        symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()
    }
    free: dict[str, None] = {}

    def walk(scope: symtable.SymbolTable) -> None:
        for symbol in scope.get_symbols():
            if symbol.is_referenced() and (
                symbol.is_global() or (scope is table and not symbol.is_assigned())
            ):
                free.setdefault(symbol.get_name())
        for child in scope.get_children():
            walk(child)

    walk(table)
    return [name for name in free if name not in bound]
