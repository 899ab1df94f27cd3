"""Converted files: found, written aside and renamed, so that what has its name is whole."""

import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

_ASIDE: Final = ".aside-"


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed .npz aside, fsync, rename. Raises DataError where the disk refuses.

    The same arrays give the same bytes.
    """
    _write(path, lambda file: np.savez_compressed(file, **dict(arrays)))  # type: ignore[arg-type]


def write_text(path: Path, text: str) -> None:
    """Write a text file aside, fsync, rename. Raises DataError where the disk refuses."""
    _write(path, lambda file: file.write(text.encode()))


def _write(path: Path, content: Callable[[IO[bytes]], object]) -> None:
    aside = path.with_name(f"{_ASIDE}{uuid.uuid4().hex[:12]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            content(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
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
