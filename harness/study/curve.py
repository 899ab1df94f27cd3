"""The curve a pruner sees: the first objective over the epochs of the stages that count."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from harness.contracts import registry
from harness.search.history import LearningCurve
from harness.trial import TrialSpec

StageValue = tuple[str, float]


@lru_cache(maxsize=1024)  # a driver asks at the start of every attempt, a replay again
def main_stages(spec: TrialSpec) -> frozenset[str]:
    """Names of the stages whose epochs count for selection and pruning: no pretraining, no other data."""
    pipeline = registry.pipeline(spec.pipeline)()
    params = pipeline.build_params(spec.param_values())
    stages = pipeline.stages(params, spec.epochs, spec.seed)
    return frozenset(stage.name for stage in stages if stage.counts)


def curve_of(points: Iterable[StageValue], stages: frozenset[str]) -> LearningCurve:
    """(epoch, value) from (stage, value) in order; epochs count from 1 over the stages that count."""
    return tuple(enumerate((value for stage, value in points if stage in stages), start=1))
