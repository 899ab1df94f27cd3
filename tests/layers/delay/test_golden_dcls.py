"""The delay layer against PyPI's DCLS, the only oracle: outputs 1e-5, gradients 1e-4 relative."""

import warnings

import pytest
import torch
from torch.nn import functional

from harness.layers.delay import DelayLayer, DelaySpec, convolve, delta_kernel

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    construct = pytest.importorskip("DCLS.construct.modules", reason="pip install 'harness[test]'")

TAPS, INPUTS, OUTPUTS, STEPS, BATCH = 25, 6, 5, 30, 3


def positions(kind: str, shape: tuple[int, ...]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    drawn = torch.rand(shape, generator=generator) * (TAPS - 1) - TAPS // 2
    if kind == "random":
        return drawn
    if kind == "borders":
        return torch.where(drawn < 0, -float(TAPS // 2), float(TAPS // 2))
    return drawn.floor() + 0.5


def oracle(layer: DelayLayer, version: str, sigma: float) -> torch.nn.Module:
    elements = layer.spec.elements
    net = construct.Dcls1d(
        INPUTS,
        OUTPUTS,
        kernel_count=elements,
        groups=1,
        dilated_kernel_size=TAPS,
        bias=False,
        version=version,
    )
    with torch.no_grad():
        net.weight.copy_(layer.weight.permute(1, 2, 0))
        net.P.copy_(layer.position.permute(1, 2, 0).unsqueeze(0))
        if hasattr(net, "SIG"):
            net.SIG.fill_(sigma)
    return net


def run_oracle(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    padded = functional.pad(x.permute(1, 2, 0), (TAPS - 1, (TAPS - 1) // 2))
    return net(padded).permute(2, 0, 1)


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-12))


@pytest.mark.parametrize("elements", [1, 2])
@pytest.mark.parametrize("where", ["random", "borders", "halves"])
@pytest.mark.parametrize("sigma", [12.0, 1.0, 0.23, 0.0])
@pytest.mark.parametrize("shape", ["gauss", "triangle"])
@pytest.mark.parametrize("backend", ["conv1d", "fft", "dft"])
def test_equals_dcls(backend: str, shape: str, sigma: float, where: str, elements: int) -> None:
    spec = DelaySpec(INPUTS, OUTPUTS, TAPS, elements=elements, shape=shape, sigma=sigma, backend=backend)
    generator = torch.Generator().manual_seed(1)
    layer = DelayLayer(spec, generator)
    with torch.no_grad():
        layer.position.copy_(positions(where, layer.position.shape))
    x = torch.rand(STEPS, BATCH, INPUTS, generator=generator)
    grad = torch.randn(STEPS + 12, BATCH, OUTPUTS, generator=generator)
    net = oracle(layer, "gauss" if shape == "gauss" else "max", sigma)
    x_ours, x_theirs = x.clone().requires_grad_(), x.clone().requires_grad_()

    ours, theirs = layer(x_ours), run_oracle(net, x_theirs)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    ours.backward(grad)
    theirs.backward(grad)
    assert relative(x_ours.grad, x_theirs.grad) < 1e-4
    assert relative(layer.weight.grad.permute(1, 2, 0), net.weight.grad) < 1e-4
    if shape == "gauss" or where == "random":  # elsewhere the triangle has a kink there
        wanted = net.P.grad[0].permute(2, 0, 1)
        scale = wanted.abs().max().clamp(min=1e-3)
        assert float((layer.position.grad - wanted).abs().max() / scale) < 1e-4


def test_rounded_evaluation_is_dcls_max_at_sigma_zero() -> None:
    layer = DelayLayer(DelaySpec(INPUTS, OUTPUTS, TAPS, elements=2), torch.Generator().manual_seed(2))
    net = oracle(layer, "max", 0.0)
    with torch.no_grad():
        net.P.round_()
    x = torch.rand(STEPS, BATCH, INPUTS, generator=torch.Generator().manual_seed(5))
    with torch.no_grad(), layer.rounded():
        torch.testing.assert_close(layer(x), run_oracle(net, x), atol=1e-5, rtol=0)
        kernel = delta_kernel(layer.weight, layer.position, taps=TAPS)
        torch.testing.assert_close(convolve(x, kernel, backend="conv1d"), layer(x), atol=1e-5, rtol=0)
