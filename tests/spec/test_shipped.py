"""Every study that ships is good; one whose data is absent here says which file is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import MissingDataError
from harness.spec.load import load_study
from harness.spec.plan import describe_plan

STUDIES = Path(__file__).parents[2] / "searchspaces"


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_study(path: Path) -> None:
    try:
        spec = load_study(path)
    except MissingDataError as error:
        pytest.skip(str(error))
    assert spec.name == path.stem
    assert describe_plan(spec).trials > 0


def test_quickstart_is_small_and_searches_both_pipelines() -> None:
    spec = load_study(STUDIES / "quickstart.yaml")
    assert [cell.name for cell in spec.cells] == [
        "digits/ann",
        "digits/direct",
        "vowels/ann",
        "vowels/direct",
    ]
    assert all(cell.space.parameters and cell.start for cell in spec.cells)
    assert spec.cells[1].space.names == ("optimizer.lr", "neuron.name", "neuron.tau")
    assert describe_plan(spec).epochs <= 1000
    assert spec.final.seeds == 5
