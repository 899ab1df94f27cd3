"""Commands on kept networks: predict, evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import console
from harness.cli.options import DEFAULT_RESULTS, Results, Trust
from harness.errors import HarnessError, UnknownNameError

if TYPE_CHECKING:
    from harness.kept.network import KeptModel
    from harness.store.results import ResultStore

MODEL_FORMS = ("nir", "onnx", "torch")
Wanted = Annotated[str, typer.Argument(help="STUDY, or STUDY/CELL as the board names it.")]
Trial = Annotated[str, typer.Option("--trial", help="A final trial's id instead of the winner.")]
Ensemble = Annotated[bool, typer.Option("--ensemble", help="The mean over all final seeds.")]
Which = Annotated[str, typer.Option("--weights", help="'best' (by validation) or 'last' epoch.")]
Plugin = Annotated[
    list[Path] | None, typer.Option("--plugin", help="A plug-in file that the store lacks; may be repeated.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: harness predict quickstart/digits/direct --data new.npz -o out.parquet")(
        predict
    )
    app.command(epilog="Example: harness evaluate quickstart/digits/direct --data labelled.npz")(evaluate)


def predict(
    wanted: Wanted,
    data: Annotated[Path, typer.Option("--data", help="A file or folder of the data set's own form.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A .parquet or .csv file to write.")],
    results: Results = DEFAULT_RESULTS,
    trial: Trial = "",
    ensemble: Ensemble = False,
    weights: Which = "best",
    plugin: Plugin = None,
    trust: Trust = False,
) -> None:
    """The winner on new data: class probabilities, or forecasts in the file's units, a row a sample."""
    if out.suffix not in (".parquet", ".csv"):
        raise HarnessError(f"-o {out}: expected a name that ends in .parquet or .csv.")
    models, said = _open(results, wanted, trial, ensemble, weights, plugin or (), trusted=trust)
    from harness.kept.predict import predict as run
    from harness.kept.samples import read_samples

    found = run(models, read_samples(models[0], data))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        found.to_parquet(out, index=False) if out.suffix == ".parquet" else found.to_csv(out, index=False)
    except OSError as error:
        raise HarnessError(f"cannot write {out}: {error.strerror or error}. Choose another -o.") from None
    _say(said)
    console.print(f"{len(found)} samples  {out}", soft_wrap=True)


def evaluate(
    wanted: Wanted,
    data: Annotated[
        Path | None, typer.Option("--data", help="A labelled file; without it a split of the study's data.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="test, valid or train of the study's data.")] = "test",
    results: Results = DEFAULT_RESULTS,
    trial: Trial = "",
    ensemble: Ensemble = False,
    weights: Which = "best",
    plugin: Plugin = None,
    trust: Trust = False,
) -> None:
    """Metrics of the winner on labelled data. On the test split it counts as another reading of test."""
    if split not in ("train", "valid", "test"):
        raise UnknownNameError("split", split, ("train", "valid", "test"))
    models, said = _open(results, wanted, trial, ensemble, weights, plugin or (), trusted=trust)
    from harness.kept.evaluate import evaluate_samples, evaluate_split
    from harness.kept.samples import read_samples

    if data is None:
        metrics, readings = evaluate_split(models, results, split)  # type: ignore[arg-type]
    else:
        metrics, readings = evaluate_samples(models, read_samples(models[0], data, targets=True), results)
    _say(said)
    for name, value in metrics.items():
        console.print(f"{name}  {value!r}", soft_wrap=True, highlight=False)
    if readings:
        card = models[0].card
        console.print(
            f"test of '{card.study}/{card.cell}' has now been read {readings} times after its final phase: "
            "what is chosen by these numbers needs other data to be tested on.",
            soft_wrap=True,
        )


def export_model(wanted: str, results: str, to: str, out: Path | None, trial: str, *, trusted: bool) -> None:
    """Write the network that is meant in a form that other programs read."""
    models, said = _open(results, wanted, trial, False, "best", (), trusted=trusted)
    from harness.kept.export import SUFFIXES, write

    path = out or Path(f"{wanted.replace('/', '-')}{SUFFIXES[to]}")
    try:
        words = write(models[0], to, path)
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror or error}. Choose another --out.") from None
    _say(said)
    console.print(f"{path}  {words}", soft_wrap=True, highlight=False)


def _open(
    results: str,
    wanted: str,
    trial: str,
    ensemble: bool,
    weights: str,
    plugins: Sequence[Path],
    *,
    trusted: bool,
) -> tuple[list[KeptModel], list[str]]:
    """The networks that are meant, built again, and a line each that says which and why."""
    if weights not in ("best", "last"):
        raise UnknownNameError("weights", weights, ("best", "last"))
    if trial and ensemble:
        raise HarnessError("--trial names one network and --ensemble all final seeds: keep one of them.")
    from harness.kept.choose import choose
    from harness.kept.network import open_model
    from harness.store.results import ResultStore
    from harness.train.metadata import code_version

    store: ResultStore = ResultStore(results)
    chosen = choose(store, wanted, trial=trial, ensemble=ensemble)
    texts = [(str(path), _text(path)) for path in plugins]
    models, said = [], []
    for card in chosen.cards:
        other = "" if card.code == code_version() else f"; made by other code of the harness ({card.code})"
        said.append(f"{card.name}: {chosen.why}{other}")
        models.append(
            open_model(store, card, which=weights, plugins=texts, trusted=trusted)  # type: ignore[arg-type]
        )
    return models, said


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def _text(path: Path) -> str:
    from harness.guard import read_regular

    try:
        return read_regular(path, 1 << 20).decode("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise HarnessError(f"plug-in {path} cannot be read: {reason}.") from None
