"""Unit values of the delay layer: kernels, ranges, rounding, backends, bad input."""

import math
from contextlib import nullcontext

import pytest
import torch

from harness.contracts import choices
from harness.contracts.choices import Record, recording
from harness.errors import HarnessError, UnknownNameError
from harness.layers.delay import (
    DelayLayer,
    DelaySpec,
    convolve,
    delta_kernel,
    dft,
    rounded,
    sigma_after,
    spread_kernel,
)
from harness.layers.delay.backends import leaky_sum
from harness.layers.delay.dft import input_gradient, kernel_gradient, multiply
from harness.layers.delay.kernel import whole_positions


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(**options: object) -> DelayLayer:
    values: dict = {"inputs": 7, "outputs": 5, "taps": 9} | options
    return DelayLayer(DelaySpec(**values), generator())


def share(position: float, sigma: float, taps: int = 25) -> torch.Tensor:
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    return spread_kernel(one, one * position, taps=taps, sigma=sigma).flatten()


def test_largest_tap_at_the_final_sigma() -> None:
    assert share(0.0, 0.23).max() == pytest.approx(0.787, abs=1e-3)
    assert share(0.5, 0.23).max() == pytest.approx(0.491, abs=1e-3)
    drawn = (torch.rand(1, 1, 100_000, generator=generator()) * 25 - 13).clamp(-12, 12)  # as in a new layer
    kernel = spread_kernel(torch.ones_like(drawn), drawn, taps=25, sigma=0.23)
    assert float(kernel.amax(0).mean()) == pytest.approx(0.69, abs=5e-3)


@pytest.mark.parametrize(("sigma", "wanted"), [(12.0, 25.0), (3.0, 12.7), (1.0, 6.3), (0.23, 2.9)])
def test_number_of_taps_above_one_percent(sigma: float, wanted: float) -> None:
    drawn = torch.rand(1, 1, 4000, generator=generator()) * 25 - 13  # as in a new layer
    position = drawn.clamp(-12, 12)
    kernel = spread_kernel(torch.ones_like(position), position, taps=25, sigma=sigma)
    assert float((kernel > 0.01).sum(0).float().mean()) == pytest.approx(wanted, abs=0.08)


@pytest.mark.parametrize("sigma", [12.0, 1.0, 0.23])
def test_taps_add_up_to_the_weight_even_at_the_borders(sigma: float) -> None:
    for position in (-12.0, 0.3, 12.0):
        assert share(position, sigma).sum() == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize(("position", "delay"), [(12.0, 0), (-12.0, 24), (0.0, 12)])
def test_position_to_delay(position: float, delay: int) -> None:
    layer = make(inputs=1, outputs=1, taps=25)
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.position.fill_(position)
    assert layer.delays().item() == delay
    x = torch.zeros(30, 1, 1)
    x[3] = 1.0
    with torch.no_grad(), layer.rounded():
        out = layer(x).flatten()
    assert out.shape == (42,)
    assert int(out.abs().argmax()) == 3 + delay
    assert out.abs().sum() == pytest.approx(2.0, abs=1e-5)


def test_initial_positions_are_the_papers() -> None:
    layer = make(inputs=200, outputs=200, taps=25)
    position = layer.position.detach()
    assert float((position == -12).float().mean()) == pytest.approx(0.04, abs=0.01)
    assert float(position.mean()) == pytest.approx(-0.45, abs=0.1)
    assert float(layer.weight.detach().abs().max()) <= math.sqrt(6 / 200)


@pytest.mark.parametrize("backend", ["conv1d", "fft", "dft"])
@pytest.mark.parametrize("elements", [1, 2])
@pytest.mark.parametrize("taps", [1, 2, 9, 24])
def test_rounded_equals_gather(backend: str, elements: int, taps: int) -> None:
    layer = make(taps=taps, elements=elements, backend=backend)
    x = torch.rand(12, 4, 7, generator=generator(1))
    with torch.no_grad(), layer.rounded():
        torch.testing.assert_close(layer(x), layer.forward_by_gather(x), atol=1e-5, rtol=0)


def test_rounding_leaves_no_trace() -> None:
    layer = make()
    layer.set_sigma(3.0)
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    x = torch.rand(12, 4, 7, generator=generator(1))
    spread = layer(x)
    with torch.no_grad(), rounded(layer):
        whole = layer(x)
    assert not torch.equal(whole, spread)
    assert torch.equal(layer(x), spread)
    for key, value in layer.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_rounding_is_undone_when_the_evaluation_fails() -> None:
    layer = make()
    with pytest.raises(HarnessError), rounded(layer):
        layer(torch.zeros(3, 2, 99))
    assert layer._whole is False


def test_rounded_spectrum_follows_the_weights() -> None:
    layer = make(backend="dft")
    x = torch.rand(12, 4, 7, generator=generator(1))
    with torch.no_grad():
        with rounded(layer):
            first = layer(x)
        layer.weight.mul_(2.0)
        with rounded(layer):
            torch.testing.assert_close(layer(x), 2 * first)


def test_half_positions_round_to_even_and_stay_inside() -> None:
    position = torch.tensor([0.5, 1.5, -0.5, -99.0, 99.0])
    assert whole_positions(position, 25).tolist() == [0.0, 2.0, 0.0, -12.0, 12.0]


@pytest.mark.parametrize("batch", [3, 300])
@pytest.mark.parametrize("decay", [None, 0.3])
@pytest.mark.parametrize("backend", ["fft", "dft"])
def test_backends_agree_with_conv1d(backend: str, decay: float | None, batch: int) -> None:
    shape = (20, batch, 7) if batch == 3 else (5, batch, 170)
    x = torch.rand(shape, generator=generator(1))
    layer = make(inputs=shape[2], outputs=5 if batch == 3 else 180)
    kernel = layer.kernel().detach()
    grad = torch.randn(len(x) + 4, batch, kernel.shape[1], generator=generator(2))
    results = []
    for name in ("conv1d", backend):
        x_leaf, k_leaf = x.clone().requires_grad_(), kernel.clone().requires_grad_()
        out = convolve(x_leaf, k_leaf, backend=name, decay=decay)
        out.backward(grad)
        results.append((out.detach(), x_leaf.grad, k_leaf.grad))
    for found, wanted in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4 * float(wanted.abs().max()), rtol=0)


@pytest.mark.parametrize("size", [3, 210])
def test_complex_products_and_their_gradients(size: int) -> None:
    make_rows = [torch.randn(3, 2, size, size, generator=generator(i)) for i in range(3)]
    x, h, d = make_rows
    cx, ch, cd = (torch.complex(t[1:, 0], t[1:, 1]) for t in make_rows)
    for found, wanted in (
        (multiply(x, h), cx @ ch.mT),
        (input_gradient(d, h), cd @ ch.conj()),
        (kernel_gradient(d, x), cd.mT @ cx.conj()),
    ):
        both = torch.stack([wanted.real, wanted.imag], 1)
        torch.testing.assert_close(found[1:], both, atol=2e-3, rtol=1e-3)


def test_kernel_gradient_by_finite_differences() -> None:
    weight = torch.randn(2, 3, 2, generator=generator(1), dtype=torch.float64).requires_grad_()
    position = (torch.rand(2, 3, 2, generator=generator(2), dtype=torch.float64) * 6 - 3.2).requires_grad_()
    for shape, sigma in (("gauss", 0.9), ("triangle", 0.7)):
        torch.autograd.gradcheck(
            lambda w, p, shape=shape, sigma=sigma: spread_kernel(w, p, taps=8, sigma=sigma, shape=shape),
            (weight, position),
        )


def test_leaky_sum_is_the_recurrence() -> None:
    x = torch.randn(10, 2, 3, generator=generator(1))
    v, steps = torch.zeros(2, 3), []
    for step in x:
        v = 0.6 * v + step
        steps.append(v)
    torch.testing.assert_close(leaky_sum(x, 0.6), torch.stack(steps))


def test_constrain_clamps_and_masks() -> None:
    layer = make(inputs=100, outputs=50, sparsity=0.9)
    kept = layer.weight != 0
    assert float(kept.float().mean()) == pytest.approx(0.1, abs=0.02)
    with torch.no_grad():
        layer.weight.add_(1.0)
        layer.position.fill_(77.0)
    layer.constrain()
    assert torch.equal(layer.weight != 0, kept)
    assert layer.position.max() == 4.0


def test_kinds_train_what_they_say() -> None:
    x = torch.rand(12, 4, 7, generator=generator(1))
    learned, fixed, dense = make(), make(kind="fixed"), make(kind="dense")
    frozen = make(train_weights=False)
    count = lambda net: sum(p.numel() for p in net.parameters() if p.requires_grad)  # noqa: E731
    assert [count(net) for net in (learned, fixed, dense, frozen)] == [70, 35, 315, 35]
    assert torch.equal(fixed.position, fixed.position.round())
    with torch.no_grad():
        whole = fixed(x)
        torch.testing.assert_close(whole, fixed.forward_by_gather(x), atol=1e-5, rtol=0)
        with rounded(fixed):
            torch.testing.assert_close(fixed(x), whole)
    frozen(x).sum().backward()
    assert frozen.weight.grad is None
    assert frozen.position.grad.abs().max() > 0
    fixed(x).sum().backward()
    assert fixed.weight.grad.abs().max() > 0


def test_fixed_delays_have_the_gradient_of_the_delta_kernel() -> None:
    weight = torch.randn(2, 3, 4, generator=generator(1)).requires_grad_()
    position = torch.tensor([0.0, 1.0, -2.0, 4.0]).expand(2, 3, 4)
    kernel = delta_kernel(weight, position, taps=9)
    grad = torch.randn(9, 3, 4, generator=generator(2))
    kernel.backward(grad)
    tap = (position + 4).long()
    torch.testing.assert_close(weight.grad, grad.gather(0, tap))


def test_one_sample_one_unit_one_step() -> None:
    layer = make(inputs=1, outputs=1, taps=3)
    assert layer(torch.ones(1, 1, 1)).shape == (2, 1, 1)


def test_compiled_models_compute_the_same() -> None:
    layer = make(backend="dft")
    layer.leave_graphs()
    x = torch.rand(12, 4, 7, generator=generator(1))
    compiled = torch.compile(layer, backend="eager")
    torch.testing.assert_close(compiled(x), layer(x))
    with torch.no_grad(), rounded(layer):
        torch.testing.assert_close(compiled(x), layer(x))


def test_half_precision_training_runs_in_full_precision_where_it_matters() -> None:
    x = torch.rand(12, 4, 7, generator=generator(1))
    for backend in ("conv1d", "fft", "dft"):
        layer = make(backend=backend)
        whole = layer(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = layer(x.bfloat16())
        torch.testing.assert_close(out.float(), whole, atol=0.03, rtol=0.05)


def test_state_dict_carries_sigma() -> None:
    layer = make()
    layer.set_sigma(5.0)
    other = make()
    other.load_state_dict(layer.state_dict())
    assert float(other.sigma) == 5.0


@pytest.mark.parametrize(
    ("start", "final", "epoch", "wanted"),
    [
        (12.0, 37, 0, 12.0),
        (12.0, 37, 1, 10.7836),
        (12.0, 37, 36, 0.2559),
        (12.0, 37, 37, 0.23),
        (12.0, 37, 149, 0.23),
        (15.0, 15, 1, 11.3536),
        (15.0, 15, 14, 0.3039),
        (15.0, 25, 1, 12.6916),
        (15.0, 25, 24, 0.2718),
        (0.23, 0, 7, 0.23),
    ],
)
def test_sigma_schedule(start: float, final: int, epoch: int, wanted: float) -> None:
    assert sigma_after(epoch, start, final) == pytest.approx(wanted, abs=6e-5)


@pytest.mark.parametrize("taps", [0, -3, 2.5, True])
def test_bad_ranges_are_one_line(taps: object) -> None:
    with pytest.raises(HarnessError, match=r"taps is .*whole numbers from 1"):
        DelaySpec(3, 3, taps)


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'learned'"):
        DelaySpec(3, 3, 5, kind="learnt")
    with pytest.raises(UnknownNameError, match="Did you mean 'dft'"):
        DelaySpec(3, 3, 5, backend="dftt")
    with pytest.raises(HarnessError, match="sparsity"):
        DelaySpec(3, 3, 5, sparsity=1.0)
    with pytest.raises(HarnessError, match="sigma"):
        DelaySpec(3, 3, 5, sigma=float("nan"))
    with pytest.raises(HarnessError, match=r"wanted \(timesteps"):
        make()(torch.zeros(0, 2, 7))


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_measured_is_what_runs(whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A choice for training and one for evaluation, whichever backends those are."""
    layer, x = make(), torch.rand(12, 4, 7, generator=generator(1))
    results = []
    for name in ("conv1d", "fft", "dft"):
        monkeypatch.setattr(choices, "_kept", lambda *_args, name=name: name)
        with recording(Record()) as record, torch.set_grad_enabled(not whole):
            with rounded(layer) if whole else nullcontext():
                results.append(layer(x, 0.9))
            (key,) = record.taken
        wanted = "whole delays" if whole else "gradients of kernel"
        assert f"delays: 12 steps, batch 4, 7-5, 9 taps, {wanted}, leaky sum; float32 on cpu" in key
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], atol=1e-5, rtol=1e-5)


def test_gradients_that_come_expanded_are_taken_in_contiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    """A readout that ends in a sum over time gives one with strides of 0; so does direct coding."""
    strides: list[int] = []
    plain = dft.rows_times

    def watched(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        strides.extend((*x.stride(), *w.stride()))
        return plain(x, w)

    monkeypatch.setattr(dft, "rows_times", watched)
    gradients = []
    for contiguous in (False, True):
        layer = make(backend="dft")
        x = torch.rand(1, 4, 7, generator=generator(1)).expand(12, 4, 7)
        out = layer(x.contiguous() if contiguous else x)
        grad = torch.autograd.grad(out.sum(0).sum(), out, retain_graph=True)[0]
        assert 0 in grad.stride()
        out.backward(grad.contiguous() if contiguous else grad)
        gradients.append(layer.weight.grad)
    assert 0 not in strides
    assert torch.equal(*gradients)
