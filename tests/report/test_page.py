"""Figures and the page: files that are there, whole, self-contained and free of what JSON cannot hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.report.canvas import whiskers
from harness.report.charts import importance_figure
from harness.report.figures import learning_figure, time_accuracy_figure
from harness.report.page import write_report
from harness.scoring.curves import time_curves
from harness.scoring.search import histories, rank_correlations
from harness.scoring.tables import last_attempts, study_view
from tests.scoring.synthetic import Tables, cell, curve, failed, race, trial


def searched(as_tables: tuple[pd.DataFrame, ...]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The tables with the searched parameters as columns, as the store adds them."""
    trials, epochs, studies = as_tables
    kinds = ["tpe" if i % 2 else "random" for i in range(len(trials))]
    params = [{**own, "kind": kind} for own, kind in zip(trials["params"], kinds, strict=True)]
    return trials.assign(params=params, searched=[["optimizer.lr", "kind"]] * len(trials)), epochs, studies


def full() -> Tables:
    tables = race(seeds=3)
    for row in [t for t in tables.trials if t["phase"] == "final"]:
        tables.epochs += curve(row, [1.0, 0.5, 0.3], split="train", metric="loss")
        first = curve(row, [0.0])[0] | {"epoch": row["best_epoch"]}
        tables.epochs += [first | {"metric": f"delay_histogram/{b}", "value": float(b)} for b in range(5)]
        tables.epochs += [first | {"metric": f"accuracy@T{t}", "value": 0.1 * t} for t in (1, 2, 4)]
    for number in range(10, 16):
        lr = 0.001 * number
        tables.add(trial(phase="search", number=number, value=lr, params=({"optimizer.lr": lr})))
    return tables


def test_the_whole_report(tmp_path: Path) -> None:
    page = write_report(*searched(full().as_tables()), study="demo", out_dir=tmp_path / "out")
    names = {path.name for path in page.parent.iterdir()}
    assert {"index.html", "leaderboard.md", "leaderboard.csv", "leaderboard.tex"} <= names
    assert {"time-accuracy.png", "time-accuracy.svg", "learning.png"} <= names
    assert {"digits-delay_histogram-delay-timesteps.png", "digits-accuracy-timesteps.svg"} <= names
    assert (page.parent / "time-accuracy.png").read_bytes()[:4] == b"\x89PNG"
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 6_000_000
    head = text[: text.index("<script>")]
    for link in re.findall(r"<a href='([^']+)'", head):
        assert link in names
    assert not re.search(r"(src|href)=['\"](http|//)", head)  # nothing is fetched
    for part in (
        "Every seed",
        "Stages",
        "Parameter importance",
        "Configurations",
        "Environment",
        "name: demo",
    ):
        assert part in head
    drawn = json.loads(re.findall(r"const plots=(.*?);plots\.forEach", text, re.S)[-1].replace("<\\/", "</"))
    assert len(drawn) == head.count("class='plot'") == 7


def test_hostile_text_is_escaped(tmp_path: Path) -> None:
    label = "<script>alert('x')</script>"
    tables = Tables(cells=[cell(label=label)])
    tables.add(trial(seed=1, label=label, params=({"note": "</script><b>"})), [0.5, 0.6])
    text = write_report(*tables.as_tables(), study="demo", out_dir=tmp_path).read_text(encoding="utf-8")
    assert label not in text
    assert "</script><b>" not in text


@pytest.mark.parametrize("rows", [[], [failed(seed=1)], [trial(seed=1)], [trial(phase="search", value=None)]])
def test_pages_of_studies_with_little_in_them(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    page = write_report(*Tables(trials=rows).as_tables(), study="demo", out_dir=tmp_path)
    text = page.read_text(encoding="utf-8")
    assert "nan" not in text[: text.index("<script>")].lower().replace("provenance", "")


def test_figures_of_several_data_sets_are_named(tmp_path: Path) -> None:
    tables = Tables(cells=[cell(), cell("vowels/direct")])
    for name in ("digits", "vowels"):
        tables.add(trial(cell=f"{name}/direct", dataset=name, seed=1), [0.5, 0.6])
    curves = time_curves(*tables.as_tables(), study="demo")
    found = time_accuracy_figure(curves, tmp_path / "ta")
    assert [p.name for p in found] == ["ta-digits.png", "ta-digits.svg", "ta-vowels.png", "ta-vowels.svg"]
    assert [p.name for p in learning_figure(curves[0], tmp_path / "sub" / "l")] == ["l.png", "l.svg"]
    assert time_accuracy_figure((), tmp_path / "none") == []


def test_figures_repeat_to_the_byte(tmp_path: Path) -> None:
    curves = time_curves(*race(seeds=2).as_tables(), study="demo")
    first, again = (time_accuracy_figure(curves, tmp_path / name) for name in ("a", "b"))
    assert first[1].read_bytes() == again[1].read_bytes()
    assert importance_figure({}, tmp_path / "empty")[0].exists()


def test_search_history_and_rank_correlations() -> None:
    tables = Tables()
    rng = np.random.default_rng(0)
    for number in range(30):
        lr, state = float(rng.uniform(0, 1)), "PRUNED" if number == 7 else "COMPLETE"
        row = trial(phase="search", number=number, value=99.0 if number == 7 else lr**3, state=state)
        tables.add(row | {"params": ({"optimizer.lr": lr})})
    trials, _, studies = searched(tables.as_tables())
    view, own = study_view(studies, "demo"), last_attempts(trials, "demo")
    (found,) = histories(view, own)
    assert found.number == tuple(range(30))
    assert found.best == tuple(np.maximum.accumulate(np.where(np.arange(30) == 7, 0, found.value)))
    scores = rank_correlations(view, own)["digits/direct"]
    assert scores["optimizer.lr"] == pytest.approx(1.0)
    assert scores["kind"] < 0.3
    assert rank_correlations(view, own.iloc[:3]) == {}


def test_the_report_is_light_to_import() -> None:
    code = (
        "import sys, harness.report.page, harness.scoring.leaderboard, harness.report.tables; "
        "heavy = {'torch', 'ray', 'optuna', 'matplotlib', 'plotly', 'sklearn'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_intervals_of_shares_end_where_shares_end() -> None:
    assert whiskers(95.0, 10.0, 100.0) == (10.0, 5.0)
    assert whiskers(4.0, 10.0, 100.0) == (4.0, 10.0)
    assert whiskers(4.0, 10.0, 1.0) == (10.0, 10.0)
    assert whiskers(4.0, float("nan"), 100.0) == (0.0, 0.0)
