"""`ann`: the same network with rectifiers, the reference line."""

from __future__ import annotations

from typing import Any, Literal

from harness.contracts import DatasetCard, Job, Learner, Pipeline, Stage, param, registry
from harness.models.network import NeuronFactory
from harness.pipelines.pretraining._network import NetworkLearner, incompatible
from harness.pipelines.pretraining._params import EncoderParams, TrainingParams


class ANNParams(TrainingParams):
    """The network, its training and the activation."""

    activation: Literal["relu", "leaky-relu"] = param("relu", "activation of every unit")
    timesteps: int = param(
        1, "frames that events are binned into; static data has one step", low=1, high=10_000
    )
    encoder: EncoderParams = EncoderParams()


class ANNLearner(NetworkLearner):
    """An analog network: one step for static data, a mean over the steps for sequences."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        factory: NeuronFactory = registry.neuron(self.params.activation)
        self.model = self.new_network(job.card, factory)
        self.timesteps = self.params.timesteps if job.card.layout == "events" else 1

    def begin(self, stage: Stage) -> None:
        """The only stage."""
        self.enter(stage, self.params.optimizer, self.params.schedule)


class ANN(Pipeline):
    """An ordinary network of rectifiers."""

    name = "ann"
    Params = ANNParams

    def incompatible(self, card: DatasetCard) -> str | None:
        """Classification of vectors, images, frames, sequences and events."""
        return incompatible(card)

    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """One stage."""
        return (Stage("train", epochs),)

    def learner(self, job: Job) -> Learner:
        """A new network."""
        return ANNLearner(job)
