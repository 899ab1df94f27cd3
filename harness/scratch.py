"""A process's own folders in the temporary one; what a killed process left is removed at the next start."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MARK = ".owner"  # locked by the kernel while the process lives


@contextmanager
def scratch_folder(kind: str, root: str | None = None) -> Iterator[Path]:
    """A private folder in the temporary one, named after ``kind``; gone at the end, or at the next start."""
    place = Path(root or tempfile.gettempdir())
    remove_left(place)
    folder = Path(tempfile.mkdtemp(prefix=f"harness-{kind}-", dir=place))
    aside = folder / f"{_MARK}.new"
    handle = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with suppress(OSError):  # a file system without locks: the folder then stays if we are killed
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            aside.rename(folder / _MARK)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def remove_left(place: Path) -> None:
    """Remove the folders of this user's processes that are gone; nobody else's, and nothing else."""
    for mark in place.glob(f"harness-*/{_MARK}"):
        folder = mark.parent
        try:
            if folder.is_symlink() or folder.lstat().st_uid != os.getuid():
                continue
            handle = os.open(mark, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # it lives
            continue
        finally:
            os.close(handle)
