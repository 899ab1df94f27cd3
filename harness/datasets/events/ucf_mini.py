"""`ucf-mini`: digits that move, through the video generator; a small stand-in for ES-UCF101.

Every digit of `digits` moves right, moves left and turns: 31 frames of 24 x 24, class = digit and
motion, 30 classes. `ucf-mini-frames` are the grey frames that the ANN of the paper learns from.
"""

from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from harness.contracts.data import (
    Arrays,
    ArraySplit,
    Dataset,
    DatasetCard,
    Index,
    NoOptions,
    Split,
    SplitName,
)
from harness.datasets._files import guard
from harness.datasets._frames import PackedFrames, pack
from harness.datasets.images import digits
from harness.events.video import FRAMES, events_cthw

SIDE: Final = 24
MOTIONS: Final = ("right", "left", "turn")
TRAVEL: Final = 6.0
"""Pixels from the first to the last frame, centred."""
TURN: Final = np.pi / 2
"""Radians from the first to the last frame, centred."""
SNN_FRAMES: Final = 15
"""The paper's networks see the first 15 of 30 event frames."""
SHA256: Final = "e1e66f9a3b5a03882a461ad662864a3dd8b4cded1e611b3325ddb8fde8d0f325"
FRAMES_SHA256: Final = "40aab6d70f939b1841a36ef8384454b75e9acd5031e0dc04b0c282afe638c792"


class UcfMiniOptions(NoOptions):
    """`frames`: the first 15 event frames as in the paper, or all 30."""

    frames: Literal[15, 30] = 15


class UcfMini(Dataset):
    """Moving digits as events by per-clip percentiles: (15, 2, 24, 24); channel 0 brighter."""

    name: ClassVar[str] = "ucf-mini"
    Options: ClassVar[type[BaseModel]] = UcfMiniOptions

    def card(self) -> DatasetCard:
        """The card; no file is needed."""
        return _card(self.name, (self.options.frames, 2, SIDE, SIDE), SHA256)

    def prepare(self) -> Arrays:
        """`bits` (5391, 4320) of all 30 frames and `y`. Raises DataError if they changed."""
        frames, y = clips()
        events = [events_cthw(clip).transpose(1, 0, 2, 3) for clip in frames]
        bits = pack(np.stack(events).astype(np.bool_))
        return guard(self.name, {"bits": bits, "y": y}, SHA256)

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """All clips of a digit are in one split, that of `digits`."""
        shape = (self.options.frames, 2, SIDE, SIDE)
        used = int(np.prod(shape)) // 8
        return PackedFrames(arrays["bits"][:, :used], arrays["y"], _index(arrays, name), shape)


class UcfMiniFrames(Dataset):
    """The grey frames 1..15 of the same clips: (15, 1, 24, 24) in [0, 1]."""

    name: ClassVar[str] = "ucf-mini-frames"

    def card(self) -> DatasetCard:
        """The card; no file is needed."""
        return _card(self.name, (SNN_FRAMES, 1, SIDE, SIDE), FRAMES_SHA256)

    def prepare(self) -> Arrays:
        """`x` (5391, 15, 1, 24, 24) uint8 and `y`. Raises DataError if they changed."""
        frames, y = clips()
        return guard(self.name, {"x": frames[:, 1 : 1 + SNN_FRAMES, None], "y": y}, FRAMES_SHA256)

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The same clips as `ucf-mini`."""
        return ArraySplit(arrays["x"], arrays["y"], _index(arrays, name), scale=1 / 255)


def clips() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Grey clips (5391, 31, 24, 24), digit after digit, and classes `digit * 3 + motion`."""
    images, labels = digits.digits(16)
    canvas = np.zeros((3 * SIDE, 3 * SIDE, len(images)))
    place = SIDE + (SIDE - images.shape[1]) // 2
    canvas[place : place + 16, place : place + 16] = images.transpose(1, 2, 0)
    out = np.empty((len(images), len(MOTIONS), FRAMES, SIDE, SIDE), dtype=np.uint8)
    for step in range(FRAMES):
        phase = step / (FRAMES - 1) - 0.5
        moves = ((0.0, phase * TRAVEL), (0.0, -phase * TRAVEL), (phase * TURN, 0.0))
        for motion, (angle, shift) in enumerate(moves):
            frame_hwn = np.rint(_moved(canvas, angle, shift) * 255)
            out[:, motion, step] = frame_hwn.astype(np.uint8).transpose(2, 0, 1)
    y = labels[:, None] * len(MOTIONS) + np.arange(len(MOTIONS))
    return out.reshape(-1, FRAMES, SIDE, SIDE), y.reshape(-1)


def _moved(canvas_hwn: NDArray[np.float64], angle: float, shift: float) -> NDArray[np.float64]:
    """The middle (24, 24, N) of a canvas (72, 72, N) turned about its middle, then shifted right.

    Bilinear, the four terms added in a fixed order, sine and cosine rounded to nine digits: frames
    are the same on every machine.
    """
    middle = (SIDE - 1) / 2
    cos, sin = round(float(np.cos(angle)), 9), round(float(np.sin(angle)), 9)
    row, col = np.mgrid[0:SIDE, 0:SIDE] - middle
    col = col - shift
    source_row = cos * row + sin * col + middle + SIDE
    source_col = cos * col - sin * row + middle + SIDE
    top, left = np.floor(source_row).astype(int), np.floor(source_col).astype(int)
    down, right = source_row - top, source_col - left
    out = np.zeros((SIDE, SIDE, canvas_hwn.shape[2]))
    for i, weight_row in ((0, 1 - down), (1, down)):
        for j, weight_col in ((0, 1 - right), (1, right)):
            out += canvas_hwn[top + i, left + j] * (weight_row * weight_col)[..., None]
    return out


def _index(arrays: Arrays, name: SplitName) -> Index:
    """Clips of the digits of a split: clip i is of digit i // 3."""
    of_digit = np.asarray(arrays["y"])[:: len(MOTIONS)] // len(MOTIONS)
    chosen = digits.splits(of_digit)[name]
    return (chosen[:, None] * len(MOTIONS) + np.arange(len(MOTIONS))).reshape(-1)


def _card(name: str, shape: tuple[int, ...], sha256: str) -> DatasetCard:
    train, valid, test = (count * len(MOTIONS) for count in digits.COUNTS)
    return DatasetCard(
        name=name,
        revision="1",
        task="classification",
        layout="ntchw",
        shape=shape,
        counts=(train, valid, test),
        classes=10 * len(MOTIONS),
        sha256=sha256,
        licence="CC BY 4.0",
        citation="digits: Alpaydin and Kaynak, UCI 1998; generator: arXiv 2203.01158",
        origin="generated from sklearn.datasets.load_digits",
        notes="31 frames a clip; all clips of a digit are in one split (group-aware)",
    )
