"""Whether the data of a study are the published ones, before anything is launched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.contracts import registry
from harness.contracts.data import Dataset
from harness.studyfile.stages import first_values
from harness.studyfile.values import StudySpec


def data_notes(spec: StudySpec) -> tuple[str, ...]:
    """What differs from the published sets, a sentence each.

    Raises MissingDataError and DataError where a launch would.
    """
    return tuple(note for dataset in _datasets(spec) if (note := dataset.verify()))


def _datasets(spec: StudySpec) -> Iterator[Dataset]:
    """Each data set once by name and file, those of pretraining too."""
    seen: set[tuple[str, object]] = set()
    for cell in spec.cells:
        kind = registry.pipeline(cell.pipeline)
        stages = kind().stages(kind.build_params(first_values(cell)), 1, 0)
        others: list[tuple[str, dict[str, Any]]] = [(s.dataset, {}) for s in stages if s.dataset is not None]
        for name, options in [(cell.dataset.name, dict(cell.dataset.options)), *others]:
            key = (name, options.get("path"))
            if key not in seen:
                seen.add(key)
                known = registry.dataset(name)
                yield known(known.Options(**options))
