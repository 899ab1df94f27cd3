"""Data sets, pipelines and neurons by name, and the plug-in files that add to them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.contracts.data import DATASETS, Dataset
from harness.contracts.neuron import NEURONS, Neuron
from harness.contracts.pipeline import PIPELINES, Pipeline
from harness.contracts.plugins import Registry
from harness.errors import HarnessError, StudyFileError


def datasets() -> Mapping[str, type[Dataset]]:
    """Every data set by name."""
    return DATASETS.all()


def pipelines() -> Mapping[str, type[Pipeline]]:
    """Every pipeline by name."""
    return PIPELINES.all()


def neurons() -> Mapping[str, type[Neuron]]:
    """Every neuron by name."""
    return NEURONS.all()


def dataset(name: str) -> type[Dataset]:
    """A data set by name. Raises UnknownNameError."""
    return DATASETS.get(name)


def pipeline(name: str) -> type[Pipeline]:
    """A pipeline by name. Raises UnknownNameError."""
    return PIPELINES.get(name)


def neuron(name: str) -> type[Neuron]:
    """A neuron by name. Raises UnknownNameError."""
    return NEURONS.get(name)


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
            kinds: tuple[Registry[Any], ...] = (DATASETS, PIPELINES, NEURONS)
            for registry in kinds:
                registry.all()
                registry.add_from(module)
        except Exception:  # not loaded: asking again must fail again
            del sys.modules[name]
            raise
