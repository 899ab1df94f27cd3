"""The search of a cell: start points, records, choice of the best, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from harness.errors import HarnessError
from harness.search import Record
from harness.search.conditional_space import key
from harness.space import Choice, Domain, FloatRange, IntRange, Parameter, Params, Space
from harness.studyfile.values import PrunerName, SamplerName
from harness.trial import State
from tests.search.cases import CONDITIONAL, FINITE, NUMBERS, TWO, cell, run, score

PUBLISHED: Params = {"lr": 0.01, "tau": 2.0, "steps": 16, "width": 64}
OTHER: Params = {"lr": 0.02, "tau": 3.0, "steps": 8, "width": 16}


class TestStart:
    def test_start_points_come_first_in_order(self) -> None:
        records = run(cell(start=(PUBLISHED, OTHER)), 4)
        assert [records[0].params, records[1].params] == [PUBLISHED, OTHER]
        assert records[2].params not in (PUBLISHED, OTHER)

    def test_a_start_point_that_ran_is_skipped(self) -> None:
        search = cell(start=(PUBLISHED, OTHER))
        search.load([Record(5, {**PUBLISHED, "tau": 2}, State.FAILED)])
        assert search.ask(6) == OTHER

    def test_values_left_open_are_drawn_and_inactive_ones_dropped(self) -> None:
        search = cell(CONDITIONAL, start=({"kind": "none", "delay": 7},))
        point = search.ask(0)
        assert point is not None
        assert point["kind"] == "none"
        assert set(point) == {"kind", "lr", "reset"}
        assert point == cell(CONDITIONAL, start=({"kind": "none", "delay": 7},)).ask(3)

    def test_outside_the_range_runs_and_does_not_mislead_the_model(self) -> None:
        outside = {**PUBLISHED, "tau": 40.0}
        search = cell(start=(outside,))
        records = run(search, 12)
        assert records[0].params == outside
        assert all(float(record.params["tau"]) <= 4.0 for record in records[1:])
        assert search.best(1)[0].number != 0


class TestRecords:
    def test_final_replaces_pending_never_back(self) -> None:
        search = cell()
        search.add(Record(0, PUBLISHED, State.COMPLETE, (0.5,)))
        search.add(Record(0, PUBLISHED, State.RUNNING))
        assert [record.number for record in search.best(1)] == [0]

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "nsga2"])
    def test_no_value_that_is_not_finite_is_used(self, sampler: SamplerName, value: float) -> None:
        def end(number: int, params: Params) -> Record:
            result = value if number % 3 == 0 else score(params)
            return Record(number, params, State.COMPLETE, (result,), ((1, value), (2, result)))

        search = cell(sampler=sampler)
        run(search, 10, end=end)
        assert search.ask(10) is not None
        assert all(math.isfinite(record.values[0]) for record in search.best(20))
        trials = search.to_optuna().trials
        assert trials[0].state is optuna.trial.TrialState.FAIL
        assert all(math.isfinite(v) for t in trials for v in t.intermediate_values.values())

    def test_a_whole_number_for_a_real_parameter_is_the_same_point(self) -> None:
        search = cell(FINITE)
        search.add(Record(0, {"kind": "b", "steps": 2, "drop": 0}, State.RUNNING))
        points = [key(record.params) for record in run(search, 20, first=1)]
        assert len(points) == 14
        assert key({"kind": "b", "steps": 2, "drop": 0.0}) not in points


class TestBest:
    def test_one_objective(self) -> None:
        search = cell()
        records = run(search, 20, end=lambda n, p: Record(n, p, State.COMPLETE, (score(p),)))
        ordered = sorted(records, key=lambda record: -record.values[0])
        assert [r.number for r in search.best(3)] == [r.number for r in ordered[:3]]
        assert search.best(0) == ()
        assert len(search.best(99)) == 20

    def test_infeasible_pruned_and_failed_are_left_out(self) -> None:
        search = cell()
        rows = [{**PUBLISHED, "width": 16 * n} for n in range(1, 6)]
        search.load(
            [
                Record(0, rows[0], State.COMPLETE, (9.0,), constraints=(0.1, -1.0)),
                Record(1, rows[1], State.COMPLETE, (1.0,), constraints=(0.0, -1.0)),
                Record(2, rows[2], State.PRUNED, (8.0,), curve=((1, 8.0),)),
                Record(3, rows[3], State.FAILED),
                Record(4, rows[4], State.COMPLETE, (2.0,), constraints=(-3.0, -1.0)),
            ]
        )
        assert [record.number for record in search.best(3)] == [4, 1]

    def test_several_objectives_start_at_the_knee(self) -> None:
        search = cell(objectives=TWO)
        values = [(0.9, 100.0), (0.85, 20.0), (0.1, 1.0), (0.84, 30.0), (0.0, 200.0)]
        search.load(
            Record(n, {**OTHER, "tau": 1.0 + n / 2}, State.COMPLETE, value) for n, value in enumerate(values)
        )
        front = [record.number for record in search.best(3)]
        assert front[0] == 1, "the knee first"
        assert set(front) == {0, 1, 2}
        assert [record.number for record in search.best(5)][3:] == [3, 4]


class TestExport:
    @pytest.mark.parametrize("kind", ["memory", "journal", "sqlite"])
    def test_every_record_arrives(self, kind: str, tmp_path: Path) -> None:
        search = cell(CONDITIONAL, start=({"kind": "none", "lr": 3.0, "reset": True},))
        records = run(search, 15)
        search.add(Record(15, search.ask(15) or {}, State.RUNNING))
        path = str(tmp_path / "study.db")
        if kind == "memory":
            study = search.to_optuna()
        else:
            search.to_optuna(name="digits/direct", storage=path if kind == "journal" else f"sqlite:///{path}")
            opened = (
                JournalStorage(JournalFileBackend(path))
                if kind == "journal"
                else RDBStorage(f"sqlite:///{path}")
            )
            study = optuna.load_study(study_name="digits/direct", storage=opened)
        assert len(study.trials) == 16
        assert study.metric_names == ["accuracy"]
        for record, trial in zip(records, study.trials, strict=False):
            assert trial.params == record.params
            assert trial.user_attrs["number"] == record.number
            assert trial.values == (list(record.values) or None)
            assert trial.intermediate_values == dict(record.curve)
        assert study.best_trial.number == search.best(1)[0].number
        study._storage.remove_session()

    def test_constraints_and_directions_arrive(self) -> None:
        search = cell(objectives=TWO)
        search.add(Record(0, PUBLISHED, State.COMPLETE, (1.0, 2.0), constraints=(3.0,)))
        search.add(Record(1, OTHER, State.COMPLETE, (0.5, 2.0), constraints=(-3.0,)))
        study = search.to_optuna()
        assert [trial.number for trial in study.best_trials] == [1]
        assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]


class TestErrors:
    @pytest.mark.parametrize("sampler", ["cmaes", "grid"])
    def test_one_objective_only(self, sampler: SamplerName) -> None:
        with pytest.raises(HarnessError, match=rf"search.sampler: {sampler} optimises one objective"):
            cell(FINITE, sampler, objectives=TWO)

    @pytest.mark.parametrize("pruner", ["hyperband", "halving", "median"])
    def test_no_pruner_with_several_objectives(self, pruner: PrunerName) -> None:
        with pytest.raises(HarnessError, match="pruner: none"):
            cell(pruner=pruner, objectives=TWO)

    def test_a_grid_needs_a_finite_space(self) -> None:
        with pytest.raises(HarnessError, match=r"grid needs finite domains, lr of the cell is continuous"):
            cell(NUMBERS, "grid")

    def test_a_grid_ignores_what_cannot_exist(self) -> None:
        space = Space((Parameter("x", FloatRange(0, 1), when=(("neuron", ("plif",)),)), *FINITE))
        assert len(run(cell(space, "grid"), 99)) == 15

    @pytest.mark.parametrize(
        ("domain", "line"),
        [
            (lambda: FloatRange(1.0, 0.5), "low 1.0 is above high 0.5"),
            (lambda: FloatRange(-1e308, 1e308), "too wide"),
            (lambda: FloatRange(0.0, 1.0, log=True), "needs low above 0"),
            (lambda: FloatRange(0.1, 1.0, log=True, step=0.1), "step and log"),
            (lambda: FloatRange(0.0, 1.0, step=0.3), "Write high 0.9 or 1.2"),
            (lambda: FloatRange(0.0, 1.0, step=1e-9), "makes over 1000000 points"),
            (lambda: IntRange(0, 9, log=True), "needs low of 1 or more"),
            (lambda: IntRange(1, 9, log=True, step=2), "step and log"),
            (lambda: IntRange(1, 9, step=0), "step 0 is not above 0"),
            (lambda: Choice(()), "choice is empty"),
            (lambda: Choice((1, True, 1)), "names 1 twice"),
        ],
    )
    def test_a_domain_that_holds_nothing(self, domain: Callable[[], Domain], line: str) -> None:
        with pytest.raises(HarnessError, match=line):
            domain()


def test_global_random_state_is_not_touched() -> None:
    """No sampler draws from numpy's global generator."""
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    for sampler in ("tpe", "cmaes", "nsga2", "random"):
        run(cell(sampler=sampler), 12)
    assert (np.random.get_state(legacy=False)["state"]["key"] == before).all()  # noqa: NPY002
