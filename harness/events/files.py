"""Converted files: found, written aside and renamed, so that what has its name is whole."""

import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

_ASIDE: Final = ".aside-"


class Together:
    """Files written aside, flushed and renamed together where the block ends without an error.

    A flush of the disk takes as long for one small file as for thirty. Killed before, none of them has
    its name; killed between the renames, those that have are whole. Raises DataError where the disk
    refuses, and leaves nothing behind.
    """

    def __init__(self) -> None:
        self._asides: dict[Path, Path] = {}

    def __enter__(self) -> Self:
        return self

    def npz(self, path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
        """A compressed .npz; the same arrays give the same bytes."""
        self._write(path, lambda file: np.savez_compressed(file, **dict(arrays)))  # type: ignore[arg-type]

    def lines(self, path: Path, lines: Iterable[str]) -> None:
        """A text file, one line after another, so that a million of them need no memory."""
        self._write(path, lambda file: file.writelines(f"{line}\n".encode() for line in lines))

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            for aside in self._asides.values():
                with suppress(OSError):
                    aside.unlink()

    def _write(self, path: Path, content: Callable[[IO[bytes]], object]) -> None:
        with _refusal(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = self._asides[path] = path.with_name(f"{_ASIDE}{uuid.uuid4().hex[:12]}")
            with aside.open("wb") as file:
                content(file)

    def _commit(self) -> None:
        for path, aside in self._asides.items():
            with _refusal(path), aside.open("rb") as file:
                os.fsync(file.fileno())
        for path in list(self._asides):
            with _refusal(path):
                self._asides[path].replace(path)
                del self._asides[path]


def write_text(path: Path, text: str) -> None:
    """Write a text file aside, fsync, rename. Raises DataError where the disk refuses."""
    with Together() as files:
        files.lines(path, text.splitlines())


@contextmanager
def _refusal(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
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
