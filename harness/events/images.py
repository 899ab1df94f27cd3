"""Image files to arrays, as OpenCV's imread gives them: upright, three channels, eight bits."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError


def decode_rgb(data: bytes, what: object) -> NDArray[np.uint8]:
    """An RGB image (H, W, 3) from its file's bytes.

    Turned upright by its EXIF tag; grey becomes three equal channels; alpha is dropped; 16 bits are
    cut to their upper 8. `what` names it in errors. Raises DataError where it is no image.
    """
    from PIL import Image, ImageOps  # needed only where images are read

    try:
        with Image.open(io.BytesIO(data)) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):
                grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
                return np.repeat(grey[..., None], 3, axis=2)
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{what} is not an image that can be read: {_reason(error)}") from None


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """:func:`decode_rgb` of a file. Raises DataError."""
    try:
        return decode_rgb(path.read_bytes(), path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma (H, W) of RGB (H, W, 3): 0.299 R + 0.587 G + 0.114 B, rounded (ITU-R 601)."""
    weights = np.array([19595, 38470, 7471], dtype=np.int64)  # in 1 / 65536, as Pillow's "L"
    luma: NDArray[np.uint8] = ((rgb.astype(np.int64) @ weights + 32768) >> 16).astype(np.uint8)
    return luma


def natural_key(path: Path) -> tuple[Any, ...]:
    """Sorts frame2 before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def _reason(error: BaseException) -> str:
    """Pillow names the buffer's address; the file is named already."""
    return "unknown format" if "cannot identify" in str(error) else str(error)
