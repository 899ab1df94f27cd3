"""What a cell's rows tell the search: one record a trial, and the index that samplers read.

Everything a sampler or pruner sees is a function of the set of records; the order in which they came
does not show.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from harness.search.conditional_space import ConditionalSpace, key
from harness.space import Params
from harness.trial import Objective, State

LearningCurve = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One trial as its rows tell it.

    ``number`` is the order of asking in the cell; ``params`` the searched values that exist, nothing else.
    ``values`` are the objectives of a COMPLETE trial, in the study's order, else empty. ``curve`` holds
    (epoch, first objective on validation); the epochs of all trials must mean the same. A trial is
    feasible where all ``constraints`` are <= 0. RUNNING (or INTERRUPTED) stands for a pending trial.
    """

    number: int
    params: Params
    state: State
    values: tuple[float, ...] = ()
    curve: LearningCurve = ()
    constraints: tuple[float, ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether every constraint holds."""
        return all(value <= 0 for value in self.constraints)

    @property
    def violation(self) -> float:
        """The sum of what exceeds the constraints; 0 if feasible."""
        return sum(value for value in self.constraints if value > 0)


class History:
    """The records of one cell, by number. A COMPLETE trial whose value is not finite counts as FAILED."""

    def __init__(
        self,
        conditional_space: ConditionalSpace,
        objectives: tuple[Objective, ...],
        *,
        watch: Callable[[Record], None] | None = None,
    ) -> None:
        self._watch = watch
        self.conditional_space = conditional_space
        self.objectives = objectives
        self._records: dict[int, Record] = {}
        self._keys: dict[int, str] = {}
        self._explored: Counter[str] = Counter()
        self._numbers: list[int] = []  # sorted
        self._ordered: tuple[Record, ...] | None = None
        self._fitting: tuple[Record, ...] | None = None
        self._fits: set[int] = set()

    def __len__(self) -> int:
        return len(self._records)

    def get(self, number: int) -> Record | None:
        """The record with this number."""
        return self._records.get(number)

    def add(self, records: Iterable[Record]) -> None:
        """Add or replace records; of two with one number the final one, else the longer curve, stays."""
        for given in records:
            record = self._clean(given)
            old = self._records.get(record.number)
            if old is not None and _precedence(old) >= _precedence(record):
                continue
            self._index(record, old)
            self._records[record.number] = record
            if self._watch is not None:
                self._watch(record)
        self._ordered = self._fitting = None

    def explored(self, params: Params) -> bool:
        """Whether a record, pending or final, has exactly these values."""
        return self._explored[key(params)] > 0

    @property
    def ordered(self) -> tuple[Record, ...]:
        """All records by number."""
        if self._ordered is None:
            self._ordered = tuple(map(self._records.__getitem__, self._numbers))
        return self._ordered

    @property
    def fitting(self) -> tuple[Record, ...]:
        """The records that are points of the present space, by number: what a model may learn from."""
        if self._fitting is None:
            records = [record for record in self.ordered if record.number in self._fits]
            width = max([len(record.constraints) for record in records], default=0)
            if width:
                records = [
                    record
                    for record in records
                    if record.state is not State.COMPLETE or len(record.constraints) == width
                ]
            self._fitting = tuple(records)
        return self._fitting

    def losses(self, record: Record) -> tuple[float, ...]:
        """The objectives, each with the sign with which lower is better."""
        return tuple(
            -value if objective.maximize else value
            for value, objective in zip(record.values, self.objectives, strict=True)
        )

    def _index(self, record: Record, old: Record | None) -> None:
        number = record.number
        if old is None:
            insort(self._numbers, number)
        elif old.params == record.params:
            return
        else:
            self._explored[self._keys[number]] -= 1
            self._fits.discard(number)
        self._keys[number] = key(record.params)
        self._explored[self._keys[number]] += 1
        if self.conditional_space.fits(record.params):
            self._fits.add(number)

    def _clean(self, record: Record) -> Record:
        params = self.conditional_space.settle(record.params)
        state, values, constraints = record.state, record.values, record.constraints
        if state is State.INTERRUPTED:
            state = State.RUNNING
        measured = (
            len(values) == len(self.objectives)
            and all(map(math.isfinite, values))
            and all(map(math.isfinite, constraints))
        )
        if state is State.COMPLETE and not measured:
            state = State.FAILED
        if state is not State.COMPLETE:
            values, constraints = (), ()
        curve = record.curve
        if not all(math.isfinite(value) for _, value in curve):
            curve = tuple(item for item in curve if math.isfinite(item[1]))
        return replace(
            record, params=params, state=state, values=values, curve=curve, constraints=constraints
        )


def _precedence(record: Record) -> tuple[bool, int, str, tuple[float, ...], str]:
    """A total order over different records of one trial, so that the order of adding cannot matter."""
    return record.state.final, len(record.curve), record.state.value, record.values, key(record.params)
