"""Splits that read each sample's file when a batch asks for it: sets too large to prepare."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.contracts.data import Batch, Index, index_digest

Load = Callable[[Path, int], NDArray[Any]]
"""Reads the sample of a file at a position of the whole set."""


def as_array(names: Sequence[str]) -> NDArray[np.bytes_]:
    """Names as a memory-mappable array of UTF-8 bytes."""
    return np.array([name.encode() for name in names], dtype=np.bytes_)


class FileSplit:
    """Samples in files: `names` (N,) bytes below `root`, labels `y`, and how to `load` one."""

    from_files = True
    """Reading a batch takes a processor's time: processes may do it ahead."""

    def __init__(
        self, root: Path, names: NDArray[np.bytes_], y: NDArray[Any], index: Index, load: Load
    ) -> None:
        self.root, self.names, self.y, self.index, self.load = root, names, y, index, load

    def __len__(self) -> int:
        return len(self.index)

    @property
    def digest(self) -> str:
        """A hash of the indices."""
        return index_digest(self.index)

    def batch(self, index: Index) -> Batch:
        """The samples at positions `index`: x float32, y int64. Raises DataError for a bad file."""
        rows = self.index[index]
        samples = [self.load(self.root / self.names[row].decode(), row) for row in rows.tolist()]
        x = torch.from_numpy(np.stack(samples).astype(np.float32, copy=False))
        return Batch(x, torch.from_numpy(np.asarray(self.y[rows])).long())
