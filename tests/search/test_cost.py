"""What loading and asking cost, with room for a busy machine; benchmarks/asking.py has the numbers."""

from __future__ import annotations

import time

import pytest

from harness.search import Record
from harness.studyfile.values import PrunerName, SamplerName
from harness.trial import State
from tests.search.cases import cell, run, score


def rows(count: int) -> list[Record]:
    """Finished trials of 20 epochs."""
    points = run(cell(sampler="random"), count)
    curve = tuple((epoch, float(epoch)) for epoch in range(1, 21))
    return [Record(r.number, r.params, State.COMPLETE, (score(r.params),), curve) for r in points]


@pytest.mark.parametrize(
    ("sampler", "pruner"), [("tpe", "hyperband"), ("cmaes", "median"), ("nsga2", "none")]
)
def test_ten_thousand_trials(sampler: SamplerName, pruner: PrunerName) -> None:
    """Load below 2 s and the first proposal below 1 s (processor time of this process)."""
    records = rows(10_000)
    search = cell(sampler=sampler, pruner=pruner)
    started = time.process_time()
    search.load(records)
    loaded = time.process_time()
    assert search.ask(10_000) is not None
    asked = time.process_time()
    assert loaded - started < 2.0
    assert asked - loaded < 1.0
