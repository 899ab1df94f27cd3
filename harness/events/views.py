"""Random views of photographs, drawn from the whole of them: resized crops, windows, mirrors.

Source of the crop: torchvision's RandomResizedCrop, ten tries, ratios 3/4 to 4/3 (docs/papers.md, Networks).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from harness.contracts.data import View
from harness.errors import DataError
from harness.events.images import decode_rgb
from harness.ids import derive_seed

RATIO: Final = (3.0 / 4.0, 4.0 / 3.0)
TRIES: Final = 10
Box = tuple[int, int, int, int]
"""Top, left, height and width."""
Boxed = Callable[[int, int], Box]
"""The box in a photograph of this height and width."""
ORIENTATION: Final = 0x0112


def drawn_box(height: int, width: int, smallest: float, drawn: Sequence[Sequence[float]]) -> Box:
    """The first drawn crop that fits: its area from ``smallest`` to 1 of all, its ratio log-uniform."""
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for area, ratio, down, right in drawn:
        pixels = height * width * (smallest + (1.0 - smallest) * area)
        aspect = math.exp(low + (high - low) * ratio)
        h, w = round(math.sqrt(pixels / aspect)), round(math.sqrt(pixels * aspect))
        if 0 < h <= height and 0 < w <= width:
            return int(down * (height - h + 1)), int(right * (width - w + 1)), h, w
    return 0, 0, height, width


def read_view(path: Path, view: View, number: int, pixels: int, margin: float) -> Tensor:
    """The view (pixels, pixels, 3) of a photograph's file, bytes; ``number`` is its place in the split.

    What is drawn depends on the view's seed and the number alone. A JPEG is decoded at half, a quarter or
    an eighth of its size where the crop is that much larger than what is wanted. Without a crop the shorter
    side is ``margin`` times the pixels and a window is taken, up to ``view.shift`` about the middle.
    Raises DataError.
    """
    rng = np.random.default_rng(derive_seed(view.seed, "sample", number))
    tries, mirrors = rng.random((TRIES, 4)).tolist(), rng.random(2) < 0.5
    offset = rng.integers(-view.shift, view.shift + 1, size=2).tolist()

    def box(height: int, width: int) -> Box:
        if view.smallest_area < 1.0:
            return drawn_box(height, width, view.smallest_area, tries)
        unit = min(height, width) / round(pixels * margin)  # pixels of the photograph to one of the resized
        side = max(1, round(pixels * unit))
        ends = [(length - side) / 2 + unit * o for length, o in zip((height, width), offset, strict=True)]
        top, left = (min(max(round(e), 0), n - side) for e, n in zip(ends, (height, width), strict=True))
        return top, left, side, side

    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    crop_bhwc = torch.from_numpy(np.array(_crop(data, path, box, pixels)))[None]
    crop = crop_bhwc.permute(0, 3, 1, 2)  # channels last: three times as fast
    found = interpolate(crop, (pixels, pixels), mode="bilinear", antialias=True)[0]
    axes = [2] * bool(view.flip != "none" and mirrors[0]) + [1] * bool(view.flip == "both" and mirrors[1])
    return (found.flip(axes) if axes else found).permute(1, 2, 0)


def _crop(data: bytes, path: Path, box: Boxed, pixels: int) -> Any:
    """The box of a photograph, an image in RGB; of a JPEG perhaps at a smaller size."""
    from PIL import Image  # needed only where images are read

    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if image.mode == "RGB" and image.getexif().get(ORIENTATION, 1) == 1:
                top, left, high, wide = box(height, width)
                image.draft("RGB", (math.ceil(pixels * width / wide), math.ceil(pixels * height / high)))
                right, down = image.width / width, image.height / height
                near, far = (left * right, top * down), ((left + wide) * right, (top + high) * down)
                return image.crop((round(near[0]), round(near[1]), round(far[0]), round(far[1])))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        pass  # said below, in the same words as of any image
    whole = Image.fromarray(decode_rgb(data, path))
    top, left, high, wide = box(whole.height, whole.width)
    return whole.crop((left, top, left + wide, top + high))
