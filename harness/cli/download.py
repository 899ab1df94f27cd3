"""What `harness data download` does: which sets, a bar, and what has to be fetched by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from harness.cli.console import console
from harness.errors import DataError, HarnessError, MissingDataError

if TYPE_CHECKING:
    from harness.datasets._download import Said


def run(name: str) -> None:
    """Fetch a data set, or all that a study names. Raises DataError for what has no plain address."""
    from harness.datasets._download import download
    from harness.datasets._files import data_root
    from harness.datasets._sources import SAME, SOURCES

    by_hand = []
    for dataset in _named(name):
        sources = SOURCES.get(SAME.get(dataset, dataset), ())
        if not sources:
            by_hand += _missing(dataset)
            continue
        with _bar() as said:
            for source in sources:
                download(source, data_root(), said)
        missing = _missing(dataset)
        if missing:
            raise DataError(missing[0])
        console.print(f"{dataset}: in {data_root()}", soft_wrap=True)
    if by_hand:
        raise DataError(" ".join(["no plain address:", *by_hand]))


def _named(name: str) -> list[str]:
    """The data set of this name, or the sets that a study file names, in order."""
    from harness.contracts import datasets
    from harness.contracts.registry import dataset
    from harness.shipped import find_shipped
    from harness.studyfile.yaml_lines import read_yaml

    known = datasets()
    if name in known and not known[name].source:
        return [name]
    path = Path(name) if os.path.lexists(name) else find_shipped(name, "searchspaces")
    if path is None:
        dataset(name)  # an unknown name, said with the nearest one
        raise HarnessError(f"'{name}' is read from your own file: there is nothing to fetch.")
    text = read_yaml(path)[0].plain()
    found: dict[str, None] = {}
    _collect(text.get("cells") if isinstance(text, dict) else None, set(known), found)
    return list(found)


def _collect(node: object, known: set[str], found: dict[str, None]) -> None:
    """Names of data sets under ``dataset`` and ``source.dataset`` keys, anywhere in the cells."""
    if isinstance(node, dict):
        for key, value in node.items():
            name = value.get("name") if isinstance(value, dict) else value
            if key in ("dataset", "source.dataset") and name in known:
                found.setdefault(str(name))
            _collect(value, known, found)
    elif isinstance(node, (list, tuple)):
        for item in node:
            _collect(item, known, found)


def _missing(dataset: str) -> list[str]:
    """What to fetch by hand and where to put it; nothing where the data is here."""
    from harness.contracts.registry import dataset as known

    try:
        known(dataset)().card()
    except MissingDataError as error:
        return [str(error)]
    return []


@contextmanager
def _bar() -> Iterator[Said]:
    """A bar a file on a terminal, a line a file elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    heard: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def said(name: str, have: int, whole: int) -> None:
            if name not in heard:
                heard[name] = progress.add_task(name, total=whole or None)
                if not console.is_terminal:
                    console.print(f"{name}: {whole / 2**20:.1f} MiB", soft_wrap=True)
            progress.update(heard[name], completed=have, total=whole or None)

        yield said
