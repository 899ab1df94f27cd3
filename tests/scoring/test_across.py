"""Several data sets as one table, against numbers made by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from harness.report.across_tables import across_notes, across_tables
from harness.report.choosing import Choice, choose
from harness.report.records import render_json
from harness.report.tables import render_latex, render_markdown
from harness.scoring.across import critical_difference
from harness.scoring.leaderboard import leaderboard
from harness.scoring.values import Across, Board
from tests.scoring.synthetic import Tables, cell, trial

WOBBLE = (-0.003, 0.001, 0.002)


def board_of(values: dict[str, dict[str, float]], seconds: dict[str, float] | None = None) -> Board:
    """A board of ``values[data set][label]`` by three seeds, all with the same wobble in another order."""
    names = [f"{data}/{label}" for data, labels in values.items() for label in labels]
    tables = Tables(cells=[cell(name) for name in names], protocol={"target": 0.5} if seconds else {})
    for d, (data, labels) in enumerate(values.items()):
        for i, (label, value) in enumerate(labels.items()):
            for seed in range(3):
                score = value + WOBBLE[(seed + i + d) % 3]
                train = (seconds or {}).get(label, 8.0)
                row = trial(
                    cell=f"{data}/{label}", dataset=data, pipeline=label, seed=seed, number=seed,
                    test_value=score, value=score, train_s=train, train_cpu_s=train, best_epoch=2, epochs=2,
                )  # fmt: skip
                tables.add(row, [0.1, score])
    return leaderboard(*tables.as_tables(), study="demo")


def across_of(values: dict[str, dict[str, float]], seconds: dict[str, float] | None = None) -> Across:
    found = board_of(values, seconds).across
    assert found is not None
    return found


def test_who_always_wins_by_hand() -> None:
    found = across_of({d: {"b": 0.8, "a": 0.9} for d in ("d1", "d2", "d3")})
    assert found.datasets == ("d1", "d2", "d3")
    a, b = found.standings
    assert (a.label, a.rank.value, a.rank.low, a.rank.high) == ("a", 1.0, 1.0, 1.0)
    assert (b.label, b.rank.value) == ("b", 2.0)
    assert a.improvability.value == 0.0
    assert b.improvability.value == pytest.approx(0.5)
    assert b.improvability.low < 0.5 < b.improvability.high
    gap = 400 * math.log10((3 + 0.5) / 0.5)  # three data sets won, one virtual tie
    assert a.rating.value - b.rating.value == pytest.approx(gap, abs=1e-4)
    assert a.rating.value + b.rating.value == pytest.approx(2000, abs=1e-6)
    assert math.isnan(a.wins[0])
    assert (a.wins[1], b.wins[0]) == (1.0, 0.0)
    assert a.iqm is None
    assert math.isnan(found.critical)


def test_what_is_not_separated_is_half_won() -> None:
    values = {d: {"a": 0.9, "b": 0.9001 if d == "d1" else 0.8} for d in ("d1", "d2", "d3")}
    a, b = across_of(values).standings
    assert a.rank.value == pytest.approx(4 / 3)
    assert a.wins[1] == pytest.approx((0.5 + 1 + 1) / 3)
    assert b.wins[0] == pytest.approx(0.5 / 3)
    assert a.rank.high > a.rank.value > a.rank.low


def test_equal_means_share_their_ranks_and_a_perfect_one_has_nothing_to_improve() -> None:
    board = board_of({d: {"a": 0.9, "b": 0.9} for d in ("d1", "d2", "d3")})
    assert board.across is not None
    assert [one.rank.value for one in board.across.standings] == pytest.approx([1.5, 1.5], abs=0.5)


def test_lower_is_better_turns_ranks_errors_and_wins() -> None:
    from harness.scoring.across import over_data_sets

    groups = board_of({d: {"a": 0.4, "b": 0.2} for d in ("d1", "d2", "d3")}).groups
    turned = over_data_sets([replace(group, maximize=False) for group in groups])
    assert turned is not None
    b, a = turned.standings
    assert (b.label, b.rank.value, b.wins[1]) == ("b", 1.0, 1.0)
    assert a.improvability.value == pytest.approx(0.5)


def test_none_below_three_data_sets_or_two_labels() -> None:
    assert board_of({d: {"a": 0.9, "b": 0.8} for d in ("d1", "d2")}).across is None
    assert board_of({d: {"a": 0.9} for d in ("d1", "d2", "d3")}).across is None
    assert board_of({"d1": {"a": 0.9, "b": 0.8}, "d2": {"a": 0.9}, "d3": {"b": 0.9}}).across is None


def test_a_label_that_a_data_set_lacks_is_named_and_left_out() -> None:
    values = {d: {"a": 0.9, "b": 0.8} | ({"c": 0.95} if d == "d1" else {}) for d in ("d1", "d2", "d3")}
    found = across_of(values)
    assert [one.label for one in found.standings] == ["a", "b"]
    assert found.left_out == ("c",)
    assert found.standings[0].rank.value == 1.0  # among those that are here
    assert any("so not here: c." in line for line in across_notes(found))


def test_interquartile_mean_from_five_and_critical_difference_from_eight() -> None:
    names = [f"d{i}" for i in range(8)]
    five = across_of({d: {"a": 0.9, "b": 0.1} for d in names[:5]})
    a, b = five.standings
    assert a.iqm is not None
    assert b.iqm is not None
    # 15 runs of each of three wobbles 5 times: int(15 / 4) = 3 are cut at each end
    middle = (2 * -0.003 + 5 * 0.001 + 2 * 0.002) / 9
    assert a.iqm.value == pytest.approx((0.9 + middle - 0.1) / 0.9)
    assert a.iqm.low <= a.iqm.value <= a.iqm.high
    assert math.isnan(five.critical)
    eight = across_of({d: {"a": 0.9, "b": 0.1} for d in names})
    assert eight.critical == pytest.approx(1.960 * math.sqrt(2 * 3 / (6 * 8)), abs=1e-3)
    assert math.isnan(critical_difference(2, 7))
    assert critical_difference(5, 10) == pytest.approx(2.728 * math.sqrt(5 * 6 / 60), abs=1e-3)  # Demsar


def test_profile_of_times_to_target() -> None:
    values = {d: {"a": 0.9, "b": 0.8} for d in ("d1", "d2", "d3")}
    found = across_of(values, {"a": 8.0, "b": 14.0})
    assert found.raced == 3
    by_label = {one.label: one.profile for one in found.standings}
    assert by_label == {"a": (1.0, 1.0, 1.0, 1.0), "b": (0.0, 0.0, 1.0, 1.0)}
    none = across_of(values)  # every label at its own pace, without a target
    assert all(one.profile == () for one in none.standings) == (none.raced == 0)


def test_every_form_shows_it_and_a_choice_of_rows_does_not() -> None:
    board = board_of({d: {"a": 0.9, "b": 0.8} for d in ("d1", "d2", "d3")}, {"a": 8.0, "b": 14.0})
    assert "Over 3 data sets" in render_markdown(board)
    assert "Over 3 data sets" in render_latex(board)
    told = json.loads(render_json(board))["across"]
    assert [one["label"] for one in told["standings"]] == ["a", "b"]
    assert told["standings"][0]["wins"] == [None, 1.0]
    assert told["critical"] is None
    assert board.across is not None
    titles = [made.title for made in across_tables(board.across)]
    assert titles[0] == "Over 3 data sets"
    assert len(titles) == 3
    assert all(len(row) == len(made.headers) for made in across_tables(board.across) for row in made.rows)
    assert choose(board, Choice(sort="name")).across is board.across
    for chosen in (Choice(datasets=("d1",)), Choice(pipelines=("a",)), Choice(only_separated=True)):
        assert choose(board, chosen).across is None
