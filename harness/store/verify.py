"""Every file read; what cannot be is set aside, rows that are there twice become one."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.errors import LockedError, StoreError
from harness.guard import one_line
from harness.store import tables
from harness.store.lock import StudyLock
from harness.store.models import Models
from harness.store.parts import SAFE_NAME, Problem
from harness.store.results import ResultStore
from harness.store.schemas import TABLES
from harness.trial import FINAL_STATES, State


@dataclass(slots=True)
class Findings:
    """What was set aside, what was mended and what somebody has to look at, a line each."""

    aside: list[Problem] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def verify(store: ResultStore) -> Findings:
    """Check a whole store and mend what can be mended. Raises StoreError where it cannot be written."""
    found = Findings(aside=store.quarantine())
    for table in TABLES:
        for name in store.files.folders(table):
            if not SAFE_NAME.fullmatch(name) and not name.startswith("."):
                where = one_line(store.files.path(f"{table}/{name}"))
                found.left.append(f"{where} is no folder of a study, by its name: what is in it is not read")
    for study in store.study_names():
        doubled = sum(_doubles(store, table, study) for table in ("trials", "epochs"))
        if doubled:
            _mend(store, study, doubled, found)
        found.left += _ended_twice(store, study)
        found.left += _damaged_models(store, study)
    return found


def _doubles(store: ResultStore, table: str, study: str) -> int:
    parts = store.parts.counted(table, study, tables.Wanted(tables.ONCE[table]))
    return tables.doubles(table, tables.concat(table, [part for _, part in parts], tables.ONCE[table]))


def _mend(store: ResultStore, study: str, doubled: int, found: Findings) -> None:
    try:
        with StudyLock(store.files, study):
            store.compact(study)
    except LockedError as error:
        found.left.append(f"study '{study}' has {doubled} rows twice, and cannot be mended now: {error}")
        return
    left = sum(_doubles(store, table, study) for table in ("trials", "epochs"))
    if doubled > left:
        found.mended.append(f"study '{study}' had {doubled - left} rows twice: they are there once now")


def _ended_twice(store: ResultStore, study: str) -> list[str]:
    rows = store.trials(study, ["cell", "trial_id", "attempt", "state"])
    ended = rows[rows["state"].isin(FINAL_STATES)].sort_values("attempt")
    later = ended.duplicated(["cell", "trial_id"], keep="last") & (ended["state"] == State.FAILED.value)
    ended = ended[~later]  # a failure that a user had run again
    twice = ended[ended.duplicated(["cell", "trial_id"])]
    where = store.files.path(f"trials/{study}")
    return [
        f"trial {trial} of '{study}' ended more than once: delete the copy below {where}"
        for trial in sorted(set(twice["trial_id"]))
    ]


def _damaged_models(store: ResultStore, study: str) -> list[str]:
    models, lines = Models(store.files.root, study), []
    for trial in models.trials():
        try:
            for file in models.card(trial).weights.values():
                models.read(file)
        except StoreError as error:
            lines.append(str(error))
    return lines
