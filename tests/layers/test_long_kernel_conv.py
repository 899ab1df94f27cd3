"""Every form of the convolution equals torch's; which one runs is measured."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.nn.functional import conv2d

from harness.contracts import choices
from harness.contracts.choices import Record, recording
from harness.layers.long_kernel_conv import FORMS, LastAxisConv, conv_last_axis
from harness.train.probes import Probe

LONG_KERNEL = 12


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One form, whatever is fastest."""
    monkeypatch.setattr(choices, "_kept", lambda *_args: request.param)
    return str(request.param)


@pytest.fixture(autouse=True)
def record() -> Iterator[Record]:
    """What a test takes is forgotten."""
    with recording(Record()) as made:
        yield made


@pytest.mark.parametrize("taps", [1, 2, 11, 16])
@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_equals_the_convolution(taps: int, dilation: int, form: str, record: Record) -> None:
    generator = torch.Generator().manual_seed(taps + dilation)
    results = []
    for function in (lambda x, w: conv2d(x, w, dilation=(1, dilation)), None):
        x = torch.randn(3, 5, 2, 80, generator=generator.manual_seed(1)).requires_grad_()
        w = torch.randn(4, 5, 1, taps, generator=generator.manual_seed(2)).requires_grad_()
        out = conv_last_axis(x, w, dilation) if function is None else function(x, w)
        out.backward(torch.randn(out.shape, generator=generator.manual_seed(3)))
        results.append((out.detach(), x.grad, w.grad))
    for theirs, ours in zip(*results, strict=True):
        assert theirs is not None
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert list(record.taken.values()) == ([form] if taps > 1 else []), "one tap has no choice"


def test_bf16_takes_the_ordinary_one() -> None:
    x, w = torch.randn(2, 3, 1, 40).requires_grad_(), torch.randn(4, 3, 1, LONG_KERNEL).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = conv_last_axis(x, w)
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    assert w.grad is not None
    assert w.grad.dtype == torch.float32


def test_a_window_as_long_as_the_kernel_and_a_part_that_needs_no_gradient(form: str) -> None:
    x, w = torch.randn(2, 3, 1, LONG_KERNEL), torch.randn(4, 3, 1, LONG_KERNEL).requires_grad_()
    out = conv_last_axis(x, w)
    assert out.shape == (2, 4, 1, 1)
    out.sum().backward()
    torch.testing.assert_close(w.grad, x.sum(0)[None].expand(4, -1, -1, -1), atol=1e-5, rtol=1e-5)


def test_synaptic_operations_are_those_of_the_convolution_in_every_form(form: str) -> None:
    layer, probe = LastAxisConv(3, 4, LONG_KERNEL, 2), Probe()
    with torch.no_grad(), probe.watching(layer):
        layer(torch.rand(2, 3, 1, 40) + 1.0)
    assert probe.operations.multiplies == 2 * (40 - 22) * 3 * 4 * LONG_KERNEL
    assert probe.operations.accumulates == 0
