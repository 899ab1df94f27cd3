"""The pretraining studies that ship: they load, every variant has the same budget, names are parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from harness.contracts import DatasetCard, registry
from harness.contracts.registry import pipeline
from harness.models.build import build, input_shape
from harness.neurons.lif import LIF
from harness.studyfile.load import load_study
from harness.studyfile.plan_rendering import describe_plan
from harness.studyfile.values import StudySpec

FOLDER = Path(__file__).parents[2] / "searchspaces"
EMBEDDED = ("digits", "photo10")
NAMES = ("digits", "nmnist", "photo10", "imagenet", "es-imagenet", "cifar10-dvs", "es-ucf101")
SHAPES = {
    "imagenet": ("nchw", (3, 224, 224), 1000),
    "es-imagenet": ("ntchw", (8, 2, 224, 224), 1000),
    "cifar10-dvs-42": ("ntchw", (8, 2, 42, 42), 10),
    "cifar10-dvs-128x20": ("ntchw", (20, 2, 128, 128), 10),
    "es-ucf101": ("ntchw", (15, 2, 256, 342), 101),
    "ucf101": ("ntchw", (15, 3, 256, 342), 101),
}


def study(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"pretrain-{name}.yaml").read_text())
    return found


def variants(name: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    """(data set, pipeline, its settings with the fixed ones that it has)."""
    found, file = [], study(name)
    for cell in file["cells"]:
        for entry in cell["pipelines"]:
            schema = pipeline(entry["name"]).schema()
            fixed = {k: v for k, v in file.get("fixed", {}).items() if k in schema.names}
            found.append((cell["dataset"], entry["name"], {**fixed, **entry.get("set", {})}))
    return found


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_small_studies_load(name: str) -> None:
    spec = load_study(FOLDER / f"pretrain-{name}.yaml")
    assert spec.search.trials >= 20
    assert spec.final.seeds >= 5
    assert spec.baseline == "direct LIF"


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_parameter_of_an_arm(name: str) -> None:
    """Full-size data sets are not here, so their studies are read without them."""
    file = study(name)
    known = {p for _, kind, _ in variants(name) for p in pipeline(kind).schema().names}
    assert set(file["space"]) <= known
    assert set(file["fixed"]) <= known
    assert not set(file["space"]) & set(file["fixed"])
    for _, kind, settings in variants(name):
        schema = pipeline(kind).schema()
        resolved = schema.resolve(settings)
        assert resolved.items() >= settings.items(), kind
        pipeline(kind).build_params(settings)


@pytest.mark.parametrize("name", NAMES)
def test_every_searched_domain_is_allowed(name: str) -> None:
    for parameter, domain in study(name)["space"].items():
        options = domain.get("choice") or domain.get("float") or domain.get("int")
        kinds = {kind for _, kind, _ in variants(name)}
        infos = [
            info
            for kind in kinds
            if parameter in pipeline(kind).schema().names
            for info in pipeline(kind).schema().find(parameter)
        ]
        for option in options:
            assert [info.check(option) for info in infos], parameter


def card_of(name: str) -> DatasetCard:
    layout, shape, classes = SHAPES[name]
    return DatasetCard(name, "1", "classification", layout, shape, (1000, 100, 100), classes=classes)


@pytest.mark.parametrize("name", ["imagenet", "es-imagenet", "cifar10-dvs", "es-ucf101"])
def test_the_full_size_studies_load(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their data sets' classes, with cards of the papers' shapes where the files are absent."""
    for known in SHAPES:
        monkeypatch.setattr(registry.dataset(known), "card", lambda _self, known=known: card_of(known))
    spec = load_study(FOLDER / f"pretrain-{name}.yaml")
    assert len(spec.cells) == len(variants(name))
    assert all(cell.start for cell in spec.cells if cell.space.parameters)
    if name == "es-ucf101":
        assert len(spec.cells) == 15, "14 ways and the ANN"


@pytest.mark.parametrize("name", ["imagenet", "es-imagenet", "cifar10-dvs", "es-ucf101"])
def test_full_size_arms_fit_their_data(name: str) -> None:
    """Cards of the papers' shapes stand for the data."""
    for dataset, kind, settings in variants(name):
        card = card_of(dataset)
        layout, shape = card.layout, card.shape
        assert pipeline(kind)().incompatible(card) is None
        params = pipeline(kind).build_params(settings)
        stages = pipeline(kind)().stages(params, 1, 0)
        assert stages[-1].selects
        assert {s.dataset for s in stages} <= {None, *SHAPES}
        assert input_shape(card) == (shape if layout == "nchw" else shape[1:])


@pytest.mark.parametrize("name", ["imagenet", "es-imagenet", "cifar10-dvs", "es-ucf101"])
def test_the_first_trial_of_a_full_size_arm_is_the_paper_s(name: str) -> None:
    """But for the file's own ``set``, and T where the data have their own, nothing differs."""
    file = study(name)
    compared = 0
    for cell in file["cells"]:
        card = card_of(cell["dataset"])
        for entry in cell["pipelines"]:
            kind = pipeline(entry["name"])
            wanted = kind().published(card)
            if wanted is None:
                continue
            own = {**file["fixed"], **entry.get("set", {})}
            own = {k: v for k, v in own.items() if k in kind.schema().names}
            first = kind.schema().resolve({**{k: wanted[k] for k in file["space"] if k in wanted}, **own})
            said = {*entry.get("set", {}), "timesteps", "precision", "neuron.activation"}
            different = {
                k: (first.get(k), v) for k, v in wanted.items() if first.get(k) != v and k not in said
            }
            assert not different, entry["label"]
            compared += 1
    assert compared >= 2


def test_the_digits_network_is_the_small_one() -> None:
    """docs/papers.md, Networks, small: conv3 s2 (12), three blocks (12, 24, 48), ten classes."""
    settings = dict(variants("digits")[0][2])
    params = pipeline("direct").build_params(settings)
    network = build(params.network, (1, 16, 16), 10, LIF, generator=torch.Generator())
    assert [block.conv2.out_channels for block in network.blocks] == [12, 24, 48]  # type: ignore[union-attr]
    assert network.conv.stride == (2, 2)  # type: ignore[union-attr]
    neuron = params.neuron
    assert neuron.constant("tau") == pytest.approx(4 / 3)
    assert neuron.constant("v_threshold") == 0.5


def _full_size(name: str, monkeypatch: pytest.MonkeyPatch) -> StudySpec:
    for known in SHAPES:
        monkeypatch.setattr(registry.dataset(known), "card", lambda _self, known=known: card_of(known))
    return load_study(FOLDER / f"pretrain-{name}.yaml")


def test_the_plan_counts_every_epoch_of_every_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sharpening, ANNs, warm-ups and LIAF too, not the last stage alone."""
    plan = describe_plan(_full_size("imagenet", monkeypatch))
    by_stage: dict[str, int] = {}
    for phase in (phase for cell in plan.cells for phase in cell.phases):
        for stage in phase.stages:
            by_stage[stage.name] = by_stage.get(stage.name, 0) + phase.runs(stage) * stage.epochs
    assert by_stage["sharpen"] == 2100, "three cells of 4 + 3 trials, 100 epochs each"
    assert plan.epochs == sum(by_stage.values()) >= 4200
    cells = describe_plan(_full_size("es-imagenet", monkeypatch)).cells
    pipe_d = next(cell for cell in cells if cell.name == "es-imagenet/LIF, from ImageNet").phases[0]
    assert any("no gradient" in note for note in cells[0].notes)
    stages = [(stage.name, stage.epochs) for stage in pipe_d.stages]
    assert stages == [("ann", 60), ("warmup", 1), ("liaf", 30), ("lif", 25)]
    assert pipe_d.epochs == 116


def test_a_stage_that_no_searched_value_changes_is_trained_once_a_seed() -> None:
    plan = describe_plan(load_study(FOLDER / "quickstart.yaml"))
    search, confirm, final = next(cell for cell in plan.cells if cell.name == "digits/pipe-s").phases
    sharpen, finetune = search.stages
    assert (sharpen.shared, finetune.shared) == (True, False)
    assert [phase.runs(phase.stages[0]) for phase in (search, confirm, final)] == [1, 1, 5]
    assert search.total == 15 + 4 * 8
