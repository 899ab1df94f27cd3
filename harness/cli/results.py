"""Commands on tables: status, leaderboard, report, compact, merge, verify, export."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import console, pipe, stderr
from harness.cli.options import DEFAULT_RESULTS, Results, StudyName, Trust
from harness.errors import HarnessError, UnknownNameError
from harness.guard import csv_text
from harness.store.models import Models
from harness.store.readings import Readings
from harness.store.results import ResultStore
from harness.trial import FINAL_STATES

if TYPE_CHECKING:
    import pandas as pd

Format = Annotated[str, typer.Option("--format", help="terminal, md, csv or tex.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: harness status quickstart --watch")(status)
    app.command(epilog="Example: harness leaderboard quickstart --format md")(leaderboard)
    app.command(epilog="Example: harness report quickstart --out report")(report)
    app.command(epilog="Example: harness compact quickstart")(compact)
    app.command(epilog="Example: harness merge ../alice/results ../bob/results")(merge)
    app.command(epilog="Example: harness verify")(verify)
    app.command(epilog="Example: harness unlock quickstart")(unlock)
    app.command(epilog="Example: harness export quickstart --to optuna --out quickstart.db")(export)


def open_study(name: str, results: str) -> ResultStore:
    """The store of a study. Raises UnknownNameError; says which files cannot be read."""
    store = ResultStore(results)
    names = store.study_names()
    if name not in names:
        raise UnknownNameError(f"study in {results}", name, names)
    return store


def say_problems(store: ResultStore) -> None:
    """Name the files that were left out."""
    for problem in store.problems:
        stderr.print(f"warning: left out: {problem.why} Run 'harness verify'.")


def status(
    study: Annotated[str, typer.Argument(help="A study; all of them if left out.")] = "",
    results: Results = DEFAULT_RESULTS,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until Ctrl-C.")] = False,
) -> None:
    """Where studies stand: trials by state and phase, best value, last activity."""
    from rich.live import Live

    from harness.report.status import render_status, study_status

    def picture() -> object:
        store = ResultStore(results)
        names = store.study_names()
        if study and study not in names:
            raise UnknownNameError(f"study in {results}", study, names)
        chosen = [study] if study else names
        if not chosen:
            return f"no study in {results} yet: harness launch searchspaces/quickstart.yaml"
        sizes = {name: Models(results, name).size() for name in chosen}
        states = [study_status(store.trials(name), store.studies(name), name, sizes[name]) for name in chosen]
        say_problems(store)
        return render_status(states)

    if not watch:
        console.print(picture())
        return
    with Live(picture(), console=console, auto_refresh=False) as live:  # type: ignore[arg-type]
        while True:
            time.sleep(2)
            live.update(picture(), refresh=True)  # type: ignore[arg-type]


def say_failures(study: str, results: str) -> None:
    """Print why trials failed, if any did."""
    from harness.report.status import study_status

    store = ResultStore(results)
    for line in study_status(store.trials(study), store.studies(study), study).failures:
        console.print(f"failed {line}", style="red", soft_wrap=True)


def print_board(study: str, results: str, target: float | None, format_: str = "terminal") -> None:
    """Compute and print a leaderboard."""
    from harness.report.tables import render_csv, render_latex, render_markdown, render_terminal
    from harness.scoring.leaderboard import leaderboard as compute

    renders = {"md": render_markdown, "csv": render_csv, "tex": render_latex}
    if format_ != "terminal" and format_ not in renders:
        raise UnknownNameError("format", format_, ("terminal", *renders))
    store = open_study(study, results)
    trials = store.trials(study)
    epochs = store.epochs(study, only={"trial_id": _scored(trials)})
    board = compute(trials, epochs, _launches(store, study), study=study, target=target)
    if format_ == "terminal":
        render_terminal(board, console if console.is_terminal or "COLUMNS" in os.environ else pipe)
        more = Readings(results, study).count()
        if more:
            times = "once" if more == 1 else f"{more} times"
            console.print(f"harness evaluate has read test {times} more, after the final phase.")
    else:
        typer.echo(renders[format_](board), nl=False)


def _launches(store: ResultStore, study: str) -> pd.DataFrame:
    """The launches, read last: says which files were left out, and raises if no launch can be read."""
    found = store.studies(study)
    if found.empty:
        store.require_readable(study)
    say_problems(store)
    return found


def _scored(trials: pd.DataFrame) -> list[str]:
    """The trials whose epochs a board may show: of a cell without finished final seeds, all."""
    final = trials[(trials["phase"] == "final") & trials["state"].isin(FINAL_STATES)]
    others = trials[~trials["cell"].isin(set(final["cell"]))]
    return [*final["trial_id"], *others["trial_id"]]


def leaderboard(
    study: StudyName,
    results: Results = DEFAULT_RESULTS,
    format_: Format = "terminal",
    target: Annotated[
        float | None, typer.Option("--target", help="Time to this validation value instead of the study's.")
    ] = None,
) -> None:
    """The leaderboard of a study: final seeds, intervals, times, costs."""
    print_board(study, results, target, format_)


def write_page(
    study: str, results: str, out: Path | None, *, files: bool = False, paper: bool = False
) -> Path:
    """Write the report of a study and return its page."""
    from harness.paths import cache_root
    from harness.report.page.report import write_report

    store = open_study(study, results)
    folder = out or Path(results if "://" not in results else ".") / "reports" / study
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


def compact(study: StudyName, results: Results = DEFAULT_RESULTS) -> None:
    """Merge a study's finished parts into one file a table and drop checkpoints of finished trials."""
    from harness.store.lock import StudyLock

    store = open_study(study, results)
    with StudyLock(store.files, study):
        count = store.compact(study)
    say_problems(store)
    console.print(f"{study}: {count} parts merged" if count else f"{study}: nothing to merge")


def merge(
    sources: Annotated[list[str], typer.Argument(help="Result folders of other users or clusters.")],
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Copy what other stores have and this one lacks."""
    from harness.store.joining import join

    done = join(ResultStore(results), [ResultStore(source) for source in sources])
    for line in done.disagreements:
        stderr.print(line, highlight=False)
    console.print(f"{done.copied} attempts copied into {results}")
    if done.disagreements:
        raise typer.Exit(1)


def verify(results: Results = DEFAULT_RESULTS) -> None:
    """Read every file; set unreadable ones aside in quarantine/, make doubled rows one; exit code 1."""
    from harness.store.verify import verify as check

    store = ResultStore(results)
    found = check(store)
    lines = [f"quarantined: {problem.why}" for problem in found.aside]
    for line in (*lines, *found.mended, *found.left):
        console.print(line, highlight=False, soft_wrap=True)
    attempts, studies = len(store.trials(None, ["trial_id"])), len(store.study_names())
    console.print(f"{attempts} attempts in {studies} studies; {len(found.aside)} files set aside")
    if found.aside or found.mended or found.left:
        raise typer.Exit(1)


def unlock(study: StudyName, results: Results = DEFAULT_RESULTS) -> None:
    """Remove the lock of a driver that is gone; one that runs on this machine keeps it."""
    from harness.store.lock import unlock as remove

    store = ResultStore(results)
    names = store.study_names()
    if study not in names:
        raise UnknownNameError(f"study in {results}", study, names)
    holder = remove(store.files, study)
    console.print(f"{study}: no driver holds it" + (f"; the lock was of {holder}" if holder else ""))


def export(
    study: StudyName,
    results: Results = DEFAULT_RESULTS,
    to: Annotated[str, typer.Option("--to", help="csv or optuna.")] = "csv",
    out: Annotated[Path | None, typer.Option("--out", help="Folder (csv) or file (optuna).")] = None,
    trust: Trust = False,
) -> None:
    """The tables as CSV, or the search as an Optuna storage file that optuna-dashboard opens."""
    store = open_study(study, results)
    if to not in ("csv", "optuna"):
        raise UnknownNameError("export", to, ("csv", "optuna"))
    place = out or Path(f"{study}-csv" if to == "csv" else f"{study}.db")
    try:
        said = _export_csv(store, study, place) if to == "csv" else _export_optuna(store, study, place, trust)
    except OSError as error:
        raise HarnessError(
            f"cannot write {place}: {error.strerror or error}. Choose another --out."
        ) from None
    say_problems(store)
    console.print(said, soft_wrap=True)


def _export_csv(store: ResultStore, study: str, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"trials": store.trials(study), "epochs": store.epochs(study), "studies": store.studies(study)}
    for name, table in tables.items():
        _as_text(_spread(table)).to_csv(folder / f"{name}.csv", index=False)
    return f"tables  {folder}"


def _spread(rows: pd.DataFrame) -> pd.DataFrame:
    """Maps as columns of their own (``params.optimizer.lr``), lists as text: what CSV can hold."""
    import pandas as pd

    from harness.report.formatting import natural

    found: dict[str, pd.Series] = {}
    for name, values in rows.items():
        held = [value for value in values if isinstance(value, (dict, list))]
        keys = dict.fromkeys(key for value in held if isinstance(value, dict) for key in value)
        for key in sorted(keys, key=natural):
            one = [value.get(key) if isinstance(value, dict) else None for value in values]
            found[f"{name}.{key}"] = pd.Series(map(_plain_text, one), index=rows.index, dtype=object)
        if not keys:
            found[str(name)] = values.map(_plain_text) if held else values
    return pd.DataFrame(found)


def _plain_text(value: object) -> object:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _as_text(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with text that steers no terminal and that no spreadsheet takes for a formula."""
    texts = rows.select_dtypes(["object", "str"]).columns
    safe = {name: {v: csv_text(v) for v in rows[name].unique() if isinstance(v, str)} for name in texts}
    return rows.assign(**{name: rows[name].map(known) for name, known in safe.items() if known})


def _export_optuna(store: ResultStore, study: str, path: Path, trusted: bool) -> str:
    from harness.study.optuna_export import export_optuna

    path.parent.mkdir(parents=True, exist_ok=True)
    names = export_optuna(store, study, path, trusted=trusted)
    address = f"sqlite:///{path}" if path.suffix in (".db", ".sqlite", ".sqlite3") else str(path)
    return f"{len(names)} Optuna studies in {path}: optuna-dashboard {address}"
