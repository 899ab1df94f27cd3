"""What a data set rules out is refused before anything runs, at the line that says it."""

from pathlib import Path

import pytest

from harness.errors import StudyFileError
from harness.studyfile.load import load_study
from tests.datasets.spoken import write

BASE = """\
name: small
cells:
  - dataset: shd
    pipelines: [delays]
space:
  optimizer.lr: {float: [1.0e-3, 2.0e-3]}
fixed:
  network.width: 4
search: {trials: 1, epochs: 1}
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study on small files in SHD's layout: 1,400 ms and 700 channels."""
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "shd" / "shd_train.h5", 100)
    write(tmp_path / "shd" / "shd_test.h5", 30)
    return Path("small.yaml")


def refused(study: Path, old: str, new: str) -> str:
    assert old in BASE
    study.write_text(BASE.replace(old, new, 1))
    with pytest.raises(StudyFileError) as caught:
        load_study(study)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ("delay.max: 200", "8: delay.max: 200 allows delays of 199 timesteps (1990 ms), longer than a"),
        ("timestep_ms: 100.0", "8: timestep_ms: delay.max 25 allows delays of 24 timesteps (2400 ms)"),
        ("channel_group: 3", "8: channel_group: 3 does not divide the 700 channels of 'shd'"),
        ("timestep_ms: 0.12345", "8: timestep_ms: 0.12345 is not a positive whole number of microseconds"),
        ("padding: recording\n  timestep_ms: 9.0", "9: timestep_ms: 9 does not divide the 1400 ms of a"),
        ("delay.max: 0", "8: delay.max: 0 is outside [1, 1000]."),
        ("delay.max: -3", "8: delay.max: -3 is outside [1, 1000]."),
        ("delay.max: 2.5", "8: delay.max: 2.5 is a number, not a whole number."),
    ],
)
def test_fixed_values(study: Path, values: str, line: str) -> None:
    assert refused(study, "network.width: 4", values).startswith(f"small.yaml:{line}")


@pytest.mark.parametrize(
    ("domain", "line"),
    [
        ("delay.max: {int: [5, 400]}", "6: delay.max: 400 allows delays of 399 timesteps"),
        ("channel_group: {choice: [5, 3]}", "6: channel_group: 3 does not divide"),
        ("timestep_ms: {float: [2.0, 80.0]}", "6: timestep_ms: delay.max 25 allows delays of 24"),
        (
            "delay.kind: {choice: [none, learned]}\n  delay.max: {int: [5, 400]}",
            "7: delay.max: 400 allows delays of 399 timesteps",
        ),
        ("delay.max: {int: [-3, 20]}", "6: delay.max: low -3 is outside [1, 1000]"),
        ("delay.max: {float: [2.5, 20.0]}", "6: delay.max: pipeline 'delays' takes whole numbers"),
    ],
)
def test_searched_values(study: Path, domain: str, line: str) -> None:
    assert refused(study, "optimizer.lr: {float: [1.0e-3, 2.0e-3]}", domain).startswith(f"small.yaml:{line}")


def test_a_cells_own_setting_and_a_start_point(study: Path) -> None:
    own = refused(study, "pipelines: [delays]", "pipelines: [{name: delays, set: {delay.max: 200}}]")
    assert own.startswith("small.yaml:4: delay.max: 200 allows")
    both = "timestep_ms: {float: [2.0, 50.0]}\n  delay.max: {int: [5, 25]}"
    searched = BASE.replace("optimizer.lr: {float: [1.0e-3, 2.0e-3]}", both)
    study.write_text(searched + "start: [{timestep_ms: 5.0, delay.max: 25}]\n")
    assert load_study(study).cells[0].start
    text = searched.replace("[2.0, 50.0]", "[2.0, 100.0]").replace("[5, 25]", "[5, 60]")
    study.write_text(text.replace("[5, 60]", "[5, 14]"))
    load_study(study)
    study.write_text(text + "start: [{timestep_ms: 80.0, delay.max: 50}]\n")
    with pytest.raises(StudyFileError, match=r"delay\.max 50 allows .*\(with "):
        load_study(study)


def test_no_delays_have_no_range(study: Path) -> None:
    study.write_text(BASE.replace("network.width: 4", "delay.kind: none\n  timestep_ms: 100.0"))
    load_study(study)
