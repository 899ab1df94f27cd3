"""Frames of spoken-digit spikes as the delay papers bin them: anchored to events, or to a grid.

Two framings of one recording that give other data (SpikingJelly until and from 2024-03-30, its #507):

``events``  a frame opens at the first spike not yet counted and takes every spike up to ``timestep``
            after it, that instant included. Silences longer than a timestep vanish.
``grid``    frames of one timestep, counted from the first spike; the last spike is in the last frame.

Both compare times in float16 milliseconds, the precision of SHD's own files, so that the frames
are those of the released code. Recordings of whole milliseconds are exact up to 2 s.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from harness.contracts.data import Events
from harness.errors import DataError
from harness.events.binning import group_channels, sort_by_time

Binning = Literal["events", "grid"]
_FAR = 1 << 40


def frames(
    events: Events,
    *,
    timestep_ms: float,
    binning: Binning = "events",
    group: int = 1,
    steps: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Counts (T, B, channels // group) float32 and the frames of each recording (B,).

    T is the longest recording's, or ``steps``: then later frames are cut and shorter recordings padded
    with zeros. An empty recording has 0 frames. Raises DataError for a timestep that is not a positive
    whole number of microseconds or a group that does not divide the channels.
    """
    width_us = timestep_us(timestep_ms)
    events = sort_by_time(group_channels(events, group))
    bins = _anchored(events, width_us) if binning == "events" else _grid(events, width_us)
    length = torch.zeros(events.batch, dtype=torch.int64, device=bins.device)
    number = torch.bincount(events.sample, minlength=events.batch)
    if len(bins):  # frames never go backwards within a recording: the last spike is in the last one
        last = bins[(torch.cumsum(number, 0) - 1).clamp(min=0)] + 1
        length = torch.where(number > 0, last, length)
    total = max(1, int(length.max()) if len(length) else 1) if steps is None else steps
    (channels,) = events.shape
    flat = (bins * events.batch + events.sample) * channels + events.unit
    if steps is not None and int(length.max() if len(length) else 0) > total:
        flat = flat[bins < total]
    counts = torch.bincount(flat, minlength=total * events.batch * channels)
    return counts.view(total, events.batch, channels).float(), length.clamp_(max=total)


def timestep_us(timestep_ms: float) -> int:
    """A timestep in microseconds. Raises DataError unless it is positive and whole."""
    width = timestep_ms * 1000.0
    if not (math.isfinite(width) and width >= 1 and abs(width - round(width)) < 1e-6):
        raise DataError(
            f"timestep_ms {timestep_ms} is not a positive whole number of microseconds; "
            "allowed are for instance 5, 10 or 12.5."
        )
    return round(width)


def _anchored(events: Events, width_us: int) -> Tensor:
    """The frame of every event (N,), counted from 0 in each recording."""
    device, batch = events.sample.device, events.batch
    key = events.sample * _FAR + events.time_us
    number = torch.bincount(events.sample, minlength=batch)
    end = torch.cumsum(number, 0)
    begin = end - number
    # In float16 a difference up to half a unit in the last place above the width still equals it.
    slack = 1000.0 * 2.0 ** (math.floor(math.log2(width_us / 1000.0)) - 11)
    reach = width_us + math.floor(slack)
    opens = torch.zeros(len(key) + 1, dtype=torch.int64, device=device)
    sample = torch.arange(batch, device=device)
    start = begin.clone()
    alive = start < end
    while bool(alive.any()):
        sample, start, end = sample[alive], start[alive], end[alive]
        opens[start] = 1
        limit = sample * _FAR + events.time_us[start] + reach
        start = torch.searchsorted(key, limit, right=True)
        alive = start < end
    order = torch.cumsum(opens[:-1], 0)
    first = order[begin.clamp(max=max(0, len(order) - 1))] if len(order) else order
    return order - first[events.sample]


def _grid(events: Events, width_us: int) -> Tensor:
    number = torch.bincount(events.sample, minlength=events.batch)
    end = torch.cumsum(number, 0)
    if not len(events.time_us):
        return events.time_us
    last = len(events.time_us) - 1
    start_us = events.time_us[(end - number).clamp(max=last)]
    spikes = len(events.time_us)
    since_us = events.time_us - torch.repeat_interleave(start_us, number, output_size=spikes)
    since = (since_us.float() / 1000.0).clamp_(max=65504.0).half()
    final, width = since[(end - 1).clamp(min=0)].double(), width_us / 1000.0
    most = torch.ceil(final / width).clamp_(min=1.0).long() - 1
    # Half precision has few values: their frames, in double precision, are looked up.
    halves = torch.arange(0x7C00, dtype=torch.int16, device=since.device).view(torch.float16)
    table = torch.floor(halves.double() / width).long()
    bins = table.take(since.view(torch.int16).long())
    return torch.minimum(bins, torch.repeat_interleave(most, number, output_size=spikes))
