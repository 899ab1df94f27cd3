"""How many epochs a trial of a cell runs, by stage; and its first configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.contracts import registry
from harness.contracts.pipeline import Stage
from harness.errors import HarnessError
from harness.space import Domain, Params, Point, Scalar, ends
from harness.studyfile.values import Cell


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage of one trial; ``shared``: trials of a cell with one seed train it once among them."""

    name: str
    epochs: int
    shared: bool = False


def first_values(cell: Cell) -> Point:
    """What is given of the first trial: fixed values, then those of the first start point.

    Without one, or where it leaves values open, the pipeline's defaults, as near as the domains allow.
    """
    fixed = dict(cell.fixed)
    start = dict(cell.start[0]) if cell.start else {}
    infos = registry.pipeline(cell.pipeline).schema()
    point: Point = {}
    for parameter in cell.space:
        if not parameter.active({**fixed, **point}):
            continue
        given = start.get(parameter.name, infos.find(parameter.name)[0].default)
        inside = parameter.domain.contains(given)
        point[parameter.name] = parameter.domain.settle(given) if inside else parameter.domain.nearest(given)
    return {**fixed, **point}


def stage_plans(cell: Cell, epochs: int) -> tuple[StagePlan, ...]:
    """The stages of one trial of ``epochs``, lengths that are searched at their most.

    A stage is shared where no searched value tells its result from another's.
    """
    values = first_values(cell)
    for parameter in cell.space:
        domain = parameter.domain
        if parameter.name.split(".")[-1] == "epochs" and parameter.name in values:
            values[parameter.name] = max(ends(domain), key=float)
    stages = _stages(cell, values, epochs)
    others = [_stages(cell, other, epochs) for other in _neighbours(cell, values)]
    return tuple(
        StagePlan(
            stage.name, stage.epochs, stage.artifact is not None and all(_same(stage, o) for o in others)
        )
        for stage in stages
        if stage.epochs
    )


def _stages(cell: Cell, values: Params, epochs: int) -> tuple[Stage, ...]:
    kind = registry.pipeline(cell.pipeline)
    return kind().stages(kind.build_params(values), epochs, 0)


def _same(stage: Stage, others: tuple[Stage, ...]) -> bool:
    return any((o.name, o.epochs, o.artifact) == (stage.name, stage.epochs, stage.artifact) for o in others)


def _neighbours(cell: Cell, values: Params) -> Iterator[Point]:
    """Configurations that differ in one searched value; those that cannot be built say nothing."""
    kind = registry.pipeline(cell.pipeline)
    for parameter in cell.space:
        if parameter.name not in values:
            continue
        for other in _others(parameter.domain, values[parameter.name]):
            changed = {**values, parameter.name: other}
            try:
                kind.build_params(changed)
            except HarnessError:
                continue
            yield changed


def _others(domain: Domain, value: Scalar) -> list[Scalar]:
    return [end for end in ends(domain) if end != value]
