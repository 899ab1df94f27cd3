"""Fork: begin a new study with the finished search trials of another that are its trials, too."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from harness.errors import StoreError
from harness.space import Space
from harness.store.merging import plain
from harness.store.results import ResultStore
from harness.study.trial_rows import plugin_digests
from harness.studyfile.values import Cell, StudySpec
from harness.train import metadata
from harness.trial import FINAL_STATES, Phase, State, TrialSpec


@dataclass(frozen=True, slots=True)
class Forked:
    """How many trials were copied, and how many were left out for which reason."""

    copied: int = 0
    left: tuple[tuple[str, int], ...] = ()


def copy_matching(store: ResultStore, source: str, study: StudySpec, fingerprint: str) -> Forked:
    """Copy the search trials of another study that this one would run with the same numbers.

    That is: the same content (id), searched values inside the new space, made by this code of the harness
    with these plug-ins from this data, and no failure. Raises StoreError if there is no study ``source``.
    """
    rows = store.trials(source)
    if rows.empty:
        raise StoreError(f"--fork: there is no study '{source}' here to start from.")
    cells = {cell.name: cell for cell in study.cells}
    epochs = store.epochs(source)
    numbers: Counter[str] = Counter()
    left: Counter[str] = Counter()
    last = rows.sort_values("attempt").drop_duplicates(["cell", "trial_id"], keep="last")
    final = last[last["state"].isin(FINAL_STATES) & (last["phase"] == Phase.SEARCH.value)]
    for row in final.sort_values("number").to_dict("records"):
        cell = cells.get(str(row["cell"]))
        why = "of a cell that this study does not have" if cell is None else _unfit(row, cell, study)
        if why or cell is None:
            left[why] += 1
            continue
        mine = epochs[(epochs["trial_id"] == row["trial_id"]) & (epochs["attempt"] == row["attempt"])]
        copy = plain(row) | {
            "study": study.name,
            "fingerprint": fingerprint,
            "number": numbers[cell.name],
            "attempt": 1,
        }
        records = mine.drop(columns=["study", "cell", "trial_id", "attempt"]).to_dict("records")
        store.commit(copy, [plain(record) for record in records])
        numbers[cell.name] += 1
    return Forked(sum(numbers.values()), tuple(sorted(left.items())))


def _unfit(row: dict[Any, Any], cell: Cell, study: StudySpec) -> str:
    """Why a row is not copied; "" if it is."""
    if row["state"] == State.FAILED.value:
        return "that failed"
    if (row["plugins"] or {}) != plugin_digests(study.plugins):
        return "made with other plug-ins"
    if row["code"] != metadata.code_version():
        return "made by other code of the harness"
    if row["dataset_revision"] != cell.dataset.revision:
        return "of another revision of the data"
    return "" if _same_trial(row, cell, study) else "with other settings"


def _same_trial(row: dict[Any, Any], cell: Cell, study: StudySpec) -> bool:
    params = dict(row["params"])
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
