"""Stores of several users become one: what others have and this one lacks, and where they disagree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from harness.errors import StoreError
from harness.store import merging
from harness.store.lock import StudyLock
from harness.store.merging import plain
from harness.store.models import Models
from harness.store.results import ResultStore


@dataclass(slots=True)
class Joined:
    """How many attempts were copied; a line for each trial that ended differently here and there.

    ``unread`` has one for each file that could not be read there.
    """

    copied: int = 0
    disagreements: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def join(here: ResultStore, others: Iterable[ResultStore]) -> Joined:
    """Copy what other stores have and this one lacks. A trial that ended here stays as it ended here.

    What cannot be read there is left out: a trial's row, or a trial whose epochs it held. A study here and
    there must have one fingerprint. Raises StoreError, LockedError, and ForeignFileError for a file here.
    """
    done = Joined()
    for other in others:
        names = other.study_names()
        if not names:
            raise StoreError(f"{other.files.root} holds no study of the harness.")
        for study in names:
            _join_study(here, other, study, done)
        done.unread += [f"{problem.why} What it held is left out." for problem in other.problems]
    return done


def _join_study(here: ResultStore, other: ResultStore, study: str, done: Joined) -> None:
    theirs, mine = other.studies(study), here.studies(study)
    if theirs.empty:  # not one launch can be read: nothing says what its trials are of
        return
    if len(mine) and not set(theirs["fingerprint"]) & set(mine["fingerprint"]):
        raise StoreError(
            f"study '{study}' in {other.files.root} has another fingerprint than here: "
            "it is another study under the same name. Merge it into a store of its own."
        )
    their_trials, their_epochs = _readable(other, study)
    with StudyLock(here.files, study):
        here.parts.sweep(study)
        my_trials = here.trials(study)
        here.require_readable(study)
        done.disagreements += [
            f"trial {trial} of '{study}' is {ours} in {here.files.root} and {its} in {other.files.root}: "
            "the first stays, the other is left out."
            for trial, ours, its in merging.disagreements(my_trials, their_trials)
        ]
        _copy_launches(here, mine, theirs)
        new = dict(merging.adopt(my_trials, their_trials))
        epochs = [
            {**plain(record), "attempt": new[key]["attempt"]}
            for key, record in zip(merging.keys(their_epochs), their_epochs.to_dict("records"), strict=True)
            if key in new
        ]
        here.parts.add(study, list(new.values()), epochs)
        apart = {trial for trial, _, _ in merging.disagreements(my_trials, their_trials)}
        _copy_models(here, other, study, apart)
    done.copied += len(new)


def _readable(store: ResultStore, study: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trials and epochs; where a file of epochs cannot be read, without the trials that ran and have none."""
    trials, epochs = store.trials(study), store.epochs(study)
    if any(problem.name.startswith(f"epochs/{study}/") for problem in store.problems):
        has, ran = set(merging.keys(epochs)), trials["epochs"].fillna(0).to_list()
        trials = trials[[not n or key in has for n, key in zip(ran, merging.keys(trials), strict=True)]]
    return trials, epochs


def _copy_models(here: ResultStore, other: ResultStore, study: str, apart: set[str]) -> None:
    """Networks that are kept there and not here, of trials that ended alike."""
    ours, theirs = Models(here.files.root, study), Models(other.files.root, study)
    for trial in sorted(set(theirs.trials()) - set(ours.trials()) - apart):
        ours.copy_from(theirs, trial)


def _copy_launches(here: ResultStore, mine: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """All of them where none is here, or where a merge that was cut brought the first."""
    known = ["launch", "launched_at", "fingerprint"]
    ours = set(mine[known].itertuples(index=False, name=None))
    if ours <= set(theirs[known].itertuples(index=False, name=None)):
        for launch in theirs.to_dict("records"):
            if tuple(launch[name] for name in known) not in ours:
                here.launch(plain(launch))
