"""Video to events by per-clip percentiles of frame differences, as ES-UCF101 was made.

Source: arXiv 2203.01158, experiments on UCF101. 31 frames at even distances, grey, divided by 255;
of all 30 differences the highest 7.5 % are positive events, the lowest 7.5 % negative ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.events.images import grey, natural_key, read_rgb

FRAMES: Final = 31
EVENT_RATIO: Final = 0.15
IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_LEAST_THRESHOLD: Final = 0.01


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """What the generator may vary. The defaults are the paper's (its mode 1).

    `frames` sampled from a clip; `event_ratio` is the share of cells that are events, both
    polarities together; with `threshold_sd` > 0 (its mode 2, 0.03) each pixel has thresholds of its
    own, drawn from N(percentile, sd) with `seed` and at least 0.01 away from 0; a clip needs at
    least `min_frames` frames (below `frames`, some are taken twice).
    """

    frames: int = FRAMES
    event_ratio: float = EVENT_RATIO
    threshold_sd: float = 0.0
    seed: int = 0
    min_frames: int = 2

    def __post_init__(self) -> None:
        """Refuse settings that make no sense with DataError."""
        if self.frames < 2 or not 0.0 < self.event_ratio < 1.0 or self.threshold_sd < 0.0:
            raise DataError(f"{self}: needs frames >= 2, 0 < event_ratio < 1, threshold_sd >= 0")


PAPER: Final = VideoSettings()


def sample_positions(total: int, count: int = FRAMES) -> NDArray[np.int64]:
    """Positions round(linspace(0, total - 1, count)) of the frames taken, half to even."""
    return np.round(np.linspace(0, total - 1, count)).astype(np.int64)


def events_cthw(frames_nhw: NDArray[np.uint8], settings: VideoSettings | None = None) -> NDArray[np.uint8]:
    """Events (2, frames - 1, H, W) of 0 and 1 from grey frames (n, H, W) in order of time.

    Channel 0 is brighter, 1 darker. Raises DataError for too few frames or another shape or dtype.
    """
    settings = settings or VideoSettings()
    if frames_nhw.ndim != 3 or frames_nhw.dtype != np.uint8:
        raise DataError(
            f"a clip of {frames_nhw.dtype} {frames_nhw.shape}: expected uint8 (frames, height, width)"
        )
    total = len(frames_nhw)
    if total < max(2, settings.min_frames):
        raise DataError(f"{total} frames: a clip needs at least {max(2, settings.min_frames)}")
    chosen = frames_nhw[sample_positions(total, settings.frames)] / 255.0
    change = chosen[1:] - chosen[:-1]
    low, high = _thresholds(change, settings)
    events: NDArray[np.uint8] = np.stack([change > high, change < low]).view(np.uint8)
    return events


def _thresholds(change: NDArray[np.float64], settings: VideoSettings) -> tuple[Any, Any]:
    """The percentiles, or one threshold a pixel around them."""
    tail = 50.0 * settings.event_ratio
    low, high = np.percentile(change, [tail, 100.0 - tail])
    if settings.threshold_sd == 0.0:
        return low, high
    rng = np.random.default_rng(settings.seed)
    spread = rng.normal(0.0, settings.threshold_sd, (2, *change.shape[1:]))
    return (
        np.minimum(low + spread[0], -_LEAST_THRESHOLD),
        np.maximum(high + spread[1], _LEAST_THRESHOLD),
    )


def frame_files(clip: Path) -> list[Path]:
    """The image files of a clip's folder in natural order. Raises DataError where there are none."""
    if not clip.is_dir():
        raise DataError(f"{clip}: not a folder of frames")
    files = [path for path in clip.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise DataError(f"{clip}: no frames ({', '.join(IMAGE_SUFFIXES)})")
    return sorted(files, key=natural_key)


def read_clip(clip: Path, settings: VideoSettings | None = None) -> NDArray[np.uint8]:
    """The grey frames (frames, H, W) that :func:`events_cthw` would take of a folder of images.

    Only those are read. Raises DataError for too few frames, bad images and frames of two sizes.
    """
    settings = settings or VideoSettings()
    files = frame_files(clip)
    if len(files) < max(2, settings.min_frames):
        raise DataError(f"{clip}: {len(files)} frames: needs at least {max(2, settings.min_frames)}")
    taken = sample_positions(len(files), settings.frames)
    return stack_frames([files[position] for position in taken.tolist()])


def stack_frames(files: Sequence[Path]) -> NDArray[np.uint8]:
    """Grey frames (n, H, W) of image files. Raises DataError where two differ in size."""
    cache = {path: grey(read_rgb(path)) for path in dict.fromkeys(files)}
    frames = [cache[path] for path in files]
    for path, frame in zip(files, frames, strict=True):
        if frame.shape != frames[0].shape:
            raise DataError(f"{path} is {frame.shape}, the clip's first frame {frames[0].shape}")
    return np.stack(frames)
