"""`pipe-s`: a network of sharpened rectifiers at one timestep, then the spiking one at T.

Source: arXiv 2203.01158 (docs/papers.md, pipeS). Stage ``sharpen`` trains on the same data at T = 1;
the linear window of the activation narrows every epoch while its gradient stays the rectangular
surrogate, so that it ends as a spiking network of one step. Stage ``finetune`` switches the
activations to spiking neurons: every tensor is inherited, normalisation statistics too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch

from harness.contracts import (
    Batch,
    DatasetCard,
    Job,
    Learner,
    NeuronSpec,
    ParamsModel,
    Pipeline,
    Stage,
    param,
)
from harness.models.network import neurons_of, switch
from harness.neurons.analog import LeakyReLU, ReLU, ReLUParams, SharpenedReLU, window
from harness.neurons.kernels.surrogate import rect
from harness.pipelines.pretraining._network import NetworkLearner, incompatible
from harness.pipelines.pretraining._params import OptimizerParams, ScheduleParams, SpikingParams, flat, passes
from harness.pipelines.pretraining._published import PAPER_NEURON, Settings, published
from harness.pipelines.pretraining._transfer import inherit_momentum, load_checkpoint

SHARPEN, FINETUNE = "sharpen", "finetune"


class SharpenParams(ParamsModel):
    """The first stage."""

    epochs: int = param(
        15, "epochs at one timestep", unit="epochs", low=0, high=10_000, source="the paper: 100"
    )
    activation: Literal["sharpened", "relu", "relu1", "leaky-relu"] = param(
        "sharpened", "activation; the others are the ablation without sharpening"
    )
    checkpoint: str = param("", "a saved state dict to begin with instead of random weights")
    end: float = param(
        1.0, "how far the window narrows; 1 ends at [0.49, 0.50], 0 never narrows", low=0.0, high=1.0
    )
    optimizer: OptimizerParams = OptimizerParams(name="sgd", lr=0.1)
    schedule: ScheduleParams = ScheduleParams(name="constant")


class PipeSParams(SpikingParams):
    """Both stages; ``optimizer`` and ``schedule`` are the second's."""

    neuron: NeuronSpec
    sharpen: SharpenParams = SharpenParams()
    optimizer: OptimizerParams = OptimizerParams(name="sgd", lr=0.1)
    schedule: ScheduleParams = ScheduleParams(name="steps")
    inherit_momentum: bool = param(True, "whether the second stage takes the momentum over")
    inherit: Literal["both", "encoder", "decoder", "none"] = param(
        "both", "which part of the first stage's network is taken over"
    )


class PipeSLearner(NetworkLearner):
    """One network whose activations are switched between the stages."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.v_threshold = float(self.params.neuron.constant("v_threshold", 1.0))
        self.model = self.new_network(job.card, ReLU, v_threshold=self.v_threshold)

    def begin(self, stage: Stage) -> None:
        """Sharpened rectifiers at one step, or spiking neurons at T with what was learned."""
        before = self.optimizers
        if stage.name == SHARPEN:
            self.timesteps = 1
            switch(self.model, self._activation)
            if self.params.sharpen.checkpoint:
                load_checkpoint(self.model, self.params.sharpen.checkpoint)
            self.enter(stage, self.params.sharpen.optimizer, self.params.sharpen.schedule)
            return
        self.timesteps = self.params.timesteps
        if self.params.inherit != "both":
            fresh = self.new_network(
                self.job.card, ReLU, v_threshold=self.v_threshold, seed="weights of finetune"
            )
            self.restarted(fresh, self.params.inherit)
        switch(self.model, self.params.neuron.build)
        self.enter(stage, self.params.optimizer, self.params.schedule)
        if self.params.inherit_momentum and self.params.inherit == "both":
            inherit_momentum(self.optimizers[0], before)

    def _activation(self) -> Any:
        kind = self.params.sharpen.activation
        if kind == "leaky-relu":
            return LeakyReLU()
        if kind != "sharpened":
            return ReLU(ReLUParams(clamp=kind == "relu1"))
        unit = SharpenedReLU()
        unit.v_threshold, unit.surrogate = self.v_threshold, rect(self.v_threshold)
        return unit

    def before_epoch(self, epoch: int) -> None:
        """Narrow the window; it is a function of the epoch alone."""
        super().before_epoch(epoch)
        low, high = window(epoch + 1, self.stage.epochs, end=self.params.sharpen.end)
        for unit in self._sharpened():
            unit.window = (2.0 * self.v_threshold * low, 2.0 * self.v_threshold * high)

    def _sharpened(self) -> tuple[SharpenedReLU, ...]:
        return tuple(unit for unit in neurons_of(self.model) if isinstance(unit, SharpenedReLU))

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The first stage is judged with hard spikes at one timestep."""
        with super().evaluating(), self._hard(True):
            yield

    @contextmanager
    def _hard(self, hard: bool) -> Iterator[None]:
        before = [unit.hard for unit in self._sharpened()]
        for unit in self._sharpened():
            unit.hard = hard
        try:
            yield
        finally:
            for unit, was in zip(self._sharpened(), before, strict=True):
                unit.hard = was

    def extra_metrics(self, batches: Callable[[], Iterable[Batch]]) -> Mapping[str, float]:
        """``accuracy_analog``: the first stage with its ramp instead of spikes."""
        if not self._sharpened():
            return {}
        correct = count = 0
        with self._hard(False), torch.no_grad():
            for batch in batches():
                correct += int((self.predict(batch).argmax(1) == batch.y).sum())
                count += len(batch)
        return {"accuracy_analog": correct / max(1, count)}


class PipeS(Pipeline):
    """Sharpened pretraining at one timestep, spiking fine-tuning at T."""

    name = "pipe-s"
    Params = PipeSParams
    analog_neurons = ("liaf",)
    neuron_defaults = PAPER_NEURON

    def incompatible(self, card: DatasetCard) -> str | None:
        """Static data; frames and events have pipe-d."""
        if card.layout not in ("nc", "nchw"):
            return f"it pretrains on static data; '{card.name}' has layout {card.layout}: use pipe-d"
        return incompatible(card)

    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """The first stage's length is ``sharpen.epochs``; ``epochs`` is the second's."""
        content = {
            "kind": "pipe-s sharpen",
            "seed": seed,
            "batch_size": params.batch_size,
            **passes(params),
            "precision": params.precision,
            "grad_clip": params.grad_clip,
            "code": params.encoder.code,
            "v_threshold": float(params.neuron.constant("v_threshold", 1.0)),
            **flat(params.network, "network."),
            **flat(params.augment, "augment."),
            **flat(params.sharpen),
        }
        artifact = tuple(sorted(content.items()))
        return (
            Stage(SHARPEN, params.sharpen.epochs, artifact=artifact, pretrain=True),
            Stage(FINETUNE, epochs),
        )

    def learner(self, job: Job) -> Learner:
        """A new network."""
        return PipeSLearner(job)

    def published(self, card: DatasetCard) -> Settings | None:
        """The paper's ImageNet configuration."""
        return published(self.name, card.name)
