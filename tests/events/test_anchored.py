"""Both framings against a float16 loop, SpikingJelly's own function and docs/papers.md, Binning."""

import math

import numpy as np
import pytest
import torch

from harness.contracts.data import Events
from harness.errors import DataError
from harness.events.anchored import frames


def recordings(times_s: list[np.ndarray], units: list[np.ndarray], channels: int = 20) -> Events:
    """Events of float16 seconds, as the SHD reader makes them."""
    ms = [(1000 * t.astype(np.float16)).astype(np.float64) for t in times_s]
    time = np.concatenate([np.round(m * 1000) for m in ms]).astype(np.int64)
    sample = np.repeat(np.arange(len(ms)), [len(m) for m in ms])
    unit = np.concatenate(units).astype(np.int64)
    tensors = [torch.from_numpy(a) for a in (time, unit, sample)]
    return Events(*tensors, len(ms), (channels,), 1_400_000)


def by_loop(times_s: np.ndarray, width_ms: float) -> list[int]:
    """Event-anchored frames in numpy float16, one event at a time."""
    t = 1000 * times_s.astype(np.float16)
    sizes, left = [], 0
    while left < len(t):
        right = left
        while right < len(t) and t[right] - t[left] <= width_ms:
            right += 1
        sizes.append(right - left)
        left = right
    return sizes


def sizes(dense: torch.Tensor, sample: int = 0) -> list[int]:
    return [int(n) for n in dense[:, sample].sum(1)]


EXAMPLE = np.array([0.0, 0.002, 0.050, 0.0505, 0.200, 0.2101])


def test_example_of_the_papers_page() -> None:
    units = [np.arange(6)]
    dense, length = frames(recordings([EXAMPLE], units), timestep_ms=10)
    assert sizes(dense) == [2, 2, 1, 1]
    assert length.tolist() == [4]
    assert frames(recordings([EXAMPLE], units), timestep_ms=10, binning="grid")[1].tolist() == [22]
    short = np.concatenate([EXAMPLE[:5], [0.210]])
    assert sizes(frames(recordings([short], units), timestep_ms=10)[0]) == [2, 2, 2]
    assert frames(recordings([short], units), timestep_ms=10, binning="grid")[1].tolist() == [21]


def random_recordings(count: int = 12) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(0)
    times, units = [], []
    for i in range(count):
        n = int(rng.integers(1, 400))
        t = np.sort(rng.random(n) * rng.uniform(0.05, 1.3))
        if i % 2:
            t = np.sort(np.concatenate([t * 0.05, t]))
        times.append(t.astype(np.float16))
        units.append(rng.integers(0, 20, len(t)))
    return times, units


@pytest.mark.parametrize("width", [4.0, 10.0, 25.0])
def test_anchored_equals_the_loop(width: float) -> None:
    times, units = random_recordings()
    dense, length = frames(recordings(times, units), timestep_ms=width)
    for i, t in enumerate(times):
        wanted = by_loop(t, width)
        assert int(length[i]) == len(wanted)
        assert sizes(dense, i)[: len(wanted)] == wanted
        assert dense[len(wanted) :, i].sum() == 0


def test_grid_equals_spikingjelly() -> None:
    shd = pytest.importorskip("spikingjelly.datasets.shd")
    times, units = random_recordings()
    dense, length = frames(recordings(times, units), timestep_ms=10, binning="grid")
    for i, (t, x) in enumerate(zip(times, units, strict=True)):
        wanted = shd._integrate_events_by_fixed_duration({"t": t, "x": x}, 10, 20)
        assert int(length[i]) == len(wanted)
        np.testing.assert_array_equal(dense[: len(wanted), i].numpy(), wanted)


def test_groups_add_up_and_counts_are_kept() -> None:
    times, units = random_recordings(3)
    whole = frames(recordings(times, units), timestep_ms=10)[0]
    grouped = frames(recordings(times, units), timestep_ms=10, group=5)[0]
    torch.testing.assert_close(grouped, whole.view(*whole.shape[:2], 4, 5).sum(3))
    assert grouped.max() > 1


@pytest.mark.parametrize("binning", ["events", "grid"])
def test_empty_recordings_have_no_frames(binning: str) -> None:
    one = np.array([0.1, 0.3])
    nothing = np.array([])
    events = recordings([nothing, one, nothing], [nothing, np.array([1, 2]), nothing])
    dense, length = frames(events, timestep_ms=10, binning=binning)
    assert length.tolist() == [0, 2 if binning == "events" else 20, 0]
    assert dense[:, [0, 2]].sum() == 0
    dense, length = frames(recordings([nothing], [nothing]), timestep_ms=10, binning=binning)
    assert dense.shape == (1, 1, 20)
    assert length.tolist() == [0]


def test_fixed_steps_pad_and_cut() -> None:
    events = recordings([np.array([0.0, 0.05, 0.5])], [np.array([0, 1, 2])])
    dense, length = frames(events, timestep_ms=10, binning="grid", steps=10)
    assert dense.shape == (10, 1, 20)
    assert dense.sum() == 2
    assert length.tolist() == [10]


@pytest.mark.parametrize("timestep", [0.0, -5.0, math.nan, 0.0001])
def test_bad_timesteps_are_one_line(timestep: float) -> None:
    events = recordings([EXAMPLE], [np.arange(6)])
    with pytest.raises(DataError, match="timestep_ms"):
        frames(events, timestep_ms=timestep)


def test_group_that_does_not_divide() -> None:
    with pytest.raises(DataError, match="does not divide 20 channels"):
        frames(recordings([EXAMPLE], [np.arange(6)]), timestep_ms=10, group=3)
