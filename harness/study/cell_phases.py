"""One cell on its way through search, confirm and final: a pure function of its rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.contracts import registry
from harness.ids import derive_seed
from harness.search import CellSearch, Record
from harness.search.history import LearningCurve
from harness.space import Scalar
from harness.studyfile.values import Cell, StudySpec
from harness.trial import Phase, State, TrialSpec, freeze

Searched = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial of a cell: what it is, and how it ended once it has."""

    spec: TrialSpec
    number: int
    searched: Searched
    state: State = State.RUNNING
    values: tuple[float, ...] = ()
    constraints: tuple[float, ...] = ()
    curve: LearningCurve = ()


@dataclass(slots=True)
class CellRun:
    """The state of a cell. ``trials`` holds every trial that was ever handed out, by id.

    What is asked at every step (how many were asked, how many still run) is counted as trials come and end,
    so that a step costs the same in the first trial and in the fifty-thousandth.
    """

    study: StudySpec
    cell: Cell
    trials: dict[str, Trial] = field(default_factory=dict)
    exhausted: bool = False
    search: CellSearch = field(init=False)
    _phases: dict[Phase, dict[str, Trial]] = field(init=False)
    _open: dict[Phase, set[str]] = field(init=False)
    _numbers: set[int] = field(default_factory=set, init=False)
    _next_number: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._phases = {phase: {} for phase in Phase}
        self._open = {phase: set() for phase in Phase}
        seed = derive_seed(self.study.seed, "sampler", self.cell.name)
        start = tuple(dict(point) for point in self.cell.start)
        self.search = CellSearch(
            self.cell.space,
            dict(self.cell.fixed),
            self.study.search,
            self.cell.objectives,
            seed=seed,
            start=start,
        )

    def load(self, trials: Iterable[Trial]) -> None:
        """Take over what the tables tell."""
        found = list(trials)
        for trial in found:
            self._put(trial)
        self.search.load(_record(trial) for trial in found if trial.spec.phase is Phase.SEARCH)

    def _all(self, phase: Phase) -> list[Trial]:
        """The trials of a phase; a copy, because a display asks from its own thread."""
        return list(self._phases[phase].values())

    def _put(self, trial: Trial) -> None:
        """Take a trial in, in place of the one with its id."""
        trial_id, phase = trial.spec.id, trial.spec.phase
        self.trials[trial_id] = self._phases[phase][trial_id] = trial
        (self._open[phase].discard if trial.state.final else self._open[phase].add)(trial_id)
        if phase is Phase.SEARCH:
            self._numbers.add(trial.number)
            while self._next_number in self._numbers:  # the first that no row has: a lost one is asked again
                self._next_number += 1

    # -- what comes next ------------------------------------------------------------------------------

    def next_trial(self, *, context: bool = True) -> Trial | None:
        """The next trial to run, None if the cell waits for running ones or is done.

        ``asking`` False stops the search from proposing (a time budget is used up).
        """
        trial = self._next_search() if context and not self._stopped() else None
        if trial is None and self.search_over(context=context):
            trial = self._next_confirm() or self._next_final()
        if trial is not None:
            self._put(trial)
        return trial

    def _next_search(self) -> Trial | None:
        number = self._next_number
        if len(self._phases[Phase.SEARCH]) >= self.study.search.trials or self.exhausted:
            return None
        params = self.search.ask(number)
        if params is None:
            self.exhausted = True
            return None
        spec = self.spec(params, Phase.SEARCH, derive_seed(self.study.seed, "search"))
        trial = Trial(spec, number, freeze(params))
        self.search.add(_record(trial))
        return trial

    def _next_confirm(self) -> Trial | None:
        for trial in self.confirm_plan():
            if trial.spec.id not in self.trials:
                return trial
        return None

    def _next_final(self) -> Trial | None:
        if not all(self._ended(trial.spec.id) for trial in self.confirm_plan()):
            return None
        for trial in self.final_plan():
            if trial.spec.id not in self.trials:
                return trial
        return None

    def confirm_plan(self) -> tuple[Trial, ...]:
        """Top configurations by fresh seeds; empty while the search runs."""
        if self.study.confirm.seeds == 0 or self.study.confirm.top < 2:
            return ()
        top = self.search.best(self.study.confirm.top)
        if len(top) < 2:  # nothing to choose between
            return ()
        plan: list[Trial] = []
        for index in range(self.study.confirm.seeds):
            seed = derive_seed(self.study.seed, "confirm", index)
            for record in top:
                spec = self.spec(record.params, Phase.CONFIRM, seed)
                plan.append(Trial(spec, len(plan), freeze(record.params)))
        return tuple(plan)

    def final_plan(self) -> tuple[Trial, ...]:
        """The winner by fresh seeds; empty while there is none. Numbers grow with every new winner."""
        winner = self.winner()
        if winner is None:
            return ()
        known = self._all(Phase.FINAL)
        plan = []
        for index in range(self.study.final.seeds):
            seed = derive_seed(self.study.seed, "final", index)
            spec = self.spec(winner, Phase.FINAL, seed)
            before = max((t.number for t in known if freeze(winner) != t.searched), default=-1)
            plan.append(Trial(spec, before + 1 + index, freeze(winner)))
        return tuple(plan)

    def winner(self) -> dict[str, Scalar] | None:
        """The searched values that go to the final phase: best mean over the confirm seeds.

        A configuration with failed seeds ranks behind every one with fewer. None if nothing completed.
        """
        plan = self.confirm_plan()
        if not plan:
            best = self.search.best(1)
            return dict(best[0].params) if best else None
        scores: dict[Searched, list[float]] = {}
        for trial in plan:
            ended = self.trials.get(trial.spec.id, trial)
            value = ended.values[0] if ended.state is State.COMPLETE else math.nan
            scores.setdefault(trial.searched, []).append(value)
        first: Searched = min(scores, key=lambda searched: self._rank(scores[tuple(searched)]))
        return dict(first)

    def _rank(self, values: list[float]) -> tuple[int, float]:
        good = [value for value in values if not math.isnan(value)]
        mean = sum(good) / len(good) if good else math.inf
        sign = -1.0 if self.cell.objectives[0].maximize and good else 1.0
        return len(values) - len(good), sign * mean

    def finals(self) -> set[str]:
        """Every trial of the final phase, earlier winners' among them."""
        return set(self._phases[Phase.FINAL])

    def best_final(self) -> str | None:
        """The winner's final trial that is best on validation, the first seed among equals."""
        ended = [self.trials.get(trial.spec.id, trial) for trial in self.final_plan()]
        done = [trial for trial in ended if trial.state is State.COMPLETE]
        choose = max if self.cell.objectives[0].maximize else min
        return choose(done, key=lambda trial: trial.values[0]).spec.id if done else None

    # -- where it stands ------------------------------------------------------------------------------

    def search_over(self, *, context: bool = True) -> bool:
        """Whether no search trial runs and none will be asked."""
        if self._open[Phase.SEARCH]:
            return False
        enough = len(self._phases[Phase.SEARCH]) >= self.study.search.trials or self.exhausted
        return enough or not context or self._stopped()

    def done(self) -> bool:
        """Whether every planned trial has ended."""
        plans = (*self.confirm_plan(), *self.final_plan())
        return all(self._ended(trial.spec.id) for trial in plans)

    def planned(self) -> int:
        """How many trials the cell will have, as far as that is known; earlier winners' trials count."""
        if self.search_over():
            plans = (*self.confirm_plan(), *self.final_plan())
            return len(self.trials.keys() | {trial.spec.id for trial in plans})
        search = int(min(self.study.search.trials, self.cell.space.size))
        top = min(self.study.confirm.top, search)
        confirm = top * self.study.confirm.seeds if top > 1 else 0
        earlier = len(self._phases[Phase.CONFIRM]) + len(self._phases[Phase.FINAL])
        return search + confirm + self.study.final.seeds + earlier

    def _ended(self, trial_id: str) -> bool:
        trial = self.trials.get(trial_id)
        return trial is not None and trial.state.final

    def _stopped(self) -> bool:
        """Whether the plateau rule ended the search."""
        patience = self.study.search.plateau
        if not patience:
            return False
        sign = 1.0 if self.cell.objectives[0].maximize else -1.0
        best, since = -math.inf, 0
        search = [t for t in self._all(Phase.SEARCH) if t.state.final]
        for trial in sorted(search, key=lambda t: t.number):
            value = sign * trial.values[0] if trial.values else -math.inf
            since = 0 if value > best else since + 1
            best = max(best, value)
        return since >= patience

    # -- changes --------------------------------------------------------------------------------------

    def finish(self, trial: Trial) -> None:
        """Record how a trial ended."""
        self._put(trial)
        if trial.spec.phase is Phase.SEARCH:
            self.search.add(_record(trial))

    def spec(self, searched: Mapping[str, Scalar], phase: Phase, seed: int) -> TrialSpec:
        """The complete trial for searched values."""
        schema = registry.pipeline(self.cell.pipeline).schema()
        params = schema.resolve({**dict(self.cell.fixed), **searched})
        return TrialSpec(
            dataset=self.cell.dataset,
            pipeline=self.cell.pipeline,
            params=freeze(params),
            seed=seed,
            phase=phase,
            epochs=self.study.epochs(phase),
            objectives=self.cell.objectives,
            variant=self.cell.variant,
        )


def _record(trial: Trial) -> Record:
    return Record(
        number=trial.number,
        params=dict(trial.searched),
        state=trial.state,
        values=trial.values,
        curve=trial.curve,
        constraints=trial.constraints,
    )
