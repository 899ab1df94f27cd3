"""One self-contained HTML page and the files beside it: the whole report of a study."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from harness.report.canvas import file_name
from harness.report.charts import histogram_figure, importance_figure, line_figure
from harness.report.figures import learning_figure, time_accuracy_figure
from harness.report.page_html import Content, render_page
from harness.report.tables import render_csv, render_latex, render_markdown
from harness.scoring.curves import LineSet, time_curves
from harness.scoring.families import families, is_histogram
from harness.scoring.leaderboard import leaderboard
from harness.scoring.parameters import parameter_curves, swept
from harness.scoring.published import default_folder, load_published
from harness.scoring.search import Importance, histories, rank_correlations
from harness.scoring.tables import last_attempts, study_view

IMPORTANCE = "share of the objective's variance"
CORRELATION = "squared rank correlation with the objective (one parameter at a time)"


def write_report(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    studies: pd.DataFrame,
    *,
    study: str,
    out_dir: str | Path,
    published: pd.DataFrame | str | Path | None = None,
    importance: Importance | None = None,
    target: float | None = None,
) -> Path:
    """Write ``index.html`` with leaderboard.md, .csv, .tex and figures as PNG and SVG; the page's path.

    ``published`` is the table or folder of published rows (None: the one that comes with the harness, if it
    is there). ``importance`` maps cells to parameters to shares; without it the page shows rank correlations.
    Raises as :func:`~harness.scoring.leaderboard.leaderboard` does, and OSError.
    """
    table = published if isinstance(published, pd.DataFrame) else _published(published)
    view, own = study_view(studies, study), last_attempts(trials, study)
    content = Content(
        view=view,
        board=leaderboard(trials, epochs, studies, study=study, target=target, published=table),
        curves=time_curves(trials, epochs, studies, study=study, target=target),
        lines=_lines(trials, epochs, studies, study, swept(view, own)),
        histories=histories(view, own),
        importance=rank_correlations(view, own) if importance is None else importance,
        importance_title=CORRELATION if importance is None else IMPORTANCE,
        hardware=tuple(sorted({str(name) for name in own["device_name"].dropna()})),
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
        found += draw(one, folder / file_name(one.dataset, one.y_name, one.x_name))
    for cell, values in content.importance.items():
        what = content.importance_title
        found += importance_figure(values, folder / file_name("importance", cell), axis=what)
    return found


def _lines(
    trials: pd.DataFrame, epochs: pd.DataFrame, studies: pd.DataFrame, study: str, names: Iterable[str]
) -> tuple[LineSet, ...]:
    """Families of metrics, and the score against every parameter that the study sweeps in its final phase."""
    found = list(families(trials, epochs, studies, study=study))
    for name in names:
        sets = parameter_curves(trials, studies, study=study, parameter=name)
        found += [one for one in sets if not one.note]
    return tuple(found)


def _published(folder: str | Path | None) -> pd.DataFrame | None:
    chosen = default_folder() if folder is None else Path(folder)
    return load_published(chosen) if chosen is not None else None
