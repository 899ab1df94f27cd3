"""Binary event frames, eight cells a byte: what a dense set keeps on disk."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.contracts.data import Batch, Index, index_digest


def pack(frames: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Frames (N, ...) of 0 and 1 as bits (N, ceil(cells / 8))."""
    return np.packbits(frames.reshape(len(frames), -1), axis=1)


class PackedFrames:
    """A split of packed frames: `bits` (N, bytes) of samples of `shape` (T, C, H, W), labels `y`."""

    def __init__(
        self, bits: NDArray[np.uint8], y: NDArray[Any], index: Index, shape: tuple[int, ...]
    ) -> None:
        self.bits, self.y, self.index, self.shape = bits, y, index, shape
        self._cells = int(np.prod(shape))

    def __len__(self) -> int:
        return len(self.index)

    @property
    def digest(self) -> str:
        """A hash of the indices."""
        return index_digest(self.index)

    def batch(self, index: Index) -> Batch:
        """The samples at positions `index`: x (B, *shape) float32 of 0 and 1, y (B,) int64."""
        rows = self.index[index]
        cells = np.unpackbits(self.bits[rows], axis=1, count=self._cells)
        x = torch.from_numpy(cells).view(len(rows), *self.shape).float()
        return Batch(x, torch.from_numpy(np.asarray(self.y[rows])).long())
