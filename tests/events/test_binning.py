"""Binning: equal to a loop over events, at any timesteps, bin width and grouping."""

from dataclasses import replace

import pytest
import torch

from harness.contracts.data import Events
from harness.errors import DataError
from harness.events import binning


def recording(seed: int = 0, events: int = 400, shape: tuple[int, ...] = (2, 5, 7)) -> Events:
    """Random recordings: three samples, the second empty; times reach beyond the duration."""
    generator = torch.Generator().manual_seed(seed)
    units = int(torch.tensor(shape).prod())
    sample = torch.sort(torch.randint(0, 2, (events,), generator=generator) * 2).values
    time = torch.randint(0, 1100, (events,), generator=generator)
    unit = torch.randint(0, units, (events,), generator=generator)
    return binning.sort_by_time(Events(time, unit, sample, 3, shape, 1000))


def loop(events: Events, steps: int, bins: list[int], binary: bool) -> torch.Tensor:
    out = torch.zeros(steps, events.batch, *events.shape).flatten(2)
    for at, sample, unit in zip(bins, events.sample.tolist(), events.unit.tolist(), strict=True):
        if at < steps:
            out[at, sample, unit] = 1 if binary else out[at, sample, unit] + 1
    return out.view(steps, events.batch, *events.shape)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 7, 1000])
def test_by_time_equals_a_loop(steps: int, binary: bool) -> None:
    events = recording()
    bins = [time * steps // 1000 for time in events.time_us.tolist()]
    got = binning.by_time(events, steps=steps, value="binary" if binary else "count")
    assert torch.equal(got, loop(events, steps, bins, binary))
    assert got[:, 1].sum() == 0


@pytest.mark.parametrize(("bin_us", "steps"), [(1, 1000), (10, 100), (300, 4), (1000, 1), (5000, 1)])
def test_by_bin_width_equals_a_loop(bin_us: int, steps: int) -> None:
    events = recording(1)
    bins = [time // bin_us for time in events.time_us.tolist()]
    assert torch.equal(binning.by_time(events, bin_us=bin_us), loop(events, steps, bins, False))


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_by_count_equals_spikingjellys_rule(steps: int) -> None:
    events = recording(2)
    want = []
    for sample in range(3):
        number = int((events.sample == sample).sum())
        run = number // steps
        want += [min(rank // run, steps - 1) for rank in range(number)]
    assert torch.equal(binning.by_count(events, steps=steps), loop(events, steps, want, False))


def test_by_count_with_fewer_events_than_frames() -> None:
    events = Events(torch.tensor([5, 9]), torch.tensor([0, 1]), torch.tensor([0, 0]), 1, (2,), 10)
    got = binning.by_count(events, steps=4)
    assert got[:, 0].tolist() == [[1, 0], [0, 1], [0, 0], [0, 0]]


def test_by_count_sorts_what_is_not_sorted() -> None:
    events = recording(3)
    order = torch.randperm(len(events.unit), generator=torch.Generator().manual_seed(0))
    order = order[torch.argsort(events.sample[order], stable=True)]
    mixed = replace(
        events, time_us=events.time_us[order], unit=events.unit[order], sample=events.sample[order]
    )
    ties_apart = torch.unique(events.sample * 10_000 + events.time_us)
    assert len(ties_apart) > 300
    again = binning.sort_by_time(mixed)
    assert torch.equal(again.time_us, events.time_us)
    assert binning.sort_by_time(again) is again


def test_every_event_inside_is_counted_once() -> None:
    events = recording(4)
    inside = int((events.time_us < 1000).sum())
    for steps in (1, 13):
        assert int(binning.by_time(events, steps=steps).sum()) == inside
        assert int(binning.by_count(events, steps=steps).sum()) == len(events.unit)


def test_no_events_at_all() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    events = Events(none, none, none, 2, (3,), 100)
    assert binning.by_time(events, steps=4).shape == (4, 2, 3)
    assert int(binning.by_count(events, steps=4).sum()) == 0


def test_dtype_is_cast_after_counting() -> None:
    zeros = torch.zeros(1000, dtype=torch.int64)
    events = Events(zeros, zeros, zeros, 1, (1,), 10)
    assert binning.by_time(events, steps=1, dtype=torch.bfloat16).item() == 1000


def test_group_channels() -> None:
    events = recording(5, shape=(70,))
    fine = binning.by_time(events, steps=6)
    grouped = binning.by_time(binning.group_channels(events, 5), steps=6)
    assert torch.equal(grouped, fine.view(6, 3, 14, 5).sum(-1))


def test_group_pixels() -> None:
    events = recording(6, shape=(2, 4, 6))
    fine = binning.by_time(events, steps=2)
    grouped = binning.by_time(binning.group_pixels(events, 2), steps=2)
    assert torch.equal(grouped, fine.view(2, 3, 2, 2, 2, 3, 2).sum((4, 6)))
    odd = binning.by_time(binning.group_pixels(recording(6), 2), steps=1)
    assert odd.shape == (1, 3, 2, 3, 4)
    assert odd.sum() == binning.by_time(recording(6), steps=1).sum()


@pytest.mark.parametrize("bad", [{}, {"steps": 2, "bin_us": 3}, {"steps": 0}, {"bin_us": 0}, {"bin_us": -5}])
def test_bins_that_make_no_sense(bad: dict[str, int]) -> None:
    with pytest.raises(DataError):
        binning.by_time(recording(), **bad)  # type: ignore[arg-type]


def test_groups_that_make_no_sense() -> None:
    with pytest.raises(DataError, match="does not divide 70"):
        binning.group_channels(recording(shape=(70,)), 3)
    with pytest.raises(DataError, match="one axis"):
        binning.group_channels(recording(), 5)
    with pytest.raises(DataError, match="needs a sensor"):
        binning.group_pixels(recording(shape=(70,)), 2)
    with pytest.raises(DataError, match="timesteps 0"):
        binning.by_count(recording(), steps=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_on_cuda() -> None:
    events = recording()
    there = events.to(torch.device("cuda"))
    assert torch.equal(binning.by_time(there, steps=7).cpu(), binning.by_time(events, steps=7))
    assert torch.equal(binning.by_count(there, steps=7).cpu(), binning.by_count(events, steps=7))
