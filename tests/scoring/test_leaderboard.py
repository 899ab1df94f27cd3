"""The leaderboard's rules, on tables with the store's own schema, hostile ones among them."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from harness.errors import HarnessError, UnknownNameError
from harness.report.status import study_status
from harness.scoring.curves import time_curves
from harness.scoring.leaderboard import TRIVIAL, leaderboard
from harness.scoring.published import COLUMNS
from harness.scoring.values import Board, Row
from tests.scoring.synthetic import START, Tables, as_table, cell, curve, failed, race, trial


def board_of(tables: Tables, **options: object) -> Board:
    return leaderboard(*tables.as_tables(), study="demo", **options)  # type: ignore[arg-type]


def only(tables: Tables, **options: object) -> Row:
    (row,) = board_of(tables, **options).groups[0].rows
    return row


def codes(row: Row) -> set[str]:
    return {warning.code for warning in row.warnings}


def five(
    tables: Tables, values: tuple[float, ...] = (0.70, 0.72, 0.74, 0.76, 0.78), **more: object
) -> Tables:
    for seed, value in enumerate(values):
        tables.add(trial(seed=seed, number=seed, test_value=value, **more), [0.5, 0.6, 0.8, 0.75])
    return tables


def test_mean_interval_worst_and_every_seed() -> None:
    row = only(five(Tables()))
    assert row.score.mean == pytest.approx(0.74)
    assert row.score.half == pytest.approx(0.03926, abs=1e-4)
    assert row.worst == 0.70
    assert [s.value for s in row.seeds] == [0.70, 0.72, 0.74, 0.76, 0.78]
    assert (row.rank, row.failed, row.warnings) == ((1, 1), 0, ())


def test_failed_seeds_count_in_the_other_metrics_too() -> None:
    tables = Tables(cells=[cell(classes=10)])
    five(tables, (0.8, 0.8), test=({"accuracy": 0.8, "last_accuracy": 0.6, "loss": 0.5, "x": 1.0}))
    tables.add(failed(seed=9))
    found = dict(only(tables).metrics)
    assert found["last_accuracy"].mean == pytest.approx((0.6 + 0.6 + 0.1) / 3)
    assert found["loss"].mean == pytest.approx((0.5 + 0.5 + math.log(10)) / 3)
    assert (found["x"].n, found["x"].mean) == (2, 1.0)  # nobody knows what chance is


def test_costs_have_no_chance_level() -> None:
    tables = Tables(cells=[cell(chance=0.1, classes=10)], protocol={"objectives": ["synops min"]})
    five(tables, (100.0, 120.0)).add(failed(seed=9))
    row = only(tables)
    assert row.seeds[-1].value == 120.0
    assert "no chance" in codes(row)


def test_a_failed_forecast_scores_the_train_mean_even_below_zero() -> None:
    cells = [cell(f"ett/{n}", task="forecasting", chance=0.0) for n in ("lif", *TRIVIAL)]
    tables = Tables(cells=cells, protocol={"objectives": ["r2 max"]})
    for one in cells:
        r2 = -0.7 if one["pipeline"] == "train-mean" else 0.9
        test = {"r2": r2}
        tables.add(trial(cell=one["cell"], seed=1, test_value=r2, test=test), [0.5])
    tables.add(failed(cell="ett/lif", seed=2))
    row = next(row for row in board_of(tables).groups[0].rows if row.cell == "ett/lif")
    assert [seed.value for seed in row.seeds] == [0.9, -0.7]


def test_failed_seeds_score_chance_and_are_counted() -> None:
    tables = five(Tables(), (0.8, 0.8, 0.8, 0.8))
    tables.add(failed(seed=9))
    row = only(tables)
    assert row.score.n == 5
    assert row.score.mean == pytest.approx((4 * 0.8 + 0.1) / 5)
    assert (row.failed, row.worst) == (1, 0.1)
    assert row.seeds[-1].reason == "non-finite"
    assert "failed" in codes(row)


def test_failing_never_beats_the_own_worst_seed() -> None:
    tables = five(Tables(), (0.02, 0.04))
    tables.add(failed(seed=9))
    assert only(tables).seeds[-1].value == 0.02


def test_a_failure_of_a_lower_is_better_metric_is_no_perfect_score() -> None:
    tables = Tables(cells=[cell(chance=1.0)], protocol={"objectives": ["rse min"]})
    five(tables, (0.3, 0.4)).add(failed(seed=9))
    row = only(tables)
    assert row.score.mean == pytest.approx((0.3 + 0.4 + 1.0) / 3)
    assert row.worst == 1.0


def test_a_chance_that_would_be_the_best_error_is_none() -> None:
    tables = Tables(cells=[cell(chance=0.0)], protocol={"objectives": ["mse min"]})
    tables.add(failed(seed=1))
    assert only(tables).score.n == 0
    tables = Tables(cells=[cell(chance=0.1, classes=10)], protocol={"objectives": ["loss min"]})
    tables.add(failed(seed=1))
    assert only(tables).score.mean == pytest.approx(math.log(10))


def test_options_make_another_data_set() -> None:
    names = ("ett[horizon=6,normalize=leaky]/lif", "ett[horizon=24]/lif", "ett[cut=9]/lif")
    cells = [cell(name, dataset="ett", label="lif") for name in names]
    tables = Tables(cells=cells)
    table = pd.DataFrame(
        [dict.fromkeys(COLUMNS, "") | {"dataset": "ett", "metric": "accuracy", "horizon": "6"}]
    )
    table = table.assign(value=[90.0], spread=[math.nan])
    groups = board_of(tables, published=table).groups
    assert [g.dataset for g in groups] == ["ett[horizon=6,normalize=leaky]", "ett[horizon=24]", "ett[cut=9]"]
    assert [len(g.published) for g in groups] == [1, 0, 0]
    assert len(board_of(tables, dataset="ett").groups) == 3
    assert len(board_of(tables, dataset="ett[cut=9]").groups) == 1


def test_complete_without_a_finite_value_is_a_failure() -> None:
    tables = five(Tables(), (0.8, 0.8))
    tables.add(trial(seed=8, test_value=math.nan))
    tables.add(trial(seed=9, test_value=None))
    row = only(tables)
    assert row.failed == 2
    assert row.score.mean == pytest.approx((0.8 + 0.8 + 0.1 + 0.1) / 4)


def test_without_chance_the_worst_of_the_table_counts() -> None:
    tables = Tables(cells=[cell(chance=None), cell("digits/ann", chance=None)])
    five(tables, (0.8, 0.9)).add(failed(seed=9))
    tables.add(trial(cell="digits/ann", pipeline="ann", seed=0, test_value=0.4))
    row = next(r for r in board_of(tables).groups[0].rows if r.cell == "digits/direct")
    assert row.seeds[-1].value == 0.4
    assert "no chance" in codes(row)


def test_all_failed_and_no_chance_has_no_number() -> None:
    tables = Tables(cells=[cell(chance=None)])
    tables.add(failed(seed=1))
    row = only(tables)
    assert (row.score.n, row.failed) == (0, 1)
    assert "no floor" in codes(row)


def test_all_failed_scores_chance_and_never_reaches_the_target() -> None:
    tables = Tables()
    for seed in range(3):
        tables.add(failed(seed=seed), [0.2, 0.95])
    row = only(tables, target=0.9)
    assert row.score.mean == pytest.approx(0.1)
    assert row.times is None
    assert row.target is not None
    assert (row.target.total, row.target.reached, row.target.n) == (math.inf, 0, 3)


def test_one_row_a_trial_whatever_its_attempts() -> None:
    tables = Tables()
    for attempt in (1, 2):
        tables.add(trial(seed=1, attempt=attempt, state="INTERRUPTED", test_value=None, value=None))
    tables.add(trial(seed=1, attempt=3, test_value=0.7))
    tables.add(trial(seed=1, attempt=3, test_value=0.7))  # merged twice
    tables.add(trial(seed=2, attempt=1, state="RUNNING", value=None, test_value=None))
    row = only(tables)
    assert [s.value for s in row.seeds] == [0.7]
    assert row.unfinished == 1
    assert {"one seed", "fewer seeds"} <= codes(row)


def test_only_the_winner_with_most_seeds_counts() -> None:
    tables = five(Tables())
    late = START + timedelta(days=1)
    tables.add(trial(seed=1, config="later", test_value=0.99, started_at=late))
    row = only(tables)
    assert row.config == "c0"
    assert row.score.n == 5
    assert "superseded" in codes(row)
    for seed in range(2, 6):
        tables.add(trial(seed=seed, config="later", test_value=0.99, started_at=late))
    assert only(tables).config == "later"


def test_order_rank_ranges_and_differences() -> None:
    group = board_of(race()).groups[0]
    assert [row.label for row in group.rows] == ["ann", "pipe-s", "direct"]
    assert [row.rank for row in group.rows] == [(1, 1), (2, 2), (3, 3)]
    assert len(group.differences) == 3
    assert 0.005 < group.smallest_gap < 0.03
    assert group.test_gap == pytest.approx(0.023, abs=0.002)
    assert group.scale == 100.0


def test_times_split_pretraining_and_inherit_it() -> None:
    group = board_of(race()).groups[0]
    row = next(r for r in group.rows if r.label == "pipe-s")
    assert row.times is not None
    assert group.clock == row.times.clock == "train_cpu_s"
    assert row.times.best.median - row.times.best_snn.median == pytest.approx(9.8)
    assert row.times.total.median == pytest.approx(40 * 0.98, rel=0.05)
    assert dict(row.times.stages)["pretrain"] == 10.0
    assert "cpu estimate" not in codes(row)
    assert row.times.rank == (2, 2)


def test_node_exclusive_studies_use_the_wall_clock() -> None:
    tables = race()
    tables.protocol["exclusive"] = "node"
    assert board_of(tables).groups[0].clock == "train_s"


def test_recorded_cpu_seconds_of_an_artifact_are_used() -> None:
    tables = five(Tables(), inherited_cpu_s=3.0, inherited_s=5.0, pretrain_s=5.0)
    row = only(tables)
    assert row.times is not None
    assert row.times.total.median == 7.0 + 3.0
    assert "cpu estimate" not in codes(row)


def test_time_to_target_by_hand() -> None:
    tables = Tables(cells=[cell(), cell("digits/pipe")], protocol={"baseline": "direct", "exclusive": "node"})
    for seed in range(3):
        tables.add(trial(seed=seed, train_s=8.0), [0.2, 0.4, 0.6, 0.8])
        row = trial(
            cell="digits/pipe", pipeline="pipe", seed=seed, train_s=4.0, inherited_s=2.0, pretrain_s=2.0
        )
        tables.add(row, [0.2, 0.6, 0.8, 0.8] if seed else [0.1, 0.1, 0.1, 0.1])
    group = board_of(tables, target=0.6).groups[0]
    found = {row.label: row.target for row in group.rows}
    base, pipe = found["direct"], found["pipe"]
    assert base is not None
    assert pipe is not None
    assert (base.total, base.snn, base.reached) == (6.0, 6.0, 3)
    assert (pipe.total, pipe.snn, pipe.reached, pipe.n) == (4.0, 2.0, 2, 3)
    assert pipe.ratio is not None
    assert pipe.ratio_snn is not None
    assert pipe.ratio.value == pytest.approx(4 / 6)
    assert pipe.ratio_snn.value == pytest.approx(2 / 6)
    assert pipe.ratio.high == math.inf  # a draw may hold two seeds that never arrive


def staged(first: list[float], later: list[float], best_epoch: int) -> Tables:
    """One seed with a pretraining stage of 4 s and a second stage of 4 s."""
    tables = Tables(protocol={"exclusive": "node"})
    row = trial(seed=1, train_s=8.0, pretrain_s=4.0, best_epoch=best_epoch)
    tables.trials.append(row)
    tables.epochs += [e | {"stage": "pretrain", "total_s": 2.0 * e["epoch"]} for e in curve(row, first)]
    more = [e | {"epoch": e["epoch"] + 2, "total_s": 4.0 + 2.0 * e["epoch"]} for e in curve(row, later)]
    tables.epochs += more
    return tables


def test_pretraining_stages_reach_no_target() -> None:
    found = only(staged([0.9, 0.9], [0.5, 0.9], best_epoch=4), target=0.85).target
    assert found is not None
    assert (found.total, found.snn) == (8.0, 4.0)


def test_a_stage_that_holds_a_best_epoch_counts() -> None:
    found = only(staged([0.5, 0.9], [0.5, 0.6], best_epoch=2), target=0.85).target
    assert found is not None
    assert found.total == 4.0


def test_inherited_seconds_are_in_every_total() -> None:
    tables = Tables(protocol={"exclusive": "device"})
    row = trial(
        seed=1, train_s=8.0, train_cpu_s=8.0, inherited_s=20.0, inherited_cpu_s=15.0, pretrain_s=20.0,
        pretrain_cpu_s=15.0, best_epoch=3,
    )  # fmt: skip
    tables.add(row, [0.2, 0.4, 0.9, 0.8])
    found = only(tables, target=0.9)
    assert found.target is not None
    assert found.times is not None
    assert (found.target.total, found.target.snn) == (21.0, 6.0)
    assert (found.times.best.median, found.times.total.median) == (21.0, 23.0)
    assert "cpu estimate" not in codes(found)


def test_cpu_seconds_that_schema_1_did_not_record_are_estimated_and_said() -> None:
    tables = Tables(protocol={"exclusive": "device"})
    unknown = {"inherited_cpu_s": None, "total_cpu_s": None, "pretrain_cpu_s": None}
    row = trial(seed=1, train_s=8.0, train_cpu_s=4.0, inherited_s=20.0, pretrain_s=20.0, **unknown)
    tables.trials.append(row)
    found = only(tables)
    assert found.times is not None
    assert found.times.total.median == 28.0 * 4.0 / 8.0
    assert found.times.total_snn.median == 8.0 * 4.0 / 8.0
    assert "cpu estimate" in codes(found)


def test_a_resumed_attempt_replaces_what_came_after_its_checkpoint() -> None:
    tables = Tables(protocol={"exclusive": "node"})
    row = trial(seed=1, attempt=2, train_s=8.0)
    tables.trials += [row | {"attempt": 1, "state": "INTERRUPTED"}, row]
    tables.epochs += curve(row | {"attempt": 1}, [0.2, 0.3, 0.95, 0.95])
    tables.epochs += curve(row, [0.2, 0.3, 0.4, 0.5])[2:]
    found = only(tables, target=0.9).target
    assert found is not None
    assert found.reached == 0


def test_targets_come_from_argument_protocol_or_baseline() -> None:
    tables = race()
    group = board_of(tables).groups[0]
    direct = next(r for r in group.rows if r.label == "direct")
    median = float(np.median([s.valid for s in direct.seeds]))
    assert group.targets == (pytest.approx(median), pytest.approx(median - 0.01))
    assert direct.target is not None
    assert direct.target.reached == 3  # half of the baseline's own seeds, by definition
    tables.protocol["target"] = 0.8
    assert board_of(tables).groups[0].targets == (0.8,)
    assert board_of(tables, target=0.7).groups[0].targets == (0.7,)
    tables.protocol = {"baseline": "digits/dirct"}
    with pytest.raises(UnknownNameError, match="Did you mean 'digits/direct'"):
        board_of(tables)


def test_a_baseline_stands_for_itself_on_every_data_set() -> None:
    names = ("digits/direct LIF", "events/direct LIF on events", "events/pipe", "vowels/ann")
    cells = [cell(name, pipeline=name.split("/")[1].split()[0]) for name in names]
    tables = Tables(cells=cells, protocol={"baseline": "direct LIF"})
    for info in cells:
        tables.add(trial(cell=info["cell"], pipeline=info["pipeline"], seed=1), [0.5, 0.8])
    found = {group.dataset: (group.baseline, len(group.targets)) for group in board_of(tables).groups}
    assert found == {
        "digits": ("digits/direct LIF", 2),
        "events": ("events/direct LIF on events", 2),
        "vowels": (None, 0),
    }


def test_shared_devices_show_times_and_are_not_ranked() -> None:
    tables = five(Tables(cells=[cell(), cell("digits/ann")]))
    for seed in range(5):
        tables.add(trial(cell="digits/ann", pipeline="ann", seed=seed, exclusive=False))
    rows = {row.label: row for row in board_of(tables).groups[0].rows}
    assert rows["direct"].times is not None
    assert rows["ann"].times is not None
    assert rows["direct"].times.rank == (1, 1)
    assert rows["ann"].times.rank is None
    assert "shared device" in codes(rows["ann"])


GPU = {"device": "cuda", "device_name": "H200", "train_s": 0.8}


def test_other_hardware_is_shown_and_not_compared() -> None:
    tables = five(Tables(cells=[cell(), cell("digits/ann")], protocol={"baseline": "direct"}))
    for seed in range(4):
        tables.add(trial(cell="digits/ann", pipeline="ann", seed=seed, **GPU), [0.9])
    group = board_of(tables).groups[0]
    rows = {row.label: row for row in group.rows}
    assert (group.device_name, group.clock) == ("cpu-A", "train_cpu_s")
    assert rows["ann"].times is not None
    assert (rows["ann"].times.rank, rows["ann"].times.clock) == (None, "train_s")
    assert "other hardware" in codes(rows["ann"])
    assert rows["ann"].target is not None
    assert rows["ann"].target.ratio is None


def test_seeds_on_mixed_hardware_count_within_one_class() -> None:
    tables = five(Tables())
    tables.add(trial(seed=7, **GPU))
    row = only(tables)
    assert row.score.n == 6  # every seed's accuracy counts
    assert row.times is not None
    assert (row.times.device_name, row.times.total.n, row.times.total.high) == ("cpu-A", 5, 7.0)
    assert "mixed hardware" in codes(row)


def test_unequal_search_budgets_are_flagged() -> None:
    tables = race()
    tables.trials = [
        t for t in tables.trials if (t["phase"], t["cell"], t["number"]) != ("search", "digits/ann", 3)
    ]
    rows = {row.label: row for row in board_of(tables).groups[0].rows}
    assert "unequal budget" in codes(rows["ann"])
    assert "unequal budget" not in codes(rows["direct"])
    assert (rows["direct"].budget.complete, rows["direct"].budget.pruned, rows["ann"].budget.pruned) == (
        3,
        1,
        0,
    )


def test_search_only_is_provisional_and_unranked() -> None:
    tables = race()
    tables.trials = [t for t in tables.trials if t["phase"] == "search"]
    group = board_of(tables).groups[0]
    assert group.provisional
    assert group.split == "validation"
    assert "not a result" in group.notes[0]
    assert [row.rank for row in group.rows] == [None] * 3
    assert [row.label for row in group.rows] == ["ann", "pipe-s", "direct"]
    assert group.rows[0].score.mean == 0.95
    assert group.differences == ()


def test_provisional_rows_keep_the_limits() -> None:
    tables = Tables()
    for number, (value, slack) in enumerate([(0.9, 1.0), (0.8, -1.0)]):
        tables.add(trial(phase="search", number=number, value=value, constraints=([slack])))
    assert only(tables).score.mean == 0.8
    tables.trials.pop()
    row = only(tables)
    assert row.score.n == 0
    assert "infeasible" in codes(row)


def test_a_cell_without_final_seeds_stands_below_unranked() -> None:
    tables = five(Tables(cells=[cell(), cell("digits/ann")]))
    tables.add(trial(cell="digits/ann", pipeline="ann", phase="search", value=0.99))
    rows = board_of(tables).groups[0].rows
    assert [row.label for row in rows] == ["direct", "ann"]
    assert rows[1].rank is None
    assert rows[1].score.n == 0
    assert "not final" in codes(rows[1])


def test_forecasting_needs_its_trivial_baselines() -> None:
    cells = [
        cell(f"ett/{name}", task="forecasting", chance=0.0) for name in ("lif", "persistence", "train-mean")
    ]
    tables = Tables(cells=cells, protocol={"objectives": ["r2 max"]})
    with pytest.raises(HarnessError, match=r"add to the data set's pipelines: window-mean, nlinear-ridge"):
        board_of(tables)


def test_forecasting_metrics_and_failed_seeds_use_the_train_mean() -> None:
    cells = [cell(f"ett/{n}", task="forecasting", chance=None) for n in ("lif", *TRIVIAL)]
    tables = Tables(cells=cells, protocol={"objectives": ["r2 max"], "final": {"seeds": 2}})
    for info, r2 in zip(cells, (0.6, 0.3, 0.4, -0.1, 0.7), strict=True):
        for seed in range(2):
            test = {"mse": 1 - r2, "r2": r2, "rse": math.sqrt(1 - r2), "mae": 0.5, "loss": 1.0}
            common = {"cell": info["cell"], "pipeline": info["pipeline"], "dataset": "ett", "seed": seed}
            bad = info["pipeline"] == "lif" and seed == 1
            tables.add(failed(**common) if bad else trial(**common, test_value=r2, test=test))
    group = board_of(tables).groups[0]
    lif = next(row for row in group.rows if row.label == "lif")
    assert lif.score.mean == pytest.approx((0.6 - 0.1) / 2)
    assert [name for name, _ in lif.metrics] == ["rse", "mae", "mse", "loss"]
    assert dict(lif.metrics)["mse"].mean == pytest.approx((0.4 + 1.1) / 2)
    assert not any("unequal budget" in codes(row) for row in group.rows)


def test_each_cell_is_judged_by_its_own_objective() -> None:
    """One study with both tasks: a group each, with its metric, direction and curve."""
    names = ("lif", *TRIVIAL)
    cells = [cell(), cell("digits/other")]
    cells += [cell(f"ett/{n}", task="forecasting", chance=None, objectives=["rse min"]) for n in names]
    tables = five(Tables(cells=cells, protocol={"objectives": ["accuracy max", "rse min"]}))
    for name, rse in zip(names, (0.6, 0.7, 0.8, 1.0, 0.5), strict=True):
        for seed in range(5):
            tables.add(
                trial(cell=f"ett/{name}", pipeline=name, dataset="ett", seed=seed, test_value=rse, value=rse)
            )
    digits, ett = board_of(tables).groups
    assert (digits.metric, digits.maximize, ett.metric, ett.maximize) == ("accuracy", True, "rse", False)
    assert ett.rows[0].label == "nlinear-ridge"
    assert ett.rows[-1].label == "train-mean"
    found = {
        one.dataset: (one.metric, one.maximize) for one in time_curves(*tables.as_tables(), study="demo")
    }
    assert found == {"digits": ("accuracy", True), "ett": ("rse", False)}
    with pytest.raises(HarnessError, match="is for one metric"):
        board_of(tables, target=0.5)
    assert board_of(tables, target=0.5, dataset="ett").groups[0].targets == (0.5,)
    status = study_status(*(tables.as_tables()[i] for i in (0, 2)), "demo")
    best = {one.cell: one.best for one in status.cells}
    assert best["ett/nlinear-ridge"] == 0.5


def test_groups_by_data_set_and_unknown_names() -> None:
    tables = five(Tables(cells=[cell(), cell("vowels/direct"), cell("digits/other", dataset_revision="2")]))
    board = board_of(tables)
    assert [(g.dataset, g.revision) for g in board.groups] == [
        ("digits", "1"),
        ("vowels", "1"),
        ("digits", "2"),
    ]
    assert len(board_of(tables, dataset="vowels").groups) == 1
    with pytest.raises(UnknownNameError, match="Did you mean 'vowels'"):
        board_of(tables, dataset="vowel")
    with pytest.raises(UnknownNameError, match="Did you mean 'demo'"):
        leaderboard(*tables.as_tables(), study="dem")


def test_empty_tables() -> None:
    nothing = as_table([], "trials"), as_table([], "epochs"), as_table([], "studies")
    with pytest.raises(HarnessError, match="no study"):
        leaderboard(*nothing, study="demo")
    row = only(Tables())
    assert row.score.n == 0
    assert row.times is None
    assert board_of(Tables()).groups[0].provisional


def test_pareto_front_of_two_objectives() -> None:
    tables = Tables(protocol={"objectives": ["accuracy max", "synops min"]})
    points = [(0.9, 100.0), (0.8, 50.0), (0.7, 60.0), (0.95, 500.0), (0.9, 101.0)]
    for number, pair in enumerate(points):
        tables.add(trial(phase="search", number=number, value=pair[0], values=(pair)))
    tables.add(trial(phase="search", number=9, value=0.99, values=[0.99, 1.0], constraints=[0.1]))
    front = board_of(tables).groups[0].front
    assert [point.values for point in front] == [(0.95, 500.0), (0.9, 100.0), (0.8, 50.0)]


def test_legacy_metrics_stand_beside_and_never_select() -> None:
    tables = five(Tables(), test=({"accuracy": 0.74, "legacy_best_test_accuracy": 0.99}))
    row = only(tables)
    assert dict(row.metrics)["legacy_best_test_accuracy"].mean == pytest.approx(0.99)
    assert row.score.mean == pytest.approx(0.74)


def test_cost_and_layers() -> None:
    row = next(row for row in board_of(race()).groups[0].rows if row.label == "direct")
    assert (row.cost.parameters, row.cost.timesteps, row.cost.energy_nj) == (12345.0, 4.0, 4.5)
    assert dict(row.cost.layers) == {"conv1": pytest.approx(0.12), "fc": pytest.approx(0.07)}
    assert "accumulate" in row.cost.energy_rule


def test_values_are_frozen_and_the_last_launch_counts() -> None:
    tables = five(Tables(launches=3))
    board = board_of(tables)
    assert board.launch == 3
    with pytest.raises(FrozenInstanceError):
        board.study = "other"  # type: ignore[misc]


def test_rows_order_changes_nothing() -> None:
    trials, epochs, studies = race().as_tables()
    epochs = epochs[epochs["metric"] == "accuracy"]  # layers are listed as the network wrote them
    plain = leaderboard(trials, epochs, studies, study="demo")
    mixed = leaderboard(
        trials.sample(frac=1, random_state=np.random.default_rng(3)),
        epochs.sample(frac=1, random_state=np.random.default_rng(4)),
        pd.concat([studies, studies.assign(study="other")]),
        study="demo",
    )
    assert repr(plain) == repr(mixed)


def test_a_cell_that_waits_for_its_data_says_so() -> None:
    assert "waits for data" in codes(only(five(Tables(), data_wait_s=4.0)))
    assert "waits for data" not in codes(only(five(Tables(), data_wait_s=0.4)))


def test_a_cell_whose_parameters_get_no_gradient_says_so() -> None:
    silent = {"lif": {"without": 99, "of": 101, "first": "conv.weight"}}
    row = only(five(Tables(), metadata={"no_gradient": silent}))
    assert [w.text for w in row.warnings if w.code == "no gradient"] == [
        "Only 2 of 101 tensors get a gradient in stage 'lif' (not: conv.weight)."
    ]
    assert codes(only(five(Tables(), metadata={"no_gradient": 3}))) == set()
