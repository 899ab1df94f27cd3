"""Synapses with delays: learned, fixed or none, in three equal backends."""

from harness.layers.delay.backends import BACKENDS, Backend, convolve
from harness.layers.delay.kernel import delta_kernel, sigma_after, spread_kernel
from harness.layers.delay.layer import DelayLayer, DelaySpec, delay_layers, rounded

__all__ = [
    "BACKENDS",
    "Backend",
    "DelayLayer",
    "DelaySpec",
    "convolve",
    "delay_layers",
    "delta_kernel",
    "rounded",
    "sigma_after",
    "spread_kernel",
]
