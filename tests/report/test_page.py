"""Figures and the page: files that are there, whole, self-contained and free of what JSON cannot hold."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.report.page.report import write_report
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
    assert {"time-accuracy-digits.pdf", "time-accuracy-digits.svg", "learning-digits.png"} <= names
    assert {"digits-delay_histogram-delay-timesteps.png", "digits-accuracy-timesteps.svg"} <= names
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 2_000_000
    head = text[: text.index("<script>")]
    for link in re.findall(r'<a href="([^"#]+)"', head):
        assert link in names
    assert not re.search(r"(src|href)=['\"](http|//)", head)  # nothing is fetched
    for part in ("Every seed", "Stages", "What the search says", "configuration", "Provenance", "name: demo"):
        assert part in head
    assert "data set" not in head  # one data set needs no overview
    found = drawn(text)
    assert len(found["charts"]) == head.count('class="chart"') == 9
    named = set(re.findall(r'"name":"([0-9a-f]{8,})"', json.dumps(found["charts"], separators=(",", ":"))))
    assert named == set(found["data"])


def drawn(text: str) -> dict[str, Any]:
    """What the page's script draws."""
    return json.loads(re.findall(r'type="application/json">(.*?)</script>', text, re.S)[0])


def test_a_page_alone(tmp_path: Path) -> None:
    page = write_report(*race(seeds=2).as_tables(), study="demo", out_dir=tmp_path, files=False)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert "Files:" not in page.read_text(encoding="utf-8")


def test_several_data_sets_have_an_overview_and_one_look_a_label(tmp_path: Path) -> None:
    tables = Tables(cells=[cell(), cell("vowels/direct"), cell("vowels/ann", label="ann")])
    for name in ("digits/direct", "vowels/direct"):
        for seed in range(3):
            row = trial(cell=name, dataset=name.partition("/")[0], seed=seed, test_value=0.8 + seed / 100)
            tables.add(row, [0.5, 0.6])
    text = write_report(*tables.as_tables(), study="demo", out_dir=tmp_path, files=False).read_text("utf-8")
    overview = text[text.index("<h2>Overview") : text.index("</section>")]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", overview)
    assert [c for c in cells if c.startswith(("digits", "vowels"))] == ["digits", "vowels"]
    assert "81" in cells[2]
    assert cells[3] == "\N{EN DASH}"
    assert cells[7] == "no final seed"


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
        "import sys, harness.report.page.report, harness.scoring.leaderboard, harness.report.tables; "
        "heavy = {'torch', 'ray', 'optuna', 'altair', 'vl_convert', 'jinja2'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TRY = """
const told = [];
const tell = () => { document.body.innerHTML = '<pre id="told">' + JSON.stringify(told) + '</pre>'; };
const frame = document.createElement('iframe');
frame.style = 'width:390px;height:9000px;border:0';
frame.src = 'index.html';
frame.onload = async () => {
  const page = frame.contentDocument, view = frame.contentWindow;
  view.addEventListener('error', (event) => told.push(['error', event.message]));
  const drawn = () => page.querySelectorAll('.chart svg.marks');
  for (let i = 0; i < 100 && drawn().length < page.querySelectorAll('.chart').length; i++) {
    await new Promise((done) => setTimeout(done, 250));
  }
  told.push(['wide', page.scrollingElement.scrollWidth]);
  told.push(['charts', drawn().length]);
  const ends = [...drawn()].map((s) => s.getBoundingClientRect().right);
  told.push(['beyond', ends.filter((x) => x > 391).length]);
  const table = page.querySelector('table.sortable');
  const column = [...table.querySelectorAll('th')].findIndex((h) => h.textContent.includes('accuracy'));
  const values = () => [...table.tBodies[0].rows].map((row) => parseFloat(row.cells[column].textContent));
  table.querySelectorAll('th button')[column].click();
  told.push(['up', values()]);
  table.querySelectorAll('th button')[column].click();
  told.push(['down', values()]);
  const before = view.getComputedStyle(page.body).backgroundColor;
  page.getElementById('theme').click();
  told.push(['theme', before !== view.getComputedStyle(page.body).backgroundColor]);
  const radio = page.querySelectorAll('.forms input')[1];
  const svg = () => radio.closest('figure').querySelector('svg.marks')?.outerHTML;
  const shown = svg();
  radio.click();
  await new Promise((done) => setTimeout(done, 3000));
  told.push(['form', shown !== svg()]);
  tell();
};
document.body.append(frame);
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_on_a_phone_in_a_browser(tmp_path: Path) -> None:
    """390 pixels: nothing overflows; tables sort, the theme and a chart's form switch, nothing is logged."""
    write_report(*searched(full().as_tables()), study="demo", out_dir=tmp_path, files=False)
    (tmp_path / "try.html").write_text(f"<body><script>{TRY}</script></body>", encoding="utf-8")
    flags = (
        "--headless",
        "--window-size=500,9500",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
    )
    for attempt in range(3):  # a starved browser may have drawn nothing when its virtual time is over
        done = subprocess.run(
            [str(CHROMIUM), *flags, f"--user-data-dir={tmp_path / f'profile{attempt}'}",
             "--virtual-time-budget=40000", "--enable-logging=stderr", "--dump-dom",
             (tmp_path / "try.html").as_uri()],
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
        said = re.findall(r'<pre id="told">(.*?)</pre>', done.stdout, re.S)
        told = dict(json.loads(html.unescape(said[0]))) if said else {}
        if told.get("charts"):
            break
    assert "error" not in told
    assert "CONSOLE" not in done.stderr
    assert told["wide"] <= 390
    assert (told["charts"], told["beyond"]) == (9, 0)
    assert told["up"] == sorted(told["up"])
    assert told["down"] == told["up"][::-1]
    assert told["theme"]
    assert told["form"]
