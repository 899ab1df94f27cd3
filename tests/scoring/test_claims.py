"""A board says nothing that its rows do not carry: no times of nothing, no tests of constants."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import pytest

from harness.report.board_tables import board_tables, pairs, scores, training
from harness.report.notes import notes
from harness.report.records import render_csv
from harness.report.tables import render_markdown
from harness.scoring import stats
from harness.scoring.curves import time_curves
from harness.scoring.leaderboard import TRIVIAL, leaderboard
from harness.scoring.names import short_names
from harness.scoring.values import Board
from tests.scoring.synthetic import Tables, cell, trial


def board_of(tables: Tables) -> Board:
    return leaderboard(*tables.as_tables(), study="demo")


def forecasts(baseline: str = "persistence", place: str = "ett[horizon=24]", **more: Any) -> Tables:
    """A network of three seeds beside the four forecasts that cost nothing."""
    names = ("snn", *TRIVIAL)
    cells = [cell(f"{place}/{n}", dataset="ett", task="forecasting", chance=0.0) for n in names]
    tables = Tables(
        cells=cells, protocol={"objectives": ["r2 max"], "baseline": baseline, "final": {"seeds": 3}}
    )
    for info, r2 in zip(cells, (0.8, 0.3, 0.4, -0.1, 0.7), strict=True):
        for seed in range(3):
            free = info["pipeline"] != "snn"
            value = r2 * (1 + 1e-8 * seed) if free else r2 + 0.01 * seed  # float32 sums in another order
            seconds = {"train_s": 1e-4, "train_cpu_s": 1e-4} if free else {}
            common = {"cell": info["cell"], "pipeline": info["pipeline"], "dataset": "ett", "seed": seed}
            test = {"r2": value, "mae": 1 - value}
            row = trial(**common, test_value=value, value=value, test=test, **seconds, **more)
            tables.add(row)
            entry = {name: row[name] for name in ("study", "cell", "trial_id", "attempt")}
            entry |= {"stage": "train", "split": "valid", "metric": "r2", "epoch": 3, "value": value}
            clocks = {name: row[name] for name in ("train_s", "total_s", "train_cpu_s", "total_cpu_s")}
            tables.epochs.append(entry | clocks | {"eval_s": 0.0, "wall_s": 1.0})
    return tables


@pytest.mark.parametrize("baseline", ["persistence", "snn"])
def test_what_costs_nothing_has_no_time_no_rank_by_time_and_no_ratio(baseline: str) -> None:
    board = board_of(forecasts(baseline))
    group = board.groups[0]
    free = [row for row in group.rows if row.pipeline in TRIVIAL]
    assert [(row.times, row.targets, row.trained) for row in free] == [(None, (), False)] * 4
    snn = next(row for row in group.rows if row.label == "snn")
    assert snn.times is not None
    assert snn.times.rank == (1, 1)
    assert [row[1] for row in training(group).rows] == ["snn"]
    text = render_markdown(board)
    assert "Not trained (or in closed form): nlinear-ridge, window-mean, persis" in text
    assert (snn.target is not None and snn.target.ratio is None) == (baseline == "persistence")
    assert ("ratio to baseline" in text) == (baseline == "snn")
    record = {r["label"]: r for r in csv.DictReader(io.StringIO(render_csv(board)))}["persistence"]
    assert (record["trained"], record["best_s"], record["device_name"]) == ("False", "", "")


def test_networks_without_parameters_are_not_trained_either() -> None:
    tables = Tables(cells=[cell(), cell("digits/rule")])
    for seed in range(3):
        tables.add(trial(seed=seed, test_value=0.7 + 0.01 * seed))
        tables.add(trial(cell="digits/rule", pipeline="rule", seed=seed, test_value=0.5, parameters=0))
    rule = board_of(tables).groups[0].rows[-1]
    assert (rule.label, rule.trained, rule.times) == ("rule", False, None)


def test_hardware_of_free_forecasts_decides_nothing() -> None:
    tables = forecasts("snn")
    for row in tables.trials:
        if row["pipeline"] == "snn":
            row |= {"device": "cuda", "device_name": "H200"}
    group = board_of(tables).groups[0]
    assert group.device_name == "H200"
    assert not any(warning.code == "other hardware" for row in group.rows for warning in row.warnings)


def test_free_forecasts_are_level_lines_in_the_figure() -> None:
    (found,) = time_curves(*forecasts().as_tables(), study="demo")
    curve = next(one for one in found.curves if one.label == "persistence")
    longest = max(one.total.x[-1] for one in found.curves if one.trained)
    first = min(one.total.x[0] for one in found.curves if one.trained)
    assert curve.total.x == (0.0, first, longest)
    assert curve.total.median == pytest.approx((0.3,) * 3)
    assert math.isnan(curve.best[0])


def test_a_deterministic_row_says_so_and_is_not_tested() -> None:
    group = board_of(forecasts()).groups[0]
    shown = {row[1]: row[2] for row in scores(group).rows}
    assert shown["persistence"] == "0.300 (deterministic)"
    assert "±" in shown["snn"]
    by_name = {row[0]: row[1:] for row in pairs(group).rows}
    assert by_name["window-mean minus persistence"] == (
        "0.1000 (in all 3)",
        "3",
        "none needed",
        "–",
        "differ",
    )
    assert by_name["snn minus persistence"][-3:] == ("paired", "< 0.001", "separated")
    text = "\n".join(cell for table in board_tables(group) for row in table.rows for cell in row)
    assert "± 0\n" not in text
    assert [row.label for row in group.rows] == [
        "snn",
        "nlinear-ridge",
        "window-mean",
        "persistence",
        "train-mean",
    ]


def test_equal_values_of_a_trained_row_are_said_to_be_equal() -> None:
    tables = Tables()
    for seed in range(3):
        tables.add(trial(seed=seed, test_value=0.9, test={"accuracy": 0.9}))
    (row,) = scores(board_of(tables).groups[0]).rows
    assert row[2] == "90.00 (all 3 equal)"


def test_exact_differences_take_no_share_of_holm() -> None:
    noisy = {1: 0.9, 2: 0.93, 3: 0.91}
    plain = {"a": dict.fromkeys(noisy, 0.5), "b": dict.fromkeys(noisy, 0.6)}
    alone = stats.differences({"n": noisy, "a": plain["a"]})[0]
    found = {(d.a, d.b): d for d in stats.differences({"n": noisy, **plain})}
    assert found["a", "b"].exact
    assert found["a", "b"].separated
    assert math.isnan(found["a", "b"].p)
    assert found["n", "a"].p_holm == pytest.approx(2 * alone.p)
    assert math.isnan(stats.smallest_gap(plain))
    same = stats.differences({"a": plain["a"], "c": dict.fromkeys(noisy, 0.5 + 1e-17)})
    assert not same[0].separated


def test_one_seed_has_no_p_value() -> None:
    tables = Tables(cells=[cell(), cell("digits/ann")])
    tables.add(trial(seed=1, test_value=0.7))
    tables.add(trial(cell="digits/ann", seed=1, test_value=0.9))
    (row,) = pairs(board_of(tables).groups[0]).rows
    assert row[3:] == ("none", "–", "too few seeds")


def test_rows_stand_in_the_order_of_their_ranks() -> None:
    """A noisy cell of a high mean has a wide range, and stands where that begins."""
    values = {
        "a": (0.50, 0.51, 0.52),
        "wide": (0.99, 0.30, 0.95),
        "c": (0.80, 0.81, 0.82),
        "d": (0.70, 0.71, 0.72),
    }
    tables = Tables(cells=[cell(f"digits/{name}") for name in values])
    for name, found in values.items():
        for seed, value in enumerate(found):
            tables.add(trial(cell=f"digits/{name}", seed=seed, test_value=value))
    ranks = [row.rank or (0, 0) for row in board_of(tables).groups[0].rows]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) > 2


def test_training_times_stand_in_the_order_of_their_ranks() -> None:
    tables = Tables(cells=[cell("digits/slow"), cell("digits/quick")])
    for seed in range(4):
        for name, value, seconds in (("slow", 0.9, 100.0), ("quick", 0.8, 5.0)):
            jitter = seconds * (1 + 0.01 * seed * (1 if name == "slow" else -1))
            row = {"cell": f"digits/{name}", "seed": seed, "test_value": value + 0.001 * seed}
            tables.add(trial(**row, train_s=jitter, train_cpu_s=jitter), [0.5, 0.6, 0.7, 0.7])
    group = board_of(tables).groups[0]
    assert [row.label for row in group.rows] == ["slow", "quick"]
    assert [row[:2] for row in training(group).rows] == [("1", "quick"), ("2", "slow")]


def test_csv_columns_sort_naturally_and_in_blocks() -> None:
    tables = Tables(cells=[cell("digits/none"), cell()], protocol={"target": 0.5, "baseline": "direct"})
    for seed in range(2):
        test = {f"accuracy_t{t}": 0.5 for t in (10, 2, 1)}
        tables.add(trial(seed=seed, test=test | {"accuracy": 0.7}), [0.4, 0.6])
    names = next(csv.reader(io.StringIO(render_csv(board_of(tables)))))
    means = [name for name in names if name.startswith("accuracy_t") and name.endswith(".mean")]
    assert means == ["accuracy_t1.mean", "accuracy_t2.mean", "accuracy_t10.mean"]
    assert names.index("values") < names.index(means[0]) < names.index("best_s") < names.index("target1")
    assert names.index("target1.ratio_high") < names.index("parameters")


def test_short_names_are_unique_and_the_options_stand_once() -> None:
    places = (
        "ett[horizon=6,normalize=leaky]",
        "ett[horizon=24,normalize=leaky]",
        "ett[horizon=24,window=9]",
        "b[x=1]",
    )
    cells = [cell(f"{place}/snn", dataset=place.split("[")[0]) for place in places]
    board = board_of(Tables(cells=cells))
    assert [group.name for group in board.groups] == [
        "ett, horizon 6, normalize leaky",
        "ett, horizon 24, normalize leaky",
        "ett, horizon 24, window 9",
        "b",
    ]
    assert "b is the data set b[x=1]." in notes(board, board.groups[3])
    text = render_markdown(board)
    assert "## b (revision 1): " in text
    assert text.count("ett[horizon=6,normalize=leaky]") == 1


def test_short_names_of_what_looks_alike() -> None:
    keys = [("a", "1", None), ("a", "2", None), ("b[0f]", "1", 6), ("b[1e]", "1", 6)]
    assert list(short_names(keys).values()) == ["a, revision 1", "a, revision 2", "b (1)", "b (2)"]


def test_several_versions_of_the_harness_are_said() -> None:
    tables = Tables(cells=[cell(), cell("digits/ann")])
    for seed in range(2):
        tables.add(trial(seed=seed, harness="0.1.0", code="aaa"))
        tables.add(trial(cell="digits/ann", seed=seed, harness="0.1.0", code="aaa"))
    assert "versions of the harness" not in render_markdown(board_of(tables))
    tables.trials[-1] |= {"code": "bbb"}
    tables.trials[0] |= {"code": None, "harness": None}
    text = render_markdown(board_of(tables))
    assert "Rows of 3 versions of the harness stand here: they may differ by that alone." in text
    codes = "an older harness (direct); harness 0.1.0, code aaa (direct, ann); harness 0.1.0, code bbb (ann)."
    assert f"Made by {codes}" in text


def test_readings_of_test_are_counted_whoever_won() -> None:
    tables = Tables(cells=[cell(), cell("digits/ann")])
    for seed in range(2):
        tables.add(trial(seed=seed))
        tables.add(trial(seed=seed, config="earlier"))
        tables.add(trial(cell="digits/ann", seed=seed))
    tables.add(trial(cell="digits/ann", phase="search", seed=9))
    text = render_markdown(board_of(tables))
    assert "Test has been read 6 times so far in this study, for 3 configurations; of direct 2." in text


def test_the_interval_of_a_few_ratios_does_not_claim_95_percent() -> None:
    tables = Tables(cells=[cell(), cell("digits/ann")], protocol={"baseline": "direct", "target": 0.5})
    for seed in range(3):
        tables.add(trial(seed=seed), [0.4, 0.6])
        tables.add(trial(cell="digits/ann", seed=seed), [0.4, 0.6])
    text = render_markdown(board_of(tables))
    assert "95 % bootstrap over seeds; so few seeds cover at most 75 % of cases" in text
    assert "(95 %) |" not in text
