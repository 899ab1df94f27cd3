"""Data prepared once a node: memory-mapped arrays under a content hash, behind a file lock.

The folder is ``$HARNESS_CACHE`` or ``~/.cache/snn-harness``. All trials of a node map the same pages.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from harness import __version__
from harness.contracts.data import Arrays, Dataset
from harness.contracts.paths import cache_root
from harness.errors import DataError
from harness.ids import content_id


def prepared(dataset: Dataset) -> Arrays:
    """The arrays of a data set, memory mapped; prepares them if no process of this node has.

    Raises MissingDataError and DataError.
    """
    card = dataset.card()
    key = content_id(
        {
            "name": dataset.name,
            "revision": card.revision,
            "options": dataset.options.model_dump(mode="json"),
            "key": list(dataset.cache_key()),
            "version": __version__,
        }
    )
    folder = cache_root() / f"{card.name}-{key}"
    arrays = _open(folder)
    if arrays is not None:
        return arrays
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cache folder {folder.parent}: {error.strerror}. Set HARNESS_CACHE.") from None
    with _locked(folder.with_name(f".{folder.name}.lock")):
        arrays = _open(folder)
        if arrays is None:
            _write(folder, dataset.prepare())
            arrays = _open(folder)
    if arrays is None:
        raise DataError(f"data set '{card.name}': the prepared copy in {folder} cannot be read back.")
    return arrays


def _open(folder: Path) -> Arrays | None:
    try:
        names = json.loads((folder / "arrays.json").read_text())
        return {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
    except (OSError, ValueError):
        return None


def _write(folder: Path, arrays: Arrays) -> None:
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    aside.mkdir(parents=True)
    try:
        for name, array in arrays.items():
            np.save(aside / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
        (aside / "arrays.json").write_text(json.dumps(sorted(arrays)))
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(aside, folder)
    except OSError as error:
        raise DataError(
            f"cannot write prepared data to {folder}: {error.strerror}. Set HARNESS_CACHE."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
