"""Fork: begin a new study with the finished search trials of another that are its trials, too."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from harness.errors import StoreError
from harness.space import Space
from harness.store.results import ResultStore
from harness.studyfile.values import Cell, StudySpec
from harness.trial import Phase, State, TrialSpec


def copy_matching(store: ResultStore, source: str, study: StudySpec, fingerprint: str) -> int:
    """Copy what fits: the same content (id), searched values inside the new space; the number copied.

    Raises StoreError if there is no study ``source``.
    """
    rows = store.trials(source)
    if rows.empty:
        raise StoreError(f"--fork: there is no study '{source}' here to start from.")
    cells = {cell.name: cell for cell in study.cells}
    epochs = store.epochs(source)
    numbers: Counter[str] = Counter()
    final = rows[rows["state"].isin([s.value for s in State if s.final]) & (rows["phase"] == "search")]
    for row in final.sort_values("number").to_dict("records"):
        cell = cells.get(str(row["cell"]))
        if cell is None or not _same_trial(row, cell, study):
            continue
        mine = epochs[(epochs["trial_id"] == row["trial_id"]) & (epochs["attempt"] == row["attempt"])]
        copy = {str(k): None if v != v else v for k, v in row.items()}
        copy |= {
            "study": study.name,
            "fingerprint": fingerprint,
            "number": numbers[cell.name],
            "attempt": 1,
        }
        records = mine.drop(columns=["study", "cell", "trial_id", "attempt"]).to_dict("records")
        store.commit(copy, [{str(k): v for k, v in record.items()} for record in records])
        numbers[cell.name] += 1
    return sum(numbers.values())


def _same_trial(row: dict[Any, Any], cell: Cell, study: StudySpec) -> bool:
    params = json.loads(row["params"])
    spec = TrialSpec(
        dataset=cell.dataset,
        pipeline=cell.pipeline,
        params=tuple(sorted(params.items())),
        seed=int(row["seed"]),
        phase=Phase.SEARCH,
        epochs=study.epochs(Phase.SEARCH),
        objectives=cell.objectives,
        variant=cell.variant,
    )
    return spec.id == row["trial_id"] and inside(params, cell.space, dict(cell.fixed))


def inside(params: dict[str, Any], space: Space, fixed: dict[str, Any]) -> bool:
    """Whether every active searched value lies in its domain and every fixed one is as fixed."""
    active = space.active(params, fixed)
    searched = all(p.name in params and p.domain.contains(params[p.name]) for p in active)
    return searched and all(params[name] == value for name, value in fixed.items() if name in params)
