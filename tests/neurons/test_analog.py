"""The sharpened rectifier of arXiv 2203.01158, values of docs/papers.md, Sharpened ReLU."""

from __future__ import annotations

import pytest
import torch

from harness.neurons.analog import ReLU, ReLUParams, SharpenedReLU, window


@pytest.mark.parametrize(
    ("epoch", "low", "high"),
    [(1, 0.005, 0.995), (50, 0.25, 0.75), (90, 0.45, 0.55), (98, 0.49, 0.51), (100, 0.49, 0.50)],
)
def test_window_of_the_paper(epoch: int, low: float, high: float) -> None:
    assert window(epoch) == pytest.approx((low, high))


def test_window_is_rescaled_to_other_lengths() -> None:
    assert window(15, 15) == pytest.approx(window(100))
    assert window(3, 6) == pytest.approx(window(50))
    assert window(100, end=0.5) == pytest.approx(window(50))


def test_ramp_by_hand() -> None:
    unit = SharpenedReLU()
    unit.window = window(50)
    out = unit(torch.tensor([0.25, 0.5, 0.6, 0.75, 2.0, -1.0]))
    torch.testing.assert_close(out, torch.tensor([0.0, 0.5, 0.7, 1.0, 1.0, 0.0]))


@pytest.mark.parametrize("epoch", [1, 50, 100])
@pytest.mark.parametrize("hard", [False, True])
def test_gradient_is_the_fixed_rectangle_at_every_epoch(epoch: int, hard: bool) -> None:
    unit = SharpenedReLU()
    unit.window, unit.hard = window(epoch), hard
    u = torch.tensor([0.0, 0.01, 0.5, 0.99, 1.0]).requires_grad_()
    unit(u).sum().backward()
    assert u.grad is not None
    assert u.grad.tolist() == [0, 1, 1, 1, 0]


def test_hard_is_the_spike_function() -> None:
    unit = SharpenedReLU()
    unit.hard = True
    assert unit(torch.tensor([0.49, 0.5, 0.51, 3.0])).tolist() == [0, 1, 1, 1]


def test_clamped_relu() -> None:
    assert ReLU(ReLUParams(clamp=True))(torch.tensor([-1.0, 0.5, 2.0])).tolist() == [0, 0.5, 1]
