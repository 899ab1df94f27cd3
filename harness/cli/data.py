"""Commands on data: list, prepare, verify, convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.cli.console import console
from harness.errors import DataError, HarnessError, MissingDataError

app = typer.Typer(help="Data sets: what there is, prepare and verify it, convert images and video to events.")
convert_app = typer.Typer(help="Convert images or video clips to event files (ES-ImageNet layout).")
app.add_typer(convert_app, name="convert")
Workers = Annotated[int, typer.Option("--workers", help="Processes; 0 is one a core, through Ray.")]


@app.command(name="list", epilog="Example: harness data list")
def list_() -> None:
    """Every data set, whether its data is here, and where that is."""
    from harness.contracts import datasets
    from harness.datasets._files import data_root
    from harness.paths import cache_root

    table = Table(box=None)
    for heading in ("name", "task", "sample", "train/valid/test", "state"):
        table.add_column(heading, no_wrap=heading == "name")
    for name, kind in sorted(datasets().items()):
        if kind.source:
            table.add_row(f"{{{name}: FILE}}", "", "", "", "your own file")
            continue
        try:
            card = kind().card()
        except DataError as error:
            table.add_row(
                name, "", "", "", _absent(name) if isinstance(error, MissingDataError) else f"wrong: {error}"
            )
            continue
        except HarnessError as error:
            table.add_row(name, "", "", "", str(error))
            continue
        counts = "/".join(map(str, card.counts))
        table.add_row(name, card.task, f"{card.layout} {card.shape}", counts, "here")
    console.print(table)
    console.print(f"data in {data_root()}, prepared copies in {cache_root()}", soft_wrap=True)


def _absent(name: str) -> str:
    from harness.datasets._sources import SAME, SOURCES

    return "missing, harness data download" if SAME.get(name, name) in SOURCES else "missing, by hand"


@app.command(epilog="Example: harness data download delays-ssc")
def download(name: Annotated[str, typer.Argument(help="A data set, or a study: all that it names.")]) -> None:
    """Fetch data into HARNESS_DATA: resumed after a cut, checked, unpacked safely."""
    from harness.cli.download import run

    run(name)


@app.command(epilog="Example: harness data prepare digits")
def prepare(name: Annotated[str, typer.Argument(help="A data set.")]) -> None:
    """Make the memory-mapped arrays of a data set, as the first trial on this node would."""
    from harness.cache import prepared
    from harness.contracts.registry import dataset
    from harness.paths import cache_root

    arrays = prepared(dataset(name)())
    size = sum(array.nbytes for array in arrays.values())
    console.print(f"{name}: {size / 2**20:.1f} MiB in {cache_root()}", soft_wrap=True)


@app.command(epilog="Example: harness data verify nmnist-small")
def verify(name: Annotated[str, typer.Argument(help="A data set.")]) -> None:
    """Read a data set from its source and check it against its card."""
    from harness.contracts.registry import dataset

    found = dataset(name)()
    card = found.card()
    arrays = found.prepare()
    for split, count in zip(("train", "valid", "test"), card.counts, strict=True):
        have = len(found.split(arrays, split))  # type: ignore[arg-type]
        if have != count:
            raise DataError(f"data set '{name}': {split} has {have} samples, its card says {count}.")
    console.print(f"{name}: revision {card.revision}, {card.counts} samples, as its card says")


@convert_app.command(epilog="Example: harness data convert odg photos/ events/")
def odg(images: Path, out: Path, workers: Workers = 0) -> None:
    """Images to events by nine small shifts (ODG), as ES-ImageNet was made. Resumable."""
    from harness.cli.convert import run

    run("odg", images, out, workers)


@convert_app.command(epilog="Example: harness data convert video clips/ events/")
def video(clips: Path, out: Path, workers: Workers = 0) -> None:
    """Video clips (folders of frames) to events by per-clip percentiles, as ES-UCF101 was made. Resumable."""
    from harness.cli.convert import run

    run("video", clips, out, workers)
