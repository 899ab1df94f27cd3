"""Pruners: pure in the records, equal to Optuna's where Optuna's state allows a comparison."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest

from harness.search import Record
from harness.search.pruners import Brackets
from harness.studyfile.values import PrunerName
from harness.trial import Objective, State
from tests.search.cases import cell, shuffled

PRUNERS: tuple[PrunerName, ...] = ("hyperband", "halving", "median")
EPOCHS = 28


def params_of(number: int) -> dict[str, Any]:
    """Some point."""
    return {"lr": 0.001 + number * 1e-5, "tau": 2.0, "steps": 4, "width": 16}


def curves(count: int, *, maximize: bool, seed: int = 0) -> list[list[float]]:
    """Rising (or falling) curves of different ends and speeds: each value is the best so far."""
    rng = np.random.default_rng(seed)
    ends, speeds = rng.uniform(0.2, 1.0, count), rng.uniform(0.05, 0.6, count)
    epochs = np.arange(1, EPOCHS + 1)
    rising = ends[:, None] * (1 - np.exp(-speeds[:, None] * epochs))
    return [[float(value) for value in row] for row in (rising if maximize else -rising)]


def simulate(
    pruner: PrunerName, table: list[list[float]], *, maximize: bool, rebuild: bool = False
) -> list[Record]:
    """Trials one after the other, each stopped when the pruner says so."""
    goals = (Objective("value", maximize),)
    search = cell(pruner=pruner, epochs=EPOCHS, objectives=goals)
    records: list[Record] = []
    for number, values in enumerate(table):
        state, curve = State.COMPLETE, []
        for epoch, value in enumerate(values, 1):
            curve.append((epoch, value))
            if rebuild:
                search = cell(pruner=pruner, epochs=EPOCHS, objectives=goals)
                search.load(shuffled(records, epoch))
            if search.prune(number, params_of(number), curve):
                state = State.PRUNED
                break
        final = () if state is State.PRUNED else (curve[-1][1],)
        records.append(Record(number, params_of(number), state, final, tuple(curve)))
        search.add(records[-1])
    return records


def optuna_stops(pruner: optuna.pruners.BasePruner, table: list[list[float]], *, maximize: bool) -> list[int]:
    """The epochs each trial runs under one of Optuna's own pruners (never stopped at the last)."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if maximize else "minimize", pruner=pruner)
    stops = []
    for values in table:
        trial = study.ask()
        for epoch, value in enumerate(values, 1):
            trial.report(value, epoch)
            if epoch < EPOCHS and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, values[-1])
        stops.append(epoch)
    return stops


@pytest.mark.parametrize("pruner", PRUNERS)
@pytest.mark.parametrize("maximize", [True, False], ids=["max", "min"])
class TestEveryPruner:
    def test_a_rebuilt_search_decides_the_same(self, pruner: PrunerName, maximize: bool) -> None:
        table = curves(25, maximize=maximize)
        live = simulate(pruner, table, maximize=maximize)
        assert simulate(pruner, table, maximize=maximize, rebuild=True) == live

    def test_some_stop_the_best_never(self, pruner: PrunerName, maximize: bool) -> None:
        table = curves(40, maximize=maximize)
        records = simulate(pruner, table, maximize=maximize)
        stopped = [record.state is State.PRUNED for record in records]
        assert 0.05 < np.mean(stopped) < 0.95
        leader = [1.0 if maximize else -1.0] * EPOCHS
        assert simulate(pruner, [*table, leader], maximize=maximize)[-1].state is State.COMPLETE

    def test_direction_matters(self, pruner: PrunerName, maximize: bool) -> None:
        table = curves(25, maximize=maximize)
        one, other = (simulate(pruner, table, maximize=way) for way in (maximize, not maximize))
        assert [record.state for record in one] != [record.state for record in other]

    def test_nothing_without_others_or_at_the_end(self, pruner: PrunerName, maximize: bool) -> None:
        goals = (Objective("value", maximize),)
        search = cell(pruner=pruner, epochs=EPOCHS, objectives=goals)
        assert not search.prune(0, params_of(0), ())
        bad = [(epoch, -99.0 if maximize else 99.0) for epoch in range(1, EPOCHS + 1)]
        assert not any(search.prune(0, params_of(0), bad[:n]) for n in range(1, EPOCHS + 1))
        search.load(simulate(pruner, curves(20, maximize=maximize), maximize=maximize))
        assert not search.prune(20, params_of(20), bad), "at the last epoch nothing is saved"

    def test_values_that_are_not_finite_decide_nothing(self, pruner: PrunerName, maximize: bool) -> None:
        goals = (Objective("value", maximize),)
        search = cell(pruner=pruner, epochs=EPOCHS, objectives=goals)
        search.load(simulate(pruner, curves(20, maximize=maximize), maximize=maximize))
        nothing = [(epoch, math.nan) for epoch in range(1, 10)]
        assert not search.prune(20, params_of(20), nothing)

    def test_failed_trials_are_no_evidence(self, pruner: PrunerName, maximize: bool) -> None:
        goals = (Objective("value", maximize),)
        search = cell(pruner=pruner, epochs=EPOCHS, objectives=goals)
        good = tuple((epoch, 9.0 if maximize else -9.0) for epoch in range(1, EPOCHS))
        search.load(Record(n, params_of(n), State.FAILED, curve=good) for n in range(30))
        mine = [(epoch, 0.0) for epoch in range(1, EPOCHS)]
        assert not any(search.prune(30, params_of(30), mine[:n]) for n in range(1, EPOCHS))


@pytest.mark.parametrize("maximize", [True, False], ids=["max", "min"])
class TestAgainstOptuna:
    """The same decisions as Optuna's pruners on the same trials, one after the other."""

    def epochs(self, pruner: PrunerName, table: list[list[float]], maximize: bool) -> list[int]:
        return [len(r.curve) for r in simulate(pruner, table, maximize=maximize)]

    def test_halving(self, maximize: bool) -> None:
        table = curves(60, maximize=maximize)
        theirs = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=4)
        expected = optuna_stops(theirs, table, maximize=maximize)
        assert self.epochs("halving", table, maximize) == expected
        assert len(set(expected)) > 2

    def test_median(self, maximize: bool) -> None:
        table = curves(60, maximize=maximize)
        theirs = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2, n_min_trials=5)
        expected = optuna_stops(theirs, table, maximize=maximize)
        assert self.epochs("median", table, maximize) == expected
        assert len(set(expected)) > 2


class TestHyperband:
    def test_brackets_have_the_papers_shares(self) -> None:
        """R = 27, eta = 3: four brackets, 27 * 4/4, 9 * 4/3, 3 * 4/2 and 4 trials of each 49."""
        brackets = Brackets(27, seed=0)
        counts = np.bincount([brackets(number) for number in range(49_00)], minlength=4) / 100
        assert counts == pytest.approx([27, 12, 6, 4], abs=2.5)

    def test_a_bracket_competes_with_itself_only(self) -> None:
        brackets = Brackets(EPOCHS, seed=0)
        first = next(n for n in range(99) if brackets(n) == 0)
        rival = next(n for n in range(99) if brackets(n) == 1)
        mate = next(n for n in range(first + 1, 99) if brackets(n) == 0)
        curve = ((1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0))
        for other, expected in ((rival, False), (mate, True)):
            search = cell(pruner="hyperband", epochs=EPOCHS)
            search.add(Record(other, params_of(other), State.PRUNED, curve=curve))
            assert search.prune(first, params_of(first), [(1, 0.5)]) is expected

    def test_the_seed_chooses_the_bracket(self) -> None:
        one, other = Brackets(27, seed=0), Brackets(27, seed=1)
        assert [one(n) for n in range(50)] != [other(n) for n in range(50)]


class TestPending:
    def test_pending_trials_compete_with_their_curves(self) -> None:
        """On a wide cluster nothing has finished yet: rungs still decide."""
        search = cell(pruner="halving", epochs=EPOCHS)
        stopped = [search.prune(n, params_of(n), [(1, 1.0 - n / 10)]) for n in range(8)]
        assert stopped == [False] + [True] * 7
        again = cell(pruner="halving", epochs=EPOCHS)
        again.load(Record(n, params_of(n), State.RUNNING, curve=((1, 1.0 - n / 10),)) for n in range(7))
        assert again.prune(7, params_of(7), [(1, 0.3)])

    def test_a_resumed_trial_is_judged_by_the_curve_given(self) -> None:
        """It goes back to its checkpoint: the longer curve from before the kill does not speak."""
        search = cell(pruner="median", epochs=EPOCHS)
        search.load(simulate("none", curves(8, maximize=True), maximize=True))
        good = [(epoch, 1.0 + epoch) for epoch in range(1, 9)]
        assert not search.prune(8, params_of(8), good)
        assert search.prune(8, params_of(8), [(1, 0.0), (2, 0.0)])

    def test_a_final_trial_is_never_judged(self) -> None:
        search = cell(pruner="median", epochs=EPOCHS)
        search.load(simulate("none", curves(8, maximize=True), maximize=True))
        search.add(Record(8, params_of(8), State.COMPLETE, (0.0,), ((1, 0.0), (2, 0.0))))
        assert not search.prune(8, params_of(8), [(1, 0.0), (2, 0.0)])
