"""Registries: a class with a ``name`` in the right folder, or in a plug-in file, is registered.

Folders are read once, at the first question; nothing happens at import. A clash of names is an error.
Files that begin with an underscore hold no plug-in and are not read: what others need they import.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, StudyFileError, UnknownNameError

if TYPE_CHECKING:
    from harness.contracts.data import Dataset
    from harness.contracts.neuron import Neuron
    from harness.contracts.pipeline import Pipeline

_FOLDERS = {"Dataset": "datasets", "Pipeline": "pipelines", "Neuron": "neurons"}


class Registry:
    """Classes of one kind by name."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[Any]] = {}
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

    def all(self) -> Mapping[str, type[Any]]:
        """Every class by name, built-in ones and plug-ins."""
        if not self._loaded:
            self._loaded = True
            package = importlib.import_module(f"harness.{_FOLDERS[self.kind]}")
            for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
                if not info.ispkg and not info.name.rpartition(".")[2].startswith("_"):
                    self.add_from(importlib.import_module(info.name))
        return self._classes

    def get(self, name: str) -> type[Any]:
        """The class of a name. Raises UnknownNameError."""
        known = self.all()
        if name not in known:
            raise UnknownNameError(self.kind.lower(), name, known)
        return known[name]


def _origin(value: type[Any]) -> str:
    return f"{value.__module__}.{value.__qualname__}"


_DATASETS, _PIPELINES, _NEURONS = Registry("Dataset"), Registry("Pipeline"), Registry("Neuron")


def datasets() -> Mapping[str, type[Dataset]]:
    """Every data set by name."""
    return _DATASETS.all()


def pipelines() -> Mapping[str, type[Pipeline]]:
    """Every pipeline by name."""
    return _PIPELINES.all()


def neurons() -> Mapping[str, type[Neuron]]:
    """Every neuron by name."""
    return _NEURONS.all()


def dataset(name: str) -> type[Dataset]:
    """A data set by name. Raises UnknownNameError."""
    return _DATASETS.get(name)


def pipeline(name: str) -> type[Pipeline]:
    """A pipeline by name. Raises UnknownNameError."""
    return _PIPELINES.get(name)


def neuron(name: str) -> type[Neuron]:
    """A neuron by name. Raises UnknownNameError."""
    return _NEURONS.get(name)


def load_plugins(sources: Iterable[tuple[str, str]]) -> None:
    """Register what plug-in files define, given as (file name, text), so that any node can.

    The same text twice is loaded once. Raises StudyFileError if a file does not run.
    """
    for filename, text in sources:
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        name = f"harness_plugin_{Path(filename).stem}_{digest}"
        if name in sys.modules:
            continue
        module = ModuleType(name)
        module.__file__ = filename
        sys.modules[name] = module
        try:
            exec(compile(text, filename, "exec"), module.__dict__)
        except HarnessError:
            del sys.modules[name]
            raise
        except Exception as error:  # whatever a user's file raises, the study file names it
            del sys.modules[name]
            raise StudyFileError(f"plug-in {filename}: {type(error).__name__}: {error}") from error
        try:
            for registry in (_DATASETS, _PIPELINES, _NEURONS):
                registry.all()
                registry.add_from(module)
        except Exception:  # not loaded: asking again must fail again
            del sys.modules[name]
            raise
