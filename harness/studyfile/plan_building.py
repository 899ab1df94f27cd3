"""What a study will do, as values: ``harness check`` prints it, nothing runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.contracts import registry
from harness.contracts.params import ParamInfo
from harness.space import Conditions, Parameter, Scalar
from harness.studyfile.costs import PastCosts
from harness.studyfile.scalars import echo
from harness.studyfile.stages import StagePlan, first_values, stage_plans
from harness.studyfile.values import TRIVIAL, Cell, Items, StudySpec
from harness.trial import Phase


@dataclass(frozen=True, slots=True)
class ParamPlan:
    """A searched parameter in words; ``when`` is "" if it always exists."""

    name: str
    domain: str
    unit: str
    when: str
    source: str
    doc: str


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """One phase of one cell: ``trials`` in all by ``seeds``, each of the stages' epochs at most."""

    phase: Phase
    trials: int
    stages: tuple[StagePlan, ...]
    seeds: int = 1

    @property
    def epochs(self) -> int:
        """Epochs of one trial, all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def runs(self, stage: StagePlan) -> int:
        """How often a stage is trained, if nothing is pruned: a shared one once a seed."""
        return min(self.seeds, self.trials) if stage.shared else self.trials

    @property
    def total(self) -> int:
        """Epochs of all trials, if nothing is pruned."""
        return sum(self.runs(stage) * stage.epochs for stage in self.stages)


@dataclass(frozen=True, slots=True)
class CellPlan:
    """One cell. ``points`` bounds the number of configurations; ``seconds`` is None without past rows.

    ``fixed`` holds (name, value with unit, whether the cell set it).
    """

    name: str
    dataset: str
    pipeline: str
    searched: tuple[ParamPlan, ...]
    fixed: tuple[tuple[str, str, bool], ...]
    start: tuple[str, ...]
    phases: tuple[PhasePlan, ...]
    points: float
    notes: tuple[str, ...]
    seconds: float | None = None

    @property
    def trials(self) -> int:
        """Trials of all phases."""
        return sum(phase.trials for phase in self.phases)

    @property
    def epochs(self) -> int:
        """Epochs of all phases, if nothing is pruned."""
        return sum(phase.total for phase in self.phases)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole study. ``protocol`` is (word, text) pairs; ``seconds`` None unless every cell has past rows."""

    study: str
    cells: tuple[CellPlan, ...]
    protocol: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    seconds: float | None = None
    past_trials: int = 0

    @property
    def trials(self) -> int:
        """Trials of all cells and phases."""
        return sum(cell.trials for cell in self.cells)

    @property
    def epochs(self) -> int:
        """Epochs of all trials, if nothing is pruned."""
        return sum(cell.epochs for cell in self.cells)


def describe_plan(spec: StudySpec, past: PastCosts | None = None) -> Plan:
    """The plan of a study; with past rows its cost at most, pruning aside."""
    costs = dict(past.epoch_s) if past is not None else {}
    cells = tuple(_cell(spec, cell, costs.get(cell.name)) for cell in spec.cells)
    known = [cell.seconds for cell in cells if cell.seconds is not None]
    return Plan(
        study=spec.name,
        cells=cells,
        protocol=_protocol(spec),
        notes=_notes(spec),
        seconds=sum(known) if len(known) == len(cells) else None,
        past_trials=past.trials if past is not None else 0,
    )


def missing_baselines(spec: StudySpec) -> list[str]:
    """Which trivial forecasts stand missing beside others, a sentence for each data set."""
    found = []
    for place in dict.fromkeys(cell.name.rpartition("/")[0] for cell in spec.cells):
        cells = [cell for cell in spec.cells if cell.name.rpartition("/")[0] == place]
        kind = registry.dataset(cells[0].dataset.name)
        task = kind(kind.Options(**dict(cells[0].dataset.options))).card().task
        missing = [name for name in TRIVIAL if name not in {cell.pipeline for cell in cells}]
        if task == "forecasting" and missing:
            found.append(
                f"forecasts of '{place}' have no leaderboard without trivial ones beside them. "
                f"Add to its pipelines: {', '.join(missing)}."
            )
    return found


def _cell(spec: StudySpec, cell: Cell, epoch_s: float | None) -> CellPlan:
    infos = _infos(cell)
    phases = _phases(spec, cell)
    epochs = sum(phase.total for phase in phases)
    own = {name for name, _ in cell.variant}
    revision = f" (revision {cell.dataset.revision})" if cell.dataset.revision else ""
    return CellPlan(
        name=cell.name,
        dataset=f"{cell.dataset.name}{revision}",
        pipeline=cell.pipeline,
        searched=tuple(_param(parameter, infos.get(parameter.name)) for parameter in cell.space),
        fixed=tuple((name, _with_unit(value, infos.get(name)), name in own) for name, value in cell.fixed),
        start=tuple(_point(point) for point in cell.start),
        phases=phases,
        points=cell.space.size,
        notes=(*cell.notes, *_remarks(cell)),
        seconds=None if epoch_s is None else epoch_s * epochs,
    )


def _remarks(cell: Cell) -> tuple[str, ...]:
    """What the pipeline says of the first trial's configuration."""
    kind = registry.pipeline(cell.pipeline)
    return kind().remarks(kind.build_params(first_values(cell)))


def _infos(cell: Cell) -> dict[str, ParamInfo]:
    """The first declaration of every parameter of the cell's pipeline."""
    infos: dict[str, ParamInfo] = {}
    for info in registry.pipeline(cell.pipeline).schema().infos:
        infos.setdefault(info.name, info)
    return infos


def _phases(spec: StudySpec, cell: Cell) -> tuple[PhasePlan, ...]:
    trials = spec.search.trials
    if not math.isinf(cell.space.size):
        trials = min(trials, int(cell.space.size))
    top = min(spec.confirm.top, trials)
    confirm = top * spec.confirm.seeds if top > 1 else 0  # one configuration needs no comparison
    final = spec.final.seeds
    counts = (
        (Phase.SEARCH, trials, 1),
        (Phase.CONFIRM, confirm, spec.confirm.seeds),
        (Phase.FINAL, final, final),
    )
    return tuple(
        PhasePlan(phase, count, stage_plans(cell, spec.epochs(phase)), seeds)
        for phase, count, seeds in counts
        if count
    )


def _param(parameter: Parameter, info: ParamInfo | None) -> ParamPlan:
    return ParamPlan(
        name=parameter.name,
        domain=str(parameter.domain),
        unit=info.unit if info else "",
        when=_when(parameter.when),
        source=info.source if info else "",
        doc=info.doc if info else "",
    )


def _when(conditions: Conditions) -> str:
    return " and ".join(f"{name} = {' or '.join(map(_word, allowed))}" for name, allowed in conditions)


def _word(value: Scalar) -> str:
    return value if isinstance(value, str) else echo(value)


def _with_unit(value: Scalar, info: ParamInfo | None) -> str:
    return f"{_word(value)} {info.unit}" if info is not None and info.unit else _word(value)


def _point(point: Items) -> str:
    return ", ".join(f"{name} {_word(value)}" for name, value in point)


def _protocol(spec: StudySpec) -> tuple[tuple[str, str], ...]:
    search, gpus = spec.search, spec.resources.gpus
    stop = [f"{search.hours:g} hours"] if search.hours else []
    stop += [f"{search.plateau} trials without a better one"] if search.plateau else []
    rows = [
        ("objective", ", ".join(map(str, spec.objectives))),
        ("limits", ", ".join(f"{metric} <= {limit:g}" for metric, limit in spec.limits)),
        ("search", f"sampler {search.sampler}, pruner {search.pruner}, {search.startup} random trials first"),
        ("stop", " or ".join(stop)),
        ("seeds", _seeds(spec)),
        ("target", "" if spec.target is None else f"{spec.target:g} {spec.cells[0].objectives[0].metric}"),
        ("baseline", spec.baseline or ""),
        ("a trial holds", f"{spec.resources.cpus} CPU" + (f", {gpus:g} GPU" if gpus else "")),
        ("final trials", f"alone on the {spec.exclusive}" if spec.final.seeds else ""),
        ("plug-ins", ", ".join(name for name, _ in spec.plugins)),
    ]
    return tuple((word, text) for word, text in rows if text)


def _seeds(spec: StudySpec) -> str:
    parts = ["1 in search"]
    if spec.confirm.seeds:
        parts.append(f"{spec.confirm.seeds} fresh in confirm (top {spec.confirm.top})")
    if spec.final.seeds:
        parts.append(f"{spec.final.seeds} fresh in final")
    return f"{', '.join(parts)}; the same for all cells, derived from {spec.seed}"


def _notes(spec: StudySpec) -> tuple[str, ...]:
    notes = []
    if not spec.final.seeds:
        notes.append("final: seeds 0, so there is no final phase: the test split stays unread.")
    elif spec.final.seeds < 5:
        notes.append(f"final: {spec.final.seeds} seeds; an honest leaderboard has 5 or more.")
    notes += missing_baselines(spec)
    if spec.confirm.seeds and spec.confirm.top > spec.search.trials > 1:
        notes.append(f"confirm: top {spec.confirm.top} of {spec.search.trials} search trials is all of them.")
    if spec.final.legacy_test_curve:
        notes.append("final: every epoch is scored on test under legacy_ names; nothing selects by them.")
    return tuple(notes)
