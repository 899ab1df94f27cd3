"""Objectives, limits, and which samplers and pruners can work with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from harness.contracts.data import TaskKind
from harness.errors import UnknownNameError
from harness.space import Space
from harness.studyfile.sampler_rules import cmaes_rule, grid_rule, objectives_rule
from harness.studyfile.scalars import echo, file_error
from harness.studyfile.validation import not_a, scalar_list
from harness.studyfile.values import SearchPlan
from harness.studyfile.yaml_lines import Node
from harness.trial import COSTS, Objective

_BOTH: tuple[TaskKind, ...] = ("classification", "forecasting")
METRICS: Mapping[str, tuple[str, tuple[TaskKind, ...]]] = {
    "accuracy": ("max", ("classification",)),
    "r2": ("max", ("forecasting",)),
    "rse": ("min", ("forecasting",)),
    "mae": ("min", ("forecasting",)),
    "mse": ("min", ("forecasting",)),
    "loss": ("min", _BOTH),
    "synops": ("min", _BOTH),
    "spikes": ("min", _BOTH),
    "parameters": ("min", _BOTH),
    "train_s": ("min", _BOTH),
    "total_s": ("min", _BOTH),
    "peak_mib": ("min", _BOTH),
    "energy_nj": ("min", _BOTH),
    "firing_rate": ("min", _BOTH),
}
"""Metrics that a study may select by: the better direction and the tasks that have them."""

_DEFAULT: Mapping[TaskKind, Objective] = {
    "classification": Objective("accuracy", True),
    "forecasting": Objective("r2", True),
}


def read_objectives(
    node: Node | None, tasks: Mapping[str, TaskKind]
) -> dict[TaskKind, tuple[Objective, ...]]:
    """``objective: accuracy max`` or a list for all cells; by default each task's own. Raises StudyFileError.

    ``tasks`` are the tasks by data set; found are the objectives by task.
    """
    if node is None:
        return {task: (_DEFAULT[task],) for task in tasks.values()}
    items = scalar_list(node)
    if not items:
        raise file_error(node.location, "objective", "the list is empty. Name a metric, or drop the key.")
    found: list[Objective] = []
    for item in items:
        objective = _objective(item, tasks)
        if objective.metric in [other.metric for other in found]:
            raise file_error(item.location, "objective", f"{objective.metric} stands twice. Keep one.")
        found.append(objective)
    return dict.fromkeys(tasks.values(), tuple(found))


def _objective(node: Node, tasks: Mapping[str, TaskKind]) -> Objective:
    if not isinstance(node.value, str):
        raise file_error(node.location, "objective", not_a("text such as 'accuracy max'", node))
    match = re.fullmatch(r"(\S+)(?:\s+(\S+))?", node.value.strip())
    if match is None:
        raise file_error(node.location, "objective", f"{echo(node.value)}: write a metric and max or min.")
    metric, direction = match[1], match[2]
    known_metric(node.location, "objective", metric, tasks)
    if direction not in (None, "max", "min"):
        raise file_error(
            node.location, "objective", str(UnknownNameError("direction", direction, ("max", "min")))
        )
    return Objective(metric, (direction or METRICS[metric][0]) == "max")


def known_metric(location: str, key: str, metric: str, tasks: Mapping[str, TaskKind]) -> None:
    """Raise StudyFileError unless every cell measures the metric and selecting by it is honest."""
    if metric.startswith("legacy_"):
        raise file_error(
            location, key, f"{metric} looks at the test split; nothing may select by it. Name another metric."
        )
    if metric not in METRICS:
        raise file_error(location, key, str(UnknownNameError("metric", metric, METRICS)))
    for dataset, task in tasks.items():
        if task not in METRICS[metric][1]:
            have = ", ".join(name for name, (_, kinds) in METRICS.items() if task in kinds)
            raise file_error(
                location, key, f"{metric} does not exist for {task} ('{dataset}'). It has: {have}"
            )


def read_limits(
    limits: Mapping[str, float], node: Node | None, tasks: Mapping[str, TaskKind]
) -> tuple[tuple[str, float], ...]:
    """``limits: {synops: 1.0e7}``, each an upper bound. Raises StudyFileError."""
    for metric, bound in limits.items():
        location = node.key_location(metric) if node is not None else ""
        known_metric(location, "limits", metric, tasks)
        if bound < 0 and metric in COSTS:
            raise file_error(location, "limits", f"{metric} is never below 0, so nothing keeps {bound:g}.")
    return tuple(sorted(limits.items()))


def validate_combinations(
    root: Node, search: SearchPlan, objectives: Sequence[Objective], spaces: Iterable[tuple[str, Space]]
) -> None:
    """Raise StudyFileError where the sampler or pruner cannot do what is asked."""
    section = root.mapping.get("search", root)
    broken = [objectives_rule(search, objectives)]
    rule = {"grid": grid_rule, "cmaes": cmaes_rule}.get(search.sampler)
    broken += [rule(cell, space.parameters) for cell, space in spaces] if rule is not None else []
    for key, sentence in filter(None, broken):
        raise file_error(section.mapping.get(key, section).location, f"search.{key}", sentence)
