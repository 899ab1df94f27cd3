"""Converted files: found, written aside and renamed, so that what has its name is whole."""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

_ASIDE: Final = ".aside-"


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed .npz aside, fsync, rename. Raises DataError where the disk refuses.

    The same arrays give the same bytes.
    """
    aside = path.with_name(f"{_ASIDE}{uuid.uuid4().hex[:12]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub wants a bool
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error.strerror}. What is finished stays") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file aside, fsync, rename. Raises DataError where the disk refuses."""
    aside = path.with_name(f"{_ASIDE}{uuid.uuid4().hex[:12]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error.strerror}. What is finished stays") from error


def remove_asides(root: Path) -> int:
    """Remove what killed writers left behind below a folder; returns how many."""
    left = 0
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith(_ASIDE):
                Path(folder, name).unlink(missing_ok=True)
                left += 1
    return left
