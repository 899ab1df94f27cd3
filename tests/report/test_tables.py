"""Terminal, Markdown, LaTeX and CSV renderings of one board."""

from __future__ import annotations

import csv
import io
import math

import pytest
from rich.console import Console

from harness.report import formatting
from harness.report.board_tables import pairs
from harness.report.records import render_csv
from harness.report.tables import render_latex, render_markdown, render_terminal
from harness.scoring.leaderboard import leaderboard
from harness.scoring.published import load_published
from harness.scoring.stats import Summary, ratio_of_medians
from harness.scoring.values import Board
from harness.studyfile.values import TRIVIAL
from tests.scoring.synthetic import Tables, cell, failed, race, trial
from tests.scoring.test_published import FOLDER


@pytest.fixture(scope="module")
def board() -> Board:
    tables = race()
    lost = next(t for t in tables.trials if t["cell"] == "digits/ann" and t["seed"] == 104)
    tables.trials[tables.trials.index(lost)] = failed(cell="digits/ann", pipeline="ann", seed=104)
    return leaderboard(*tables.as_tables(), study="demo")


def terminal(board: Board, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    render_terminal(board, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_numbers_have_the_digits_their_interval_carries() -> None:
    assert formatting.score(Summary(5, 0.94123, 0.004, 0.00461), 100.0) == "94.12 ± 0.46"
    assert formatting.score(Summary(5, 0.94123, 0.04, 0.0461), 100.0) == "94.1 ± 4.6"
    assert formatting.score(Summary(5, 0.94123, 0.3, 0.461), 100.0) == "94 ± 46"
    assert formatting.score(Summary(1, 0.9, math.nan, math.nan), 100.0) == "90.00"
    assert formatting.score(Summary(5, 0.9, 0.0, 0.0), 1.0) == "0.9000 (all 5 equal)"
    assert (
        formatting.score(Summary(5, 0.9, 0.0, 0.0), 1.0, constant="deterministic") == "0.9000 (deterministic)"
    )
    assert formatting.score(Summary(0, math.nan, math.nan, math.nan), 1.0) == "–"


def test_other_formats() -> None:
    assert [formatting.rank(r) for r in ((1, 1), (1, 3), None)] == ["1", "1-3", "–"]
    assert [formatting.quantity(v) for v in (214016, 11_693_736, 8, 8.5, math.nan)] == [
        "214k", "11.7M", "8", "8.50", "–",
    ]  # fmt: skip
    assert [formatting.significant(v) for v in (0.01234, 1234.5, 0, math.inf)] == [
        "0.0123",
        "1,234",
        "0",
        "∞",
    ]
    assert [formatting.time_unit([s])[1] for s in (5, 299, 301, 8000)] == ["s", "s", "min", "h"]
    assert formatting.time_unit([math.inf]) == (1.0, "s")
    names = ["param.10", "param.2", "param.02", "b", "a1b10", "a1b9"]
    assert sorted(names, key=formatting.natural) == ["a1b9", "a1b10", "b", "param.02", "param.2", "param.10"]
    assert formatting.fixed(-0.001, 2) == "0.00"


@pytest.mark.parametrize(
    ("own", "base", "said"),
    [
        ((2.0, 3.0, 4.0), (4.0, 6.0, 8.0), "0.50 (0.50 to 0.50)"),
        ((2.0, 3.0, math.inf), (1.0, 2.0, 1.0), "> 1.50; 2 of 3 reached"),
        ((math.inf, math.inf, 3.0), (1.0, 1.0, 1.0), "> 3.00; 1 of 3 reached"),
        ((math.inf,) * 3, (1.0, 1.0, 1.0), "0 of 3 reached"),
        ((2.0, 3.0, 4.0), (4.0, math.inf, math.inf), "< 0.50; baseline 1 of 3"),
        ((2.0, math.inf, 4.0), (4.0, math.inf, 8.0), "2 of 3 reached; baseline 2 of 3"),
        ((math.inf,) * 3, (math.inf,) * 3, "0 of 3 reached; baseline 0 of 3"),
        ((2.0,), (4.0,), "0.50 (one seed)"),
        ((2000.0,) * 2, (1.0,) * 2, "2,000 (2,000 to 2,000)"),
        ((1.0,) * 2, (300.0,) * 2, "0.0033 (0.0033 to 0.0033)"),
    ],
)
def test_an_interval_with_an_open_end_says_what_it_is(
    own: tuple[float, ...], base: tuple[float, ...], said: str
) -> None:
    assert formatting.ratio(ratio_of_medians(own, base, seed=0)) == said


def test_terminal_shows_scores_times_and_footnotes(board: Board) -> None:
    text = terminal(board, 140)
    parts = (
        "SNN only: the same times",
        "digits (revision 1): test accuracy",
        "1-3",
        "5 (1 failed)",
        "Training time (CPU s",
        "5/5",
    )
    more = ("Paired differences", "Smallest gap these seeds can separate", "[1]", "Failed seeds score chance")
    for part in (*parts, *more):
        assert part in text
    narrow = terminal(board, 70)
    assert "Paired differences" not in narrow
    assert "direct" in narrow


def test_markdown_tables_are_rectangular(board: Board) -> None:
    text = render_markdown(board)
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1
    assert "| ann <sup>" in text


def test_latex_escapes_and_balances() -> None:
    tables = Tables(cells=[cell(label="a_b & 100% #1")])
    tables.add(trial(seed=1))
    text = render_latex(leaderboard(*tables.as_tables(), study="demo"))
    assert r"a\_b \& 100\% \#1" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") > 0
    for line in text.splitlines():
        if line.endswith(r"\\"):
            assert line.count("&") >= line.count(r"\&")


def test_csv_has_every_number_unrounded(board: Board) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(board))))
    assert [row["label"] for row in rows] == [row.label for _, row in board.rows()]
    by_label = {row["label"]: row for row in rows}
    row = next(r for _, r in board.rows() if r.label == "pipe-s")
    assert float(by_label["pipe-s"]["mean"]) == row.score.mean
    assert by_label["pipe-s"]["values"].count(";") == 4
    assert by_label["ann"]["failed"] == "1"
    assert by_label["ann"]["flags"] == "failed"
    assert float(by_label["pipe-s"]["target1.ratio"]) == pytest.approx(0.46, abs=0.02)
    assert float(by_label["pipe-s"]["best_without_pretrain_s"]) < float(by_label["pipe-s"]["best_s"])


def test_provisional_boards_say_so_everywhere() -> None:
    tables = race()
    tables.trials = [t for t in tables.trials if t["phase"] == "search"]
    board = leaderboard(*tables.as_tables(), study="demo")
    for text in (render_markdown(board), render_latex(board), terminal(board, 120)):
        assert "validation, one seed: not a result" in text
    assert "True" in render_csv(board)


def test_published_rows_are_marked_and_apart() -> None:
    tables = Tables(cells=[cell("shd/direct")])
    tables.add(trial(cell="shd/direct", dataset="shd", seed=1))
    board = leaderboard(*tables.as_tables(), study="demo", published=load_published(FOLDER))
    text = render_markdown(board)
    assert "Published numbers on shd, not ranked with ours" in text
    assert len(board.groups[0].rows) == 1
    assert "best test epoch (tainted)" in text
    assert "more in the report" in text


def test_empty_and_hostile_boards_render() -> None:
    for tables in (Tables(), Tables(cells=[cell(chance=None)], trials=[failed(seed=1)])):
        board = leaderboard(*tables.as_tables(), study="demo")
        for text in (render_markdown(board), render_latex(board), render_csv(board), terminal(board, 120)):
            assert "direct" in text
            assert "nan" not in text.replace("Leaderboard", "").lower()


def test_many_cells_are_compared_with_the_best_only_in_compact_form() -> None:
    names = [f"digits/arm {i}" for i in range(7)]
    tables = Tables(cells=[cell(name) for name in names])
    for i, name in enumerate(names):
        for seed in range(3):
            tables.add(trial(cell=name, seed=seed, test_value=0.5 + 0.05 * i + 0.01 * seed))
    (group,) = leaderboard(*tables.as_tables(), study="demo").groups
    assert len(group.differences) == 21
    assert len(pairs(group).rows) == 21
    assert len(pairs(group, compact=True).rows) == 6
    assert all("arm 6" in row[0] for row in pairs(group, compact=True).rows)


def test_two_seeds_separate_no_gap() -> None:
    tables = Tables(cells=[cell(), cell("digits/ann")])
    for seed, (one, other) in enumerate([(0.2, 0.9), (0.9, 0.3)]):
        tables.add(trial(seed=seed, test_value=one))
        tables.add(trial(seed=seed, test_value=other, cell="digits/ann"))
    text = render_markdown(leaderboard(*tables.as_tables(), study="demo"))
    assert "none, there are too few seeds" in text


def test_a_narrow_terminal_leaves_out_columns_and_breaks_no_number() -> None:
    cells = [cell(f"ett/{name}", task="forecasting", chance=0.0) for name in ("forecast-snn", *TRIVIAL)]
    tables = Tables(cells=cells, protocol={"objectives": ["r2 max"]})
    test = {"r2": 0.9, "rse": 0.1234, "mae": 12.3456, "mse": 123.456, "r2_variate_mean": 0.8765}
    for one in cells:
        for seed in (1, 2):
            tables.add(trial(cell=one["cell"], seed=seed, test_value=0.9, test=test), [0.5])
    said = {}
    for width in (60, 80, 140):
        console = Console(file=io.StringIO(), width=width)
        render_terminal(leaderboard(*tables.as_tables(), study="demo"), console)
        said[width] = console.file.getvalue()  # type: ignore[attr-defined]
        assert "nlinear-ridge" in said[width]
        assert all(len(line) <= width for line in said[width].splitlines())
    assert "left out, the terminal is narrow" in said[60]
    assert "0.8765" not in said[60]
    assert "left out" not in said[140]
