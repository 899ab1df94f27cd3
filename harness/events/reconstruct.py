"""Edge integral: a grey image rebuilt from ODG event frames (arXiv 2203.01158, ES-ImageNet)."""

from typing import Final

import torch
from torch import Tensor

from harness.errors import DataError
from harness.events.odg import MARGIN, POSITIONS, STEPS

_REACH: Final = 2
"""Largest offset of the image on the canvas."""


def edge_integral(frames_tbchw: Tensor, *, signed: bool = True, crop: bool = True) -> Tensor:
    """Shift the event frames back and sum them.

    `frames_tbchw` is (8, B, 2, H, W), channel 0 brighter, 1 darker, frame t - 1 at time t. Returns
    float32 (B, 1, H, W), for binary frames integers in [-8, 8]; not normalised. Without `crop` the
    canvas is (H + 4, W + 4); the crop keeps rows and columns 1..H, 1..W of it, as the paper does.
    Signed sums brighter - darker; unsigned (a variant of the released loaders) counts all edges.
    Raises DataError for another number of frames or channels.
    """
    if frames_tbchw.ndim != 5 or frames_tbchw.shape[0] != STEPS or frames_tbchw.shape[2] != 2:
        raise DataError(
            f"event frames of shape {tuple(frames_tbchw.shape)}: expected ({STEPS}, batch, 2, height, width)"
        )
    brighter, darker = frames_tbchw.float().unbind(2)
    frames = brighter - darker if signed else brighter + darker
    _, images, height, width = frames.shape
    canvas = frames.new_zeros((images, 1, height + MARGIN, width + MARGIN))
    for (x, y), frame in zip(POSITIONS[1:], frames, strict=True):
        top, left = _REACH - x, _REACH - y
        canvas[:, 0, top : top + height, left : left + width] += frame
    return canvas[:, :, 1 : 1 + height, 1 : 1 + width] if crop else canvas


def edge_integral_any_length(frames_tbchw: Tensor, *, signed: bool = True) -> Tensor:
    """Event frames of any source as one image: the plain sum over time, (B, 1, H, W) float32.

    For event data that no ODG generator made (a camera's), where there is nothing to shift back.
    """
    if frames_tbchw.ndim != 5 or frames_tbchw.shape[2] != 2:
        raise DataError(
            f"event frames of shape {tuple(frames_tbchw.shape)}: expected (time, batch, 2, height, width)"
        )
    total = torch.sum(frames_tbchw.float(), dim=0)
    brighter, darker = total[:, :1], total[:, 1:]
    return brighter - darker if signed else brighter + darker
