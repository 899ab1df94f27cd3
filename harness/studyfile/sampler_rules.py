"""Which samplers and pruners can work with which objectives and spaces; each rule stands here alone.

A rule is the key it is about and a sentence, None where it is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from harness.space import Choice, Parameter
from harness.studyfile.values import SearchPlan
from harness.trial import Objective

Broken = tuple[str, str] | None
_ONE_OBJECTIVE = ("cmaes", "grid")


def objectives_rule(search: SearchPlan, objectives: Sequence[Objective]) -> Broken:
    """Some samplers, and all pruners, take one objective."""
    if len(objectives) <= 1:
        return None
    names = f"the study has {len(objectives)} ({', '.join(objective.metric for objective in objectives)})"
    if search.sampler in _ONE_OBJECTIVE:
        remedy = "Use nsga2, tpe, gp or random, or one objective."
        return "sampler", f"{search.sampler} optimises one objective, {names}. {remedy}"
    if search.pruner != "none":
        return (
            "pruner",
            f"{search.pruner} compares one objective, {names}. Write pruner: none, or one objective.",
        )
    return None


def grid_rule(cell: str, parameters: Iterable[Parameter]) -> Broken:
    """A grid is finite."""
    endless = next((p.name for p in parameters if math.isinf(p.domain.size)), None)
    if endless is None:
        return None
    remedy = "Give it a step or a choice."
    return "sampler", f"grid needs finite domains, {endless} of {cell} is continuous. {remedy}"


def cmaes_rule(cell: str, parameters: Sequence[Parameter]) -> Broken:
    """CMA-ES adapts a covariance: two numbers at least, which always exist."""
    numeric = [p.name for p in parameters if not isinstance(p.domain, Choice) and not p.when]
    if not parameters or len(numeric) >= 2:
        return None
    have = f"{cell} has {len(numeric)} ({', '.join(numeric) or 'none'})"
    return "sampler", f"cmaes needs two or more float or int parameters without when, {have}. Use tpe."
