"""What runs and what comes back: the values that cross between driver, engine and worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from harness.ids import content_id
from harness.space import Params, Scalar

Items = tuple[tuple[str, Any], ...]
COSTS = ("spikes", "synops", "energy_nj", "firing_rate", "parameters", "train_s", "total_s", "peak_mib")
"""Metrics of what a network costs, not of how good it is: less is better, and nothing is chance."""
NO_SPIKES = {"spikes": 0.0, "firing_rate": 0.0}
"""As objectives and limits, of a network without spiking neurons: it fires none."""


class Phase(StrEnum):
    """The three phases of the protocol; the test split exists in FINAL only."""

    SEARCH = "search"
    CONFIRM = "confirm"
    FINAL = "final"


class State(StrEnum):
    """The state of an attempt; COMPLETE, PRUNED and FAILED are final."""

    RUNNING = "RUNNING"
    INTERRUPTED = "INTERRUPTED"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAILED = "FAILED"

    @property
    def final(self) -> bool:
        """Whether a trial in this state runs again only if a user asks for it."""
        return self.value in FINAL_STATES


FINAL_STATES = ("COMPLETE", "PRUNED", "FAILED")
"""The states of attempts that have ended. The last attempt of a trial says where the trial stands."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric and its direction, as in ``accuracy max``."""

    metric: str
    maximize: bool

    def __str__(self) -> str:
        return f"{self.metric} {'max' if self.maximize else 'min'}"


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """A data set by name and revision, with the options of a user's own file."""

    name: str
    revision: str = ""
    options: Items = ()

    def content(self) -> dict[str, Any]:
        """What identifies the data: not where a user's file lies, its revision hashes what is in it."""
        options = {name: value for name, value in self.options if name != "path"}
        return {"name": self.name, "revision": self.revision, "options": options}


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """One configuration with one seed in one cell and phase: all that changes the numbers.

    ``variant`` holds the cell's own settings (they tell two cells with one pipeline apart);
    ``params`` is complete: every parameter of the pipeline with its value, sorted by name.
    """

    dataset: DatasetRef
    pipeline: str
    params: tuple[tuple[str, Scalar], ...]
    seed: int
    phase: Phase
    epochs: int
    objectives: tuple[Objective, ...]
    variant: tuple[tuple[str, Scalar], ...] = ()
    _id: str = field(default="", init=False, repr=False, compare=False)

    @property
    def id(self) -> str:
        """The hash of the content, computed once."""
        if not self._id:
            content = {
                "dataset": self.dataset.content(),
                "pipeline": self.pipeline,
                "params": dict(self.params),
                "seed": self.seed,
                "phase": self.phase.value,
                "epochs": self.epochs,
                "objectives": [str(objective) for objective in self.objectives],
                "arm": dict(self.variant),
            }
            object.__setattr__(self, "_id", content_id(content))
        return self._id

    def param_values(self) -> dict[str, Scalar]:
        """The parameters as a mapping."""
        return dict(self.params)


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One measured number: ``epoch`` counts from 1 over all stages, clocks are cumulative seconds.

    ``train_s`` is the trial's own training clock after that epoch, over all its attempts; ``inherited_s`` is
    what shared pretrained artifacts that it took over cost their first owner, and the total is their sum.
    ``data_wait_s`` are the seconds of ``train_s`` in which training waited for a batch.
    """

    epoch: int
    stage: str
    split: str
    metric: str
    value: float
    train_s: float
    train_cpu_s: float
    eval_s: float
    wall_s: float
    inherited_s: float = 0.0
    inherited_cpu_s: float = 0.0
    data_wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """How an attempt ended, with everything the trial row needs from the worker.

    ``values`` are the objectives' values at the selected epoch (empty unless COMPLETE or PRUNED);
    ``test`` are the test metrics (final phase only); ``metadata`` is of the machine and the costs.
    """

    state: State
    reason: str = ""
    detail: str = ""
    epochs: int = 0
    best_epoch: int = 0
    values: tuple[float, ...] = ()
    test: tuple[tuple[str, float], ...] = ()
    stage_train_s: tuple[tuple[str, float], ...] = ()
    inherited_s: float = 0.0
    inherited_cpu_s: float = 0.0
    train_s: float = 0.0
    train_cpu_s: float = 0.0
    data_wait_s: float = 0.0
    eval_s: float = 0.0
    prepare_s: float = 0.0
    checkpoint_s: float = 0.0
    wall_s: float = 0.0
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of one epoch (or of all epochs before a checkpoint) and how the attempt ends if pruned now."""

    rows: tuple[EpochRow, ...]
    so_far: TrialEnd


@dataclass(frozen=True, slots=True)
class Resources:
    """What one trial holds: whole CPUs and a GPU share of 1/n or whole GPUs.

    ``fused``: so many search trials of a cell are one batched network, and hold this together.
    """

    cpus: int = 1
    gpus: float = 0.0
    exclusive_node: bool = False
    fused: int = 1


def freeze(params: Params) -> tuple[tuple[str, Scalar], ...]:
    """Parameters as a tuple sorted by name."""
    return tuple(sorted(params.items()))
