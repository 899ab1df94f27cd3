"""Charts of a report for a notebook: one a data set, below each other."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from harness.errors import UnknownNameError
from harness.report.charts import board, curves
from harness.report.charts.chart import Chart
from harness.report.charts.look import Looks
from harness.scoring.curves import curves_of_study
from harness.scoring.leaderboard import board_of
from harness.scoring.reading import read_study

CHARTS = ("time-accuracy", "learning", "seeds")


def chart(trials: pd.DataFrame, epochs: pd.DataFrame, studies: pd.DataFrame, study: str, kind: str) -> Any:
    """The chart of a kind in its first form. Raises UnknownNameError for a kind that there is not."""
    if kind not in CHARTS:
        raise UnknownNameError("chart", kind, CHARTS)
    rows = read_study(trials, epochs, studies, study=study)
    looks = Looks(tuple(dict.fromkeys(cell.label for cell in rows.view.cells)))
    found: list[Chart]
    if kind == "seeds":
        found = [board.seeds(group, looks) for group in board_of(rows).groups]
    else:
        draw = curves.time_accuracy if kind == "time-accuracy" else curves.learning
        found = [draw(one, looks) for one in curves_of_study(rows)]
    panels = [one.forms[0][1].properties(title=one.title, width=480) for one in found]
    return panels[0] if len(panels) == 1 else alt.vconcat(*panels).resolve_scale(color="independent")
