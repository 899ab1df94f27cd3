"""A study as frozen values, complete and checked: what ``studyfile.load`` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.space import Scalar, Space
from harness.trial import DatasetRef, Objective, Phase, Resources

SamplerName = Literal["tpe", "gp", "cmaes", "nsga2", "random", "grid"]
EngineName = Literal["local", "ray", "tune"]
PrunerName = Literal["hyperband", "halving", "median", "none"]
Keep = Literal["best", "finals", "none"]
TrackerName = Literal["tensorboard", "mlflow", "wandb", "csv"]
Items = tuple[tuple[str, Scalar], ...]
TRIVIAL = ("persistence", "window-mean", "train-mean", "nlinear-ridge")
"""Pipelines of trivial forecasts: no board of forecasts without them."""


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """The search phase of every cell: ``trials`` and ``epochs`` are totals for one cell.

    ``hours`` stops asking after that wall time of one launch; ``plateau`` stops a cell after that many
    finished trials without a new best value. 0 turns either off.
    """

    sampler: SamplerName = "tpe"
    pruner: PrunerName = "none"
    trials: int = 20
    epochs: int = 10
    startup: int = 10
    hours: float = 0.0
    plateau: int = 0


@dataclass(frozen=True, slots=True)
class ConfirmPlan:
    """The confirm phase: the ``top`` configurations of the search with ``seeds`` fresh seeds each."""

    top: int = 3
    seeds: int = 3


@dataclass(frozen=True, slots=True)
class FinalPlan:
    """The final phase: the winner with ``seeds`` fresh seeds; the test split is read here only.

    ``epochs`` 0 means the search's. ``legacy_test_curve`` also scores every epoch on the test split, under
    names that begin with ``legacy_``, to stand beside papers that selected that way.
    """

    seeds: int = 5
    epochs: int = 0
    legacy_test_curve: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One data set with one pipeline and the cell's own settings.

    ``name`` is unique in the study (``digits/direct`` or ``digits/learned delays``). ``fixed`` holds every
    value that is not searched and was given (study-wide ``fixed`` where it applies, then the cell's ``set``);
    ``space`` only what applies to this cell; ``start`` the searched values of the first trials, in order.
    ``objectives`` are the study's, or the task's own where it names none. ``notes`` say what of the study
    file does not apply to the cell; they identify nothing.
    """

    name: str
    label: str
    dataset: DatasetRef
    pipeline: str
    variant: Items
    fixed: Items
    space: Space
    objectives: tuple[Objective, ...]
    start: tuple[Items, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class StudySpec:
    """A whole study. ``plugins`` are (file name, text); ``text`` is the study file as read,
    ``overrides`` are the ``key=value`` on top of it. ``keep``: which final trials' networks stay, all or, of
    each cell, the one that is best on validation. ``report_to``: trackers that mirror ended trials.
    """

    name: str
    cells: tuple[Cell, ...]
    search: SearchPlan
    confirm: ConfirmPlan
    final: FinalPlan
    limits: tuple[tuple[str, float], ...] = ()
    resources: Resources = field(default_factory=Resources)
    exclusive: Literal["device", "node"] = "device"
    seed: int = 0
    target: float | None = None
    baseline: str | None = None
    checkpoint_every: int = 5
    timeout_s: float = 0.0
    keep: Keep = "finals"
    report_to: tuple[TrackerName, ...] = ()
    plugins: tuple[tuple[str, str], ...] = ()
    path: str = ""
    text: str = ""
    overrides: tuple[str, ...] = ()

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All objectives of the cells, each once."""
        return tuple(dict.fromkeys(objective for cell in self.cells for objective in cell.objectives))

    def epochs(self, phase: Phase) -> int:
        """The epoch budget of one trial in a phase."""
        return self.final.epochs or self.search.epochs if phase is Phase.FINAL else self.search.epochs


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """Where to run: ``engine`` local (this process), ray (a pool of workers) or tune; the rest is for Ray.

    ``address`` "" starts a cluster on this machine with ``cpus``/``gpus`` (None: all of it); anything else
    joins the cluster there. ``logical_gpus``: GPUs are only counted. ``grow``: trials at once to ask an
    autoscaler for. ``ship``: send the working tree to the nodes.
    """

    name: str = "local"
    engine: EngineName = "ray"
    address: str = ""
    cpus: int | None = None
    gpus: float | None = None
    logical_gpus: bool = False
    grow: int = 0
    ship: bool = False
