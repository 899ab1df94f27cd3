"""Registries: a class with a ``name`` in the right folder, or in a plug-in file, is registered.

Folders are read once, at the first question; nothing happens at import. A clash of names is an error.
Files that begin with an underscore hold no plug-in and are not read: what others need they import.
A registry knows no contract: each contract's module makes its own.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Generic, TypeVar

from harness.errors import HarnessError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Classes of one kind by name. ``kind`` is the name of their base class, ``package`` their folder."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._classes: dict[str, type[T]] = {}
        self._loaded = False

    def add_from(self, module: ModuleType) -> None:
        """Register the classes that a module defines. Raises HarnessError where a name is taken."""
        for value in vars(module).values():
            if not inspect.isclass(value) or value.__module__ != module.__name__:
                continue
            if inspect.isabstract(value) or not isinstance(value.__dict__.get("name"), str):
                continue
            if any(base.__name__ == self.kind for base in value.__mro__[1:]):
                self._add(value)

    def _add(self, value: type[Any]) -> None:
        name = value.__dict__["name"]
        known = self._classes.get(name)
        if known is not None and known is not value and _origin(known) != _origin(value):
            raise HarnessError(
                f"two {self.kind.lower()}s are named '{name}': {_origin(known)} and {_origin(value)}."
            )
        self._classes[name] = value

    def forget(self, name: str) -> None:
        """Drop a name, for what takes its place."""
        self._classes.pop(name, None)

    def all(self) -> Mapping[str, type[T]]:
        """Every class by name, built-in ones and plug-ins."""
        if not self._loaded:
            self._loaded = True
            package = importlib.import_module(self.package)
            for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
                if not info.ispkg and not info.name.rpartition(".")[2].startswith("_"):
                    self.add_from(importlib.import_module(info.name))
        return self._classes

    def get(self, name: str) -> type[T]:
        """The class of a name. Raises UnknownNameError."""
        known = self.all()
        if name not in known:
            raise UnknownNameError(self.kind.lower(), name, known)
        return known[name]


def _origin(value: type[Any]) -> str:
    return f"{value.__module__}.{value.__qualname__}"
