"""What learners of networks share: input to sequences, seeds, optimisers, transfer of state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from harness.contracts import Batch, DatasetCard, Job, Learner, Split, Stage
from harness.contracts.data import View
from harness.errors import IncompatibleError
from harness.ids import derive_seed
from harness.layers.augment import Augment
from harness.models.build import build, input_shape
from harness.models.encoders import time_major
from harness.models.network import Network, NeuronFactory, load, transfer
from harness.pipelines.pretraining._params import AugmentParams, OptimizerParams, ScheduleParams

LAYOUTS = ("nc", "nchw", "ntc", "ntchw", "events")
SEQUENCES = ("ntc", "ntchw")


def incompatible(card: DatasetCard) -> str | None:
    """Why networks for classification cannot run on a data set; None if they can."""
    if card.task != "classification":
        return f"it classifies; '{card.name}' is for {card.task}"
    if card.layout not in LAYOUTS:
        return f"it takes layouts {', '.join(LAYOUTS)}; '{card.name}' has {card.layout}"
    return None


def remarks(params: Any) -> tuple[str, ...]:
    """That a network of two neurons in a row does not learn through the second one, where it does not.

    Its input is 0 or 1 and so is its potential, where spikes reset it to 0; a rectangle that ends there has
    no gradient. So it is in the released code of ES-ImageNet.
    """
    neuron = params.neuron
    if not params.network.name.endswith("-es") or neuron.name not in ("lif", "plif", "if"):
        return ()
    if neuron.constant("surrogate.name", "") != "rect":
        return ()
    threshold, width = (float(neuron.constant(f)) for f in ("v_threshold", "surrogate.width"))
    gain = 1.0 / float(neuron.constant("tau", 1.0)) if neuron.constant("decay_input", False) else 1.0
    if abs(0.0 - threshold) < width or abs(gain - threshold) < width:
        return ()
    return (
        f"{params.network.name} has two neurons in a row: the second one's potential is 0 or {gain:g}, where "
        f"a rectangle of width {width:g} about {threshold:g} has no gradient, so little but the classifier "
        "learns in spiking stages (as released); another width or surrogate trains all.",
    )


def check_views(augment: Augment, card: DatasetCard) -> None:
    """Raises IncompatibleError where data have no pixels to move or the shift would leave none."""
    if augment.off:
        return
    shape = input_shape(card)
    if len(shape) != 3:
        raise IncompatibleError(
            f"augment changes images and frames; '{card.name}' has {shape}: set augment.shift: 0, "
            "augment.flip: none and augment.crop: 1.0."
        )
    if augment.shift >= min(shape[1:]):
        raise IncompatibleError(
            f"augment.shift: {augment.shift} pixels would leave nothing of '{card.name}', "
            f"{shape[1]} x {shape[2]}; choose less than {min(shape[1:])}."
        )


class NetworkLearner(Learner):
    """A :class:`Network` in training. Subclasses say in ``begin`` what a stage is.

    Poisson codes draw from a generator of their own, seeded by stage and epoch, and in evaluation
    always from the same one; so do the random views of training samples, in training alone.
    """

    model: Network
    timesteps = 1
    """T of static values and events in this stage."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.params: Any = job.params
        self.generator = torch.Generator(device=job.device)
        self.augment, self.views = Augment(), torch.Generator()
        self.viewed = False

    def new_network(
        self,
        card: DatasetCard,
        neuron: NeuronFactory,
        *,
        v_threshold: float = 1.0,
        seed: str = "weights",
        shape: tuple[int, ...] | None = None,
    ) -> Network:
        """A network for a data set on the job's device, weights from the job's seed."""
        generator = torch.Generator().manual_seed(derive_seed(self.job.seed, seed))
        network = build(
            self.params.network,
            input_shape(card) if shape is None else shape,
            card.classes,
            neuron,
            v_threshold=v_threshold,
            generator=generator,
        )
        if self.job.device.type == "cpu":  # convolutions of few channels are a sixth faster so
            return network.to(memory_format=torch.channels_last)
        return network.to(self.job.device)

    def restarted(self, fresh: Network, part: str) -> None:
        """Keep a part (encoder, decoder, none) of what was learned; the rest starts as ``fresh``."""
        learned = {key: value.clone() for key, value in self.model.state_dict().items()}
        if part != "none":
            transfer(fresh, learned, part=part)
        self.model.load_state_dict(fresh.state_dict())

    @property
    def card(self) -> DatasetCard:
        """The card of the data that the stage trains on."""
        name = self.stage.dataset
        return self.job.card if name is None else self.job.cards[name]

    def enter(
        self,
        stage: Stage,
        optimizer: OptimizerParams,
        schedule: ScheduleParams,
        augment: AugmentParams | None = None,
    ) -> None:
        """Take a stage's name, optimiser, schedule and random views (None: ``augment.*``) over.

        Raises IncompatibleError for views that the data cannot have.
        """
        self.stage = stage
        self.augment = (self.params.augment if augment is None else augment).build()
        check_views(self.augment, self.card)
        self.optimizers = (optimizer.build(self.model.parameters()),)
        self.schedulers = schedule.build(self.optimizers[0], stage.epochs)

    def before_epoch(self, epoch: int) -> None:
        """Seed the encoder and the random views for the epoch."""
        self.generator.manual_seed(derive_seed(self.job.seed, "encoder", self.stage.name, epoch))
        self.views.manual_seed(derive_seed(self.job.seed, "views", self.stage.name, epoch))

    def view(self, train: Split, epoch: int) -> View | None:
        """Random views, where the split draws them itself from the whole of its samples."""
        self.viewed = not self.augment.off and hasattr(train, "viewed")
        if not self.viewed:
            return None
        seed = derive_seed(self.job.seed, "views", self.stage.name, epoch)
        return View(seed, self.augment.smallest_area, self.augment.shift, self.augment.flip)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Codes drawn from the evaluation's own seed."""
        training = self.generator
        seed = derive_seed(self.job.seed, "encoder", "evaluation")
        self.generator = torch.Generator(device=self.job.device).manual_seed(seed)
        try:
            yield
        finally:
            self.generator = training

    def sequence(self, batch: Batch) -> Tensor:
        """The inputs of a batch, time first: (T, B, ...)."""
        encoder = getattr(self.params, "encoder", None)
        return time_major(
            batch,
            self.timesteps,
            code="direct" if encoder is None else encoder.code,
            split="time" if encoder is None else encoder.split,
            generator=self.generator,
            sequence=self.card.layout in SEQUENCES,
        )

    def predict(self, batch: Batch) -> Tensor:
        """Logits (B, classes)."""
        out: Tensor = self.model(self.sequence(batch), batch.length)
        return out

    def loss(self, batch: Batch) -> Tensor:
        """The training loss of a batch, of random views of it where ``augment`` says so."""
        if self.augment.off or self.viewed:
            return super().loss(batch)
        if self.card.layout == "nchw":
            views = self.augment(cast(Tensor, batch.x), self.views)
            return super().loss(replace(batch, x=views))
        views = self.augment(self.sequence(batch), self.views, time_major=True)
        return self.criterion(self.model(views, batch.length), batch)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore; a network that differs is an IncompatibleError that lists the differences."""
        load(self.model, state["model"], where=f"saved state of stage '{self.stage.name}'")
        super().load_state_dict(state)
