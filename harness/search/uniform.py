"""Samplers that learn nothing: random and grid."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.errors import HarnessError
from harness.search.conditional_space import ConditionalSpace
from harness.search.history import History
from harness.search.sampler import AskContext
from harness.space import Point
from harness.studyfile.sampler_rules import grid_rule


class RandomSampler:
    """Uniform points (in the logarithm for log ranges)."""

    def __init__(self, conditional_space: ConditionalSpace) -> None:
        self._conditional_space = conditional_space

    def propose(self, history: History, context: AskContext) -> Point:
        """A uniform point from the answer's own seed."""
        return self._conditional_space.draw(context.rng())


class GridSampler:
    """Every point of a finite space once, in the order of the space, the last parameter fastest.

    Raises HarnessError if a parameter is continuous.
    """

    def __init__(self, conditional_space: ConditionalSpace) -> None:
        broken = grid_rule("the cell", conditional_space.parameters)
        if broken is not None:
            raise HarnessError(f"search.{broken[0]}: {broken[1]}")
        self._conditional_space = conditional_space
        self._points: Iterator[Point] = iter(())
        self._current: Point | None = None
        self._seen: History | None = None

    def propose(self, history: History, context: AskContext) -> Point | None:
        """The first point that no record has; None once all have one."""
        if self._seen is not history:
            self._seen, self._points = history, self._conditional_space.walk(np.random.default_rng(0))
            self._current = next(self._points, None)
        while self._current is not None and history.explored(self._current):
            self._current = next(self._points, None)
        return None if self._current is None else dict(self._current)
