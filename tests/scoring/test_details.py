"""Edges of scoring by hand: the smallest numbers of seeds, ties, directions, what counts and what not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference

from harness.scoring import stats
from harness.scoring.cell_rows import best_of, measured, pareto, search_budget, seed_scores, winner
from harness.scoring.leaderboard import is_share, leaderboard
from harness.scoring.published import beside, load_published
from harness.scoring.search import histories, rank_correlations
from harness.scoring.tables import last_attempts, study_view
from harness.scoring.times import without
from tests.scoring.synthetic import Tables, cell, failed, trial
from tests.scoring.test_published import FOLDER


def test_welch_takes_two_seeds_and_no_fewer() -> None:
    a, b = {1: 0.9, 2: 0.8}, {3: 0.5, 4: 0.45}
    (found,) = stats.differences({"a": a, "b": b})
    assert found.p == pytest.approx(reference.ttest_ind([0.9, 0.8], [0.5, 0.45], equal_var=False).pvalue)
    for one, other in (({1: 0.9}, b), (a, {3: 0.5})):
        (found,) = stats.differences({"a": one, "b": other})
        assert not found.separated
        assert math.isnan(found.half)


def test_the_smallest_gap_of_two_common_seeds() -> None:
    scores = {"a": {1: 0.9, 2: 0.8}, "b": {1: 0.7, 2: 0.5}}
    sd = np.std([0.2, 0.3], ddof=1)
    factor = reference.t.ppf(1 - 0.05 / 2, 1) + reference.t.ppf(0.8, 1)
    assert stats.smallest_gap(scores) == pytest.approx(factor * sd / math.sqrt(2))
    assert math.isnan(stats.smallest_gap({"a": {1: 0.9, 2: 0.8}, "b": {2: 0.7, 3: 0.5}}))


def test_seconds_without_pretraining_are_never_negative() -> None:
    assert without(np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 2.0])).tolist() == [2.0, 0.0, 0.0]


def row_of(*values: float) -> Any:
    return SimpleNamespace(seeds=[SimpleNamespace(value=value) for value in values])


@pytest.mark.parametrize(
    ("metric", "values", "share"),
    [
        ("accuracy", (0.0, 1.0), True),
        ("accuracy", (0.5, math.nan), True),
        ("accuracy", (0.5, 1.5), False),
        ("accuracy", (-0.1, 0.5), False),
        ("last_accuracy", (0.5,), True),
        ("r2", (0.5,), False),
    ],
)
def test_an_accuracy_between_0_and_1_is_a_share(metric: str, values: tuple[float, ...], share: bool) -> None:
    assert is_share(metric, [row_of(*values)]) is share


def test_published_rows_are_best_first_whatever_better_means() -> None:
    table = load_published(FOLDER)
    found = beside(table, dataset="metr-la", metrics=["rse", "r2"])
    rse = [row.value for row in found if row.metric == "rse"]
    r2 = [row.value for row in found if row.metric == "r2"]
    assert rse == sorted(rse)
    assert r2 == sorted(r2, reverse=True)
    assert [row.metric for row in found] == ["rse"] * len(rse) + ["r2"] * len(r2)
    assert rse
    assert r2
    assert beside(table, dataset="", metrics=["r2"]) == beside(None, dataset="metr-la", metrics=["r2"]) == ()


def searched(number: int, value: float, **more: Any) -> dict[str, Any]:
    return trial(phase="search", number=number, seed=0, value=value, **more)


def test_the_front_keeps_what_no_other_beats_and_no_limit_forbids() -> None:
    objectives = ["accuracy max", "synops min"]
    tables = Tables(cells=[cell(objectives=objectives)], protocol={"objectives": objectives})
    pairs = [(0.9, 100.0), (0.8, 50.0), (0.85, 120.0), (0.95, 90.0), (0.9, 100.0), (0.8, 49.0)]
    limits = {3: [0.5], 0: [0.0], 5: [-1.0, 2.0]}
    for number, (accuracy, synops) in enumerate(pairs):
        row = searched(number, accuracy, values=[accuracy, synops], constraints=limits.get(number, []))
        tables.add(row | {"trial_id": f"t{number}"})
    tables.add(searched(9, 0.99, values=[0.99, 1.0], state="PRUNED") | {"trial_id": "t9"})
    tables.add(searched(10, 0.99, values=[0.99, math.nan]) | {"trial_id": "t10"})
    trials, _, studies = tables.as_tables()
    view, own = study_view(studies, "demo"), last_attempts(trials, "demo")
    assert {point.trial_id for point in pareto(view, view.cells, own)} == {"t0", "t1", "t4"}


def test_failed_seeds_get_the_floor_unless_a_seed_was_worse() -> None:
    rows = pd.DataFrame([trial(seed=1, test_value=0.05), trial(seed=2, test_value=0.8), failed(seed=3)])
    found = {s.seed: s.value for s in seed_scores(rows, "test_value", 0.1, maximize=True)}
    assert found == {1: 0.05, 2: 0.8, 3: 0.05}
    found = {s.seed: s.value for s in seed_scores(rows, "test_value", 0.02, maximize=True)}
    assert found[3] == 0.02
    found = {s.seed: s.value for s in seed_scores(rows, "test_value", 2.0, maximize=False)}
    assert found[3] == 2.0
    found = {s.seed: s.value for s in seed_scores(rows, "test_value", 0.5, maximize=False)}
    assert found[3] == 0.8
    assert math.isnan(seed_scores(rows, "test_value", math.nan, maximize=True)[2].value)
    assert measured(rows, "test_value") == [0.05, 0.8]


def correlations(tables: Tables) -> dict[str, dict[str, float]]:
    trials, _, studies = tables.as_tables()
    trials = trials.assign(searched=[["lr", "kind", "on"]] * len(trials))
    return rank_correlations(study_view(studies, "demo"), last_attempts(trials, "demo"))


def test_rank_correlations_of_five_trials_of_one_cell() -> None:
    tables = Tables(cells=[cell(), cell("digits/ann")])
    for number, value in enumerate((0.1, 0.2, 0.3, 0.4, 0.5)):
        params = {"lr": 0.1 * value**2, "kind": "ab"[number == 2], "on": number < 3}
        tables.add(searched(number, value, params=params))
    for number, value in enumerate((0.9, 0.1, 0.8)):  # what must not count
        tables.add(searched(20 + number, value, cell="digits/ann", params={"lr": float(number)}))
        tables.add(searched(30 + number, value, state="PRUNED", params={"lr": float(number)}))
        tables.add(trial(phase="final", number=40 + number, value=value, params={"lr": float(number)}))
    found = correlations(tables)
    assert list(found) == ["digits/direct"]
    assert found["digits/direct"]["lr"] == pytest.approx(1.0)
    assert found["digits/direct"]["kind"] == 0.0  # both kinds have the same mean: .3
    low, high = [0.2] * 3, [0.45] * 2
    ranks = np.corrcoef(reference.rankdata(low + high), [1, 2, 3, 4, 5])[0, 1]
    assert found["digits/direct"]["on"] == pytest.approx(ranks**2)


def test_rank_correlations_need_five_trials_that_vary() -> None:
    few, flat, same = Tables(), Tables(), Tables()
    for number in range(5):
        if number < 4:
            few.add(searched(number, float(number), params={"lr": float(number)}))
        flat.add(searched(number, 0.5, params={"lr": float(number)}))
        same.add(searched(number, float(number), params={"lr": 1.0}))
    assert correlations(few) == correlations(flat) == correlations(same) == {}


def test_a_history_counts_what_ended_in_the_search() -> None:
    tables = Tables()
    for number, (value, state) in enumerate([(0.2, "COMPLETE"), (0.9, "PRUNED"), (0.1, "COMPLETE")]):
        tables.add(searched(number, value, state=state))
    tables.add(trial(phase="final", number=9, value=0.99))
    tables.add(searched(7, 0.95, state="RUNNING"))
    trials, _, studies = tables.as_tables()
    (found,) = histories(study_view(studies, "demo"), last_attempts(trials, "demo"))
    assert (found.number, found.best, found.total) == ((0, 1, 2), (0.2, 0.2, 0.2), 3)


def test_the_budget_counts_search_trials_by_state() -> None:
    rows = [
        searched(i, 0.1, state=state, train_s=2.0) for i, state in enumerate(("COMPLETE", "PRUNED", "PRUNED"))
    ]
    rows += [failed(phase="search", number=5, train_s=1.0), trial(phase="final", train_s=100.0)]
    table = last_attempts(Tables(trials=rows).as_tables()[0], "demo")
    found = search_budget(table)
    assert (found.complete, found.pruned, found.failed, found.finished) == (1, 2, 1, 4)
    assert found.train_s == pytest.approx(7.0)


def test_the_best_trial_in_either_direction_and_the_winner() -> None:
    rows = pd.DataFrame([searched(i, v) | {"trial_id": str(i)} for i, v in enumerate((0.2, 0.9, 0.9, 0.1))])
    assert best_of(rows, True)["trial_id"].tolist() == ["1"]
    assert best_of(rows, False)["trial_id"].tolist() == ["3"]
    assert winner(rows.iloc[:0]) is None


START = {"cells.digits/direct.start/0/optimizer.lr": "0.005"}


def gain_of(
    rows: Sequence[tuple[int, str, float | None]],
    parts: dict[str, str] = START,
    objective: str = "accuracy max",
) -> float:
    tables = Tables(protocol={"objectives": [objective]}, parts=parts)
    for at, state, value in rows:
        tables.add(
            trial(phase="search", number=at, config=f"c{at}", state=state, value=value, test_value=None)
        )
    (row,) = leaderboard(*tables.as_tables(), study="demo").groups[0].rows
    return row.budget.gain


def test_tuning_gain_is_over_the_start_point() -> None:
    rows = [(0, "COMPLETE", 0.7), (1, "COMPLETE", 0.75), (2, "PRUNED", 0.9)]
    assert gain_of(rows) == pytest.approx(0.05)
    assert gain_of([(0, "COMPLETE", 0.7), (1, "COMPLETE", 0.6)]) == 0.0
    assert gain_of(rows[:2], objective="loss min") == 0.0
    falling = [(0, "COMPLETE", 0.7), (1, "COMPLETE", 0.4)]
    assert gain_of(falling, objective="loss min") == pytest.approx(0.3)


def test_no_tuning_gain_without_a_start_point_that_completed() -> None:
    rows = [(0, "COMPLETE", 0.7), (1, "COMPLETE", 0.75)]
    assert math.isnan(gain_of(rows, {}))
    assert math.isnan(gain_of(rows, {"cells.digits/direct.space/0/optimizer.lr": "0.005"}))
    assert math.isnan(gain_of(rows, {"cells.digits/ann.start/0/optimizer.lr": "0.005"}))
    assert math.isnan(gain_of([(0, "FAILED", None), *rows[1:]]))
