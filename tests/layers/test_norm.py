"""Normalisation tied to the threshold, and layers folded over time."""

from __future__ import annotations

import pytest
import torch
from spikingjelly.activation_based import layer as sj_layer
from torch import nn

from harness.layers.norm import ScaledVarianceBatchNorm, ThresholdBatchNorm, fold_into
from harness.layers.time import constant_in_time, mean_over_time, over_time


def frames(seed: int = 0) -> torch.Tensor:
    return torch.randn(4, 3, 5, 6, 6, generator=torch.Generator().manual_seed(seed)) * 3 + 1


def test_tdbn_equals_spikingjelly() -> None:
    """docs/papers.md, Normalisation: ThresholdDependentBatchNorm2d(alpha=1, v_th=0.5, C), in step mode m."""
    ours = ThresholdBatchNorm(5, v_threshold=0.5)
    theirs = sj_layer.ThresholdDependentBatchNorm2d(1.0, 0.5, 5)
    theirs.step_mode = "m"
    assert torch.equal(ours.weight, theirs.weight)
    for seed in range(2):
        torch.testing.assert_close(over_time(ours, frames(seed)), theirs(frames(seed)))
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    ours.eval()
    theirs.eval()
    torch.testing.assert_close(over_time(ours, frames(9)), theirs(frames(9)))


def test_tdbn_output_has_the_deviation_of_the_threshold() -> None:
    out = over_time(ThresholdBatchNorm(5, v_threshold=0.5), frames())
    torch.testing.assert_close(out.std((0, 1, 3, 4)), torch.full((5,), 0.5), atol=2e-3, rtol=0)


@pytest.mark.parametrize(("k", "deviation"), [(4.0, 0.5), (8.0, 8**-0.5)])
def test_thbn_output_has_deviation_one_over_root_k(k: float, deviation: float) -> None:
    norm = ScaledVarianceBatchNorm(5, k)
    out = over_time(norm, frames())
    torch.testing.assert_close(out.std((0, 1, 3, 4)), torch.full((5,), deviation), atol=2e-3, rtol=0)
    x = frames().flatten(0, 1)
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
    by_hand = (x - mean) / torch.sqrt(k * var + norm.eps)
    torch.testing.assert_close(out.flatten(0, 1), by_hand, atol=1e-5, rtol=1e-4)


def test_thbn_evaluates_with_running_statistics() -> None:
    norm = ScaledVarianceBatchNorm(5, 4.0)
    norm.momentum = 1.0
    trained = over_time(norm, frames())
    norm.eval()
    torch.testing.assert_close(over_time(norm, frames()), trained, atol=1e-2, rtol=1e-2)
    assert norm.num_batches_tracked == 1


def test_norms_take_vectors() -> None:
    assert ThresholdBatchNorm(5)(torch.randn(8, 5)).shape == (8, 5)
    with pytest.raises(ValueError, match="expected"):
        ThresholdBatchNorm(5)(torch.randn(8, 5, 2))


def test_folding_changes_nothing_in_evaluation() -> None:
    conv, norm = nn.Conv2d(5, 7, 3), ThresholdBatchNorm(7, 0.5)
    norm(conv(frames().flatten(0, 1)))
    norm.eval()
    expected = norm(conv(frames(1).flatten(0, 1)))
    fold_into(conv, norm)
    torch.testing.assert_close(conv(frames(1).flatten(0, 1)), expected, atol=1e-5, rtol=1e-4)


def test_a_constant_sequence_runs_once() -> None:
    calls = []

    def layer(x: torch.Tensor) -> torch.Tensor:
        calls.append(x.shape)
        return x * 2

    image = frames()[0]
    repeated = image.unsqueeze(0).expand(4, *image.shape)
    out = over_time(layer, repeated)
    assert calls == [image.shape]
    assert constant_in_time(out)
    assert torch.equal(out, over_time(layer, repeated.contiguous()))


def test_a_constant_sequence_has_the_same_gradient() -> None:
    image = frames()[0]
    gradients = []
    for repeated in (image.expand(4, *image.shape), image.repeat(4, 1, 1, 1, 1)):
        torch.manual_seed(0)
        layer = nn.Sequential(nn.Conv2d(5, 3, 3), ThresholdBatchNorm(3))
        with torch.no_grad():
            layer[0].weight.fill_(0.1)
            layer[0].weight[0, 0] = -0.3
        weight = torch.arange(4.0).reshape(4, 1, 1, 1, 1)
        (over_time(layer, repeated).square() * weight).sum().backward()
        gradients.append(layer[0].weight.grad)
    torch.testing.assert_close(*gradients, atol=1e-3, rtol=1e-4)


def test_mean_over_time_of_padded_sequences() -> None:
    x = torch.arange(12.0).reshape(3, 2, 2)
    out = mean_over_time(x, torch.tensor([1, 3]))
    assert torch.equal(out[0], x[0, 0])
    assert torch.equal(out[1], x[:, 1].mean(0))
    assert torch.equal(mean_over_time(x, torch.tensor([3, 3])), mean_over_time(x))
