"""The report of a study: one self-contained page, and beside it files of its figures and tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from harness.report.page.content import Content
from harness.report.records import render_csv
from harness.report.tables import render_latex, render_markdown
from harness.scoring.curves import LineSet, curves_of_study
from harness.scoring.families import families_of
from harness.scoring.importance import importances
from harness.scoring.leaderboard import board_of
from harness.scoring.parameters import parameter_lines, swept
from harness.scoring.published import default_folder, load_published
from harness.scoring.reading import StudyRows, read_study
from harness.scoring.search import histories, rank_correlations

if TYPE_CHECKING:
    from harness.report.charts.chart import Format, Style


def write_report(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    studies: pd.DataFrame,
    *,
    study: str,
    out_dir: str | Path,
    published: pd.DataFrame | str | Path | None = None,
    target: float | None = None,
    files: bool = True,
    formats: Iterable[Format] = ("svg", "pdf", "png"),
    style: Style = "screen",
    cache: Path | None = None,
) -> Path:
    """Write ``index.html``; the page's path. It needs no other file and no network.

    ``files`` also writes leaderboard.md, .csv, .tex and each chart in each of ``formats``; ``style`` paper is
    for print, as wide as a column. ``cache`` keeps the library that draws charts
    (0.9 MB, made in seconds). ``published`` is the table or folder of published rows (None: the one that
    comes with the harness). Raises as :func:`~harness.scoring.leaderboard.leaderboard` does, and OSError.
    """
    from harness.report.charts.chart import write
    from harness.report.page.render import charts_of, render_page

    rows = read_study(trials, epochs, studies, study=study, target=target)
    content = content_of(rows, published if isinstance(published, pd.DataFrame) else _published(published))
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = charts_of(content)
    written: list[Path] = []
    if files:
        written = [_text(folder / f"leaderboard.{suffix}", draw(content.board)) for suffix, draw in _TEXTS]
        written += write(drawn.all(), folder, formats, style)
    return _text(folder / "index.html", render_page(content, drawn, [path.name for path in written], cache))


def content_of(rows: StudyRows, published: pd.DataFrame | None) -> Content:
    """Everything that the page shows, computed."""
    shares = importances(rows.view, rows.own)
    correlations = rank_correlations(rows.view, rows.own)
    return Content(
        view=rows.view,
        board=board_of(rows, published),
        curves=tuple(one for one in curves_of_study(rows) if one.curves),
        lines=_lines(rows),
        histories=histories(rows.view, rows.own),
        importance={cell: found for cell, found in correlations.items() if cell not in shares},
        shares=shares,
        hardware=tuple(sorted({str(name) for name in rows.own["device_name"].dropna()})),
    )


_TEXTS = (("md", render_markdown), ("csv", render_csv), ("tex", render_latex))


def _text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _lines(rows: StudyRows) -> tuple[LineSet, ...]:
    """Families of metrics, and the score against every parameter that the study sweeps in its final phase."""
    found = list(families_of(rows))
    for name in swept(rows.view, rows.own):
        found += [one for one in parameter_lines(rows.view, rows.own, name) if not one.note]
    return tuple(found)


def _published(folder: str | Path | None) -> pd.DataFrame | None:
    chosen = default_folder() if folder is None else Path(folder)
    return load_published(chosen) if chosen is not None else None
