"""A Ray-distributed hyperparameter and benchmark harness for spiking neural networks.

``import harness`` in a notebook or a script offers :class:`Study`, :class:`Results` and the decorators
:func:`neuron`, :func:`dataset` and :func:`pipeline`; what a plug-in needs is in :mod:`harness.contracts`.
All else may change. Each is imported when it is first used: the import itself brings neither torch nor Ray.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api.register import dataset as dataset
    from harness.api.register import neuron as neuron
    from harness.api.register import pipeline as pipeline
    from harness.api.results import Results as Results
    from harness.api.study import Study as Study

__version__ = "0.1.0"
_SURFACE = {
    "Results": "harness.api.results",
    "Study": "harness.api.study",
    "dataset": "harness.api.register",
    "neuron": "harness.api.register",
    "pipeline": "harness.api.register",
}


def __getattr__(name: str) -> Any:
    if name not in _SURFACE:
        raise AttributeError(f"module 'harness' has no attribute '{name}'; it offers {', '.join(_SURFACE)}")
    value = getattr(importlib.import_module(_SURFACE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_SURFACE, "__version__"])
