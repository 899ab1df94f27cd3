"""The plan that ``harness check`` prints."""

from __future__ import annotations

import io
from collections.abc import Callable

import pandas as pd
from rich.console import Console

from harness.studyfile.costs import past_costs
from harness.studyfile.plan_building import ParamPlan
from harness.studyfile.plan_rendering import PastCosts, describe_plan, duration, render_plan
from harness.studyfile.values import StudySpec
from harness.trial import Phase
from tests.studyfile.conftest import BASE

Load = Callable[..., StudySpec]


def _text(spec: StudySpec, past: PastCosts | None = None) -> str:
    console = Console(file=io.StringIO(), width=140)
    render_plan(describe_plan(spec, past), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_counts_of_every_phase(load: Load) -> None:
    plan = describe_plan(load())
    assert [(p.phase, p.trials, p.epochs) for p in plan.cells[0].phases] == [
        (Phase.SEARCH, 30, 15),
        (Phase.CONFIRM, 9, 15),
        (Phase.FINAL, 5, 15),
    ]
    assert plan.trials == 3 * 44
    assert plan.epochs == 3 * 44 * 15


def test_a_small_space_has_fewer_trials(load: Load) -> None:
    text = BASE.replace(
        "optimizer.lr: {float: [3.0e-4, 1.0e-2], log: true}", "optimizer.lr: {choice: [0.1, 0.2]}"
    )
    cell = describe_plan(load(text)).cells[0]
    assert [(p.phase, p.trials) for p in cell.phases] == [
        (Phase.SEARCH, 2),
        (Phase.CONFIRM, 6),
        (Phase.FINAL, 5),
    ]
    assert "at most 2 configurations" in _text(load(text))


def test_parameters_carry_unit_domain_and_condition(load: Load) -> None:
    text = BASE.replace("space:\n", "space:\n  neuron.name: {choice: [toylif, toyif]}\n")
    cell = describe_plan(load(text)).cells[1]
    assert cell.searched[1] == ParamPlan(
        "neuron.tau", "1.1 to 4 (log)", "steps", "neuron.name = toylif", "", "membrane time constant"
    )
    assert ("delay.kind", "fixed", True) in cell.fixed
    assert ("timesteps", "4 steps", False) in cell.fixed


def test_cost_needs_past_rows_of_every_cell(load: Load) -> None:
    spec = load()
    assert describe_plan(spec).seconds is None
    one = PastCosts((("toy/toyann", 2.0),), 4)
    assert describe_plan(spec, one).seconds is None
    assert describe_plan(spec, one).cells[0].seconds == 44 * 15 * 2.0
    every = PastCosts(tuple((cell.name, 2.0) for cell in spec.cells), 12)
    assert describe_plan(spec, every).seconds == 3 * 44 * 15 * 2.0
    assert "at most 1.1 h one trial at a time, by the mean epoch of 12 past trials" in " ".join(
        _text(spec, every).split()
    )


def test_what_is_printed(load: Load) -> None:
    text = _text(load())
    for line in (
        "study toy-study",
        "accuracy max",
        "sampler tpe, pruner hyperband, 10 random trials first",
        "1 in search, 3 fresh in confirm (top 3), 5 fresh in final; the same for all cells, derived from 0",
        "toy/no delays  search 30 x 15 epochs, confirm 9 x 15 epochs, final 5 x 15 epochs",
        "set: delay.kind none",
        "delay.max is not searched: needs delay.kind = fixed or learned, here it is none",
        "fixed timesteps is left out: pipeline 'toyann' has no such parameter",
        "published optimizer.lr 0.5 is outside 0.0003 to 0.01 (log), begins at 0.01",
        "no past rows to estimate the cost from",
    ):
        assert line in text


def test_few_final_seeds_and_none_are_said(load: Load) -> None:
    assert "honest leaderboard has 5 or more" in _text(load(BASE, "final.seeds=3"))
    assert "no final phase: the test split stays unread" in _text(load(BASE, "final.seeds=0"))


def test_durations() -> None:
    assert [duration(s) for s in (3, 90, 5400, 200_000)] == ["3.0 s", "1.5 min", "1.5 h", "2.3 days"]


def _rows(*rows: tuple[str, str, str, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["study", "cell", "state", "epochs", "wall_s"])


def test_past_costs_prefer_the_study_and_leave_failures_out() -> None:
    rows = _rows(
        ("s", "d/a", "COMPLETE", 10, 20.0),
        ("s", "d/a", "PRUNED", 2, 10.0),
        ("t", "d/a", "COMPLETE", 1, 900.0),
        ("t", "d/b", "COMPLETE", 4, 2.0),
        ("s", "d/c", "FAILED", 3, 9.0),
        ("s", "d/c", "INTERRUPTED", 3, 9.0),
        ("s", "d/b", "COMPLETE", 0, 9.0),
    )
    assert past_costs(rows, "s") == PastCosts((("d/a", 2.5), ("d/b", 0.5)), 3)
    assert past_costs(rows[:0], "s") == PastCosts()
