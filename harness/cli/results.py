"""Commands on tables: status, compact, merge, verify, unlock, export."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import console, stderr
from harness.cli.models import MODEL_FORMS, export_model
from harness.cli.options import DEFAULT_RESULTS, Results, StudyName, Trust
from harness.errors import HarnessError, UnknownNameError
from harness.guard import csv_text
from harness.store.models import Models
from harness.store.results import ResultStore

if TYPE_CHECKING:
    import pandas as pd


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: harness status quickstart --watch")(status)
    app.command(epilog="Example: harness compact quickstart")(compact)
    app.command(epilog="Example: harness merge ../alice/results ../bob/results")(merge)
    app.command(epilog="Example: harness verify")(verify)
    app.command(epilog="Example: harness unlock quickstart")(unlock)
    app.command(epilog="Example: harness stop quickstart")(stop)
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
    """Copy what other stores have and this one lacks; exit code 1 where not all of it could be."""
    from harness.store.joining import join

    done = join(ResultStore(results), [ResultStore(source) for source in sources])
    for line in (*done.unread, *done.disagreements):
        stderr.print(line, highlight=False, soft_wrap=True)
    console.print(f"{done.copied} attempts copied into {results}")
    if done.unread or done.disagreements:
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


def stop(
    study: StudyName,
    results: Results = DEFAULT_RESULTS,
    now: Annotated[
        bool, typer.Option("--now", help="Interrupt running trials too; they go on from their checkpoints.")
    ] = False,
) -> None:
    """Ask the driver of a study, on whatever machine, to begin no further trial and to end."""
    from harness.store.lock import BEAT_S, holder_of
    from harness.store.stopping import request_stop

    store = open_study(study, results)
    holder = holder_of(store.files, study)
    if holder is None:
        console.print(f"{study}: no driver runs it")
        return
    request_stop(store.files, study, now=now)
    what = "stops" if now else "ends when its running trials have"
    console.print(f"{study}: asked {holder}; within {BEAT_S:g} s it {what}")


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
    study: Annotated[str, typer.Argument(help="A study; STUDY/CELL for its network.")],
    results: Results = DEFAULT_RESULTS,
    to: Annotated[str, typer.Option("--to", help="csv, optuna; nir, onnx or torch.")] = "csv",
    out: Annotated[Path | None, typer.Option("--out", help="Folder (csv) or file.")] = None,
    trial: Annotated[str, typer.Option("--trial", help="The network of this final trial.")] = "",
    trust: Trust = False,
) -> None:
    """The tables as CSV, the search as an Optuna storage file, or the winner's network for other programs."""
    if to in MODEL_FORMS:
        export_model(study, results, to, out, trial, trusted=trust)
        return
    store = open_study(study, results)
    if to not in ("csv", "optuna"):
        raise UnknownNameError("export", to, ("csv", "optuna", *MODEL_FORMS))
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
