"""TS-LIF: two coupled compartments, a slow dendrite and a fast soma, with a graded output.

Source: TS-LIF, arXiv 2503.05108, Eq. 5-6 (form ``paper``), and its released code (form ``code``).

Not taken over from the released code: the mixing weights sit on the feature axis, never on the
time position (:meth:`TSLIF.widen`); constants belong to one neuron, never to a default argument.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Literal

import torch
from torch import Tensor, nn

from harness.contracts import Neuron, ParamsModel, param
from harness.contracts.neuron import NeuronState
from harness.neurons.constants import SurrogateParams
from harness.neurons.kernels import compiled
from harness.neurons.kernels.functional import spike
from harness.neurons.kernels.ts_lif_functional import ts_lif_multistep
from harness.neurons.kernels.ts_lif_recurrence import Rule

PAPER = "arXiv 2503.05108"
CODE = "kkking-kk/TS-LIF a59826a"


class TSLIFParams(ParamsModel):
    """The seven constants of Eq. 5-6, each learned or fixed; the code form starts at the same values."""

    form: Literal["code", "paper"] = param(
        "code", "paper: tied gains, one mix; code: free constants, reset at once", source=PAPER
    )
    a1: float = param(0.8, "decay of the dendrite", low=0.0, high=1.0, source=CODE)
    a2: float = param(0.3, "decay of the soma", low=0.0, high=1.0, source=CODE)
    b1: float = param(-0.1, "soma to dendrite (code: -yy)", low=-2.0, high=2.0, source=CODE)
    b2: float = param(-0.8, "dendrite to soma (code: -kk)", low=-2.0, high=2.0, source=CODE)
    g1: float = param(0.5, "reset of the dendrite (code: gamma)", low=0.0, high=10.0, source=CODE)
    g2: float = param(1.0, "reset of the soma (code: the threshold)", low=0.0, high=10.0)
    kappa: float = param(0.5, "share of dendrite spikes in the output", low=0.0, high=1.0)
    mix_start: Literal["kappa", "normal"] = param(
        "kappa", "code form: output weights start at kappa, or as N(0, 1) draws", source=CODE
    )
    v_threshold: float = param(
        1.0, "firing threshold", unit="membrane potential", low=0.01, high=100.0, log=True
    )
    learn_a1: bool = param(True, "whether a1 (code: and the dendrite's input gain) is learned")
    learn_a2: bool = param(True, "whether a2 (code: and the soma's input gain) is learned")
    learn_b1: bool = param(True, "whether b1 is learned")
    learn_b2: bool = param(True, "whether b2 is learned")
    learn_g1: bool = param(False, "whether g1 is learned")
    learn_g2: bool = param(False, "whether g2 is learned")
    learn_kappa: bool = param(True, "whether kappa (code: the two output weights) is learned")
    surrogate: SurrogateParams = SurrogateParams()


def stability_margin(a1: float, a2: float, b1: float, b2: float) -> float:
    """Below 0 iff the linear part of TS-LIF decays (both eigenvalues inside the unit circle).

    The matrix is [[a1, b1], [a1*b2, a2 + b1*b2]]: |det| < 1 and |trace| < 1 + det.
    """
    det, trace = a1 * a2, a1 + a2 + b1 * b2
    return max(abs(det) - 1.0, abs(trace) - 1.0 - det)


def spectral_radius(a1: float, a2: float, b1: float, b2: float) -> float:
    """The larger modulus of the two eigenvalues of that matrix."""
    det, trace = a1 * a2, a1 + a2 + b1 * b2
    root = trace * trace / 4.0 - det
    if root < 0.0:
        return math.sqrt(det)
    return abs(trace) / 2.0 + math.sqrt(root)


class TSLIF(Neuron):
    """Outputs m_d*s_d + m_s*s_s of dendrite and soma spikes: graded, not binary.

    ``forward`` is one autograd node for all timesteps; ``hold`` the same for an input that stays.
    The released code resets without detaching, so does this. Raises HarnessError where an input
    has no timestep or other features than the neuron was widened to.
    """

    name = "ts-lif"
    Params = TSLIFParams
    low, high = -math.inf, math.inf
    fixed: Tensor
    mix: Tensor
    tie: Tensor
    offset: Tensor

    def __init__(self, params: ParamsModel | None = None) -> None:
        super().__init__(params)
        p = self.params
        self.late = p.form == "paper"
        self.axis = -1
        resets = p.learn_g1 or p.learn_g2
        self.rule = Rule(p.v_threshold, p.surrogate.value(), self.late, resets=resets)
        learned, fixed = _stored(p)
        self.learned = tuple(learned)
        for group, names in learned.items():
            setattr(self, group, nn.Parameter(torch.tensor([_start(p, name) for name in names])))
        self.register_buffer("fixed", torch.tensor([_start(p, name) for name in fixed]))
        tie, offset = _ties([*chain(*learned.values()), *fixed])
        self.register_buffer("tie", tie, persistent=False)
        self.register_buffer("offset", offset, persistent=False)
        self.widen(1)
        compiled.ts_lif_loops()  # before anything is timed

    def widen(self, features: int, axis: int = -1) -> TSLIF:
        """Give every feature its own output weights; ``axis`` counts from the end (-1: last).

        Starts the weights anew. Returns the neuron itself.
        """
        self.axis = axis
        kappa = torch.full((1, features), float(self.params.kappa))
        mix = torch.cat([kappa, 1.0 - kappa])
        if not self.late and self.params.mix_start == "normal":
            mix = torch.randn(2, features)
        for store in (self._parameters, self._buffers):
            store.pop("mix", None)
        start = kappa if self.late else mix
        if self.params.learn_kappa:
            self.mix = nn.Parameter(start)
        else:
            self.register_buffer("mix", start)
        return self

    def gains(self) -> Tensor:
        """The constants of the recurrence (8,): k11, k12, kx1, k22, k21, kx2, g1, g2."""
        constants = torch.cat([*(getattr(self, group) for group in self.learned), self.fixed])
        return (self.tie * constants).sum(dim=1) + self.offset  # no product that autocast would round

    def weights(self) -> Tensor:
        """Weights of dendrite and soma spikes in the output, (2, 1) or (2, features)."""
        return torch.cat([self.mix, 1.0 - self.mix]) if self.late else self.mix

    def forward(self, x_tb: Tensor) -> Tensor:
        """T timesteps from rest: currents (T, B, ...) to graded spikes of the same shape."""
        return ts_lif_multistep(x_tb, self.gains(), self.weights(), self.rule, self.axis)

    def hold(self, x_b: Tensor, steps: int) -> Tensor:
        """The mean output (B, ...) over ``steps`` timesteps from rest of a current that stays."""
        rule = self.rule._replace(hold=steps)
        return ts_lif_multistep(x_b, self.gains(), self.weights(), rule, self.axis)

    def initial_state(self, x_b: Tensor) -> NeuronState:
        """Two carried potentials, in the paper's form also two spikes that will reset them.

        After them come the constants that steps need, ten tensors, so that they are made once a run.
        """
        zero = torch.zeros_like(x_b)
        weights = (m.view(-1, *(1,) * (-1 - self.axis)) for m in self.weights())
        return (zero,) * (4 if self.late else 2) + (*self.gains().unbind(), *weights)

    def step(self, x_b: Tensor, state: NeuronState) -> tuple[Tensor, NeuronState]:
        """One timestep: graded spikes (B, ...) and the next state."""
        k11, k12, kx1, k22, k21, kx2, g1, g2, m_d, m_s = constants = state[-10:]
        u_d = k11 * state[0] + k12 * state[1] + kx1 * x_b
        if self.late:
            u_d = u_d - g1 * state[2]
        u_s = k22 * state[1] + k21 * u_d + kx2 * x_b
        if self.late:
            u_s = u_s - g2 * state[3]
        s_d = spike(u_d, self.rule.v_threshold, self.rule.surrogate)
        s_s = spike(u_s, self.rule.v_threshold, self.rule.surrogate)
        out_b = m_d * s_d + m_s * s_s
        after = (u_d, u_s, s_d, s_s) if self.late else (u_d - g1 * s_d, u_s - g2 * s_s)
        return out_b, after + constants

    def constants(self) -> dict[str, float]:
        """The constants as they are now, the mean output weights and the spectral radius."""
        k11, k12, kx1, k22, k21, kx2, g1, g2 = self.gains().tolist()
        m_d, m_s = self.weights().detach().mean(dim=1).tolist()
        names = {"a1": k11, "b1": k12, "a2": k22, "b2": k21, "g1": g1, "g2": g2}
        mixes = {"gain_d": kx1, "gain_s": kx2, "mix_d": m_d, "mix_s": m_s}
        return names | mixes | {"spectral_radius": spectral_radius(k11, k22, k12, k21)}

    def extra_repr(self) -> str:
        """The form and where the constants started."""
        p = self.params
        return f"{p.form}, a=({p.a1:g}, {p.a2:g}), b=({p.b1:g}, {p.b2:g}), {self.rule.surrogate}"


def _stored(p: TSLIFParams) -> tuple[dict[str, list[str]], list[str]]:
    """The learned constants by group, one tensor each, and the fixed ones, which are one buffer."""
    gains = () if p.form == "paper" else ("gain_d", "gain_s")
    groups = {"decay": ("a1", "a2", *gains), "coupling": ("b1", "b2"), "reset": ("g1", "g2")}
    switch = {"gain_d": "a1", "gain_s": "a2"}
    learns = {n for n in chain(*groups.values()) if getattr(p, f"learn_{switch.get(n, n)}")}
    learned = {group: [name for name in names if name in learns] for group, names in groups.items()}
    fixed = [name for name in chain(*groups.values()) if name not in learns]
    return {group: names for group, names in learned.items() if names}, fixed


def _start(p: TSLIFParams, name: str) -> float:
    if name in ("gain_d", "gain_s"):
        return 1.0 - float(p.a1 if name == "gain_d" else p.a2)
    return float(getattr(p, name))


def _ties(stored: Sequence[str]) -> tuple[Tensor, Tensor]:
    """(8, n) and (8,): gains = tie @ stored constants + offset. Without a gain of its own, kx = 1 - a."""
    tie, offset = torch.zeros(8, len(stored)), torch.zeros(8)
    for row, name in enumerate(("a1", "b1", "gain_d", "a2", "b2", "gain_s", "g1", "g2")):
        if name in stored:
            tie[row, stored.index(name)] = 1.0
        else:
            tie[row, stored.index("a1" if name == "gain_d" else "a2")] = -1.0
            offset[row] = 1.0
    return tie, offset
