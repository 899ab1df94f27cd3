"""Curves over seeds, parameter curves and families, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.scoring.curves import CurveSet, Steps, over_seeds, time_curves
from harness.scoring.families import families
from harness.scoring.parameters import parameter_curves, swept
from harness.scoring.tables import last_attempts, study_view
from tests.scoring.synthetic import Tables, cell, curve, failed, race, trial


def curves_of(tables: Tables) -> CurveSet:
    (found,) = time_curves(*tables.as_tables(), study="demo")
    return found


def test_the_median_of_steps_by_hand() -> None:
    series = [(np.array([1.0, 3.0]), np.array([0.2, 0.6])), (np.array([2.0, 4.0]), np.array([0.4, 0.8]))]
    found = over_seeds(series)
    assert found.x == (2.0, 3.0, 4.0)  # nothing is said before every seed has a value
    assert found.low == (0.2, 0.4, 0.6)
    assert found.high == (0.4, 0.6, 0.8)
    assert found.median == pytest.approx((0.3, 0.5, 0.7))
    assert over_seeds(series, [0.1]).median == (0.2, 0.4, 0.6)
    assert over_seeds([]) == Steps((), (), (), ())


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    x = np.arange(5000, dtype=np.float64)
    found = over_seeds([(x, x / 5000)])
    assert len(found.x) == 400
    assert (found.x[0], found.x[-1]) == (0.0, 4999.0)


def test_pretraining_shifts_the_total_and_not_the_rest() -> None:
    found = {c.label: c for c in curves_of(race()).curves}
    pipe, direct = found["pipe-s"], found["direct"]
    assert curves_of(race()).pretrained
    assert pipe.total.x[0] - pipe.snn.x[0] == pytest.approx(9.8, abs=0.3)
    assert pipe.best[0] - pipe.best_snn[0] == pytest.approx(9.8, abs=0.3)
    assert direct.total == direct.snn
    assert (pipe.seeds, pipe.failed, pipe.comparable) == (5, 0, True)
    assert pipe.by_epoch.x == tuple(float(i) for i in range(1, 13))


def test_failed_seeds_stay_at_chance() -> None:
    tables = Tables()
    for seed in range(3):
        tables.add(trial(seed=seed), [0.5, 0.6, 0.7])
    tables.add(failed(seed=3), [0.9])
    (found,) = curves_of(tables).curves
    assert (found.seeds, found.failed) == (3, 1)
    assert set(found.total.low) == {0.1}
    assert found.total.high[-1] == 0.7


def test_shared_times_are_marked_and_all_failed_is_no_curve() -> None:
    tables = Tables(cells=[cell(), cell("digits/ann")])
    tables.add(trial(seed=1), [0.5, 0.6])
    tables.add(trial(seed=2, exclusive=False, cell="digits/ann", pipeline="ann"), [0.5, 0.6])
    found = {c.label: c.comparable for c in curves_of(tables).curves}
    assert found == {"direct": True, "ann": False}
    nothing = Tables()
    nothing.add(failed(seed=1))
    assert curves_of(nothing).curves == ()
    assert curves_of(Tables()).curves == ()


def sweep(phase: str) -> Tables:
    """Four cells that differ in one parameter of their variant."""
    names = [f"digits/max {steps}" for steps in (1, 5, 9, 15)]
    tables = Tables(cells=[cell(name, pipeline="delays") for name in names])
    for name, steps in zip(names, (1, 5, 9, 15), strict=True):
        for seed in range(3):
            value = 0.5 + 0.02 * steps + 0.01 * seed
            row = trial(
                cell=name, pipeline="delays", phase=phase, seed=seed, number=seed, config=name, value=value,
                test_value=value, params=({"delay.max": steps, "kind": "a"}),
                variant=({"delay.max": steps}),
            )  # fmt: skip
            tables.add(row)
    return tables


def test_a_parameter_swept_over_cells_is_one_line_over_seeds() -> None:
    trials, _, studies = sweep("final").as_tables()
    (found,) = parameter_curves(trials, studies, study="demo", parameter="delay.max")
    (line,) = found.lines
    assert (found.split, found.note, found.scale, line.label) == ("test", "", 100.0, "delays")
    assert [p.x for p in line.points] == [1.0, 5.0, 9.0, 15.0]
    assert [p.value for p in line.points] == pytest.approx([0.53, 0.61, 0.69, 0.81])
    assert all(p.n == 3 and p.half == pytest.approx(0.02484, abs=1e-4) for p in line.points)


def test_a_searched_parameter_shows_the_best_and_says_what_it_is() -> None:
    tables = Tables()
    for number in range(60):
        lr = 10 ** (-4 + number / 20)
        tables.add(trial(phase="search", number=number, value=0.9 - lr, params=({"lr": lr})))
    trials, _, studies = tables.as_tables()
    (found,) = parameter_curves(trials, studies, study="demo", parameter="lr")
    (line,) = found.lines
    assert "not a result" in found.note
    assert len(line.points) == 12
    assert sum(p.n for p in line.points) == 60
    assert math.isnan(line.points[0].half)
    with pytest.raises(HarnessError, match="no finished trial has a numeric parameter 'tau'"):
        parameter_curves(trials, studies, study="demo", parameter="tau")


def test_families_are_averaged_at_the_best_epoch() -> None:
    tables = Tables()
    for seed in range(2):
        row = tables.add(trial(seed=seed, best_epoch=2), [0.5, 0.6])
        for name, values in (
            ("delay_histogram/3", [7.0, 1.0 + seed]),
            ("delay_histogram/10", [7.0, 5.0]),
            ("accuracy@T8", [0.1, 0.6]),
            ("firing_rate/0", [0.1, 0.2]),
            ("ts/a1", [0.1, 0.2]),
        ):
            tables.epochs += curve(row, values, metric=name)
    found = {one.y_name: one for one in families(*tables.as_tables(), study="demo")}
    assert set(found) == {"delay_histogram", "accuracy"}
    assert [(p.x, p.value) for p in found["delay_histogram"].lines[0].points] == [(3.0, 1.5), (10.0, 5.0)]
    assert (found["accuracy"].x_name, found["accuracy"].scale) == ("timesteps", 100.0)


def test_families_come_from_the_test_split_where_it_has_them_and_from_the_last_epoch_otherwise() -> None:
    tables = Tables()
    for seed in range(2):
        test = {
            "accuracy": 0.7,
            "last_accuracy_t8": 0.0,
            "accuracy_t8": 0.6 + 0.1 * seed,
            "r2@missing=0.2": 0.5,
        }
        row = tables.add(trial(seed=seed, best_epoch=1, test=(test)), [0.6, 0.5])
        tables.epochs += curve(row, [0.1, 0.1], metric="accuracy_t8")
        last = curve(row, [0.0, 0.25])[1]
        tables.epochs.append(last | {"metric": "delay_share/03"})
    found = {one.y_name: one for one in families(*tables.as_tables(), study="demo")}
    assert set(found) == {"accuracy", "r2", "delay_share"}
    assert (found["accuracy"].split, found["accuracy"].lines[0].points[0].value) == (
        "test",
        pytest.approx(0.65),
    )
    assert found["r2"].x_name == "share of missing inputs"
    shares = found["delay_share"]
    assert (shares.split, shares.lines[0].points[0].x, shares.lines[0].points[0].value) == (
        "validation",
        3.0,
        0.25,
    )


def variants(*settings: tuple[str, dict[str, object]]) -> Tables:
    """Cells by label with an variant, two final seeds each."""
    cells = [cell(f"digits/{label}", pipeline="delays") for label, _ in settings]
    tables = Tables(cells=cells)
    for info, (_, variant) in zip(cells, settings, strict=True):
        for seed in range(2):
            more = {"params": (variant), "variant": (variant), "config": info["cell"]}
            value = 0.5 + 0.01 * seed
            tables.add(trial(cell=info["cell"], pipeline="delays", seed=seed, test_value=value, **more))
    return tables


def lines_of(tables: Tables, parameter: str) -> dict[str, list[float]]:
    trials, _, studies = tables.as_tables()
    (found,) = parameter_curves(trials, studies, study="demo", parameter=parameter)
    return {line.label: [p.x for p in line.points] for line in found.lines}


def test_arms_that_differ_in_two_settings_are_joined_by_their_labels() -> None:
    """Of the same delay range in ms, a finer timestep needs a longer range in steps."""
    tables = variants(
        ("40 ms", {"delay.max": 5, "timestep_ms": 10.0}),
        ("240 ms", {"delay.max": 25, "timestep_ms": 10.0}),
        ("240 ms, timestep 5 ms", {"delay.max": 49, "timestep_ms": 5.0}),
        ("240 ms, timestep 20 ms", {"delay.max": 13, "timestep_ms": 20.0}),
    )
    assert lines_of(tables, "timestep_ms") == {"240 ms": [5.0, 10.0, 20.0]}
    assert list(lines_of(tables, "delay.max").values()) == [[13.0, 25.0, 49.0]]


def test_switches_do_not_split_a_line() -> None:
    tables = variants(
        ("LIF 0.1", {"neuron": "lif", "ratio": 0.1}),
        ("LIF 0.4", {"neuron": "lif", "ratio": 0.4, "curve": True}),
        ("TS 0.1", {"neuron": "ts", "ratio": 0.1}),
        ("TS 0.4", {"neuron": "ts", "ratio": 0.4, "curve": True}),
        ("none", {"neuron": "lif"}),
    )
    assert lines_of(tables, "ratio") == {"neuron lif": [0.1, 0.4], "neuron ts": [0.1, 0.4]}
    trials, _, studies = tables.as_tables()
    assert swept(study_view(studies, "demo"), last_attempts(trials, "demo")) == ("ratio",)
