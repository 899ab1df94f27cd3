"""The first screen: a table and a sentence a data set, words for missing numbers, no wider than asked."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from harness.errors import UnknownNameError
from harness.report.choosing import Choice, choose
from harness.report.first_screen import columns, render_first, sentence
from harness.scoring.leaderboard import leaderboard
from harness.scoring.values import Board
from tests.scoring.synthetic import Tables, cell, failed, race, trial
from tests.scoring.test_claims import forecasts

NAME = "n" * 300
WIDE = "語" * 40
HOSTILE = (
    "<script>alert(1)</script>",
    "שלום עולם",
    "\u202eabc",
    "50 % & $x_1$ \\textbf{b} #~^",
    "\x1b[31mred",
    WIDE,
    NAME,
)


def board_of(tables: Tables, **choice: object) -> Board:
    return choose(leaderboard(*tables.as_tables(), study="demo"), Choice(**choice))  # type: ignore[arg-type]


def screen(board: Board, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    render_first(board, console, ["all tables and notes  harness leaderboard demo --full"])
    return console.file.getvalue()  # type: ignore[attr-defined]


def column(board: Board, name: str) -> dict[str, str]:
    shown = dict(columns(board.groups[0]))
    header = next(h for h in shown if h.startswith(name))
    return dict(zip(shown["pipeline"], shown[header], strict=True))


def two(own: tuple[float, ...], base: tuple[float, ...], seconds: float = 4.0) -> Tables:
    """A baseline and another of given test scores; the other reaches 0.5 in half of its seconds."""
    tables = Tables(cells=[cell(), cell("digits/ann")], protocol={"baseline": "direct", "target": 0.5})
    tables.protocol["final"] = {"seeds": len(own)}
    for name, values, spent in (("digits/ann", own, seconds), ("digits/direct", base, 8.0)):
        for seed, value in enumerate(values):
            tables.add(
                trial(cell=name, seed=seed, test_value=value, train_s=spent, train_cpu_s=spent), [0.4, 0.6]
            )
    return tables


def test_one_screen_of_the_race() -> None:
    board = board_of(race())
    text = screen(board)
    assert len(text.splitlines()) < 12
    assert all(len(line) <= 100 for line in text.splitlines())
    head = next(line for line in text.splitlines() if line.startswith("rank"))
    assert [
        head.index(name) for name in ("rank", "pipeline", "accuracy (%)", "time to", "synops", "parameters")
    ]
    assert "harness leaderboard demo --full" in text
    assert column(board, "time to")["direct"].startswith("baseline, ")
    assert column(board, "time to")["pipe-s"].endswith(" x")
    for hidden in ("Paired differences", "Smallest gap", "MiB"):
        assert hidden not in text


@pytest.mark.parametrize("width", [80, 60, 40])
def test_narrow_terminals_get_fewer_columns(width: int) -> None:
    tables = race()
    for row in tables.cells:
        row["label"] = f"{row['label']} {'w' * 60}"
    lines = screen(board_of(tables), width).splitlines()
    assert all(len(line) <= width for line in lines)
    head = next(line for line in lines if line.startswith("rank"))
    assert "accuracy (%)" in head
    assert "parameters" not in head or width == 80
    assert any("…" in line for line in lines)


def test_a_sentence_says_what_the_seeds_allow() -> None:
    some = (0.80, 0.82, 0.81)
    near, far = (0.81, 0.80, 0.82), (0.50, 0.52, 0.51)
    said = sentence(board_of(two(some, near)).groups[0])
    assert "is not separated from" in said
    assert (
        "ann reaches 50.00 % in 0.50 x the time of direct (3 seeds; 0.50 to 0.50): too few seeds for 95 %."
        in said
    )
    said = sentence(board_of(two(some * 2, far * 2)).groups[0])
    assert "ann is separated from all others in accuracy (6 seeds)" in said
    assert said.endswith("(6 seeds; 0.50 to 0.50): separated.")
    assert "(3 seeds; 1.00 to 1.00): not separated." in sentence(board_of(two(some, near, 8.0)).groups[0])
    one = sentence(board_of(two(some[:1], far[:1])).groups[0])
    assert one.startswith("one seed each or none in common: nothing can be separated;")
    assert one.endswith("(one seed): not separated.")


def test_a_sentence_of_seeds_that_did_not_arrive() -> None:
    tables = two((0.8, 0.82, 0.81), (0.7, 0.71, 0.72))
    for entry in tables.epochs:
        if entry["cell"] == "digits/ann" and entry["trial_id"].endswith("-2-0"):
            entry["value"] = 0.1
    board = board_of(tables)
    assert "ann reaches 50.00 % in 2 of 3 seeds, direct in 3 of 3: in more than 0.50 x its time" in sentence(
        board.groups[0]
    )
    assert column(board, "time to")["ann"] == "> 0.50 x"
    for entry in tables.epochs:
        entry["value"] = 0.1 if entry["cell"] == "digits/ann" else entry["value"]
    board = board_of(tables)
    assert "ann never reaches 50.00 % (0 of 3 seeds)" in sentence(board.groups[0])
    assert column(board, "time to")["ann"] == "0 of 3 reached"


def test_a_missing_number_is_a_word() -> None:
    assert column(board_of(forecasts()), "time to")["persistence"] == "no training"
    tables = Tables(
        cells=[cell(chance=None), cell("digits/ann"), cell("digits/gpu")], protocol={"baseline": "ann"}
    )
    tables.add(failed(seed=1))
    for seed in range(2):
        tables.add(trial(cell="digits/gpu", seed=seed, device="cuda", device_name="H", synops=None), [0.9])
        tables.add(trial(cell="digits/ann", seed=seed), [0.9])
        tables.add(trial(cell="digits/ann", seed=seed + 5), [0.9])
    board = board_of(tables)
    assert column(board, "accuracy")["direct"] in ("all failed", "79.00")
    assert column(board, "time to")["gpu"] == "not comparable"
    assert column(board, "synops")["gpu"] == "not measured"
    assert "1 of 1 seeds failed" in screen(board)
    for text in (screen(board), screen(board_of(Tables()))):
        assert "nan" not in text.lower()
        assert "–" not in text


def test_boards_without_results_say_so() -> None:
    assert sentence(board_of(Tables()).groups[0]) == "No trial has finished yet."
    tables = Tables()
    tables.add(trial(phase="search", value=0.9))
    assert "not a result" in sentence(board_of(tables).groups[0])
    tables = Tables(cells=[cell(), cell("digits/ann")])
    tables.add(failed(seed=1))
    assert sentence(board_of(tables).groups[0]) == "one row with final seeds: nothing to compare."


@pytest.mark.parametrize("label", HOSTILE)
@pytest.mark.parametrize("width", [100, 80])
def test_hostile_names_stay_in_their_line(label: str, width: int) -> None:
    tables = Tables(cells=[cell(label=label), cell(f"{NAME}/ann", label="ann")], protocol={"baseline": "ann"})
    for seed in range(2):
        tables.add(trial(seed=seed, label=label), [0.5, 0.6])
        tables.add(trial(cell=f"{NAME}/ann", seed=seed), [0.5, 0.6])
    text = screen(board_of(tables), width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert sum("79.00" in line for line in text.splitlines()) == 2  # no number is cut
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_many_rows_are_cut_and_counted() -> None:
    tables = Tables(cells=[cell(f"digits/n{i:02d}") for i in range(25)])
    for i in range(25):
        tables.add(trial(cell=f"digits/n{i:02d}", seed=1, test_value=0.5 + 0.01 * i))
    text = screen(board_of(tables))
    assert "15 more rows: --full" in text
    assert len(text.splitlines()) < 20


def test_choices_leave_out_and_say_so() -> None:
    tables = race()
    board = board_of(tables, pipelines=("ann", "direct"))
    assert [(row.label, row.rank) for row in board.groups[0].rows] == [("ann", (1, 1)), ("direct", (3, 3))]
    assert board.groups[0].notes[-1] == "digits: 1 row left out (other pipelines); ranks are among all 3."
    assert len(board.groups[0].differences) == 1
    order = {
        sort: [row.label for row in board_of(tables, sort=sort).groups[0].rows] for sort in ("name", "time")
    }
    assert order == {"name": ["ann", "direct", "pipe-s"], "time": ["ann", "pipe-s", "direct"]}
    assert len(board_of(tables, datasets=("digits",)).groups) == 1
    for wrong in ({"sort": "scor"}, {"datasets": ("digit",)}, {"pipelines": ("an",)}, {"metric": "accurcy"}):
        with pytest.raises(UnknownNameError, match="Did you mean"):
            board_of(tables, **wrong)


def test_another_metric_is_shown_and_not_ranked() -> None:
    tables = forecasts()
    for row in tables.trials:
        if row["cell"].endswith("window-mean"):
            row["test"] = {"r2": 0.4}
    group = board_of(tables, metric="mae").groups[0]
    assert (group.metric, group.maximize) == ("mae", False)
    assert [row.label for row in group.rows][:3] == ["snn", "nlinear-ridge", "persistence"]
    assert [row.rank for row in group.rows] == [None] * 5
    assert column(board_of(tables, metric="mae"), "mae")["window-mean"] == "not measured"
    assert sentence(group) == "nothing is ranked by mae."
    assert "the study's objective is r2" in screen(board_of(tables, metric="mae"))


def test_only_what_is_separated_from_the_baseline_stays() -> None:
    board = board_of(two((0.8, 0.82, 0.81), (0.81, 0.80, 0.82)), only_separated=True)
    assert [row.label for row in board.groups[0].rows] == ["direct"]
    assert "1 row left out (not separated from direct)" in screen(board)
    board = board_of(race(), only_separated=True)
    assert {row.label for row in board.groups[0].rows} == {"ann", "pipe-s", "direct"}
    assert all(d.separated for d in board.groups[0].differences)
