"""`forecast-snn`: spiking TCN, GRU and iSpikformer with LIF, PLIF or TS-LIF neurons.

Sources: SeqSNN (arXiv 2402.01533) and TS-LIF (arXiv 2503.05108).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from harness.contracts import DatasetCard, Job, Learner, NeuronSpec, Pipeline, Stage, param
from harness.errors import IncompatibleError
from harness.ids import derive_seed
from harness.models.forecast import build_forecaster
from harness.neurons.ts_lif import TSLIF, stability_margin
from harness.pipelines.forecasting.forecast_common import ForecastLearner, ForecastParams, incompatible
from harness.space import Scalar

#: SeqSNN's yml by data set: (backbone tcn) batch, learning rate, encoder features, kernel.
_SEQSNN = {
    "electricity": (24, 1.0e-3, 64, 16),
    "metr-la": (256, 1.0e-3, 64, 3),
    "pems-bay": (64, 1.0e-3, 64, 3),
    "solar": (64, 1.0e-3, 64, 64),  # TS-LIF's file has 32
}


class SpikingForecastParams(ForecastParams):
    """The same with neurons and T."""

    neuron: NeuronSpec
    timesteps: int = param(
        4, "T of tcn and itransformer; the gru's neurons step with the window", low=1, high=64
    )


class SpikingForecastLearner(ForecastLearner):
    """A spiking forecaster; reports the constants that TS-LIF has learned."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        params, card = job.params, job.card
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(job.seed, "weights"))
            self.model = build_forecaster(
                params.net,
                card.shape[0],
                card.horizon,
                neuron=params.neuron,
                steps=params.timesteps,
                columns=card.shape[1],
                variates=card.variates,
            ).to(job.device)

    def epoch_metrics(self) -> Mapping[str, float]:
        """Of TS-LIF layers: the largest spectral radius, and every constant's mean over layers."""
        found = [m.constants() for m in self.model.modules() if isinstance(m, TSLIF)]
        if not found:
            return {}
        means = {f"ts/{key}": sum(c[key] for c in found) / len(found) for key in found[0]}
        return {"spectral_radius": max(c["spectral_radius"] for c in found)} | means


class ForecastSNN(Pipeline):
    """Backpropagation through a spiking forecaster; mean squared error, Adam, clipped gradients."""

    name = "forecast-snn"
    Params = SpikingForecastParams
    neurons = ("lif", "plif", "ts-lif")
    neuron_defaults: ClassVar[Mapping[str, Scalar]] = {"tau": 100.0, "reset": "soft"}

    def incompatible(self, card: DatasetCard) -> str | None:
        """Forecasting of windows alone."""
        return incompatible(card)

    def validate(self, params: Any, card: DatasetCard) -> None:
        """Constants of TS-LIF whose membranes would grow without end, learned ones at their start."""
        margin = self.constraints(params)[0]
        if margin > 0:
            names = tuple(f"neuron.{name}" for name in ("a1", "a2", "b1", "b2"))
            given = ", ".join(f"{n} {params.neuron.constant(n.split('.')[1]):g}" for n in names)
            raise IncompatibleError(
                f"neuron ts-lif: membranes grow without end with {given} (margin {margin:.3g}, allowed up to "
                "0): choose smaller ones.",
                names=names,
            )

    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """One stage."""
        return (Stage("train", epochs),)

    def learner(self, job: Job) -> Learner:
        """A new network."""
        return SpikingForecastLearner(job)

    def constraints(self, params: Any) -> tuple[float, ...]:
        """TS-LIF's stability margin at its starting constants; always feasible for other neurons."""
        neuron: NeuronSpec = params.neuron
        if neuron.name != "ts-lif":
            return (-1.0,)
        return (stability_margin(*(neuron.constant(name) for name in ("a1", "a2", "b1", "b2"))),)

    def published(self, card: DatasetCard) -> Mapping[str, Scalar] | None:
        """SeqSNN's Spike-TCN configuration for its four data sets."""
        if card.name not in _SEQSNN:
            return None
        batch, lr, hidden, kernel = _SEQSNN[card.name]
        return {
            "batch_size": batch,
            "optimizer.lr": lr,
            "net.backbone": "tcn",
            "net.encoder": "conv",
            "net.hidden": hidden,
            "net.kernel": kernel,
            "net.channels": 16,
            "net.levels": 3,
            "net.readout": "scalar",
            "net.padding": "layers",
            "net.positions": 40,
            "net.head": "dense",
            "net.revin": False,
            "timesteps": 4,
            "neuron.name": "lif",
        }
