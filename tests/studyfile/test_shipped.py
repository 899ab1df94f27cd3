"""Every study that ships is good; one whose data is absent here says which file is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import MissingDataError
from harness.studyfile.file import StudyFile
from harness.studyfile.load import load_study
from harness.studyfile.plan_rendering import describe_plan
from harness.studyfile.values import TRIVIAL

STUDIES = Path(__file__).parents[2] / "searchspaces"


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_study(path: Path) -> None:
    try:
        spec = load_study(path)
    except MissingDataError as error:
        pytest.skip(str(error))
    assert spec.name == path.stem
    assert describe_plan(spec).trials > 0


def test_the_example_of_the_readme_is_a_study_with_every_key(tmp_path: Path) -> None:
    text = (STUDIES / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "example.yaml"
    path.write_text(text)
    spec = load_study(path)
    assert [cell.label for cell in spec.cells] == ["ann", "lif", "plif"]
    assert "neuron.v_threshold" in spec.cells[1].space.names
    missing = [key for key in StudyFile.model_fields if f"\n{key}:" not in f"\n{text}"]
    assert missing == []


def test_quickstart_is_small_and_searches_every_family_of_pipelines() -> None:
    spec = load_study(STUDIES / "quickstart.yaml")
    pipelines = {cell.pipeline for cell in spec.cells}
    assert pipelines >= {"ann", "direct", "pipe-s", "pipe-d", "delays", "forecast-snn", *TRIVIAL}
    searched = [cell for cell in spec.cells if cell.pipeline not in TRIVIAL]
    assert all(cell.space.parameters and cell.start for cell in searched)
    assert spec.cells[1].space.names == ("optimizer.lr", "neuron.name", "neuron.tau")
    phases = [phase for cell in describe_plan(spec).cells for phase in cell.phases]
    assert sum(phase.trials * phase.stages[-1].epochs for phase in phases) <= 1000
    assert spec.final.seeds == 5
