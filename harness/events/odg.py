"""Omnidirectional discrete gradient (ODG): a still image becomes eight event frames.

Source: Lin et al., ES-ImageNet ("ES-imagenet-0.18"), arXiv 2203.01158 (docs/papers.md, ODG). The
image is pasted at nine fixed positions of a canvas four pixels larger a side; the sign of the
change of lightness between two positions, where it passes the threshold, is an event.

Rows and columns that only one of two neighbouring positions covers are cleaned in the paper. What
is left is exactly where the two pasted images overlap, so the canvas is never built here: a frame
is a comparison of two shifted views of the image.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from harness.errors import DataError

POSITIONS: Final[tuple[tuple[int, int], ...]] = (
    (1, 0), (0, 2), (2, 1), (1, 0), (0, 1), (2, 2), (1, 0), (1, 1), (2, 1),
)  # fmt: skip
"""(row, column) of the image on the canvas at t = 0..8."""
MARGIN: Final = 4
"""Pixels by which the canvas is larger than the image, a side."""
STEPS: Final = len(POSITIONS) - 1
THRESHOLD: Final = 0.18
LONGER_SIDE: Final = 254
WINDOW: Final = (16, 240)
"""The paper keeps events with 16 < row < 240 and 16 < column < 240."""
MIN_EVENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class OdgSettings:
    """What the generator may vary. The defaults are the paper's for ES-ImageNet.

    `threshold` is on lightness in [0, 1], strict; `window` is the open interval of rows and
    columns that is kept (None keeps all); `min_events` is the least number of events, both
    polarities together, that a sample must have.
    """

    threshold: float = THRESHOLD
    window: tuple[int, int] | None = WINDOW
    min_events: int = MIN_EVENTS


PAPER: Final = OdgSettings()


@dataclass(frozen=True, slots=True)
class OdgEvents:
    """Events of one image.

    `pos` and `neg` are (N, 3) rows of (row, column, t), t = 1..8, ordered by t, row, column;
    uint8 where the coordinates fit, else uint16. `height` and `width` are those of the image; the
    canvas is four larger a side.
    """

    pos: NDArray[Any]
    neg: NDArray[Any]
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.pos) + len(self.neg)


def lightness(image: NDArray[Any]) -> NDArray[Any]:
    """V of HSV: the largest of the colour channels.

    `image` is (H, W) or (H, W, C) with C >= 1; a grey image is its own lightness. The dtype stays.
    Raises DataError for another number of axes or an image without pixels.
    """
    if image.ndim == 2:
        value = image
    elif image.ndim == 3 and image.shape[2] >= 1:
        value = image[..., :3].max(axis=2)
    else:
        raise DataError(
            f"image of shape {image.shape}: expected (height, width) or (height, width, channels)"
        )
    if value.size == 0:
        raise DataError(f"image of shape {image.shape} has no pixels")
    return np.ascontiguousarray(value)


def resize_longer_side(image: NDArray[Any], longer: int = LONGER_SIDE) -> NDArray[Any]:
    """Nearest-neighbour resize to `longer` pixels on the longer side, as the paper's generator.

    The shorter side is int(shorter * longer / larger), at least 1. Pixels are those that PyTorch's
    nearest interpolation of doubles takes, which the generator used.
    """
    height, width = image.shape[:2]
    if height > width:
        target = (longer, max(1, int(width * longer / height)))
    else:
        target = (max(1, int(height * longer / width)), longer)
    rows = _nearest(height, target[0], 0)
    cols = _nearest(width, target[1], 1)
    return np.ascontiguousarray(image[rows[:, None], cols[None, :]])


def frames_btchw(lightness_bhw: NDArray[Any], threshold: float = THRESHOLD) -> NDArray[np.bool_]:
    """Event frames of many images of one size.

    `lightness_bhw` is (B, H, W), uint8 grey levels or floats in [0, 1]. Returns bool
    (B, 8, 2, H + 4, W + 4); channel 0 is brighter, 1 darker; frame t - 1 holds time t.
    Raises DataError for another dtype, another number of axes or values that are not finite.
    """
    _check(lightness_bhw, axes=3)
    images, height, width = lightness_bhw.shape
    out = np.zeros((images, STEPS, 2, height + MARGIN, width + MARGIN), dtype=np.bool_)
    raised = _raised(lightness_bhw, threshold)
    for step in range(STEPS):
        new, last, rows, cols = _overlap(step, height, width)
        pos, neg = _compare(lightness_bhw, raised, new, last, threshold)
        out[:, step, 0, rows, cols] = pos
        out[:, step, 1, rows, cols] = neg
    return out


def generate(lightness_hw: NDArray[Any], settings: OdgSettings | None = None) -> OdgEvents:
    """The events of one image of lightness (H, W), uint8 grey levels or floats in [0, 1].

    uint8 is compared in grey levels (|D| of at least 46 at 0.18), the same result as after a
    division by 255 in double precision. Raises DataError for a bad array (see `frames_btchw`),
    for a single pixel and for fewer events than `settings.min_events`.
    """
    settings = settings or OdgSettings()
    _check(lightness_hw, axes=2)
    height, width = lightness_hw.shape
    if height * width == 1:
        raise DataError("the image has 1 pixel: no edge, no events")
    raised = _raised(lightness_hw, settings.threshold)
    last_pixel = max(height, width) + MARGIN - 1
    if settings.window is not None:
        last_pixel = min(last_pixel, settings.window[1] - 1)
    dtype = np.uint8 if last_pixel <= 255 else np.uint16
    parts: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
    for step in range(STEPS):
        new, last, rows, cols = _overlap(step, height, width)
        for kept, mask in zip(
            parts, _compare(lightness_hw, raised, new, last, settings.threshold), strict=True
        ):
            kept.append(_rows(mask, (rows.start, cols.start, step + 1), settings.window, dtype))
    events = OdgEvents(np.concatenate(parts[0]), np.concatenate(parts[1]), height, width)
    if len(events) < settings.min_events:
        raise DataError(
            f"{len(events)} events, fewer than the {settings.min_events} a sample must have: "
            "the image is too small or too flat"
        )
    return events


def _nearest(source: int, target: int, axis: int) -> NDArray[np.int64]:
    """The source pixel of each target pixel along one axis, from PyTorch itself.

    Where i * source / target is whole, its rounding decides; no closed form here equals all of it.
    """
    line = torch.arange(source, dtype=torch.float64).view((1, 1, -1, 1) if axis == 0 else (1, 1, 1, -1))
    size = (target, 1) if axis == 0 else (1, target)
    picked = torch.nn.functional.interpolate(line, size=size, mode="nearest")
    return np.asarray(picked.flatten().long().numpy())


def _check(value: NDArray[Any], axes: int) -> None:
    if value.ndim != axes:
        raise DataError(f"lightness has {value.ndim} axes {value.shape}: expected {axes}")
    if value.dtype == np.uint8:
        return
    if value.dtype.kind != "f":
        raise DataError(f"lightness is {value.dtype}: expected uint8 grey levels or floats in [0,1]")
    if not np.isfinite(value).all():
        raise DataError("lightness has values that are not finite")


def _raised(value: NDArray[Any], threshold: float) -> NDArray[np.uint8] | None:
    """For grey levels: max(v, k) - k with k the largest difference that is no event."""
    if not 0.0 <= threshold < 1.0:
        raise DataError(f"threshold {threshold}: expected a change of lightness in [0, 1)")
    if value.dtype != np.uint8:
        return None
    below = np.flatnonzero(np.arange(256) / 255 <= threshold)
    level = np.uint8(below[-1])
    raised: NDArray[np.uint8] = np.maximum(value, level) - level
    return raised


def _compare(
    value: NDArray[Any],
    raised: NDArray[np.uint8] | None,
    new: tuple[Any, ...],
    last: tuple[Any, ...],
    threshold: float,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    if raised is not None:
        return raised[new] > value[last], raised[last] > value[new]
    change = value[new] - value[last]
    return change > threshold, change < -threshold


def _overlap(step: int, height: int, width: int) -> tuple[tuple[Any, ...], tuple[Any, ...], slice, slice]:
    """Views of the image at t = step + 1 and t = step where both cover the canvas, and where."""
    (x_new, y_new), (x_last, y_last) = POSITIONS[step + 1], POSITIONS[step]
    top, left = max(x_new, x_last), max(y_new, y_last)
    bottom = max(top, min(x_new, x_last) + height)
    right = max(left, min(y_new, y_last) + width)
    new = (..., slice(top - x_new, bottom - x_new), slice(left - y_new, right - y_new))
    last = (..., slice(top - x_last, bottom - x_last), slice(left - y_last, right - y_last))
    return new, last, slice(top, bottom), slice(left, right)


def _rows(
    mask: NDArray[np.bool_],
    origin: tuple[int, int, int],
    window: tuple[int, int] | None,
    dtype: type[np.unsignedinteger[Any]],
) -> NDArray[Any]:
    """Rows (row, column, t) of the True cells, in the order of rows, then columns."""
    flat = np.flatnonzero(mask)
    row, col = np.divmod(flat, max(1, mask.shape[1]))
    row += origin[0]
    col += origin[1]
    if window is not None:
        low, high = window
        inside = (row > low) & (row < high) & (col > low) & (col < high)
        row, col = row[inside], col[inside]
    out = np.empty((len(row), 3), dtype=dtype)
    out[:, 0], out[:, 1], out[:, 2] = row, col, origin[2]
    return out
