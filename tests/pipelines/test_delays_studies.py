"""The delay studies that ship: they load, start at the published points and compare equal sizes."""

from pathlib import Path

import pytest

from harness.contracts import registry
from harness.pipelines.delays.delays import Delays
from harness.pipelines.delays.delays_params import PUBLISHED
from harness.studyfile.load import load_study
from harness.studyfile.values import Cell, StudySpec
from tests.datasets.spoken import write, write_words

FOLDER = Path(__file__).parents[2] / "searchspaces"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    for part, count in (("train", 100), ("test", 30)):
        write(tmp_path / "shd" / f"shd_{part}.h5", count)
    for part, count in (("train", 70), ("valid", 35), ("test", 36)):
        write(tmp_path / "ssc" / f"ssc_{part}.h5", count, classes=35)
    write_words(tmp_path, tuple(f"word{i:02d}" for i in range(35)))
    (tmp_path / "fsdd_cochlea700.npz").touch()  # its card does not open it
    return tmp_path


def parameters(cell: Cell, start: bool = True, wider: int = 0) -> int:
    values = dict(cell.fixed) | (dict(cell.start[0]) if start and cell.start else {})
    width = Delays.build_params(values).network.width + wider
    params = Delays.build_params(values | {"network.width": width})
    card = registry.dataset(cell.dataset.name)().card()
    delays, net = params.delay, params.network
    channels = card.shape[-1] // (params.channel_group if card.layout == "events" else 1)
    synapses = channels * net.width + (net.depth - 1) * net.width**2 + net.width * card.classes
    each = {"none": 1, "fixed": delays.elements, "learned": 2 * delays.elements, "dense": delays.max}[
        delays.kind
    ]
    return synapses * each + 2 * net.width * net.depth


@pytest.mark.parametrize("name", ["shd", "ssc", "gsc"])
def test_the_first_trial_is_the_released_configuration(data: Path, name: str) -> None:
    study = load_study(FOLDER / f"delays-{name}.yaml")
    label = "learned delays" if name == "shd" else "3L-1KC"
    cell = next(cell for cell in study.cells if cell.label == label)
    first = Delays.schema().resolve(dict(cell.fixed) | dict(cell.start[0]))
    wanted = Delays.schema().resolve(PUBLISHED[name])
    assert {k: v for k, v in first.items() if wanted[k] != v} == {}
    assert study.final.legacy_test_curve
    assert study.final.seeds >= (10 if name == "shd" else 5)
    assert study.search.epochs == {"shd": 150, "ssc": 60, "gsc": 100}[name]


@pytest.mark.parametrize(
    ("name", "label", "wanted"),
    [
        ("shd", "learned delays", 214_016),
        ("ssc", "3L-2KC", 2_458_624),
        ("ssc", "2L-1KC", 705_536),
        ("gsc", "3L-1KC", 1_230_848),
    ],
)
def test_published_sizes(data: Path, name: str, label: str, wanted: int) -> None:
    study = load_study(FOLDER / f"delays-{name}.yaml")
    assert parameters(next(cell for cell in study.cells if cell.label == label)) == wanted


@pytest.mark.parametrize("name", ["shd", "ssc", "gsc", "fsdd"])
def test_controls_have_as_many_parameters_as_learned_delays(data: Path, name: str) -> None:
    study: StudySpec = load_study(FOLDER / f"delays-{name}.yaml")
    sizes = {cell.name: parameters(cell) for cell in study.cells}
    learned = next(size for cell, size in sizes.items() if "/learned" in cell or "3L-1KC" in cell)
    controls = {cell: size for cell, size in sizes.items() if "wider" in cell or "deeper" in cell}
    assert controls
    for cell in (cell for cell in study.cells if cell.name in controls):
        away = abs(controls[cell.name] - learned)
        assert away < 0.015 * learned, cell.name
        for wider in (-1, 1):  # widths are whole numbers: no neighbouring one comes closer
            assert away <= abs(parameters(cell, wider=wider) - learned), cell.name


def test_the_small_study_is_equal_in_parameters_and_in_synapses(data: Path) -> None:
    study = load_study(FOLDER / "delays-fsdd.yaml")
    cells = {cell.name: cell for cell in study.cells}
    for name in ("fsdd-cochlea", "fsdd-cochlea-speakers"):
        sizes = [parameters(cells[f"{name}/{variant}"]) for variant in ("learned delays", "fixed delays")]
        sizes.append(parameters(cells[f"{name}/no delays, wider"]))
        assert max(sizes) < 1.015 * min(sizes)
        whole = dict(cells["fsdd-cochlea/learned, whole at the end"].fixed)
        learned = dict(cells[f"{name}/learned delays"].fixed)
        assert {key for key in whole if whole[key] != learned.get(key)} == {"delay.whole_fraction"}
    narrow = dict(cells["fsdd-cochlea/fixed delays, same network"].fixed)
    assert narrow["network.width"] == learned["network.width"]
    assert len({tuple(cell.start) for cell in cells.values()}) == 1  # every variant begins and searches alike
    assert len({cell.space for cell in cells.values()}) == 1


def test_the_sparse_study_is_equal_in_parameters_and_in_synapses(data: Path) -> None:
    cells = {cell.label: cell for cell in load_study(FOLDER / "delays-sparse.yaml").cells}
    learned = cells["learned delays"]
    sizes = [parameters(cells[name]) for name in ("fixed delays, wider", "no delays, wider")]
    assert max(abs(size - parameters(learned)) for size in sizes) < 0.015 * parameters(learned)
    same = dict(cells["fixed delays, same network"].fixed) | {"delay.kind": "learned"}
    assert {key: value for key, value in same.items() if dict(learned.fixed).get(key) != value} == {}
    assert len({tuple(cell.start) for cell in cells.values()}) == 1


def test_the_range_study_covers_the_same_time_at_every_timestep(data: Path) -> None:
    study = load_study(FOLDER / "delays-range.yaml")
    spans = {}
    for cell in study.cells:
        values = dict(cell.fixed)
        spans[cell.label] = (values["delay.max"] - 1) * values["timestep_ms"]
    for label, span in spans.items():
        assert span == float(label.split(" ms")[0])
