"""Data prepared once a node: memory-mapped arrays under a content hash, behind a file lock.

The folder is ``$HARNESS_CACHE`` or ``~/.cache/snn-harness``. All trials of a node map the same pages.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock

from harness import __version__
from harness.contracts.data import Arrays, Dataset
from harness.errors import DataError
from harness.ids import content_id
from harness.paths import cache_root


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
        for left in folder.parent.glob(f".{folder.name}.*.aside"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
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
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.aside")
    try:
        aside.mkdir(parents=True)
        for name, array in arrays.items():
            np.save(aside / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
        (aside / "arrays.json").write_text(json.dumps(sorted(arrays)))
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(aside, folder)
    except OSError as error:
        raise _cannot_write(folder, arrays, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _cannot_write(folder: Path, arrays: Arrays, error: OSError) -> DataError:
    """NumPy says of a full disk only how many items it wrote; how much room there is tells why."""
    needs, free = sum(array.nbytes for array in arrays.values()), -1
    with suppress(OSError):
        free = shutil.disk_usage(folder.parent).free
    full = (
        error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or error.errno is None or 0 <= free < needs
    )
    why = "the disk is full" if full else error.strerror or str(error)
    return DataError(
        f"cannot write prepared data to {folder}: {why} ({needs / 2**20:.0f} MiB are needed, "
        f"{free / 2**20:.0f} MiB are free). Make room, or set HARNESS_CACHE to a folder that has it."
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError as error:
        raise DataError(
            f"cache folder {path.parent}: {error.strerror or error}. Set HARNESS_CACHE."
        ) from None
    try:
        yield
    finally:
        lock.release()
