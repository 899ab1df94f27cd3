"""Plug-ins from a notebook's cell: their text is gathered, registered and shipped as a file's would be."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

from harness.api.sources import self_contained
from harness.errors import HarnessError

C = TypeVar("C", bound=type[Any])
_TEXTS: dict[tuple[str, str], str] = {}


@overload
def neuron(kind: C) -> C: ...
@overload
def neuron(*, replace: bool = False) -> Callable[[C], C]: ...
def neuron(kind: C | None = None, *, replace: bool = False) -> C | Callable[[C], C]:
    """Register a :class:`harness.contracts.Neuron` by its ``name``; studies then name it as any other.

    ``replace`` takes the place of what an earlier text of the cell registered. Raises HarnessError in one
    line.
    """
    return _decorated("neuron", kind, replace)


@overload
def dataset(kind: C) -> C: ...
@overload
def dataset(*, replace: bool = False) -> Callable[[C], C]: ...
def dataset(kind: C | None = None, *, replace: bool = False) -> C | Callable[[C], C]:
    """Register a :class:`harness.contracts.Dataset`; see :func:`neuron`."""
    return _decorated("dataset", kind, replace)


@overload
def pipeline(kind: C) -> C: ...
@overload
def pipeline(*, replace: bool = False) -> Callable[[C], C]: ...
def pipeline(kind: C | None = None, *, replace: bool = False) -> C | Callable[[C], C]:
    """Register a :class:`harness.contracts.Pipeline`; see :func:`neuron`."""
    return _decorated("pipeline", kind, replace)


def used_plugins(text: str) -> dict[str, str]:
    """File names and texts of the registered plug-ins that a study's text names."""
    return {
        _file(name): source
        for (_, name), source in _TEXTS.items()
        if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)
    }


def _decorated(what: str, kind: C | None, replace: bool) -> C | Callable[[C], C]:
    if kind is None:

        def registered(found: C) -> C:
            return _register(what, found, replace=replace)

        return registered
    return _register(what, kind, replace=replace)


def _register(what: str, kind: C, *, replace: bool) -> C:
    """The class as every worker will have it: made from its own text, not from the notebook's state."""
    from harness.contracts import Dataset, Neuron, Pipeline, registry
    from harness.contracts.data import DATASETS
    from harness.contracts.neuron import NEURONS
    from harness.contracts.pipeline import PIPELINES
    from harness.studyfile.trust import trust

    base, known = {
        "neuron": (Neuron, NEURONS),
        "dataset": (Dataset, DATASETS),
        "pipeline": (Pipeline, PIPELINES),
    }[what]
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise HarnessError(f"@harness.{what}: {kind!r} is no subclass of harness.contracts.{base.__name__}.")
    name = kind.__dict__.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", name):
        raise HarnessError(
            f"@harness.{what}: {kind.__name__} needs a class attribute name, text of letters, digits and "
            "-, that "
            "studies call it by."
        )
    text = self_contained(kind)
    before = _TEXTS.get((what, name))
    if before == text:
        return cast(C, known.get(name))
    if before is not None and not replace:
        raise HarnessError(
            f"{what} '{name}' is registered already, by another text of this cell or by another cell. "
            "Give it "
            f"another name, or write @harness.{what}(replace=True); studies that ran keep the text they "
            "ran with."
        )
    if before is not None:
        known.forget(name)
    registry.load_plugins([(_file(name), text)])
    trust(text)
    _TEXTS[(what, name)] = text
    return cast(C, known.get(name))


def _file(name: str) -> str:
    return f"{name}.notebook.py"
