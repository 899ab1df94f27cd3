"""HDF5 files of strangers: opened only if everything in them lies in them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py

from harness.errors import DataError


def open_hdf5(path: Path) -> Any:
    """An ``h5py.File`` for reading, to be closed by the caller.

    Raises DataError where something inside names another file (external storage, an external link, a virtual
    set), which would be read in its place; OSError where the file is no HDF5.
    """
    if not path.is_file():
        raise OSError(f"{path} is not a file")
    stat = path.stat()
    outside = _outside(path, stat.st_size, stat.st_mtime_ns)
    if outside:
        raise DataError(
            f"{path}: {outside}: refused, data is read from the file that is named alone. "
            "Copy the values into the file (h5repack, or read and write them with h5py)."
        )
    return h5py.File(path, "r")


@lru_cache(maxsize=64)
def _outside(path: Path, size: int, mtime_ns: int) -> str:
    """What in a file names another one, "" if nothing does."""
    with h5py.File(path, "r") as file:

        def visit(name: str, link: Any) -> str | None:
            if isinstance(link, h5py.ExternalLink):
                return f"'{name}' is a link to {link.filename!r}"
            return _elsewhere(name, file[name]) if isinstance(link, h5py.HardLink) else None

        try:
            return file.visititems_links(visit) or ""
        except (RuntimeError, KeyError, ValueError) as error:
            raise OSError(f"damaged: {error}") from None


def _elsewhere(name: str, node: Any) -> str | None:
    if not isinstance(node, h5py.Dataset):
        return None
    if node.external:
        return f"'{name}' is stored in {node.external[0][0]!r}"
    if node.is_virtual:
        for source in node.virtual_sources():
            if source.file_name != ".":
                return f"'{name}' is a virtual set of {source.file_name!r}"
    return None
