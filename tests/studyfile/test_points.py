"""Whatever a good study searches, every point of a cell's space is one that its pipeline builds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.contracts import registry
from harness.errors import StudyFileError
from harness.space import Choice, Domain, FloatRange, Scalar
from harness.studyfile.values import Cell, StudySpec

HEAD = """\
name: s
plugins: [./fakes.py]
cells:
  - dataset: toy
    pipelines:
      - toyann
"""
SPACE = {
    "neuron.name": ["{choice: [toylif, toyif]}", "{choice: [toyplif, toylif, toyif]}", "{choice: [toyif]}"],
    "neuron.tau": ["{float: [1.1, 4.0], log: true}", "{float: [2, 8], step: 0.5, when: {delay.kind: none}}"],
    "neuron.v_threshold": ["{choice: [1, 2]}", "{float: [0.5, 1.5], when: {neuron.name: [toylif, toyif]}}"],
    "delay.kind": ["{choice: [none, fixed, learned]}", "{choice: [fixed, learned], when: {bias: true}}"],
    "delay.max": ["{int: [5, 31]}", "{int: [1, 300], log: true, when: {delay.kind: learned}}"],
    "bias": ["{choice: [true, false]}"],
    "optimizer.lr": [
        "{float: [1.0e-4, 1.0e-2], log: true}",
        "{float: [0.1, 0.4], when: {neuron.name: toyif}}",
    ],
}
VALUES = {
    "neuron.name": ["toylif", "toyplif", "toyif"],
    "neuron.tau": ["2.0", "9"],
    "delay.kind": ["none", "fixed"],
    "delay.max": ["7"],
    "bias": ["true"],
    "batch_size": ["4"],
}


def _some(options: dict[str, list[str]]) -> st.SearchStrategy[dict[str, str]]:
    leaves = {name: st.sampled_from(values) for name, values in options.items()}
    return st.fixed_dictionaries({}, optional=leaves)


def _flow(values: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in values.items()) + "}"


def _draw(domain: Domain, rng: np.random.Generator) -> Scalar:
    if isinstance(domain, Choice):
        return domain.options[int(rng.integers(len(domain.options)))]
    if isinstance(domain, FloatRange):
        return float(rng.uniform(domain.low, domain.high))
    return int(rng.integers(domain.low, domain.high + 1))


def _check_points(cell: Cell, rng: np.random.Generator) -> None:
    pipeline = registry.pipeline(cell.pipeline)
    schema = pipeline.schema()
    fixed = dict(cell.fixed)
    for _ in range(5):
        chosen: dict[str, Scalar] = {}
        for parameter in cell.space:
            if parameter.active({**fixed, **chosen}):
                chosen[parameter.name] = _draw(parameter.domain, rng)
        pipeline.build_params({**fixed, **chosen})
        complete = schema.resolve({**fixed, **chosen})
        assert {name: complete.get(name) for name in chosen} == chosen
        assert all(complete.get(name, value) == value for name, value in cell.variant)
    for point in cell.start:
        pipeline.build_params({**fixed, **dict(point)})
        assert set(dict(point)) <= set(cell.space.names)


@settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(_some(SPACE), _some(VALUES), _some(VALUES), st.booleans())
def test_every_point_builds(
    load: Callable[..., StudySpec],
    space: dict[str, str],
    fixed: dict[str, str],
    own: dict[str, str],
    paper: bool,
) -> None:
    fixed = {name: value for name, value in fixed.items() if name not in space}
    text = HEAD + f"      - {{name: toyspike, set: {_flow(own)}}}\n"
    text += f"space: {_flow(space)}\nfixed: {_flow(fixed)}\n"
    text += "start: [published]\n" if paper else ""
    try:
        spec = load(text)
    except StudyFileError:
        return
    rng = np.random.default_rng(0)
    for cell in spec.cells:
        assert not {*cell.space.names} & {name for name, _ in cell.fixed}
        _check_points(cell, rng)
