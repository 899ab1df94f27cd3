"""The seam between a cell's search and its samplers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from harness.ids import derive_seed
from harness.search.history import History
from harness.space import Point


@dataclass(frozen=True, slots=True)
class AskContext:
    """One question: which number, the how many-th try for it, and the study's seed.

    Everything random in an answer comes from :attr:`seed`: an answer is a function of the records and this.
    """

    number: int
    retry: int
    study_seed: int

    @property
    def seed(self) -> int:
        """The named seed of this answer."""
        return derive_seed(self.study_seed, "ask", self.number, self.retry)

    def rng(self) -> np.random.Generator:
        """A fresh generator from the named seed."""
        return np.random.default_rng(self.seed)


class Sampler(Protocol):
    """Anything that proposes points. It may remember what it computed, never what it said."""

    def propose(self, history: History, context: AskContext) -> Point | None:
        """The next point; None only if the sampler knows that the space holds no further one."""
        ...
