"""``--set key=value``: the same leaves with the same checks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError, StudyFileError
from harness.space import FloatRange
from harness.studyfile.values import StudySpec
from tests.studyfile.conftest import BASE

Load = Callable[..., StudySpec]


def test_leaves_of_every_section(load: Load) -> None:
    spec = load(
        BASE,
        "search.trials=40",
        "fixed.timesteps=8",
        "space.neuron.tau={float: [1.2, 3]}",
        "search.stop.hours=2",
        "cells.0.pipelines.2.set.delay.kind=learned",
        "target=0.5",
    )
    assert (spec.search.trials, spec.search.hours, spec.target) == (40, 2.0, 0.5)
    assert spec.cells[1].space.parameters[-1].domain == FloatRange(1.2, 3.0)
    assert dict(spec.cells[2].fixed)["timesteps"] == 8
    assert spec.cells[2].variant == (("delay.kind", "learned"),)


def test_the_text_keeps_them(load: Load) -> None:
    spec = load(BASE, "search.trials=40", "seed=3")
    assert spec.text == BASE
    assert spec.overrides == ("search.trials=40", "seed=3")


def test_null_removes(load: Load) -> None:
    spec = load(BASE, "space.neuron.tau=null", "fixed.neuron.tau=3", "cells.0.pipelines.0=null", "start=")
    assert [cell.name for cell in spec.cells] == ["toy/fixed delays", "toy/no delays"]
    assert dict(spec.cells[0].fixed)["neuron.tau"] == 3.0
    assert spec.cells[0].start == ()


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("search.trials", "--set search.trials: write key=value, for instance --set search.trials=40."),
        ("=4", "--set =4: write key=value, for instance --set search.trials=40."),
        ("search..trials=4", "--set search..trials=4: write key=value, for instance --set search.trials=40."),
        ("search.trials=1e3", "--set search.trials=1e3: search.trials: '1e3' is text, not a whole number."),
        ("search.trials=0", "--set search.trials=0: search.trials: 0 is below 1, the least allowed."),
        (
            "search.trails=5",
            "--set search.trails=5: search: unknown key 'trails'. Did you mean 'trials'? "
            "Known: epochs, pruner, sampler, startup, stop, trials",
        ),
        (
            "fixed.timesteps=no",
            "--set fixed.timesteps=no: YAML reads no as false. Write false, or 'no' for text.",
        ),
        (
            "fixed.neuron.tau=2.0",
            "--set fixed.neuron.tau=2.0: fixed: neuron.tau is fixed here and searched at x.yaml:10. "
            "Keep one (--set space.NAME=null drops it from the space).",
        ),
        (
            "space.neuron.tua={float: [1.1, 4.0]}",
            "--set space.neuron.tua={float: [1.1, 4.0]}: space: unknown parameter 'neuron.tua'. "
            "Did you mean 'neuron.tau'? Known: batch_size, bias, delay.kind, delay.max, neuron.name, "
            "neuron.tau, neuron.v_threshold, optimizer.lr, timesteps",
        ),
        (
            "space.neuron.tau={float: [4.0, 1.1]}",
            "--set space.neuron.tau={float: [4.0, 1.1]}: neuron.tau: low 4.0 is above high 1.1. "
            "Write the smaller one first.",
        ),
        ("name.first=x", "--set name.first=x: name is text; it has no key 'first'."),
        (
            "cells.3.dataset=toy",
            "--set cells.3.dataset=toy: cells is a list of 1; its entries are numbered from 0.",
        ),
        ("space.bias=null", "--set space.bias=null: there is no space.bias to remove."),
        (
            "seed=[1",
            "--set seed=[1: not YAML: expected ',' or ']', but got '<stream end>'. "
            "Check indentation, brackets and quotes near here.",
        ),
    ],
)
def test_refused(load: Load, override: str, line: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        load(BASE, override)
    assert str(caught.value) == line


_KEYS = st.sampled_from(
    ["name", "cells", "cells.0.dataset", "cells.0.pipelines", "cells.0.pipelines.1.set", "space", "start",
     "space.neuron.tau", "space.delay.max", "fixed", "fixed.timesteps", "search", "search.stop",
     "search.trials", "confirm.top", "final", "resources.gpus", "limits", "objective", "target",
     "plugins", "baseline", "seed"]
)  # fmt: skip
_LEAVES = st.one_of(
    st.sampled_from(
        ["{float: [1.5, 3.0]}", "{int: [1, 5]}", "{choice: [toyif, 3]}", "toy", "toyann",
         "published", "{}", "[]",
         "{float: [2.0, 3.0], when: {delay.kind: fixed}}", "{delay.kind: none}", "{choice: [{a: 1}]}",
         "{neuron.tau: 2.0}", "{when: {neuron.tau: 1}}", "[[]]", "{toyfile: x}",
         "{name: toyspike, set: {bias: true}}"]
    ),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(max_size=12),
)  # fmt: skip


@settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(_KEYS, _LEAVES), min_size=1, max_size=3))
def test_no_override_ends_in_another_error(load: Load, overrides: list[tuple[str, str]]) -> None:
    message = ""
    try:
        load(BASE, *(f"{key}={value}" for key, value in overrides))
    except HarnessError as error:
        message = str(error)
    assert "\n" not in message
