"""What a whole study will cost, from a few steps of each cell's first configuration (``check --measure``)."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.study.cell_phases import CellRun
from harness.studyfile.plan_building import CellPlan, PhasePlan, Plan
from harness.studyfile.values import StudySpec
from harness.train.measure import StageCost, TrialCost, cost_of, measure
from harness.train.task import Task
from harness.trial import Phase, Resources, State, TrialEnd

Apply = Callable[[Callable[[Task], TrialEnd], Sequence[Task]], Iterable[TrialEnd]]
"""Runs the measurement of many tasks, here or elsewhere; ends in the tasks' order."""


@dataclass(frozen=True, slots=True)
class PhaseCost:
    """One phase of one cell: seconds of all trials, of one of them, and what a trial holds."""

    phase: Phase
    trials: int
    seconds: float
    trial_s: float
    held: Resources


@dataclass(frozen=True, slots=True)
class CellCost:
    """One cell. ``why`` says why nothing could be measured; ``cost`` is None then."""

    name: str
    cost: TrialCost | None
    phases: tuple[PhaseCost, ...] = ()
    artifact_bytes: int = 0
    why: str = ""

    @property
    def seconds(self) -> float:
        """All trials one after another, if nothing is pruned."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def flags(self) -> tuple[str, ...]:
        """Parameters that get no gradient, by stage."""
        stages = self.cost.stages if self.cost is not None else ()
        return tuple(f"stage {stage.name}: {stage.silent}" for stage in stages if stage.silent)


@dataclass(frozen=True, slots=True)
class StudyCost:
    """All cells, and what they come to."""

    cells: tuple[CellCost, ...]

    def device_hours(self, phase: Phase, *, gpu: bool) -> float:
        """Hours of GPUs (shares counted as such) or of CPUs that the trials of a phase hold."""
        mine = [p for cell in self.cells for p in cell.phases if p.phase is phase]
        return sum(p.seconds * (p.held.gpus if gpu else p.held.cpus) for p in mine) / 3600

    def wall_s(self, slots: int) -> float:
        """Seconds with so many trials at once: the work over the slots, or the longest cell's phases."""
        work = sum(cell.seconds for cell in self.cells) / slots
        longest = [sum(math.ceil(p.trials / slots) * p.trial_s for p in cell.phases) for cell in self.cells]
        return max([work, *longest])

    @property
    def cache_bytes(self) -> int:
        """Prepared arrays of all data sets, each once: on every node."""
        return sum(
            {data: size for cell in self.cells if cell.cost for data, size in cell.cost.cache}.values()
        )

    @property
    def checkpoint_bytes(self) -> int:
        """Checkpoints of all trials and shared artifacts, as they lie below the results until the end."""
        kept = sum(
            cell.cost.checkpoint_bytes * sum(p.trials for p in cell.phases)
            for cell in self.cells
            if cell.cost
        )
        return kept + sum(cell.artifact_bytes for cell in self.cells)


def measure_study(spec: StudySpec, plan: Plan, apply: Apply, seconds: float = 2.0) -> StudyCost:
    """Measure every cell of a study. Writes nothing that stays but prepared data in the cache."""
    with tempfile.TemporaryDirectory() as scratch:
        tasks = [_task(spec, index, scratch) for index in range(len(spec.cells))]
        ends = list(apply(_Measure(seconds), tasks))
    return StudyCost(tuple(_cell(spec, cell, end) for cell, end in zip(plan.cells, ends, strict=True)))


def here(run: Callable[[Task], TrialEnd], tasks: Sequence[Task]) -> Iterator[TrialEnd]:
    """One task after another in this process."""
    return map(run, tasks)


@dataclass(frozen=True, slots=True)
class _Measure:
    """A measurement that can be sent to another process; a folder that is not there is made there."""

    seconds: float

    def __call__(self, task: Task) -> TrialEnd:
        with tempfile.TemporaryDirectory() as root:
            return measure(replace(task, root=root), self.seconds)


def _task(spec: StudySpec, index: int, scratch: str) -> Task:
    """The first trial of a cell."""
    cell = spec.cells[index]
    trial = CellRun(spec, cell).next_trial()
    assert trial is not None, "a cell has a first trial"
    root = str(Path(scratch) / str(index))
    return Task(spec.name, cell.name, trial.spec, 0, 1, root, resources=spec.resources, plugins=spec.plugins)


def _cell(spec: StudySpec, plan: CellPlan, end: TrialEnd) -> CellCost:
    if end.state is not State.COMPLETE:
        return CellCost(plan.name, None, why=f"{end.reason}: {end.detail}")
    cost = cost_of(end)
    costs = {stage.name: stage for stage in cost.stages}
    phases = tuple(_phase(spec, phase, cost, costs) for phase in plan.phases)
    artifacts = sum(
        phase.runs(stage) * costs[stage.name].artifact_bytes
        for phase in plan.phases
        for stage in phase.stages
    )
    return CellCost(plan.name, cost, phases, artifacts)


def _phase(spec: StudySpec, phase: PhasePlan, cost: TrialCost, costs: dict[str, StageCost]) -> PhaseCost:
    """A final trial tests twice, and every epoch where the study asks for that."""
    final = phase.phase is Phase.FINAL
    once = cost.prepare_s + (2 * cost.test_s if final else 0.0)
    epochs = phase.stages[-1].epochs if phase.stages else 0
    once += epochs * cost.test_s if final and spec.final.legacy_test_curve else 0.0
    once += cost.checkpoint_s * (phase.epochs // spec.checkpoint_every if spec.checkpoint_every else 0)
    each = {
        stage: stage.epochs * (costs[stage.name].train_s + costs[stage.name].eval_s) for stage in phase.stages
    }
    seconds = phase.trials * once + sum(phase.runs(stage) * each[stage] for stage in phase.stages)
    asked = spec.resources
    gpus = max(1.0, asked.gpus) if asked.gpus > 0 and final else asked.gpus
    return PhaseCost(
        phase.phase, phase.trials, seconds, once + sum(each.values()), Resources(asked.cpus, gpus)
    )
