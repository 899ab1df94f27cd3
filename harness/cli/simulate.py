"""``harness simulate``: which sampler and pruner would have needed the fewest epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.cli.options import DEFAULT_RESULTS, Results, Set, StudyFile
from harness.errors import UnknownNameError

if TYPE_CHECKING:
    from harness.study.replay import StoredCurves, SyntheticCurves
    from harness.study.strategies import Outcome
    from harness.studyfile.values import StudySpec

console = Console()
SYNTHETIC = "synthetic"
From = Annotated[
    str,
    typer.Option("--from", help="The finished study whose curves are replayed, or 'synthetic'."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: harness simulate searchspaces/quickstart.yaml --from quickstart")(simulate)


def simulate(
    file: StudyFile,
    source: From = SYNTHETIC,
    replays: Annotated[int, typer.Option(min=1, max=1000, help="Repetitions with seeds of their own.")] = 20,
    slots: Annotated[int, typer.Option(min=1, max=100_000, help="Trials that run at once.")] = 1,
    results: Results = DEFAULT_RESULTS,
    set_: Set = None,
) -> None:
    """Replay curves through samplers and pruners; say how many epochs each needs. Trains nothing."""
    from harness.study.strategies import compare
    from harness.studyfile.load import load_study

    spec = load_study(file, set_ or ())
    outcomes = compare(spec, curves(spec, source, results), replays=replays, slots=slots)
    for cell, found in outcomes.items():
        _print(cell, found, spec, replays)


def curves(spec: StudySpec, source: str, results: str) -> StoredCurves | SyntheticCurves:
    """Where curves come from. Raises HarnessError for a study that is not in the store."""
    from harness.store.results import ResultStore
    from harness.study.replay import StoredCurves, SyntheticCurves

    if source == SYNTHETIC:
        return SyntheticCurves(spec)
    store = ResultStore(results)
    if source not in store.study_names():
        raise UnknownNameError(f"study in {results}", source, (*store.study_names(), SYNTHETIC))
    return StoredCurves(store, source, spec)


def _print(cell: str, outcomes: tuple[Outcome, ...], spec: StudySpec, replays: int) -> None:
    budget = spec.search.trials * spec.search.epochs
    random = outcomes[0].median
    table = Table("strategy", "epochs to within 1 %", "quarter to three quarters", "reached", "of random's")
    table.title, table.title_justify, table.box = (
        f"{cell}: {replays} replays of {budget} epochs",
        "left",
        None,
    )
    for outcome in outcomes:
        low, high = outcome.quantile(0.25), outcome.quantile(0.75)
        ratio = "" if outcome is outcomes[0] else _ratio(outcome.median, random, budget)
        table.add_row(
            outcome.strategy,
            _count(outcome.median, budget),
            f"{_count(low, budget)} to {_count(high, budget)}",
            f"{outcome.reached} of {replays}",
            ratio,
        )
    console.print(table)


def _count(epochs: float, budget: int) -> str:
    return f"{epochs:.0f}" if math.isfinite(epochs) else f"> {budget}"


def _ratio(mine: float, random: float, budget: int) -> str:
    """The ratio of medians; where random never arrived, at most that."""
    if not math.isfinite(mine):
        return "not reached"
    return f"{mine / random:.2f}" if math.isfinite(random) else f"< {mine / budget:.2f}"
