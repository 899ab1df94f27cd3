"""Random views of images and frames in training: shifts, mirrors, resized crops.

One draw a sample, the same for all its channels and timesteps, so that what moves in a recording goes
on moving as it did. Draws are made on the CPU and are the same whatever device the tensors are on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from harness.events.views import TRIES, drawn_box

Flip = Literal["none", "horizontal", "both", "each-frame"]


@dataclass(frozen=True, slots=True)
class Augment:
    """What is drawn. ``smallest_area`` 1 is no crop, ``shift`` 0 no shift.

    ``flip``: each mirror has probability 1/2; ``each-frame`` draws the horizontal one anew at every
    timestep, as the released ES-UCF101 loader does.
    """

    shift: int = 0
    flip: Flip = "none"
    smallest_area: float = 1.0

    def __post_init__(self) -> None:
        if self.smallest_area < 1.0:  # loading takes seconds: before anything is timed
            import torchvision.transforms.v2  # noqa: F401 - for crops alone

    @property
    def off(self) -> bool:
        """Whether nothing is ever changed."""
        return self.shift == 0 and self.flip == "none" and self.smallest_area == 1.0

    def __call__(self, x: Tensor, generator: torch.Generator, *, time_major: bool = False) -> Tensor:
        """Views of images (B, C, H, W), or of frames (T, B, C, H, W) with ``time_major``; a new tensor.

        Crops of images are resized bilinearly, those of frames to the nearest pixel, which keeps counts
        of events whole. What a shift brings in is 0. ``generator`` is on the CPU.
        """
        axis = 1 if time_major else 0
        samples = x.unbind(axis)
        steps = x.shape[0] if time_major else 1
        crop = torch.rand(len(samples), TRIES, 4, generator=generator).tolist()
        mirror = torch.rand(len(samples), steps + 1, generator=generator) < 0.5
        offset = torch.randint(-self.shift, self.shift + 1, (len(samples), 2), generator=generator).tolist()
        out = []
        for number, sample in enumerate(samples):
            view = self._cropped(sample, crop[number], "nearest" if time_major else "bilinear")
            view = self._mirrored(view, mirror[number])
            out.append(_shifted(view, *offset[number]) if self.shift else view)
        return torch.stack(out, axis)

    def _cropped(self, sample: Tensor, drawn: list[list[float]], mode: str) -> Tensor:
        if self.smallest_area == 1.0:
            return sample
        from torchvision.transforms.v2 import InterpolationMode, functional

        height, width = sample.shape[-2:]
        box = drawn_box(height, width, self.smallest_area, drawn)
        how = InterpolationMode.NEAREST if mode == "nearest" else InterpolationMode.BILINEAR
        found: Tensor = functional.resized_crop(sample, *box, [height, width], how, antialias=True)
        return found

    def _mirrored(self, sample: Tensor, drawn: Tensor) -> Tensor:
        if self.flip == "none":
            return sample
        if self.flip == "each-frame":
            chosen = drawn[1:].to(sample.device).reshape(-1, *([1] * (sample.dim() - 1)))
            return torch.where(chosen, sample.flip(-1), sample)
        axes = [-1] * bool(drawn[0]) + [-2] * bool(drawn[1] and self.flip == "both")
        return sample.flip(axes) if axes else sample


def _shifted(sample: Tensor, down: int, right: int) -> Tensor:
    """The sample moved by so many pixels, zeros where it was."""
    height, width = sample.shape[-2:]
    moved = torch.zeros_like(sample)
    moved[..., max(0, down) : height + down, max(0, right) : width + right] = sample[
        ..., max(0, -down) : height - down, max(0, -right) : width - right
    ]
    return moved
