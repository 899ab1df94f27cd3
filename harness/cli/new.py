"""``harness new study`` and ``harness data inspect``: from a file to a study that runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import console
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.contracts.data import DatasetCard
    from harness.datasets.own._look import Look

app = typer.Typer(help="Begin something: a study file from three answers.")


def inspect(
    file: Annotated[Path, typer.Argument(help="npz, h5, csv, txt, parquet, or a folder of images.")],
) -> None:
    """What a file holds as the readers see it, and the dataset: line to paste into a study."""
    from harness.datasets.own._look import look

    seen = look(file)
    card = _card(seen)
    width = max(len(name) for name, _ in seen.facts)
    for name, words in seen.facts:
        console.print(f"{name:{width}}  {words}", soft_wrap=True, highlight=False)
    for picture in seen.pictures:
        console.print(f"\n{picture}", soft_wrap=True, highlight=False)
    counts = "/".join(map(str, card.counts))
    console.print(
        f"\n{card.task}, layout {card.layout}, sample {card.shape}, train/valid/test {counts}",
        highlight=False,
    )
    for guess in seen.unsure:
        console.print(f"guessed: {guess}", soft_wrap=True, highlight=False)
    console.print(f"\n{seen.line}", soft_wrap=True, highlight=False)


@app.command(
    epilog="Example: harness new study --data my.npz --pipelines ann,direct --budget normal -o my.yaml"
)
def study(
    data: Annotated[str, typer.Option("--data", help="Your file or folder, or a data set's name.")] = "",
    pipelines: Annotated[
        str, typer.Option("--pipelines", help="Names with commas; empty: a first choice.")
    ] = "",
    budget: Annotated[str, typer.Option("--budget", help="quick, normal or thorough.")] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The study file to write.")] = None,
) -> None:
    """Write a commented study file that passes check; asks for what is not given."""
    from harness.studyfile.new import BUDGETS, FIRST, study_text, suitable, validate

    data = data or _ask("Data (a file, a folder, or a name of 'harness data list')", "--data")
    line, card = _dataset(data)
    if not pipelines and not budget and sys.stdin.isatty():
        console.print(f"pipelines that fit: {', '.join(suitable(card))}", soft_wrap=True)
        pipelines = typer.prompt("Pipelines", default=",".join(FIRST[card.task]))
    shown = ", ".join(f"{name} ({plan.words})" for name, plan in BUDGETS.items())
    budget = budget or _ask(f"Budget: {shown}", "--budget", "quick")
    name = (out.stem if out else f"{Path(data).stem}-first").replace(" ", "-")
    path = out or Path(f"{name}.yaml")
    if path.exists():
        raise HarnessError(f"{path} is there already: choose another name with -o.")
    chosen = [part.strip() for part in pipelines.split(",") if part.strip()]
    text = study_text(name, line, card, chosen, budget)
    validate(text, path)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror or error}. Choose another -o.") from None
    console.print(
        f"{path}\nnext: harness check {path}; harness launch {path}", soft_wrap=True, highlight=False
    )


def _dataset(data: str) -> tuple[str, DatasetCard]:
    """The line of a file, made absolute, or of a data set that has a name."""
    from harness.contracts import registry
    from harness.datasets.own._look import look

    path = Path(data).expanduser()
    if path.exists():
        seen = look(path.absolute())
        return seen.line, _card(seen)
    known = {name for name, kind in registry.datasets().items() if not kind.source}
    if data not in known and ("/" in data or path.suffix):
        raise HarnessError(
            f"{data}: no such file. Name a file, a folder, or a data set of 'harness data list'."
        )
    return f"dataset: {data}", registry.dataset(data)().card()


def _card(seen: Look) -> DatasetCard:
    from harness.contracts import registry

    kind = registry.dataset(seen.kind)
    return kind(kind.Options(path=str(seen.path), **dict(seen.options))).card()


def _ask(question: str, option: str, default: str | None = None) -> str:
    """The answer of a person; without one at a terminal the default, or an error that names the option."""
    if sys.stdin.isatty():
        return str(typer.prompt(question, default=default))
    if default is None:
        raise HarnessError(f"nobody is here to ask: give {option}.")
    return default
