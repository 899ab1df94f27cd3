"""Full-size studies and cluster files that ship together fit each other: memory, processors, disk."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from harness.contracts.registry import pipeline
from harness.models.build import build, input_shape
from harness.neurons.analog import ReLU
from tests.pipelines.test_pretrain_studies import card_of, study, variants

CLUSTERS = Path(__file__).parents[2] / "clusters"
GIB = 2**30
NODES = {"g5.2xlarge": (24, 8, 32), "g2-standard-8": (24, 8, 32)}
"""GPU memory in GB, processors and host memory in GB, by the clouds' own pages."""
DISK_GB = 150 + 130
"""ImageNet, and its events: the largest sets that the studies name."""
BESIDE = 1.35
"""What a pass takes beside what it saves for the way back: 0.38 of 0.29 GB a sample of resnet18-es."""


def kept_bytes(params: Any, shape: tuple[int, ...], classes: int, steps: int) -> tuple[int, int]:
    """Bytes that one sample's pass in float32 keeps for the way back, and those of the parameters."""
    spiking = hasattr(params, "neuron")
    neuron = params.neuron.build if spiking else ReLU
    threshold = float(params.neuron.constant("v_threshold", 1.0)) if spiking else 1.0
    weights = torch.Generator()
    network = build(params.network, shape, classes, neuron, v_threshold=threshold, generator=weights)
    held: dict[int, int] = {}
    alive = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.rand(steps, 1, *shape), None).sum()
    own = 4 * sum(p.numel() for p in network.parameters())
    return sum(held.values()) - own, own


@pytest.mark.parametrize("name", ["imagenet", "es-imagenet", "cifar10-dvs"])
def test_a_pass_fits_the_smallest_card_that_ships(name: str) -> None:
    file = study(name)
    share = float(Fraction(str(file["resources"].get("gpus", 1))))
    card_gib = min(memory for memory, _, _ in NODES.values()) * share * 0.93
    seen = set()
    for dataset, kind, settings in variants(name):
        card = card_of(dataset)
        params = pipeline(kind).build_params({**(pipeline(kind)().published(card) or {}), **settings})
        steps = card.shape[0] if card.layout == "ntchw" else getattr(params, "timesteps", 1)
        steps = 1 if kind in ("ann", "convert") else steps
        size = params.micro_batch or params.batch_size
        key = (params.network.name, steps, size, hasattr(params, "neuron"))
        if key in seen:
            continue
        seen.add(key)
        kept, own = kept_bytes(params, input_shape(card), card.classes, steps)
        needs = (BESIDE * size * kept + 4 * own) / GIB
        assert needs <= card_gib, f"{dataset}/{kind} of {params.network.name} needs {needs:.1f} GiB"


def nodes() -> list[tuple[str, Any]]:
    """The cloud cluster files and what their GPU nodes are."""
    files = [(name, yaml.safe_load((CLUSTERS / f"{name}.yaml").read_text())) for name in ("aws", "gcp")]
    return [(name, file["available_node_types"]["gpu"]["node_config"]) for name, file in files]


def test_cloud_nodes_hold_the_data_and_a_trial() -> None:
    for name, node in nodes():
        kind = node.get("InstanceType") or node["machineType"]
        _, cpus, host = NODES[kind]
        disk = (
            node["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"]
            if name == "aws"
            else node["disks"][0]["initializeParams"]["diskSizeGb"]
        )
        assert disk >= DISK_GB + 100, name
        for full in ("imagenet", "es-imagenet", "cifar10-dvs", "es-ucf101"):
            asked = study(full)["resources"]
            assert asked["cpus"] <= cpus
            batch = 2 * asked["cpus"] * 256 * 3 * 224 * 224  # bytes read ahead
            assert batch / GIB < host / 4


@pytest.mark.parametrize("name", ["aws", "gcp", "slurm", "kuberay"])
def test_every_cluster_says_where_data_and_prepared_copies_lie(name: str) -> None:
    text = (CLUSTERS / f"{name}.yaml").read_text()
    assert "HARNESS_DATA" in text
    assert "HARNESS_CACHE" in text
