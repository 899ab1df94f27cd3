"""What a good study file becomes: cells, spaces, conditions, start points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import StudyFileError
from harness.space import Choice, FloatRange, IntRange, Parameter
from harness.studyfile.values import Cell, ConfirmPlan, FinalPlan, SearchPlan, StudySpec
from harness.trial import Objective, Phase, Resources
from tests.studyfile.conftest import BASE

Load = Callable[..., StudySpec]
SPACE = BASE[BASE.index("space:") : BASE.index("fixed:")]


def _with_space(*lines: str) -> str:
    return BASE.replace(SPACE, "space:\n" + "".join(f"  {line}\n" for line in lines))


def _cell(spec: StudySpec, name: str) -> Cell:
    return next(cell for cell in spec.cells if cell.name == name)


def test_the_form_of_a_study_file(load: Load) -> None:
    spec = load()
    assert spec.name == "toy-study"
    assert [cell.name for cell in spec.cells] == ["toy/toyann", "toy/fixed delays", "toy/no delays"]
    assert spec.search == SearchPlan("tpe", "hyperband", 30, 15)
    assert spec.confirm == ConfirmPlan(3, 3)
    assert spec.final == FinalPlan(5)
    assert spec.resources == Resources(1, 0.25)
    assert spec.objectives == (Objective("accuracy", True),)
    assert spec.epochs(Phase.FINAL) == 15
    assert spec.text == BASE
    assert [name for name, _ in spec.plugins] == ["./fakes.py"]


def test_a_parameter_applies_where_a_pipeline_has_it(load: Load) -> None:
    spec = load()
    assert _cell(spec, "toy/toyann").space.names == ("optimizer.lr",)
    assert _cell(spec, "toy/fixed delays").space.names == ("neuron.tau", "delay.max", "optimizer.lr")
    assert _cell(spec, "toy/no delays").space.names == ("neuron.tau", "optimizer.lr")
    assert _cell(spec, "toy/toyann").fixed == (("batch_size", 16),)
    assert "fixed timesteps is left out" in " ".join(_cell(spec, "toy/toyann").notes)


def test_a_condition_on_a_set_value_is_settled(load: Load) -> None:
    cell = _cell(load(), "toy/fixed delays")
    assert cell.space.parameters[1] == Parameter("delay.max", IntRange(5, 31))
    assert cell.variant == (("delay.kind", "fixed"),)
    assert dict(cell.fixed)["delay.kind"] == "fixed"


def test_a_searched_condition_comes_first(load: Load) -> None:
    text = _with_space(
        "delay.max: {int: [5, 31], when: {delay.kind: [fixed, learned]}}",
        "delay.kind: {choice: [none, fixed, learned]}",
    ).replace("      - {name: toyspike, label: no delays, set: {delay.kind: none}}\n", "      - toyspike\n")
    cell = _cell(load(text), "toy/toyspike")
    assert cell.space.names == ("delay.kind", "delay.max")
    assert cell.space.parameters[1].when == (("delay.kind", ("fixed", "learned")),)
    assert _cell(load(text), "toy/fixed delays").space.names == ("delay.max",)


def test_constants_of_searched_neurons_get_their_condition(load: Load) -> None:
    text = _with_space(
        "neuron.tau: {float: [1.1, 4.0]}",
        "neuron.v_threshold: {float: [0.5, 2.0]}",
        "neuron.name: {choice: [toyif, toylif, toyplif]}",
    )
    space = _cell(load(text), "toy/no delays").space
    assert space.names == ("neuron.v_threshold", "neuron.name", "neuron.tau")
    assert {p.name: p.when for p in space}["neuron.tau"] == (("neuron.name", ("toylif", "toyplif")),)
    assert {p.name: p.when for p in space}["neuron.v_threshold"] == ()


def test_constants_of_other_neurons_are_dropped(load: Load) -> None:
    text = _with_space("neuron.tau: {float: [1.1, 4.0]}", "optimizer.lr: {float: [1.0e-3, 1.0e-2]}").replace(
        "set: {delay.kind: none}", "set: {neuron.name: toyif}"
    )
    spec = load(text)
    assert _cell(spec, "toy/no delays").space.names == ("optimizer.lr",)
    assert "needs neuron.name = toylif or toyplif, here it is toyif" in " ".join(
        _cell(spec, "toy/no delays").notes
    )
    assert _cell(spec, "toy/fixed delays").space.names == ("neuron.tau", "optimizer.lr")


def test_set_wins_over_fixed_and_space(load: Load) -> None:
    text = BASE.replace("{delay.kind: none}", "{delay.kind: none, optimizer.lr: 0.01, timesteps: 9}")
    cell = _cell(load(text), "toy/no delays")
    assert cell.space.names == ("neuron.tau",)
    assert dict(cell.fixed)["optimizer.lr"] == 0.01
    assert dict(cell.fixed)["timesteps"] == 9


def test_values_take_the_parameters_own_type(load: Load) -> None:
    text = _with_space("optimizer.lr: {choice: [1, 2.5]}", "neuron.tau: {float: [2, 4]}")
    cell = _cell(load(text.replace("{delay.kind: none}", "{neuron.v_threshold: 2}")), "toy/no delays")
    options = cell.space.parameters[0].domain
    assert isinstance(options, Choice)
    assert [type(option) for option in options.options] == [float, float]
    domain = cell.space.parameters[1].domain
    assert domain == FloatRange(2.0, 4.0)
    assert isinstance(domain, FloatRange)
    assert type(domain.low) is float
    assert type(dict(cell.fixed)["neuron.v_threshold"]) is float


def test_published_is_the_first_trial_and_lies_beneath(load: Load) -> None:
    cell = _cell(load(), "toy/fixed delays")
    assert cell.start == ((("delay.max", 12), ("neuron.tau", 2.5), ("optimizer.lr", 0.01)),)
    assert dict(cell.fixed) == {"batch_size": 16, "bias": True, "delay.kind": "fixed", "timesteps": 4}
    assert "published optimizer.lr 0.5 is outside 0.0003 to 0.01 (log), begins at 0.01" in cell.notes[-1]
    assert _cell(load(), "toy/toyann").start == ((("optimizer.lr", 0.001),),)


def test_without_published_nothing_of_it_is_used(load: Load) -> None:
    cell = _cell(load(BASE.replace("start: [published]\n", "")), "toy/fixed delays")
    assert cell.start == ()
    assert "bias" not in dict(cell.fixed)


def test_without_a_paper_the_defaults_are_the_start(load: Load) -> None:
    spec = load(BASE.replace("dataset: toy\n", "dataset: toyopt\n"))
    cell = _cell(spec, "toyopt/fixed delays")
    assert cell.start == ((("delay.max", 25), ("neuron.tau", 2.0), ("optimizer.lr", 0.001)),)


def test_own_start_points_join_where_they_are_searched(load: Load) -> None:
    text = BASE.replace("[published]", "[published, {neuron.tau: 2, optimizer.lr: 0.001}, {neuron.tau: 2.5}]")
    spec = load(text)
    assert _cell(spec, "toy/no delays").start[1:] == (
        (("neuron.tau", 2.0), ("optimizer.lr", 0.001)),
        (("neuron.tau", 2.5),),
    )
    assert _cell(spec, "toy/toyann").start == ((("optimizer.lr", 0.001),),)


def test_a_start_point_of_an_inactive_parameter_is_refused(load: Load) -> None:
    text = _with_space(
        "delay.kind: {choice: [none, fixed]}", "delay.max: {int: [5, 31], when: {delay.kind: fixed}}"
    ).replace("      - {name: toyspike, label: no delays, set: {delay.kind: none}}\n", "      - toyspike\n")
    with pytest.raises(StudyFileError, match=r"delay.max does not exist where delay.kind is 'none'"):
        load(text.replace("[published]", "[{delay.kind: none, delay.max: 6}]"))


def test_objectives_and_limits(load: Load) -> None:
    text = (
        BASE.replace("hyperband", "none")
        + "objective: [accuracy, synops, loss max]\nlimits: {synops: 1.0e7}\n"
    )
    spec = load(text)
    assert list(map(str, spec.objectives)) == ["accuracy max", "synops min", "loss max"]
    assert spec.limits == (("synops", 1.0e7),)


def test_the_default_objective_follows_the_task(load: Load) -> None:
    series = "name: s\nplugins: [./fakes.py]\ncells: [{dataset: toyseries, pipelines: [toyforecast]}]\n"
    assert list(map(str, load(series).objectives)) == ["r2 max"]
    mixed = series.replace("cells: [", "cells: [{dataset: toy, pipelines: toyann}, ")
    assert [str(cell.objectives[0]) for cell in load(mixed).cells] == ["accuracy max", "r2 max"]
    assert [str(cell.objectives[0]) for cell in load(mixed + "objective: loss\n").cells] == ["loss min"] * 2
    with pytest.raises(StudyFileError, match="target: cells are judged by accuracy and r2"):
        load(mixed + "target: 0.5\n")


def test_data_sets_with_options_and_files(load: Load) -> None:
    text = """\
name: s
plugins: [./fakes.py]
cells:
  - dataset: {name: toyopt, valid: speaker, shape: [2, 3]}
    pipelines: [toyann]
  - dataset: {toyfile: data/my.npz, x: a}
    pipelines: [toyann]
  - dataset: toyopt
    pipelines: [toyann]
"""
    Path("data").mkdir()
    Path("data/my.npz").write_bytes(b"x")
    spec = load(text)
    refs = [cell.dataset for cell in spec.cells]
    assert [cell.name for cell in spec.cells] == [
        "toyopt[shape=[2,3],valid=speaker]/toyann",
        "my.npz/toyann",
        "toyopt/toyann",
    ]
    assert refs[0].options == (("shape", (2, 3)), ("valid", "speaker"))
    assert refs[1].options == (("path", str(Path("data/my.npz").resolve())), ("x", "a"))
    assert (refs[1].name, refs[1].revision) == ("toyfile", "abc")


def test_gpu_shares(load: Load) -> None:
    for text, share in (("1/3", 1 / 3), ("0.3333", 1 / 3), ("0.125", 0.125), ("2", 2.0), ("0", 0.0)):
        assert load(BASE.replace("gpus: 0.25", f"gpus: {text}")).resources.gpus == pytest.approx(share, abs=0)


def test_phases_may_be_skipped(load: Load) -> None:
    spec = load(BASE.replace("seeds: 3}", "seeds: 0}").replace("final: {seeds: 5}", "final: {seeds: 0}"))
    assert (spec.confirm.seeds, spec.final.seeds) == (0, 0)


def test_every_key(load: Load) -> None:
    text = BASE.replace("epochs: 15}", "epochs: 15, startup: 4, stop: {hours: 1.5, plateau: 9}}").replace(
        "seeds: 5}", "seeds: 5, epochs: 40, legacy_test_curve: true}"
    )
    text += "seed: 7\ntarget: 0.9\nbaseline: no delays\nexclusive: node\ncheckpoint_every: 2\ntimeout_s: 60\n"
    spec = load(text)
    assert (spec.search.startup, spec.search.hours, spec.search.plateau) == (4, 1.5, 9)
    assert spec.final == FinalPlan(5, 40, True)
    assert (spec.seed, spec.target, spec.baseline, spec.exclusive) == (7, 0.9, "no delays", "node")
    assert (spec.checkpoint_every, spec.timeout_s, spec.epochs(Phase.FINAL)) == (2, 60.0, 40)


def test_loading_twice_is_equal(load: Load) -> None:
    assert load() == load()


def test_grid_and_cmaes_where_they_can(load: Load) -> None:
    grid = _with_space("optimizer.lr: {choice: [0.1, 0.2]}", "neuron.tau: {float: [1.5, 3.5], step: 0.5}")
    assert _cell(load(grid.replace("tpe", "grid")), "toy/no delays").space.size == 10
    both = _with_space("optimizer.lr: {float: [0.1, 0.2]}", "batch_size: {int: [8, 64], log: true}")
    both = both.replace(", batch_size: 16", "").replace("tpe", "cmaes")
    assert load(both).search.sampler == "cmaes"
