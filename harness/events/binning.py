"""Sparse events to dense frames, on the device the events are on.

Timesteps and bin width are search parameters: nothing is binned before a trial asks for it.
"""

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from harness.contracts.data import Events
from harness.errors import DataError

Value = Literal["count", "binary"]


def by_time(
    events: Events,
    *,
    steps: int | None = None,
    bin_us: int | None = None,
    value: Value = "count",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Frames of equal duration: (T, B, *shape) counts of events, or 0/1 with ``value="binary"``.

    Give either `steps` (T; a bin is duration / T, exactly, in whole microseconds compared as
    ``time * T // duration``) or `bin_us` (T = ceil(duration / bin_us)). Events at or after
    `duration_us` are in no bin. Raises DataError for bins that make no sense.
    """
    _check_one(steps, bin_us)
    duration = events.duration_us
    if steps is not None:
        count = steps
        bins = _floor_ratio(events.time_us, steps, duration)
    else:
        width = int(bin_us or 0)
        count = -(-duration // width)
        bins = _floor_ratio(events.time_us, 1, width)
    inside = bins < count
    row = bins.mul_(events.batch).add_(events.sample)
    # Events of no bin go to a cell past the end: no mask, so no synchronisation with the device.
    return _scatter(events, torch.where(inside, row, count * events.batch), count, value, dtype)


def by_count(
    events: Events,
    *,
    steps: int,
    value: Value = "count",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Frames of equal numbers of events: (T, B, *shape), as SpikingJelly's split_by "number".

    Each recording's n events, in order of time, are cut into T runs of n // T, the last of which takes
    the remainder; with fewer events than T, one a frame. `sample` must be sorted, as the contract of
    Events says. Raises DataError for T < 1.
    """
    _check_one(steps, None)
    events = sort_by_time(events)
    device = events.sample.device
    edges = torch.searchsorted(events.sample, torch.arange(events.batch + 1, device=device))
    number = edges.diff()[:, None]
    run = torch.div(number, steps, rounding_mode="floor").clamp_(min=1)
    step = torch.arange(1, steps + 1, device=device)
    ends = torch.minimum(run * step, number)
    ends[:, -1] = number[:, 0]
    lengths = ends.diff(dim=1, prepend=torch.zeros_like(number))
    rows = (step - 1) * events.batch + torch.arange(events.batch, device=device)[:, None]
    total = len(events.sample)
    row = torch.repeat_interleave(rows.flatten(), lengths.flatten(), output_size=total)
    return _scatter(events, row, steps, value, dtype)


def sort_by_time(events: Events) -> Events:
    """The events ordered by recording, then time (stable); the same object if they are already."""
    time, sample = events.time_us, events.sample
    backwards = (time[1:] < time[:-1]) & (sample[1:] == sample[:-1])
    if not bool(backwards.any()):
        return events
    order = torch.argsort(sample * (time.max() + 1) + time, stable=True)
    return replace(events, time_us=time[order], unit=events.unit[order], sample=sample[order])


def group_channels(events: Events, group: int) -> Events:
    """Merge `group` neighbouring channels of a sensor of one axis: unit // group.

    Raises DataError for a sensor of more axes or a group that does not divide the channels.
    """
    if len(events.shape) != 1:
        raise DataError(f"channel grouping needs a sensor of one axis, not {events.shape}")
    (channels,) = events.shape
    if group < 1 or channels % group:
        raise DataError(f"channel group {group} does not divide {channels} channels")
    unit = torch.div(events.unit, group, rounding_mode="floor")
    return replace(events, unit=unit, shape=(channels // group,))


def group_pixels(events: Events, group: int) -> Events:
    """Merge `group` x `group` pixels of a camera of shape (C, H, W); the last ones may be partial.

    Raises DataError for a sensor of other axes or a group below 1.
    """
    if len(events.shape) != 3 or group < 1:
        raise DataError(f"pixel grouping by {group} needs a sensor (C, H, W), not {events.shape}")
    channels, height, width = events.shape
    small_h, small_w = -(-height // group), -(-width // group)
    line = torch.div(events.unit, width, rounding_mode="floor")
    col = torch.div(events.unit - line * width, group, rounding_mode="floor")
    channel = torch.div(line, height, rounding_mode="floor")
    row = torch.div(line - channel * height, group, rounding_mode="floor")
    unit = (channel * small_h + row) * small_w + col
    return replace(events, unit=unit, shape=(channels, small_h, small_w))


def _check_one(steps: int | None, bin_us: int | None) -> None:
    if (steps is None) == (bin_us is None):
        raise DataError("binning needs either a number of timesteps or a bin width, not both")
    if steps is not None and steps < 1:
        raise DataError(f"timesteps {steps}: at least 1 is needed")
    if bin_us is not None and bin_us < 1:
        raise DataError(f"bin width {bin_us} us: at least 1 us is needed")


def _floor_ratio(time_us: Tensor, factor: int, divisor: int) -> Tensor:
    """floor(time * factor / divisor), int64, exactly.

    In double precision: a quotient that is not whole is at least 1 / divisor below the next whole
    number, far more than its rounding while time * factor stays below 2**52.
    """
    return time_us.double().mul_(factor).div_(divisor).long()


def _scatter(events: Events, row: Tensor, steps: int, value: Value, dtype: torch.dtype) -> Tensor:
    """Count events at (row, unit), row = bin * batch + sample; row steps * batch is thrown away."""
    cells = 1
    for size in events.shape:
        cells *= size
    total = steps * events.batch * cells
    frames = torch.zeros(total + cells, device=row.device)
    flat = (row * cells).add_(events.unit)
    if value == "binary":
        frames.index_fill_(0, flat, 1)
    else:
        frames.scatter_add_(0, flat, frames.new_ones(1).expand(len(flat)))
    return frames[:total].view(steps, events.batch, *events.shape).to(dtype)
