"""What every sampler keeps, whichever it is: one class over all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.search import CellSearch, Record
from harness.search.conditional_space import ConditionalSpace, key
from harness.space import Space
from harness.studyfile.values import SamplerName
from harness.trial import Objective, State
from tests.search.cases import (
    CONDITIONAL,
    FINITE,
    FINITE_SIZE,
    FIXED,
    NUMBERS,
    ONE,
    SEVERAL_SAMPLERS,
    SINGLE_SAMPLERS,
    TWO,
    cell,
    finished,
    run,
    shuffled,
)

SPACES = {"numbers": NUMBERS, "conditional": CONDITIONAL, "finite": FINITE}
CASES = [
    pytest.param(sampler, name, objectives, id=f"{sampler}-{name}-{len(objectives)}")
    for objectives, samplers in ((ONE, SINGLE_SAMPLERS), (TWO, SEVERAL_SAMPLERS))
    for sampler in samplers
    for name in SPACES
] + [pytest.param("grid", "finite", ONE, id="grid-finite-1")]
TRIALS = 12  # of them 5 random; NSGA-II and CMA-ES generations have tests of their own


def rebuilt(
    like: list[Record], sampler: SamplerName, space: Space, goals: tuple[Objective, ...]
) -> CellSearch:
    """A new search from these records."""
    search = cell(space, sampler, objectives=goals)
    search.load(like)
    return search


@pytest.mark.parametrize(("sampler", "space_name", "objectives"), CASES)
class TestEverySampler:
    """One history a case, several properties."""

    def test_proposals(
        self, sampler: SamplerName, space_name: str, objectives: tuple[Objective, ...]
    ) -> None:
        space = SPACES[space_name]
        trials = 7 if sampler == "gp" else TRIALS
        search = cell(space, sampler, objectives=objectives)
        records = run(search, trials, objectives=objectives)
        conditional_space = ConditionalSpace(space, FIXED)
        for record in records:
            assert conditional_space.fits(record.params), record.params
            assert list(record.params) == [n for n in space.names if n in record.params]
        assert len({key(record.params) for record in records}) == len(records) == trials

        pending = Record(trials, search.ask(trials) or {}, State.RUNNING)
        search.add(pending)
        live = search.ask(trials + 1)
        assert live is not None
        assert live == search.ask(trials + 1), "asking changed the answer"
        again = rebuilt(shuffled([*records, pending], 1), sampler, space, objectives)
        assert key(again.ask(trials + 1) or {}) == key(live), "a rebuilt search answered otherwise"
        one_by_one = cell(space, sampler, objectives=objectives)
        for record in shuffled([*records, pending], 2):
            one_by_one.add(record)
        assert key(one_by_one.ask(trials + 1) or {}) == key(live)


@pytest.mark.parametrize("sampler", SINGLE_SAMPLERS)
@pytest.mark.parametrize("space", [NUMBERS, CONDITIONAL], ids=["numbers", "conditional"])
class TestSeeds:
    """The seed and the number matter, in the random beginning and after it."""

    def test_another_seed_another_proposal(self, sampler: SamplerName, space: Space) -> None:
        records = run(cell(space, "random"), TRIALS)
        for history in ([], records):
            answers = set()
            for seed in range(3):
                search = cell(space, sampler, seed=seed)
                search.load(history)
                answers.add(key(search.ask(TRIALS) or {}))
            assert len(answers) == 3

    def test_another_number_another_proposal(self, sampler: SamplerName, space: Space) -> None:
        search = cell(space, sampler)
        search.load(run(cell(space, "random"), TRIALS))
        assert len({key(search.ask(number) or {}) for number in range(20, 23)}) == 3


@pytest.mark.parametrize("sampler", [*SINGLE_SAMPLERS, "grid"])
class TestExhaustion:
    """A finite space is covered once, then there is nothing."""

    def test_every_point_once(self, sampler: SamplerName) -> None:
        search = cell(FINITE, sampler)
        records = run(search, FINITE_SIZE + 5)
        assert len(records) == FINITE_SIZE
        assert len({key(record.params) for record in records}) == FINITE_SIZE
        assert search.ask(99) is None

    def test_pending_points_count(self, sampler: SamplerName) -> None:
        search = cell(FINITE, sampler)
        seen = set()
        for number in range(FINITE_SIZE):
            params = search.ask(number)
            assert params is not None
            search.add(Record(number, params, State.RUNNING))
            seen.add(key(params))
        assert len(seen) == FINITE_SIZE
        assert search.ask(FINITE_SIZE) is None

    def test_empty_space_has_one_point(self, sampler: SamplerName) -> None:
        search = cell(Space(), sampler)
        assert search.ask(0) == {}
        search.add(Record(0, {}, State.COMPLETE, (1.0,)))
        assert search.ask(1) is None


def test_another_process_proposes_the_same(tmp_path: Path) -> None:
    """A restart: every sampler, from rows on disk, in a fresh interpreter with another hash seed."""
    script = tmp_path / "ask.py"
    script.write_text(
        "import json\n"
        "from tests.search.cases import CONDITIONAL, SINGLE_SAMPLERS, cell, finished\n"
        "from harness.search.conditional_space import key\n"
        "rows = [(n, dict(p)) for n, p in json.load(open('rows.json'))]\n"
        "for sampler in SINGLE_SAMPLERS:\n"
        "    search = cell(CONDITIONAL, sampler)\n"
        "    search.load(finished(n, p) for n, p in rows)\n"
        "    print(key(search.ask(30)))\n"
    )
    rows = [(r.number, dict(r.params)) for r in run(cell(CONDITIONAL, "random"), 30)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    expected = []
    for sampler in SINGLE_SAMPLERS:
        search = cell(CONDITIONAL, sampler)
        search.load(finished(number, params) for number, params in rows)
        expected.append(key(search.ask(30) or {}))
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == expected, done.stderr
