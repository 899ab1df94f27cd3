"""``budget:`` of the studies that ship, and whether data are the published ones."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.datasets.speech.shd import Shd, ShdOptions
from harness.errors import DataError, StudyFileError
from harness.studyfile.data_checks import data_notes
from harness.studyfile.file import StudyFile
from harness.studyfile.load import load_study
from harness.studyfile.overrides import apply_overrides, budget_overrides
from harness.studyfile.validation import check
from harness.studyfile.yaml_lines import parse_yaml, read_yaml
from tests.datasets.spoken import write

STUDIES = Path(__file__).parents[2] / "searchspaces"
FULL = sorted(path.stem for path in STUDIES.glob("*.yaml") if "\nbudget:" in path.read_text())


def at(name: str, budget: str = "") -> StudyFile:
    root, _ = read_yaml(STUDIES / f"{name}.yaml")
    chosen = budget_overrides(root, budget, name) if budget else ()
    return check(StudyFile, apply_overrides(root, chosen), "")


def trained(file: StudyFile) -> int:
    """Epochs of the last stages of one cell."""
    final = (file.final.epochs or file.search.epochs) * file.final.seeds
    confirm = min(file.confirm.top, file.search.trials) * file.confirm.seeds * (file.search.trials > 1)
    return file.search.trials * file.search.epochs + confirm * file.search.epochs + final


def test_every_full_size_study_has_all_three() -> None:
    assert len(FULL) == 11
    for name in FULL:
        assert set(at(name).budget) == {"paper", "lab", "smoke"}, name


@pytest.mark.parametrize("name", FULL)
def test_budgets_cost_less_and_less(name: str) -> None:
    whole, paper, lab, smoke = (at(name, budget) for budget in ("", "paper", "lab", "smoke"))
    assert (paper.search.trials, paper.search.epochs) == (1, whole.search.epochs), "the published one alone"
    assert paper.final == whole.final
    assert trained(lab) <= 0.6 * trained(whole)
    assert trained(smoke) == 2
    loops = [value for key, value in smoke.budget["smoke"].items() if key.endswith(".epochs")]
    assert set(loops) == {1}


def test_a_budget_lies_below_the_command_line_and_an_unknown_one_is_named() -> None:
    root = parse_yaml("budget: {lab: {fixed.lr: 1.0e-5, space.x: {choice: [a, b]}}}", "f")
    assert root is not None
    assert budget_overrides(root, "lab", "f") == ("fixed.lr=1.0e-05", "space.x={choice: [a, b]}")
    with pytest.raises(StudyFileError, match="--budget paper: the study has no such budget; it has lab"):
        budget_overrides(root, "paper", "f")
    with pytest.raises(StudyFileError, match="it has none"):
        budget_overrides(read_yaml(STUDIES / "quickstart.yaml")[0], "lab", "quickstart")


def test_a_series_of_other_length_is_refused_by_check_and_not_by_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    rows = "\n".join(",".join(["1.0"] * 137) for _ in range(50))
    with gzip.open(tmp_path / "solar_AL.txt.gz", "wt") as file:
        file.write(rows)
    spec = load_study(STUDIES / "forecast-solar.yaml")
    with pytest.raises(DataError, match="50 rows x 137 variates, the published file 52560 x 137"):
        data_notes(spec)


@pytest.mark.parametrize("options", [{}, {"valid": "none"}])
def test_recordings_that_are_fewer_than_published_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    write(tmp_path / "shd" / "shd_train.h5", 100)
    write(tmp_path / "shd" / "shd_test.h5", 30)
    said = Shd(ShdOptions(**options)).verify()
    assert said.startswith("'shd' here has 100 + 30 samples, as published 8,156 + 2,264")
    assert np.array(Shd.published_counts).sum() == 10_420


def test_data_that_come_along_are_the_published_ones() -> None:
    assert data_notes(load_study(STUDIES / "quickstart.yaml")) == ()


@pytest.mark.parametrize("name", FULL)
def test_what_deviates_from_the_paper_stands_beside_the_line_that_sets_it(name: str) -> None:
    lines = (STUDIES / f"{name}.yaml").read_text().splitlines()
    beside = [
        lines[at + 1].strip() for at, line in enumerate(lines) if line.strip().startswith("# deviates: ")
    ]
    assert any(line.startswith("search:") for line in beside)
    assert all(line and not line.startswith("#") for line in beside)
