"""`direct`: a spiking network by backpropagation through time with surrogate gradients."""

from __future__ import annotations

from typing import Any

from harness.contracts import DatasetCard, Job, Learner, NeuronSpec, Pipeline, Stage
from harness.pipelines.pretraining._network import NetworkLearner, incompatible, remarks
from harness.pipelines.pretraining._params import SpikingParams
from harness.pipelines.pretraining._published import Settings, published


class DirectParams(SpikingParams):
    """The network, its training, its neurons and T."""

    neuron: NeuronSpec


class DirectLearner(NetworkLearner):
    """A spiking network over T timesteps."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        neuron: NeuronSpec = self.params.neuron
        self.timesteps = self.params.timesteps
        threshold = float(neuron.constant("v_threshold", 1.0))
        self.model = self.new_network(job.card, neuron.build, v_threshold=threshold)

    def begin(self, stage: Stage) -> None:
        """The only stage."""
        self.enter(stage, self.params.optimizer, self.params.schedule)


class Direct(Pipeline):
    """Direct training of a spiking network."""

    name = "direct"
    Params = DirectParams
    analog_neurons = ("liaf",)

    def incompatible(self, card: DatasetCard) -> str | None:
        """Classification of vectors, images, frames, sequences and events."""
        return incompatible(card)

    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """One stage."""
        return (Stage("train", epochs),)

    def remarks(self, params: Any) -> tuple[str, ...]:
        """Two neurons in a row that do not learn."""
        return remarks(params)

    def learner(self, job: Job) -> Learner:
        """A new network."""
        return DirectLearner(job)

    def published(self, card: DatasetCard) -> Settings | None:
        """The baseline of arXiv 2203.01158 for its data sets."""
        return published(self.name, card.name)
