"""The pictures at the head of the README, drawn from the store in results/example: ``make picture``.

``data.json`` holds what they show, so that a test compares numbers and not pixels.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

from rich.console import Console

ROOT = Path(__file__).parents[1]
STORE = ROOT / "results" / "example"
FOLDER = Path(__file__).parent / "pictures"
STUDY, WIDTH = "quickstart", 100


def content() -> Any:
    """The report of the example, as values."""
    from harness.report.page.report import content_of
    from harness.scoring.published import default_folder, load_published
    from harness.scoring.reading import read_study
    from harness.store.results import ResultStore

    store = ResultStore(STORE)
    rows = read_study(store.trials(STUDY), store.epochs(STUDY), store.studies(STUDY), study=STUDY)
    return content_of(rows, load_published(default_folder()))


def board(found: Any) -> tuple[str, str]:
    """The first screen of the leaderboard: (text, SVG). The SVG names no font of another site."""
    from harness.report.first_screen import render_first

    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    render_first(found.board, console)
    text = console.export_text(clear=False)
    svg = console.export_svg(title=f"harness leaderboard {STUDY}", unique_id="board")
    return text, re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def chart(found: Any) -> Any:
    """The time-accuracy figure of the first data set that has curves."""
    from harness.report.page.render import charts_of

    return next(one for one in charts_of(found).all() if one.name.startswith("time-accuracy"))


def data(found: Any) -> dict[str, Any]:
    """What both pictures show: lines of text, and the rows of the figure."""
    lines = [line.rstrip() for line in board(found)[0].splitlines()]
    return {"board": lines, "figure": list(chart(found).spec()["datasets"].values())}


def draw() -> None:
    """Write the pictures and their data."""
    from harness.report.charts.chart import write

    found = content()
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "board.svg").write_text(board(found)[1], encoding="utf-8")
    (path,) = write([chart(found)], FOLDER, ("svg",))
    path.replace(FOLDER / "time-accuracy.svg")
    text = json.dumps(data(found), indent=1, allow_nan=False)
    (FOLDER / "data.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    draw()
