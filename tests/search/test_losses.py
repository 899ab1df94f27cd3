"""The index of losses says what a walk over all records says, whatever came in which order."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as some

from harness.search.history import Record
from harness.search.losses import LossIndex, running_best
from harness.trial import State

EPOCHS = (1, 3, 9)
CURVES = some.lists(some.sampled_from([0.1, 0.2, 0.2, 0.5, math.inf]), max_size=10)
CHANGES = some.lists(some.tuples(some.integers(0, 4), some.sampled_from(list(State)), CURVES), max_size=30)


def group_of(record: Record) -> int | None:
    """Even and odd numbers apart; what failed is no evidence."""
    return None if record.state is State.FAILED else record.number % 2


@given(CHANGES, some.booleans())
def test_it_equals_a_walk_over_the_last_record_of_each_number(
    changes: list[tuple[int, State, list[float]]], maximize: bool
) -> None:
    index = LossIndex(EPOCHS, group_of, maximize=maximize)
    last: dict[int, Record] = {}
    for number, state, values in changes:
        record = Record(number, {}, state, curve=tuple(enumerate(values, 1)))
        index.update(record)
        last[number] = record
    sign = -1.0 if maximize else 1.0
    for group in (0, 1):
        for epoch in EPOCHS:
            walk = []
            for record in last.values():
                best = running_best(record.curve, sign)
                here = best[epoch - 1] if len(best) >= epoch else math.inf
                counts = group_of(record) == group and math.isfinite(here)
                assert index.of(record.number, group, epoch) == (here if counts else None)
                walk += [here] if counts else []
            assert list(index.losses(group, epoch)) == sorted(walk)


def test_the_best_so_far_fills_epochs_without_a_value() -> None:
    assert list(running_best(((2, 0.5), (4, 0.7)), -1.0)) == [math.inf, -0.5, -0.5, -0.7]
    assert list(running_best(((1, 0.5), (2, 0.7)), 1.0)) == [0.5, 0.5]
