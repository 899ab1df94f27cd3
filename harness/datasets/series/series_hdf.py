"""Series in HDF5 without PyTables: pandas' fixed format (metr-la.h5, pems-bay.h5) or a plain matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import DataError, UnknownNameError


def read_hdf(path: Path, key: str, where: str) -> pd.DataFrame:
    """The table ``key`` of the file, or its only one; a time index becomes the first column.

    Raises DataError where the key is not there, several are and none is named, or the layout is
    another one (for instance pandas' "table" format), and OSError where the file is no HDF5.
    """
    import h5py

    from harness.datasets._hdf5 import open_hdf5

    with open_hdf5(path) as file:
        tables = _tables(file)
        if key == "" and len(tables) == 1:
            key = tables[0]
        if key.strip("/") not in tables:
            if key:
                raise DataError(f"{where}: {UnknownNameError('table', key, tables)}")
            if not tables:
                raise DataError(
                    f"{where}: no table inside; store a matrix (rows, variates), or a frame in pandas' fixed "
                    "format."
                )
            raise DataError(f"{where}: say which table with key: .. Known: {', '.join(tables)}")
        node = file[key.strip("/")]
        return _fixed_frame(node, where) if isinstance(node, h5py.Group) else _matrix(node, where)


def _tables(file: Any) -> list[str]:
    """Groups in pandas' fixed format, and matrices that are not inside one."""
    found: list[str] = []

    def visit(name: str, node: Any) -> None:
        if any(name.startswith(f"{other}/") for other in found):
            return
        if (hasattr(node, "keys") and "block0_values" in node) or getattr(node, "ndim", 0) == 2:
            found.append(name)

    file.visititems(visit)
    return found


def _fixed_frame(group: Any, where: str) -> pd.DataFrame:
    """Blocks of columns beside each other, rows named by axis1."""
    columns, rows = _labels(group, "axis0"), _labels(group, "axis1")
    parts: dict[str, Any] = {}
    for i in range(int(group.attrs.get("nblocks", 1))):
        values = group[f"block{i}_values"][()]
        items = _labels(group, f"block{i}_items")
        if values.shape != (len(rows), len(items)):
            raise DataError(
                f"{where}: table '{group.name}' has {values.shape} values for {len(rows)} rows and "
                f"{len(items)} columns: not pandas' fixed format."
            )
        parts |= {str(item): values[:, j] for j, item in enumerate(items)}
    frame = pd.DataFrame({str(column): parts[str(column)] for column in columns})
    if rows.dtype.kind == "M":
        frame.insert(0, "index", rows)
    return frame


def _labels(group: Any, name: str) -> Any:
    """An axis: times where it is marked as such, text decoded, else positions if it is pickled."""
    node = group[name]
    kind = node.attrs.get("kind", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if kind.startswith("datetime64"):
        unit = kind.split("[")[1].rstrip("]") if "[" in kind else "ns"
        return node[()].astype(np.int64).view(f"datetime64[{unit}]").astype("datetime64[s]")
    if node.dtype.kind == "S":
        return np.char.decode(node[()], "utf-8")
    if node.dtype.kind == "O":  # pickled by PyTables: nothing is unpickled here
        count = group["block0_values"].shape[1]
        return np.arange(count)
    return node[()]


def _matrix(node: Any, where: str) -> pd.DataFrame:
    if node.dtype.kind not in "iuf":
        raise DataError(f"{where}: table '{node.name}' is {node.dtype}: expected numbers.")
    return pd.DataFrame(node[()])
