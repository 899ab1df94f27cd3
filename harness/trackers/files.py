"""Trackers that are files: CSV, and TensorBoard's event files through tensorboardX."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness.guard import csv_text
from harness.trackers.run import Run, place


class CsvTracker:
    """``trackers/csv/<study>/<cell>/<trial>-<attempt>.csv`` of curves, and a JSON beside it of the rest."""

    def __init__(self, root: str) -> None:
        self._root = place(root, "csv")

    def _path(self, run: Run) -> Path:
        return self._root / run.study / _folder(run.cell) / f"{run.key}.csv"

    def has(self, run: Run) -> bool:
        """Whether its file is there."""
        return self._path(run).is_file()

    def write(self, run: Run) -> None:
        """Write both files; the curves' last, which is what counts."""
        path = self._path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        rest = {"params": run.params, "tags": run.tags, "results": run.results}
        path.with_suffix(".json").write_text(json.dumps(rest, indent=1), encoding="utf-8")
        aside = path.with_name(f".{path.name}")
        with aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("metric", "epoch", "value"))
            writer.writerows((csv_text(name), epoch, value) for name, epoch, value in run.curves)
        os.replace(aside, path)


class TensorBoardTracker:
    """``trackers/tensorboard/<study>/<cell>/<trial>-<attempt>/``: scalars, parameters and tags of a run."""

    def __init__(self, root: str) -> None:
        import tensorboardX

        self._library, self._root = tensorboardX, place(root, "tensorboard")

    def _path(self, run: Run) -> Path:
        return self._root / run.study / _folder(run.cell) / run.key

    def has(self, run: Run) -> bool:
        """Whether its folder is there."""
        return self._path(run).is_dir()

    def write(self, run: Run) -> None:
        """Write aside, then rename: a folder is whole."""
        path = self._path(run)
        aside = path.with_name(f".{path.name}")
        shutil.rmtree(aside, ignore_errors=True)
        with self._library.SummaryWriter(str(aside)) as writer:
            for name, epoch, value in run.curves:
                writer.add_scalar(name, value, epoch)
            for name, value in run.results.items():
                writer.add_scalar(f"result/{name}", value, 0)
            writer.add_text("parameters", _table(run.params))
            writer.add_text("tags", _table(run.tags))
        shutil.rmtree(path, ignore_errors=True)
        os.replace(aside, path)


def _table(values: Mapping[str, object]) -> str:
    return "| | |\n|-|-|\n" + "\n".join(f"| {name} | {value} |" for name, value in sorted(values.items()))


def _folder(cell: str) -> str:
    return cell.replace("/", "-")
