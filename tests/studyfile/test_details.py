"""Edges of a study file: what is filled in, where a bound lies, which hint a slip gets."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from harness.errors import HarnessError, StudyFileError
from harness.studyfile.costs import past_costs
from harness.studyfile.plan_building import describe_plan
from harness.studyfile.values import ConfirmPlan, FinalPlan, SearchPlan, StudySpec
from harness.studyfile.yaml_lines import MAX_BYTES
from tests.studyfile.conftest import BASE

Load = Callable[..., StudySpec]
SHORT = BASE.split("search:")[0].replace("name: toy-study", "name: short")


def test_what_a_short_file_leaves_out(load: Load) -> None:
    """The defaults that searchspaces/README.md names."""
    spec = load(SHORT)
    assert spec.search == SearchPlan("tpe", "none", 20, 10, 10, 0.0, 0)
    assert spec.confirm == ConfirmPlan(3, 3)
    assert spec.final == FinalPlan(5, 0, False)
    assert (spec.resources.cpus, spec.resources.gpus, spec.resources.fused) == (1, 0.0, 1)
    assert (spec.seed, spec.checkpoint_every, spec.timeout_s, spec.exclusive) == (0, 5, 0.0, "device")
    assert (spec.target, spec.baseline, spec.limits) == (None, None, ())


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("95", " Write 0.95."),
        ("100", " Write 1."),
        ("101", None),
        ("0", None),
        ("-1", None),
        ("1.5", " Write 0.015."),
    ],
)
def test_a_target_in_percent(load: Load, target: str, hint: str | None) -> None:
    with pytest.raises(StudyFileError, match="is no accuracy; it is a share above 0, at most 1") as caught:
        load(BASE, f"target={target}")
    assert str(caught.value).endswith(hint or "at most 1.")


@pytest.mark.parametrize("target", ["1", "1.0", "0.001"])
def test_targets_at_the_ends(load: Load, target: str) -> None:
    assert load(BASE, f"target={target}").target == float(target)


@pytest.mark.parametrize(
    ("seeds", "noted"), [(0, "test split stays unread"), (4, "4 seeds; an honest"), (5, None)]
)
def test_the_plan_says_that_few_seeds_are_few(load: Load, seeds: int, noted: str | None) -> None:
    notes = " ".join(describe_plan(load(BASE, f"final.seeds={seeds}")).notes)
    assert ("final:" in notes) is (noted is not None)
    assert (noted or "") in notes


def test_known_keys_of_a_section_within_a_section(load: Load) -> None:
    with pytest.raises(StudyFileError, match=r"search\.stop.*'hourss'.*Did you mean 'hours'"):
        load(BASE, "search.stop.hourss=2")
    with pytest.raises(StudyFileError, match=r"search: unknown key 'pruners'\. Did you mean 'pruner'"):
        load(BASE, "search.pruners=none")


def test_a_file_may_be_as_long_as_it_says(write: Callable[[str], object], load: Load) -> None:
    fill = "#" * 99 + "\n"
    room = MAX_BYTES - len(BASE.encode())
    text = BASE + fill * (room // 100) + "#" * (room % 100)
    assert len(text.encode()) == MAX_BYTES == 256 * 1024
    assert load(text).name == "toy-study"
    with pytest.raises(StudyFileError, match=f"{MAX_BYTES + 1} bytes; a study file has at most {MAX_BYTES}"):
        load(text + "#")


def test_an_override_is_repeated_cut(load: Load) -> None:
    with pytest.raises(StudyFileError) as caught:
        load(BASE, "search.trials=" + "9" * 46)  # sixty characters: whole
    assert "--set search.trials=" + "9" * 46 + ":" in str(caught.value)
    with pytest.raises(StudyFileError) as caught:
        load(BASE, "search.trials=" + "9" * 47)
    assert "--set search.trials=" + "9" * 43 + "...:" in str(caught.value)


def test_a_cell_without_a_space_must_build_as_well(load: Load) -> None:
    text = BASE.replace("start: [published]\n", "")
    cut = "space:" + text.split("space:")[1].split("fixed:")[0]
    plain = text.replace(cut, "").replace("pruner: hyperband", "pruner: none")
    assert all(not cell.space.parameters for cell in load(plain).cells)
    with pytest.raises(HarnessError):
        load(plain, "fixed.timesteps=-1")


def test_past_costs_take_what_ran_here_first() -> None:
    rows = [
        ("mine", "a", "COMPLETE", 10, 20.0),
        ("mine", "a", "PRUNED", 2, 10.0),
        ("mine", "a", "FAILED", 1, 99.0),
        ("mine", "a", "COMPLETE", 0, 99.0),
        ("mine", "a", "COMPLETE", 5, 0.0),
        ("other", "a", "COMPLETE", 1, 99.0),
        ("other", "b", "COMPLETE", 4, 2.0),
    ]
    found = past_costs(pd.DataFrame(rows, columns=["study", "cell", "state", "epochs", "wall_s"]), "mine")
    assert found.epoch_s == (("a", 2.5), ("b", 0.5))
    assert found.trials == 3
