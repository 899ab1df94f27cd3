"""One self-contained HTML page and the files beside it: the whole report of a study."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness.report.canvas import file_name
from harness.report.charts import histogram_figure, importance_figure, line_figure
from harness.report.figures import learning_figure, time_accuracy_figure
from harness.report.page_html import CORRELATION, Content, render_page
from harness.report.tables import render_csv, render_latex, render_markdown
from harness.scoring.curves import LineSet, curves_of_study
from harness.scoring.families import families_of, is_histogram
from harness.scoring.leaderboard import StudyRows, board_of, read_study
from harness.scoring.parameters import parameter_lines, swept
from harness.scoring.published import default_folder, load_published
from harness.scoring.search import histories, rank_correlations


def write_report(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    studies: pd.DataFrame,
    *,
    study: str,
    out_dir: str | Path,
    published: pd.DataFrame | str | Path | None = None,
    target: float | None = None,
) -> Path:
    """Write ``index.html`` with leaderboard.md, .csv, .tex and figures as PNG and SVG; the page's path.

    ``published`` is the table or folder of published rows (None: the one that comes with the harness, if it
    is there). Raises as :func:`~harness.scoring.leaderboard.leaderboard` does, and OSError.
    """
    rows = read_study(trials, epochs, studies, study=study, target=target)
    table = published if isinstance(published, pd.DataFrame) else _published(published)
    content = Content(
        view=rows.view,
        board=board_of(rows, table),
        curves=curves_of_study(rows),
        lines=_lines(rows),
        histories=histories(rows.view, rows.own),
        importance=rank_correlations(rows.view, rows.own),
        hardware=tuple(sorted({str(name) for name in rows.own["device_name"].dropna()})),
    )
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    figures = write_figures(content, folder)
    for suffix, text in (
        ("md", render_markdown(content.board)),
        ("csv", render_csv(content.board)),
        ("tex", render_latex(content.board)),
    ):
        (folder / f"leaderboard.{suffix}").write_text(text, encoding="utf-8")
    page = folder / "index.html"
    page.write_text(render_page(content, [path.name for path in figures]), encoding="utf-8")
    return page


def write_figures(content: Content, folder: Path) -> list[Path]:
    """All figures for papers."""
    found = time_accuracy_figure(content.curves, folder / "time-accuracy")
    found += learning_figure(content.curves, folder / "learning")
    for one in content.lines:
        draw = histogram_figure if is_histogram(one.y_name) else line_figure
        found += draw(one, folder / file_name(one.name, one.y_name, one.x_name))
    names = {cell.name: file_name("importance", cell.short, cell.label) for cell in content.view.cells}
    for cell, values in content.importance.items():
        found += importance_figure(values, folder / names[cell], axis=CORRELATION)
    return found


def _lines(rows: StudyRows) -> tuple[LineSet, ...]:
    """Families of metrics, and the score against every parameter that the study sweeps in its final phase."""
    found = list(families_of(rows))
    for name in swept(rows.view, rows.own):
        found += [one for one in parameter_lines(rows.view, rows.own, name) if not one.note]
    return tuple(found)


def _published(folder: str | Path | None) -> pd.DataFrame | None:
    chosen = default_folder() if folder is None else Path(folder)
    return load_published(chosen) if chosen is not None else None
