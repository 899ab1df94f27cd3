"""`pipe-d`: an ANN, its first layer swapped, a warm-up, LIAF on events, then LIF.

Source: arXiv 2203.01158 (docs/papers.md, pipeD). Stages, each with its own clock: ``ann`` on static
images or on images rebuilt from the events; ``warmup`` of a new first layer, all else frozen;
``liaf`` fine-tunes everything with analog outputs; ``lif`` switches to spikes.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from harness.contracts import (
    Batch,
    DatasetCard,
    Events,
    Job,
    Learner,
    Neuron,
    NeuronSpec,
    ParamsModel,
    Pipeline,
    Stage,
    param,
)
from harness.errors import HarnessError
from harness.events.reconstruct import edge_integral, edge_integral_any_length
from harness.models.build import input_shape
from harness.models.encoders import time_major
from harness.models.network import switch, transfer
from harness.neurons.analog import LeakyReLU, ReLU, ReLUParams
from harness.neurons.liaf import LIAF, LIAFParams
from harness.pipelines.pretraining._network import SEQUENCES, NetworkLearner, incompatible, remarks
from harness.pipelines.pretraining._params import (
    AugmentParams,
    OptimizerParams,
    ScheduleParams,
    SpikingParams,
    flat,
    passes,
)
from harness.pipelines.pretraining._published import PAPER_NEURON, Settings, published
from harness.pipelines.pretraining._transfer import fill_stem, inherit_momentum, load_checkpoint, train_only

ANN, WARMUP, LIAF_STAGE, LIF_STAGE = "ann", "warmup", "liaf", "lif"
ODG_FRAMES = 8


class SourceParams(ParamsModel):
    """What the ANN is trained on, and how."""

    kind: Literal["reconstruct", "static"] = param(
        "reconstruct", "images rebuilt from the trial's own events, or a static data set"
    )
    dataset: str = param("", "static: the registered data set")
    checkpoint: str = param("", "a saved state dict to begin with instead of random weights")
    signed: bool = param(True, "reconstruct: brighter minus darker; false counts both")
    epochs: int = param(15, "epochs of the ANN", unit="epochs", low=0, high=10_000)
    optimizer: OptimizerParams = OptimizerParams(name="sgd", lr=0.1)
    schedule: ScheduleParams = ScheduleParams(name="constant")
    augment: AugmentParams = AugmentParams()


class WarmupParams(ParamsModel):
    """The frozen warm-up of the new first layer."""

    epochs: int = param(1, "epochs; 0 is the ablation without", unit="epochs", low=0, high=10_000)
    first_layer: Literal["random", "mean"] = param(
        "random", "the new first layer: random, or the mean over the old input channels"
    )


class AnalogParams(ParamsModel):
    """The analog activation, and training with it: the warm-up and the stage of its own."""

    epochs: int = param(0, "epochs as LIAF before LIF", unit="epochs", low=0, high=10_000)
    activation: Literal["relu", "leaky_relu"] = param("relu", "f of the ANN and of LIAF")
    clamp: bool = param(False, "whether f is limited to [0, 1]")
    inherit: Literal["both", "encoder", "decoder"] = param(
        "both", "which part of the LIAF network the last stage takes over"
    )
    optimizer: OptimizerParams = OptimizerParams(name="sgd", lr=0.1)
    schedule: ScheduleParams = ScheduleParams(name="constant")


class PipeDParams(SpikingParams):
    """All stages; ``optimizer`` and ``schedule`` are the last one's."""

    neuron: NeuronSpec
    source: SourceParams = SourceParams()
    warmup: WarmupParams = WarmupParams()
    liaf: AnalogParams = AnalogParams()
    optimizer: OptimizerParams = OptimizerParams(name="sgd", lr=0.1)
    schedule: ScheduleParams = ScheduleParams(name="constant")
    inherit_momentum: bool = param(False, "whether the last stage takes the momentum over")
    inherit: Literal["both", "encoder", "decoder", "none"] = param(
        "both", "which part of the ANN is taken over, apart from the first layer"
    )


class PipeDLearner(NetworkLearner):
    """A network that begins as an ANN of images and ends spiking on events."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.v_threshold = float(self.params.neuron.constant("v_threshold", 1.0))
        self._make_ann()

    def begin(self, stage: Stage) -> None:
        """Take the stage's form; ``warmup`` swaps the first layer whether it has epochs or not."""
        before, params = self.optimizers, self.params
        if stage.name == ANN:
            if params.source.checkpoint:
                load_checkpoint(self.model, params.source.checkpoint)
            self.enter(stage, params.source.optimizer, params.source.schedule, params.source.augment)
            return
        self.timesteps = params.timesteps
        if stage.name == WARMUP:
            self._to_events()
            train_only(self.model, self.model.stem)
            self.enter(stage, params.liaf.optimizer, ScheduleParams(name="constant"))
            return
        train_only(self.model, "")
        if stage.name == LIAF_STAGE:
            self.enter(stage, params.liaf.optimizer, params.liaf.schedule)
            return
        if params.liaf.inherit != "both":
            fresh = self.new_network(
                self.job.card, self._liaf, v_threshold=self.v_threshold, seed="last stage"
            )
            self.restarted(fresh, params.liaf.inherit)
        switch(self.model, params.neuron.build)
        self.enter(stage, params.optimizer, params.schedule)
        if params.inherit_momentum and params.liaf.inherit == "both":
            inherit_momentum(self.optimizers[0], before)

    def _make_ann(self) -> None:
        source = self.params.source
        if source.kind == "static":
            card = self.job.cards[source.dataset]
            shape = input_shape(card)
        else:
            card = self.job.card
            shape = (1, *input_shape(card)[1:])
        self.ann_classes = card.classes
        self.model = self.new_network(card, self._rectifier, v_threshold=self.v_threshold, shape=shape)

    def _to_events(self) -> None:
        """A network for the events with a new first layer and all else as learned."""
        learned = {key: value.clone() for key, value in self.model.state_dict().items()}
        fresh = self.new_network(self.job.card, self._liaf, v_threshold=self.v_threshold, seed="first layer")
        part = self.params.inherit
        if self.ann_classes != self.job.card.classes and part != "none":
            part = {"both": "encoder", "decoder": "none"}.get(part, part)
        if part != "none":
            decays = tuple(key for key in fresh.state_dict() if key not in learned)
            state = {**learned, **{key: fresh.state_dict()[key] for key in decays}}
            transfer(fresh, state, part=part, skip=f"{fresh.stem}.")
            if self.params.warmup.first_layer == "mean" and part != "decoder":
                fill_stem(fresh, learned[f"{fresh.stem}.weight"])
        self.model = fresh
        if self.params.compile:
            self.model.compile()

    def _rectifier(self) -> Neuron:
        if self.params.liaf.activation == "leaky_relu":
            return LeakyReLU()
        return ReLU(ReLUParams(clamp=self.params.liaf.clamp))

    def _liaf(self) -> Neuron:
        neuron: NeuronSpec = self.params.neuron
        return LIAF(
            LIAFParams(
                tau=float(neuron.constant("tau", 1.0e3)),
                v_threshold=self.v_threshold,
                decay_input=bool(neuron.constant("decay_input", False)),
                reset=neuron.constant("reset", "hard"),
                activation=self.params.liaf.activation,
                clamp=self.params.liaf.clamp,
                learn_decay=neuron.name == "plif",
            )
        )

    def sequence(self, batch: Batch) -> Tensor:
        """Images (1, B, C, H, W) for the ANN, frames (T, B, C, H, W) afterwards."""
        if self.stage.name != ANN:
            return super().sequence(batch)
        if self.params.source.kind == "static":
            return time_major(batch, 1, sequence=self.card.layout in SEQUENCES)
        frames = self._frames(batch)
        signed = self.params.source.signed
        if len(frames) == ODG_FRAMES and not isinstance(batch.x, Events):
            return edge_integral(frames, signed=signed).unsqueeze(0)
        return edge_integral_any_length(frames, signed=signed).unsqueeze(0)

    def _frames(self, batch: Batch) -> Tensor:
        split = self.params.encoder.split
        sequence = self.card.layout == "ntchw"
        return time_major(batch, self.params.timesteps, split=split, sequence=sequence)


class PipeD(Pipeline):
    """An ANN's weights for event data, by way of LIAF."""

    name = "pipe-d"
    Params = PipeDParams
    neurons = ("lif", "plif", "if", "liaf")
    neuron_defaults = PAPER_NEURON

    def incompatible(self, card: DatasetCard) -> str | None:
        """Event frames of two polarities."""
        if card.layout not in ("events", "ntchw"):
            return f"it needs frames or camera events; '{card.name}' has layout {card.layout}"
        shape = card.shape[1:] if card.layout == "ntchw" else card.shape
        if len(shape) != 3 or shape[0] != 2:
            return f"it needs two polarities of pixels; '{card.name}' has {shape}"
        return incompatible(card)

    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """``epochs`` is the last stage's; the others have their own."""
        source = params.source
        if source.kind == "static" and not source.dataset:
            raise HarnessError(
                "pipe-d: source.kind is static and source.dataset is empty; name a registered data "
                "set of images, for instance source.dataset: digits."
            )
        static = source.dataset if source.kind == "static" else None
        content = {
            "kind": "pipe-d ann",
            "seed": seed,
            "batch_size": params.batch_size,
            **passes(params),
            "precision": params.precision,
            "grad_clip": params.grad_clip,
            "v_threshold": float(params.neuron.constant("v_threshold", 1.0)),
            "activation": params.liaf.activation,
            "clamp": params.liaf.clamp,
            **({} if static else {"timesteps": params.timesteps, "split": params.encoder.split}),
            **flat(params.network, "network."),
            **flat(source),
        }
        artifact = tuple(sorted(content.items()))
        return (
            Stage(ANN, source.epochs, dataset=static, artifact=artifact, pretrain=True),
            Stage(WARMUP, params.warmup.epochs, selects=False),
            Stage(LIAF_STAGE, params.liaf.epochs, selects=False),
            Stage(LIF_STAGE, epochs),
        )

    def remarks(self, params: Any) -> tuple[str, ...]:
        """Two neurons in a row that do not learn."""
        return remarks(params)

    def learner(self, job: Job) -> Learner:
        """A new network."""
        return PipeDLearner(job)

    def published(self, card: DatasetCard) -> Settings | None:
        """The paper's configuration for its event data sets."""
        return published(self.name, card.name)
