"""Text from anywhere in the tables steers no terminal, is no formula, no HTML and no script."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from harness.cli.console import PlainConsole
from harness.guard import csv_text, one_line, printable
from harness.report.page.report import write_report
from harness.report.records import render_csv
from harness.report.status import render_status, study_status
from harness.report.tables import render_latex, render_markdown, render_terminal
from harness.scoring.leaderboard import leaderboard
from tests.scoring.synthetic import Tables, race

EVIL = "\x1b[2J\x1b]0;title\x07\x9b31m\u202eevil\u2066\r\nx<!--<script>alert(1)</script>|[link=file:///]y[/]"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def hostile() -> Tables:
    """A board whose every text that a row may choose is hostile."""
    found = race()
    for row in found.trials:
        row |= {
            name: EVIL for name in ("reason", "detail", "device_name", "node", "git", "config") if name in row
        }
        row |= {"label": f"={EVIL}", "packages": {EVIL: EVIL}}
        row["params"] = {**row["params"], "text": f"@{EVIL}"}
        row["metadata"] = {"energy_assumptions": EVIL}
    for number, cell in enumerate(found.cells):
        cell["label"] = f"={EVIL}{number}"
    return found


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    trials, epochs, studies = hostile().as_tables()
    texts = {"text": EVIL, "host": EVIL, "git": EVIL, "packages": {EVIL: EVIL}}
    return trials, epochs, studies.assign(**texts)


def terminal(render: Callable[[Console], None], kind: type[Console]) -> str:
    console = kind(width=200, file=io.StringIO(), force_terminal=False)
    render(console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_no_board_steers_anything(tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]) -> None:
    board = leaderboard(*tables, study="demo")
    texts = {
        "terminal": terminal(lambda console: render_terminal(board, console), Console),
        "md": render_markdown(board),
        "csv": render_csv(board),
        "tex": render_latex(board),
    }
    for kind, text in texts.items():
        assert "evil" in text, kind
        assert not STEERING.search(text), kind
    assert "<script" not in texts["md"]
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert all(row["label"].startswith("'=") for row in rows)
    assert all(float(row["mean"]) > 0 for row in rows)


def test_the_status_steers_nothing_and_knows_no_markup(
    tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    trials, _, studies = tables
    found = study_status(trials.assign(cell=EVIL, state="FAILED"), studies, "demo")
    text = terminal(lambda console: console.print(render_status([found])), PlainConsole)
    assert not STEERING.search(text)
    assert "[link=file:///]y[/]" in text


def test_a_page_survives_scripts_in_its_data(
    tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    page = write_report(*tables, study="demo", out_dir=tmp_path, files=False).read_text(encoding="utf-8")
    assert not STEERING.search(page.split("<script>")[0])
    data = page.split('type="application/json">')[1].split("</script>")[0]
    assert "<" not in data
    assert "\\u003c!--" in data
    assert page.count("<script>alert") == 0


def test_printable_keeps_what_people_write() -> None:
    text = "naïve 日本語 ±∞ 🙂 a\tb\nc"
    assert printable(text) == text
    assert one_line(text) == "naïve 日本語 ±∞ 🙂 a b c"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "+1"),
        ("-0.5;-1e-3;nan", "-0.5;-1e-3;nan"),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =x", "'  =x"),
        ("\t=x", "'\t=x"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_formulas_are_guarded_and_numbers_are_not(text: str, safe: str) -> None:
    assert csv_text(text) == safe
