"""The forecasting studies that ship: every board has its four trivial forecasts, horizons are the papers'.

A card of a known series looks at its file's presence and digest alone, so empty files stand in here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import MissingDataError
from harness.spec.load import load_study
from harness.spec.values import StudySpec

STUDIES = Path(__file__).parents[2] / "searchspaces"
FULL = {
    "metr-la": "metr-la.h5",
    "pems-bay": "pems-bay.h5",
    "solar": "solar_AL.txt.gz",
    "electricity": "electricity.txt.gz",
}
TRIVIAL = {"persistence", "window-mean", "train-mean", "nlinear-ridge"}


def boards(spec: StudySpec) -> dict[str, set[str]]:
    """Pipelines of every data set with its options."""
    found: dict[str, set[str]] = {}
    for cell in spec.cells:
        found.setdefault(str(cell.dataset.content()), set()).add(cell.pipeline)
    return found


@pytest.mark.parametrize("name", FULL)
def test_full_size(name, tmp_path, monkeypatch):
    (tmp_path / FULL[name]).touch()
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    spec = load_study(STUDIES / f"forecast-{name}.yaml")
    horizons = [dict(cell.dataset.options)["horizon"] for cell in spec.cells]
    assert list(dict.fromkeys(horizons)) == [6, 24, 48, 96]
    assert len(boards(spec)) == 4
    assert all(pipelines >= TRIVIAL for pipelines in boards(spec).values())
    first = next(cell for cell in spec.cells if cell.label == "Spike-TCN")
    start = dict(first.start[0])
    assert start["net.readout"] == "scalar"
    assert start["net.revin"] is False


@pytest.mark.parametrize("name", ["ett", "tmy3", "missing", "frequency"])
def test_miniature(name):
    try:
        spec = load_study(STUDIES / f"forecast-{name}.yaml")
    except MissingDataError as error:
        pytest.skip(str(error))
    assert all(pipelines >= TRIVIAL for pipelines in boards(spec).values())
    assert spec.final.seeds >= 5
    neurons = {dict(cell.arm).get("neuron.name") for cell in spec.cells}
    assert {"lif", "ts-lif"} <= neurons
