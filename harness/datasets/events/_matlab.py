"""MATLAB files of event frames: version 7.3 (HDF5, axes reversed) and older ones (scipy)."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

_BLOCK: Final = 256


def labels_of(path: Path, classes: int) -> NDArray[np.int64]:
    """Labels (N,) of a 7.3 file: `label` one-hot, in the file (classes, N). Raises DataError."""
    with _hdf5(path, ("image", "label")) as file:
        one_hot = np.asarray(file["label"]).T
    if one_hot.ndim != 2 or one_hot.shape[1] != classes or not (one_hot.sum(axis=1) == 1).all():
        raise DataError(f"{path}: label is {one_hot.shape}: expected one-hot (samples, {classes})")
    return np.asarray(one_hot.argmax(axis=1), dtype=np.int64)


def read_mat73(path: Path, frames: int, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Frames (N, frames, C, H, W) of a 7.3 file whose `image`, in MATLAB, is (N, C, H, W, T).

    uint8 where the counts fit, else float32. Raises DataError for another shape, for fewer frames
    than asked and for values that are not finite.
    """
    with _hdf5(path, ("image", "label")) as file:
        image = file["image"]
        if image.ndim != 5 or tuple(image.shape[3:0:-1]) != shape:
            raise DataError(f"{path}: image is {image.shape[::-1]}: expected (N, {shape}, T)")
        if image.shape[0] < frames:
            raise DataError(f"{path}: {image.shape[0]} frames stored, {frames} asked")
        blocks = [
            np.asarray(image[:frames, :, :, :, start : start + _BLOCK]).transpose(4, 0, 3, 2, 1)
            for start in range(0, image.shape[4], _BLOCK)
        ]
    x = np.concatenate(blocks)
    if not np.isfinite(x).all():
        raise DataError(f"{path}: image has values that are not finite")
    counts = x.min() >= 0 and x.max() <= 255 and bool((x % 1 == 0).all())
    return np.ascontiguousarray(x, dtype=np.uint8 if counts else np.float32)


def read_mat(path: Path, frames: int, shape: tuple[int, int, int]) -> tuple[NDArray[Any], int]:
    """Frames (frames, C, H, W) and the stored label of an older file: `frame_Data` (C, T, H, W).

    With `frames` 0 only the label is read. Raises DataError for another file, other keys or shapes,
    and fewer frames than asked.
    """
    from scipy.io import loadmat  # needed only where such files are read

    names = ["label"] if frames == 0 else ["label", "frame_Data"]
    try:
        found = loadmat(path, variable_names=names)
    except Exception as error:  # scipy raises many types on damaged files
        raise DataError(f"{path} cannot be read as a MATLAB file: {error}") from None
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{path}: no variable {', '.join(missing)}")
    label = np.asarray(found["label"])
    if label.size != 1:
        raise DataError(f"{path}: label is {label.shape}: expected one number")
    if frames == 0:
        return np.zeros((0, *shape)), int(label.item())
    data = np.asarray(found["frame_Data"])
    if data.ndim != 4 or (data.shape[0], *data.shape[2:]) != shape:
        raise DataError(f"{path}: frame_Data is {data.shape}: expected (C, T, H, W) with {shape}")
    if data.shape[1] < frames:
        raise DataError(f"{path}: {data.shape[1]} frames stored, {frames} asked")
    return np.ascontiguousarray(data[:, :frames].transpose(1, 0, 2, 3)), int(label.item())


def _hdf5(path: Path, keys: tuple[str, ...]) -> Any:
    from harness.datasets._hdf5 import open_hdf5  # needed only where such files are read

    try:
        file = open_hdf5(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read as a MATLAB 7.3 file: {error}") from None
    missing = [key for key in keys if key not in file]
    if missing:
        held = ", ".join(file)
        file.close()
        raise DataError(f"{path}: no variable {', '.join(missing)}; it holds {held}")
    return file
