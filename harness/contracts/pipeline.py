"""Pipelines: a recipe from a data set and parameters to a trained network, in one or more stages.

The loop that trains is in ``harness.train`` and is the same for every pipeline; it owns clocks, seeds,
batches, checkpoints, metrics and the test split. A pipeline says which stages there are and yields a
:class:`Learner`, whose hooks the loop calls::

    learner = pipeline.learner(job)
    for stage in stages:                                    # state is kept from stage to stage
        learner.begin(stage)                                # switch activation, new optimiser, ...
        for epoch in range(stage.epochs):                   # or learner.fit(split), a closed form
            learner.before_epoch(epoch)
            for batch in shuffled train batches:            # training clock runs from here
                loss = learner.loss(batch); loss.backward(); step every optimizer
                learner.after_step()
            learner.after_epoch(epoch)                      # schedules; training clock stops here
            with learner.evaluating():                      # e.g. rounded delays
                outputs = learner.predict(batch) for the valid batches
            learner.epoch_metrics()
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.contracts.data import Batch, DatasetCard, Split, View
from harness.contracts.neuron import NEURONS, Neuron, NeuronSpec
from harness.contracts.params import ParamInfo, ParamSchema, ParamsModel, describe, nest
from harness.contracts.plugins import Registry
from harness.errors import HarnessError
from harness.space import Params, Scalar


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of training with its own clock.

    ``epochs`` 0 is allowed (the stage is skipped). ``dataset`` names another registered data set to train
    and validate on (None: the trial's own). ``artifact`` is the content that identifies a reusable result
    (data set, network, parameters, seed; scalars only): trials that need the same one share it, and each
    still counts its training time in the total. None: the stage always runs. ``pretrain`` marks time that
    the "SNN only" column leaves out. ``selects`` False: its epochs are never the trial's best epoch.
    """

    name: str
    epochs: int
    dataset: str | None = None
    artifact: tuple[tuple[str, Scalar], ...] | None = None
    pretrain: bool = False
    selects: bool = True

    @property
    def counts(self) -> bool:
        """Whether its epochs count for selection, pruning and the limits."""
        return self.selects and not self.pretrain and self.dataset is None


@dataclass(frozen=True, slots=True)
class Job:
    """What a learner is made for. ``seed`` seeds the initial weights; ``steps`` are batches an epoch."""

    params: Any
    card: DatasetCard
    device: torch.device
    seed: int
    epochs: int
    steps: int
    cards: Mapping[str, DatasetCard]


def masked_mse(output: Tensor, target: Tensor) -> Tensor:
    """The mean squared error over the targets that are not NaN, 0 where all are; a scalar."""
    there = ~target.isnan()
    error = torch.where(there, output - target.nan_to_num(), torch.zeros_like(output))
    return error.square().sum() / there.sum().clamp(min=1)


class Learner(ABC):
    """A network in training. Everything that must survive a restart is in ``state_dict``."""

    model: nn.Module

    def __init__(self, job: Job) -> None:
        self.job = job
        self.stage = Stage("train", job.epochs)
        self.optimizers: Sequence[torch.optim.Optimizer] = ()
        self.schedulers: Sequence[torch.optim.lr_scheduler.LRScheduler] = ()

    @abstractmethod
    def begin(self, stage: Stage) -> None:
        """Enter a stage: make its optimisers and schedulers, switch activations, freeze or swap layers."""

    @abstractmethod
    def predict(self, batch: Batch) -> Tensor:
        """Outputs for a batch already on the device: logits (B, classes) or (B, horizon, variates)."""

    def criterion(self, output: Tensor, batch: Batch) -> Tensor:
        """The loss of :meth:`predict`'s output, a scalar: cross entropy or mean squared error.

        Of a masked data set's targets those that are NaN are left out of the mean.
        """
        if self.job.card.task == "forecasting":
            mse = masked_mse if self.job.card.masked else functional.mse_loss
            return mse(output.float(), batch.y)
        return functional.cross_entropy(output.float(), batch.y)

    def loss(self, batch: Batch) -> Tensor:
        """The training loss of a batch, a scalar with a graph."""
        return self.criterion(self.predict(batch), batch)

    def fit(self, train: Split) -> bool:
        """Train in closed form; True if done, False (the default) if the gradient loop should run."""
        return False

    def before_epoch(self, epoch: int) -> None:  # noqa: B027 - a hook, empty unless overridden
        """Called before an epoch of the stage (counted from 0), outside the training clock."""

    def view(self, train: Split, epoch: int) -> View | None:
        """The views that ``train.viewed`` draws for an epoch; None (the default) for samples as they are.

        Only of a split that has ``viewed``; called before the epoch, outside the training clock.
        """
        return None

    def after_step(self) -> None:  # noqa: B027 - a hook, empty unless overridden
        """Called after every optimiser step, inside the training clock: clamping, masks."""

    def after_epoch(self, epoch: int) -> None:
        """Called after an epoch, inside the training clock; by default steps the schedulers."""
        for scheduler in self.schedulers:
            scheduler.step()

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Switch to the evaluation form (for instance rounded delays) and back, leaving no trace."""
        yield

    def epoch_metrics(self) -> Mapping[str, float]:
        """Numbers of the network itself, stored as epoch rows: sigma, spectral radius, ..."""
        return {}

    def extra_metrics(self, batches: Callable[[], Iterable[Batch]]) -> Mapping[str, float]:
        """Further validation metrics from another pass, e.g. accuracy by timesteps; inside the eval clock.

        ``batches()`` starts a new pass over the split, batches on the device. Nothing may select by a
        name that begins with ``legacy_``.
        """
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Network, optimisers and schedulers."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict` within the same stage, after :meth:`begin`."""
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for scheduler, saved in zip(self.schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(saved)


class Pipeline(ABC):
    """The contract of a pipeline. ``Params`` must have ``batch_size``; see :mod:`harness.contracts.params`.

    If ``Params`` has a field annotated :class:`NeuronSpec`, its neurons are those named in ``neurons``
    (empty: every registered spiking one and those in ``analog_neurons``); ``default_neuron`` and
    ``neuron_defaults``
    (constants) are where it starts.
    """

    name: ClassVar[str]
    Params: ClassVar[type[ParamsModel]]
    neurons: ClassVar[tuple[str, ...]] = ()
    analog_neurons: ClassVar[tuple[str, ...]] = ()
    default_neuron: ClassVar[str] = "lif"
    neuron_defaults: ClassVar[Mapping[str, Scalar]] = {}

    @abstractmethod
    def incompatible(self, card: DatasetCard) -> str | None:
        """Why the pipeline cannot run on a data set, in one sentence; None if it can."""

    def validate(self, params: Any, card: DatasetCard) -> None:  # noqa: B027 - a hook, empty unless overridden
        """Raise IncompatibleError, with ``names``, where a configuration cannot run on this data set."""

    @abstractmethod
    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """The stages for a budget of ``epochs`` (the last stage's, unless documented otherwise)."""

    @abstractmethod
    def learner(self, job: Job) -> Learner:
        """A new network on ``job.device`` with weights from ``job.seed``."""

    def published(self, card: DatasetCard) -> Mapping[str, Scalar] | None:
        """The paper's own configuration for a data set, None if no paper has one."""
        return None

    def remarks(self, params: Any) -> tuple[str, ...]:
        """What a plan has to say of a configuration that is allowed and that a reader may not expect."""
        return ()

    def constraints(self, params: Any) -> tuple[float, ...]:
        """Values that must be <= 0 for a configuration to be feasible, e.g. stability; () by default."""
        return ()

    @classmethod
    def neuron_field(cls) -> str | None:
        """The name of the field that holds the neuron, None if there is none."""
        for name, info in cls.Params.model_fields.items():
            if info.annotation is NeuronSpec:
                return name
        return None

    @classmethod
    def schema(cls) -> ParamSchema:
        """All parameters, the neurons' among them, flat; made once for each set of known neurons."""
        known = tuple(NEURONS.all().values())
        made = _SCHEMAS.get(cls)
        if made is None or made[0] != known:
            group = cls.neuron_field()
            infos = describe(cls.Params)
            made = known, ParamSchema(infos if group is None else infos + cls._neuron_infos(group))
            _SCHEMAS[cls] = made
        return made[1]

    @classmethod
    def _neuron_infos(cls, group: str) -> tuple[ParamInfo, ...]:
        known = NEURONS.all()
        names = cls.neurons or tuple(n for n, k in known.items() if k.spiking or n in cls.analog_neurons)
        selector = f"{group}.name"
        infos = [ParamInfo(selector, "str", cls.default_neuron, "the neuron model", choices=names)]
        for name in names:
            for info in describe(NEURONS.get(name).Params, f"{group}.", ((selector, (name,)),)):
                default = cls.neuron_defaults.get(info.name.split(".", 1)[1], info.default)
                infos.append(_with_default(info, default))
        return tuple(infos)

    @classmethod
    def build_params(cls, values: Mapping[str, Scalar]) -> Any:
        """A ``Params`` instance from dotted names; missing ones take their defaults.

        Raises UnknownNameError and HarnessError.
        """
        complete = cls.schema().resolve(values)
        group = cls.neuron_field()
        if group is not None:
            prefix = f"{group}."
            own = {k.removeprefix(prefix): v for k, v in complete.items() if k.startswith(prefix)}
            complete = {k: v for k, v in complete.items() if not k.startswith(prefix)}
            tree = nest(complete) | {group: neuron_spec(own)}
        else:
            tree = nest(complete)
        try:
            model: type[Any] = cls.Params
            return model(**tree)
        except ValueError as error:
            first = str(error).splitlines()
            raise HarnessError(f"pipeline '{cls.name}': {' '.join(first[1:3])}") from None


_SCHEMAS: WeakKeyDictionary[type[Pipeline], tuple[tuple[type[Neuron], ...], ParamSchema]] = (
    WeakKeyDictionary()
)


def _with_default(info: ParamInfo, default: Scalar) -> ParamInfo:
    return replace(info, default=default)


def neuron_spec(values: Params) -> NeuronSpec:
    """A :class:`NeuronSpec` from ``name`` and constants. Raises UnknownNameError."""
    name = str(values["name"])
    kind = NEURONS.get(name)
    constants = {key: value for key, value in values.items() if key != "name"}
    params = kind.Params(**nest(constants))
    return NeuronSpec(name, tuple(sorted(constants.items())), lambda: kind(params))


PIPELINES = Registry[Pipeline]("Pipeline", "harness.pipelines")
