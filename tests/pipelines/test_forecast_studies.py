"""The forecasting studies that ship: every board has its four trivial forecasts, horizons are the papers'.

A card of a known series looks at its file's presence and digest alone, so empty files stand in here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.contracts import pipelines
from harness.errors import MissingDataError
from harness.neurons.ts_lif import stability_margin
from harness.search.cell_search import CellSearch
from harness.search.history import Record
from harness.studyfile.load import load_study
from harness.studyfile.values import StudySpec
from harness.trial import State

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
    neurons = {dict(cell.variant).get("neuron.name") for cell in spec.cells}
    assert {"lif", "ts-lif"} <= neurons


SWITCHES = ("a1", "a2", "b1", "b2", "g1", "g2", "kappa")


def test_every_constant_and_its_switch_are_searched(tmp_path):
    """Constants, switches and the stability constraint reach the sampler."""
    path = tmp_path / "seven.yaml"
    path.write_text(
        "name: seven\ncells: [{dataset: synthetic-low, pipelines: [{name: forecast-snn, "
        "set: {neuron.name: ts-lif}}]}]\nspace:\n"
        + "".join(f"  neuron.learn_{name}: {{choice: [true, false]}}\n" for name in SWITCHES)
        + "".join(f"  neuron.{name}: {{float: [0.3, 0.7]}}\n" for name in SWITCHES)
        + "search: {sampler: tpe, trials: 12, epochs: 1, startup: 3}\nfinal: {seeds: 0}\n"
    )
    cell = load_study(path).cells[0]
    assert {f"neuron.learn_{name}" for name in SWITCHES} <= set(cell.space.names)
    pipeline = pipelines()[cell.pipeline]()
    spec = load_study(path)
    search = CellSearch(cell.space, cell.fixed, spec.search, spec.objectives, seed=1)
    for number in range(12):
        point = search.ask(number)
        assert point is not None
        params = pipeline.build_params({**dict(cell.fixed), **point})
        limits = pipeline.constraints(params)
        constants = [point[f"neuron.{name}"] for name in ("a1", "a2", "b1", "b2")]
        assert limits == (stability_margin(*constants),)
        search.add(Record(number, point, State.COMPLETE, (0.0,), constraints=limits))
    frozen = search.to_optuna().trials
    margins = [trial.system_attrs["constraints"][0] for trial in frozen]
    assert min(margins) < 0 < max(margins)
    assert all(record.constraints[0] <= 0 for record in search.best(12))
