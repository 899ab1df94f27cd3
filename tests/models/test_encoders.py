"""Codes of static values, sequences and events, all time first."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.contracts import Batch, Events
from harness.errors import HarnessError
from harness.models.encoders import direct, latency, poisson, static, time_major

VALUES = torch.tensor([[0.0, 0.25, 1.0], [0.5, 0.75, 2.0]])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_direct_repeats_without_a_copy() -> None:
    x_tbn = direct(VALUES, 4)
    assert x_tbn.shape == (4, 2, 3)
    assert torch.equal(x_tbn[3], VALUES)
    assert x_tbn.data_ptr() == VALUES.data_ptr()


def test_poisson_has_the_rate_of_the_value_and_its_own_seed() -> None:
    x_tbn = poisson(VALUES, 20_000, rng())
    assert set(x_tbn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(x_tbn.mean(0), VALUES.clamp(max=1.0), atol=0.02, rtol=0)
    assert torch.equal(x_tbn, poisson(VALUES, 20_000, rng()))
    assert not torch.equal(x_tbn, poisson(VALUES, 20_000, rng(1)))


def test_latency_spikes_once_the_larger_the_earlier() -> None:
    x_tbn = latency(VALUES, 5)
    assert torch.equal(x_tbn.sum(0), torch.ones(2, 3))
    assert x_tbn.argmax(0).tolist() == [[4, 3, 0], [2, 1, 0]]


@pytest.mark.parametrize("code", ["direct", "poisson", "latency"])
@pytest.mark.parametrize("timesteps", [0, -1])
def test_no_timesteps(code: str, timesteps: int) -> None:
    with pytest.raises(HarnessError, match="at least 1 timestep"):
        static(VALUES, timesteps, code, rng())  # type: ignore[arg-type]


def test_sequences_keep_their_time() -> None:
    x_btc = torch.rand(2, 7, 3, generator=rng())
    batch = Batch(x_btc, torch.zeros(2, dtype=torch.long))
    assert torch.equal(time_major(batch, 99, sequence=True), x_btc.transpose(0, 1))


def test_events_are_binned_at_the_timesteps_of_the_trial() -> None:
    events = Events(
        time_us=torch.tensor([0, 10, 90, 50]),
        unit=torch.tensor([0, 3, 1, 2]),
        sample=torch.tensor([0, 0, 0, 1]),
        batch=2,
        shape=(1, 2, 2),
        duration_us=100,
    )
    batch = Batch(events, torch.tensor([0, 1]))
    x_tb: Tensor = time_major(batch, 2)
    assert x_tb.shape == (2, 2, 1, 2, 2)
    assert x_tb.flatten(2).tolist() == [[[1, 0, 0, 1], [0, 0, 0, 0]], [[0, 1, 0, 0], [0, 0, 1, 0]]]
    assert time_major(batch, 3, split="count")[:, 0].flatten(1).sum(1).tolist() == [1, 1, 1]
    with pytest.raises(HarnessError, match="at least 1 timestep"):
        time_major(batch, 0)
