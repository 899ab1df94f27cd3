"""What a study found: the commands leaderboard and report."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import console, pipe
from harness.cli.options import DEFAULT_RESULTS, Results, StudyName
from harness.cli.results import open_study, say_problems
from harness.errors import HarnessError, UnknownNameError
from harness.store.readings import Readings

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from harness.report.choosing import Choice
    from harness.scoring.values import Board
    from harness.store.results import ResultStore

FORMATS = ("terminal", "md", "tex", "csv", "json", "parquet")
REFRESH_S = 2.0


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: harness leaderboard quickstart --full")(leaderboard)
    app.command(epilog="Example: harness report quickstart --out report")(report)


def leaderboard(
    study: StudyName,
    results: Results = DEFAULT_RESULTS,
    full: Annotated[
        bool, typer.Option("--full", help="Every table and note, not the first screen alone.")
    ] = False,
    format_: Annotated[
        str,
        typer.Option("--format", help="terminal, md, tex, csv, json or parquet; all but terminal are full."),
    ] = "terminal",
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead of printing.")] = None,
    sort: Annotated[
        str, typer.Option("--sort", help="rank, score, time, synops, energy, parameters or name.")
    ] = "rank",
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="This data set alone; may be repeated.")
    ] = None,
    pipeline: Annotated[
        list[str] | None, typer.Option("--pipeline", help="Rows of this pipeline or label; may be repeated.")
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", help="Another test metric in the place of the score.")
    ] = "",
    only_separated: Annotated[
        bool,
        typer.Option("--only-separated", help="Rows that the seeds separate from the baseline, or the best."),
    ] = False,
    target: Annotated[
        float | None, typer.Option("--target", help="Time to this validation value instead of the study's.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh while the study runs, until Ctrl-C.")
    ] = False,
) -> None:
    """The leaderboard of a study: one screen; all tables and notes with --full or a format."""
    from harness.report.choosing import Choice, choose

    if format_ not in FORMATS:
        raise UnknownNameError("format", format_, FORMATS)
    if watch and (format_ != "terminal" or out is not None or full):
        raise HarnessError("--watch shows the first screen alone: leave out --full, --format and --out.")
    choice = Choice(sort, tuple(dataset or ()), tuple(pipeline or ()), metric, only_separated)
    if watch:
        _watch(study, results, target, choice)
    board = choose(board_of(study, results, target, choice.datasets), choice)
    if format_ == "terminal" and not full and out is None:
        _first(board, study, results)
    else:
        _write(_rendered(board, format_, _later(study, results)), format_, out)


def print_first(study: str, results: str) -> None:
    """The first screen of a study's board, as ``launch`` ends with."""
    _first(board_of(study, results), study, results)


def board_of(study: str, results: str, target: float | None = None, datasets: tuple[str, ...] = ()) -> Board:
    """Read what a board needs and compute it; says which files were left out.

    A ``target`` is of one metric, so that it wants one data set where a study has several.
    """
    from harness.scoring.leaderboard import leaderboard as compute
    from harness.scoring.tables import scored_trials

    store = open_study(study, results)
    trials = store.trials(study)
    epochs = store.epochs(study, only={"trial_id": scored_trials(trials)})
    only = datasets[0] if target is not None and len(datasets) == 1 else None
    return compute(trials, epochs, _launches(store, study), study=study, target=target, dataset=only)


def _screen() -> Console:
    """The terminal; a pipe or a file has no right edge to wrap at."""
    return console if console.is_terminal or "COLUMNS" in os.environ else pipe


def _first(board: Board, study: str, results: str) -> None:
    from harness.report.first_screen import render_first

    render_first(board, _screen(), _rest(study, results))


def _rest(study: str, results: str) -> list[str]:
    """Where everything else is."""
    at = "" if results == DEFAULT_RESULTS else f" --results {results}"
    page = report_folder(study, results) / "index.html"
    return [
        *_later(study, results),
        f"all tables and notes  harness leaderboard {study} --full{at}",
        f"page with figures     {page if page.is_file() else f'harness report {study}{at}'}",
    ]


def _later(study: str, results: str) -> list[str]:
    """How often test was read after the final phase, if it was."""
    more = Readings(results, study).count()
    times = "once" if more == 1 else f"{more} times"
    return [f"harness evaluate has read test {times} more, after the final phase."] if more else []


def _watch(study: str, results: str, target: float | None, choice: Choice) -> None:
    """Until Ctrl-C, which ends the command."""
    from rich.live import Live

    from harness.report.choosing import choose
    from harness.report.first_screen import WIDTH, first_screen

    screen = _screen()

    def picture() -> object:
        board = choose(board_of(study, results, target, choice.datasets), choice)
        return first_screen(board, min(screen.width, WIDTH), _rest(study, results))

    with Live(picture(), console=screen, auto_refresh=False) as live:  # type: ignore[arg-type]
        while True:
            time.sleep(REFRESH_S)
            live.update(picture(), refresh=True)  # type: ignore[arg-type]


def _rendered(board: Board, format_: str, later: list[str]) -> str | bytes:
    from harness.report import records, tables

    if format_ == "terminal":
        screen = _screen()
        with screen.capture() as said:
            tables.render_terminal(board, screen)
        return "".join([said.get(), *(f"{line}\n" for line in later)])
    if format_ == "parquet":
        return records.render_parquet(board)
    renders: dict[str, Callable[[Board], str]] = {
        "md": tables.render_markdown,
        "tex": tables.render_latex,
        "csv": records.render_csv,
        "json": records.render_json,
    }
    return renders[format_](board)


def _write(text: str | bytes, format_: str, out: Path | None) -> None:
    if out is None:
        if format_ == "parquet" and sys.stdout.isatty():
            raise HarnessError(
                "--format parquet is not text: add --out FILE.parquet, or redirect it to a file."
            )
        typer.echo(text, nl=False)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(text if isinstance(text, bytes) else text.encode())
    except OSError as error:
        raise HarnessError(f"cannot write {out}: {error.strerror}. Choose another --out.") from None


def _launches(store: ResultStore, study: str) -> pd.DataFrame:
    """The launches, read last: says which files were left out, and raises if no launch can be read."""
    found = store.studies(study)
    if found.empty:
        store.require_readable(study)
    say_problems(store)
    return found


def report_folder(study: str, results: str) -> Path:
    """Where a study's report lies unless somebody says otherwise."""
    return Path(results if "://" not in results else ".") / "reports" / study


def write_page(
    study: str, results: str, out: Path | None, *, files: bool = False, paper: bool = False
) -> Path:
    """Write the report of a study and return its page."""
    from harness.paths import cache_root
    from harness.report.page.report import write_report

    store = open_study(study, results)
    folder = out or report_folder(study, results)
    try:
        trials, epochs = store.trials(study), store.epochs(study)
        launches = _launches(store, study)
        return write_report(
            trials,
            epochs,
            launches,
            study=study,
            out_dir=folder,
            files=files,
            style="paper" if paper else "screen",
            cache=cache_root(),
        )
    except OSError as error:
        raise HarnessError(f"cannot write the report to {folder}: {error.strerror}. Use --out.") from None


def report(
    study: StudyName,
    results: Results = DEFAULT_RESULTS,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the page and files.")] = None,
    files: Annotated[
        bool,
        typer.Option("--files", help="Beside it: figures (SVG, PDF, PNG), tables (md, tex, csv)."),
    ] = False,
    style: Annotated[
        str, typer.Option("--style", help="Of the files' figures: screen, or paper (as wide as a column).")
    ] = "screen",
) -> None:
    """One HTML page that needs no other file and no network."""
    if style not in ("screen", "paper"):
        raise UnknownNameError("style", style, ("screen", "paper"))
    page = write_page(study, results, out, files=files or style == "paper", paper=style == "paper")
    console.print(f"report  {page}", soft_wrap=True)
