"""One cell's search: rebuilt from rows, asked for points, asked whether to stop a trial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import optuna

from harness.errors import HarnessError
from harness.ids import derive_seed
from harness.search import optuna_study, pruners, ranking
from harness.search.conditional_space import ConditionalSpace
from harness.search.evolution import CmaesSampler
from harness.search.genetic import Nsga2Sampler
from harness.search.history import History, Record
from harness.search.models import ModelSampler
from harness.search.sampler import AskContext, Sampler
from harness.search.uniform import GridSampler, RandomSampler
from harness.space import Params, Point, Space
from harness.studyfile.sampler_rules import objectives_rule
from harness.studyfile.values import SearchPlan
from harness.trial import Objective, State

TRIES = 20  # seeds for a proposal that no record has yet
TRIES_SLOW = 3  # the same for a GP and for a history of more than LARGE records
LARGE = 1000
DRAWS = 100  # uniform points after that, then the space is walked


class CellSearch:
    """The search of one cell, in memory. Nothing of it is stored: the rows are its state.

    A proposal is a function of the records (finished and pending), the seed and the number asked for: a
    search rebuilt from the same records proposes what this one would. So is a decision to stop a trial, with
    the curves of pending trials as part of their records.

    Raises HarnessError for a sampler or pruner that cannot serve the space or the objectives.
    """

    def __init__(
        self,
        space: Space,
        fixed: Params,
        plan: SearchPlan,
        objectives: tuple[Objective, ...],
        *,
        seed: int,
        start: tuple[Params, ...] = (),
    ) -> None:
        _check(plan, objectives)
        self._conditional_space = ConditionalSpace(space, fixed)
        self._plan = plan
        self._objectives = objectives
        self._maximize = objectives[0].maximize
        self._seed = seed
        self._start = tuple(self._complete(index, point) for index, point in enumerate(start))
        self._sampler = self._make_sampler()
        self.load(())

    def load(self, records: Iterable[Record]) -> None:
        """Forget everything and begin with these records, in whatever order they come."""
        self._rule = pruners.rule(
            self._plan.pruner, epochs=self._plan.epochs, seed=self._seed, maximize=self._maximize
        )
        watch = None if self._rule is None else self._rule.update
        self._history = History(self._conditional_space, self._objectives, watch=watch)
        self._history.add(records)

    def add(self, record: Record) -> None:
        """Add a record. A final one replaces the pending one with its number; never the other way round."""
        self._history.add((record,))

    def ask(self, number: int) -> Params | None:
        """The searched values of a new trial; None once a finite space has no point left.

        The start points come first, in their order, but for those that a record already has. A point that a
        record has, finished or pending, is never proposed again. The caller adds the answer as a RUNNING
        record.
        """
        for point in self._start:
            if not self._history.explored(point):
                return dict(point)
        slow = self._plan.sampler == "gp" or len(self._history) > LARGE
        sampler, history = self._as_of(number)
        for retry in range(TRIES_SLOW if slow else TRIES):
            params = sampler.propose(history, AskContext(number, retry, self._seed))
            if params is None:
                return None
            if not self._history.explored(params):
                return params
        return self._unexplored(number)

    def _as_of(self, number: int) -> tuple[Sampler, History]:
        """What a number is asked of: for one whose record was lost, what came before it and nothing later."""
        records = self._history.ordered
        if not records or records[-1].number < number:
            return self._sampler, self._history
        earlier = History(self._conditional_space, self._objectives)
        earlier.add(record for record in records if record.number < number)
        return self._make_sampler(), earlier

    def prune(self, number: int, params: Params, curve: Sequence[tuple[int, float]]) -> bool:
        """Whether to stop a pending trial now. The curve so far becomes part of its record.

        ``curve`` holds (epoch, first objective on validation) from the first epoch on, all of one kind: the
        epochs of every trial of a cell must mean the same.
        """
        pending = Record(number, params, State.RUNNING, curve=tuple(curve))
        self.add(pending)
        stored = self._history.get(number)
        if self._rule is None or (stored is not None and stored.state.final):
            return False
        return pruners.judge(self._rule, pending, epochs=self._plan.epochs, maximize=self._maximize)

    def best(self, top: int) -> tuple[Record, ...]:
        """The best feasible COMPLETE records, best first; see :func:`harness.search.ranking.best`."""
        return ranking.best(self._history, top)

    def to_optuna(self, *, name: str = "cell", storage: str | None = None) -> optuna.Study:
        """All records as an Optuna study, in memory, in a journal file or in ``sqlite:///x.db``."""
        return optuna_study.study(self._history, name=name, storage=storage)

    def _make_sampler(self) -> Sampler:
        conditional_space, objectives, startup = self._conditional_space, self._objectives, self._plan.startup
        match self._plan.sampler:
            case "tpe":
                return ModelSampler(conditional_space, objectives, startup=startup, kind="tpe")
            case "gp":
                return ModelSampler(conditional_space, objectives, startup=startup, kind="gp")
            case "cmaes":
                return CmaesSampler(conditional_space, objectives, startup=startup, seed=self._seed)
            case "nsga2":
                return Nsga2Sampler(conditional_space)
            case "random":
                return RandomSampler(conditional_space)
            case "grid":
                return GridSampler(conditional_space)

    def _complete(self, index: int, point: Params) -> Point:
        """A start point with what exists only; values it leaves open are drawn by a named seed."""
        rng = np.random.default_rng(derive_seed(self._seed, "start", index))
        return self._conditional_space.draw(rng, point)

    def _unexplored(self, number: int) -> Point | None:
        """A point that no record has: by chance, else the first in the order of the space."""
        rng = np.random.default_rng(derive_seed(self._seed, "ask", number, "unexplored"))
        for _ in range(DRAWS):
            point = self._conditional_space.draw(rng)
            if not self._history.explored(point):
                return point
        for point in self._conditional_space.walk(rng):
            if not self._history.explored(point):
                return point
        return None


def _check(plan: SearchPlan, objectives: tuple[Objective, ...]) -> None:
    if not objectives:
        raise HarnessError("objective: a search needs at least one, for instance 'accuracy max'.")
    broken = objectives_rule(plan, objectives)
    if broken is not None:
        raise HarnessError(f"search.{broken[0]}: {broken[1]}")
