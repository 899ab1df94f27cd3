"""``harness sync``: what trackers lack of a study, from its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from harness.cli.console import console, stderr
from harness.cli.options import DEFAULT_RESULTS, Results, StudyName
from harness.cli.results import open_study, say_problems
from harness.errors import HarnessError
from harness.guard import one_line
from harness.store.merging import plain
from harness.trial import FINAL_STATES

if TYPE_CHECKING:
    from harness.store.results import ResultStore
    from harness.trackers.run import Run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: harness sync quickstart --to tensorboard")(sync)


def sync(
    study: StudyName,
    results: Results = DEFAULT_RESULTS,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", help="tensorboard, mlflow, wandb or csv; else the study's own."),
    ] = None,
) -> None:
    """Mirror ended trials to trackers that lack them: what was left out while a tracker was down, or all."""
    from harness.trackers.mirror import backfill, open_tracker

    store = open_study(study, results)
    names = to or _own(store, study)
    if not names:
        raise HarnessError(
            f"study '{study}' reports to no tracker: name one with --to tensorboard, mlflow, wandb or csv."
        )
    failed = False
    for name in names:
        tracker = open_tracker(name, store.files.root)
        try:
            count = backfill(tracker, _runs(store, study))
        except HarnessError:
            raise
        except Exception as error:  # a tracker is code of strangers
            said = one_line(str(error) or type(error).__name__)[:200]
            stderr.print(
                f"tracker {name}: {said}. Run harness sync {study} again when it is back.", highlight=False
            )
            failed = True
            continue
        console.print(f"{name}: {count} trials of '{study}' mirrored", soft_wrap=True, highlight=False)
    say_problems(store)
    if failed:
        raise typer.Exit(1)


def _own(store: ResultStore, study: str) -> Sequence[str]:
    """The trackers of the study's last launch."""
    launch = store.studies(study).sort_values("launch").iloc[-1]
    found: Any = (yaml.safe_load(str(launch["text"])) or {}).get("report_to") or ()
    for override in launch["overrides"] or ():
        key, _, value = str(override).partition("=")
        if key == "report_to":
            found = yaml.safe_load(value) or ()
    return [str(name) for name in found]


def _runs(store: ResultStore, study: str) -> Iterator[Run]:
    from harness.trackers.run import run_of

    epochs = store.epochs(study)
    curves = dict(iter(epochs.groupby(["trial_id", "attempt"], sort=False)))
    rows = store.trials(study)
    for record in rows[rows["state"].isin(FINAL_STATES)].to_dict("records"):
        row: Mapping[str, Any] = plain(record)
        own = curves.get((row["trial_id"], row["attempt"]))
        yield run_of(row, [] if own is None else own.to_dict("records"))  # type: ignore[arg-type]
