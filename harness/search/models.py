"""Optuna's model-based samplers, TPE and GP, over records instead of a storage.

Optuna infers the joint space of a conditional search from past trials. Here it is known: parameters under the
same conditions form a group, groups are chosen in order, and within a group all are sampled jointly
(multivariate TPE; the equal of TPESampler(group=True), without its experimental inference).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from harness.search.conditional_space import ConditionalSpace, Group
from harness.search.distributions import distribution
from harness.search.history import History, Record
from harness.search.sampler import AskContext
from harness.space import Point
from harness.trial import Objective, State

CANDIDATES = 24  # points among which TPE chooses, Optuna's default
GP_RECORDS = 256  # a GP's cost is cubic: it learns from the best half and the latest half of these
_STATES = {
    State.COMPLETE: TrialState.COMPLETE,
    State.PRUNED: TrialState.PRUNED,
    State.FAILED: TrialState.PRUNED,  # below: pruned before its first epoch
    State.RUNNING: TrialState.RUNNING,
}


class _View(InMemoryStorage):
    """A storage that shows a list of trials and keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[FrozenTrial] = []

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        """The trials shown, filtered by state, never copied."""
        if states is None:
            return self.shown
        return [trial for trial in self.shown if trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Samplers leave notes for other processes; there are none."""


class ModelSampler:
    """TPE or GP. ``startup`` measured trials are random points before a model is asked.

    TPE learns from COMPLETE and PRUNED trials, avoids pending ones (constant liar), and ranks a FAILED trial
    behind all others, as pruned before its first epoch: it steers away without any number. GP learns from
    COMPLETE trials and accounts for pending ones; each group has a model of its own over the trials in which
    it existed. Both take several objectives and constraints.
    """

    def __init__(
        self,
        conditional_space: ConditionalSpace,
        objectives: tuple[Objective, ...],
        *,
        startup: int,
        kind: Literal["tpe", "gp"] = "tpe",
    ) -> None:
        self._conditional_space = conditional_space
        self._kind = kind
        self._startup = max(1, startup)
        self._single = len(objectives) == 1
        self._distributions = {
            parameter.name: distribution(parameter.domain) for parameter in conditional_space.parameters
        }
        self._view = _View()
        with quiet():
            optuna.create_study(storage=self._view, study_name="cell", directions=directions(objectives))
        self._trials: dict[int, tuple[Record, FrozenTrial]] = {}

    def propose(self, history: History, context: AskContext, given: Point | None = None) -> Point:
        """A point of the model, or a uniform one before ``startup`` trials; ``given`` values are kept."""
        chosen = dict(given or {})
        records = history.fitting
        measured = sum(record.state in (State.COMPLETE, State.PRUNED) for record in records)
        if measured < self._startup:
            return self._conditional_space.draw(context.rng(), chosen)
        sampler = self._sampler(context.seed)
        uniform = context.rng()
        for group in self._conditional_space.groups:
            if group.active(chosen):
                chosen.update(self._choose(group, chosen, sampler, history, context))
                for parameter in group.parameters:  # what the model could not answer
                    if parameter.name not in chosen:
                        chosen[parameter.name] = parameter.domain.from_unit(uniform.random())
        return self._conditional_space.settle(chosen)

    def _sampler(self, seed: int) -> BaseSampler:
        if self._kind == "gp":
            return GPSampler(
                seed=seed,
                n_startup_trials=0,
                deterministic_objective=False,
                warn_independent_sampling=False,
            )
        return TPESampler(
            seed=seed,
            n_startup_trials=0,
            n_ei_candidates=CANDIDATES,
            multivariate=True,
            group=False,
            constant_liar=True,
        )

    def _choose(
        self, group: Group, chosen: Point, sampler: BaseSampler, history: History, context: AskContext
    ) -> Point:
        """The values of one group that are not chosen yet."""
        wanted: dict[str, BaseDistribution] = {}
        point: Point = {}
        for parameter in group.parameters:
            if parameter.name in chosen:
                continue
            if self._distributions[parameter.name].single():
                point[parameter.name] = parameter.domain.at(0)
            else:
                wanted[parameter.name] = self._distributions[parameter.name]
        self._view.shown = self._shown(wanted, history)
        if not wanted or (self._kind == "gp" and not self._enough(self._view.shown)):
            return point
        study = Study("cell", self._view, sampler=sampler)
        trial = _trial(context.number, {}, TrialState.RUNNING)
        # A GP whose acquisition is the same everywhere divides 0 by 0 and says that the study has converged.
        with quiet(), np.errstate(invalid="ignore", divide="ignore"):
            sampled = sampler.sample_relative(study, trial, wanted)
        for name, value in sampled.items():
            point[name] = self._conditional_space.by_name[name].domain.settle(value)
        return point

    def _enough(self, trials: list[FrozenTrial]) -> bool:
        return sum(trial.state is TrialState.COMPLETE for trial in trials) >= self._startup

    def _shown(self, wanted: Collection[str], history: History) -> list[FrozenTrial]:
        records: Iterable[Record] = history.fitting
        if self._kind == "gp":
            records = _thin(
                [
                    record
                    for record in records
                    if record.state in (State.COMPLETE, State.RUNNING)
                    and all(name in record.params for name in wanted)
                ],
                history,
            )
        return [self._frozen(record) for record in records]

    def _frozen(self, record: Record) -> FrozenTrial:
        known = self._trials.get(record.number)
        if known is None or known[0] is not record:
            known = record, self._freeze(record)
            self._trials[record.number] = known
        return known[1]

    def _freeze(self, record: Record) -> FrozenTrial:
        last: dict[int, float] = {}
        if record.state is State.PRUNED and record.curve and self._single:
            last = dict([max(record.curve)])
        attributes = {"constraints": list(record.constraints)} if record.constraints else {}
        return _trial(
            record.number,
            record.params,
            _STATES[record.state],
            values=list(record.values) or None,
            intermediate=last,
            attributes=attributes,
        )


def directions(objectives: tuple[Objective, ...]) -> list[StudyDirection]:
    """The objectives' directions as Optuna writes them."""
    return [StudyDirection.MAXIMIZE if goal.maximize else StudyDirection.MINIMIZE for goal in objectives]


@contextmanager
def quiet() -> Iterator[None]:
    """Only errors from Optuna's log inside; its own verbosity comes back afterwards."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _thin(records: list[Record], history: History) -> list[Record]:
    """At most GP_RECORDS finished records: the best half by the first objective, then the latest."""
    finished = [record for record in records if record.state is State.COMPLETE]
    if len(finished) <= GP_RECORDS:
        return records
    ranked = sorted(finished, key=lambda record: (not record.feasible, history.losses(record)))
    kept = {record.number for record in ranked[: GP_RECORDS // 2]}
    for record in reversed(finished):
        if len(kept) == GP_RECORDS:
            break
        kept.add(record.number)
    return [record for record in records if record.state is State.RUNNING or record.number in kept]


def _trial(
    number: int,
    params: Any,
    state: TrialState,
    *,
    values: list[float] | None = None,
    intermediate: dict[int, float] | None = None,
    attributes: dict[str, Any] | None = None,
) -> FrozenTrial:
    return FrozenTrial(
        number=number,
        state=state,
        value=None,
        values=values,
        datetime_start=None,
        datetime_complete=None,
        params=params,
        distributions={},
        user_attrs={},
        system_attrs=attributes or {},
        intermediate_values=intermediate or {},
        trial_id=number,
    )
