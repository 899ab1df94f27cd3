"""Cluster files: those that ship, addresses, and bad ones with their line."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.errors import StudyFileError
from harness.studyfile.cluster import load_cluster
from harness.studyfile.values import ClusterSpec

CLUSTERS = Path(__file__).parents[2] / "clusters"


@pytest.mark.parametrize("path", sorted(CLUSTERS.glob("*.yaml")), ids=lambda path: path.stem)
def test_files_that_ship(path: Path) -> None:
    cluster = load_cluster(path)
    assert cluster.name == path.stem
    assert cluster.engine == "ray"
    assert cluster.address == ("" if path.stem == "local" else "auto")
    assert load_cluster(path.stem) == cluster


def test_the_default_is_this_machine() -> None:
    assert load_cluster() == ClusterSpec()


@pytest.mark.parametrize("address", ["auto", "ray://head:10001", "10.0.0.1:6379", "head:6379"])
def test_addresses(address: str) -> None:
    assert load_cluster(address) == ClusterSpec(name=address, address=address)


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_rays_launcher_accepts_its_files(name: str) -> None:
    spec = importlib.util.find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    schema = json.loads((Path(spec.origin).parent / "autoscaler/ray-schema.json").read_text())
    config = yaml.safe_load((CLUSTERS / f"{name}.yaml").read_text())
    assert set(config) <= set(schema["properties"])
    assert set(schema.get("required", [])) <= set(config)
    node = schema["properties"]["available_node_types"]["patternProperties"][".*"]
    for kind in config["available_node_types"].values():
        assert set(kind) <= set(node["properties"])


def test_the_sbatch_script_is_a_script() -> None:
    script = yaml.safe_load((CLUSTERS / "slurm.yaml").read_text())["sbatch"]
    assert script.startswith("#!/bin/bash\n#SBATCH ")
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("engine: tune\n", "c.yaml:1: the cluster file has no harness: section. "
         "Write harness: {engine: ray, address: auto}."),
        ("\n", "c.yaml:1: the cluster file is empty. It needs at least a harness: section."),
        ("# a\nharness: {engine: tone}\n", "c.yaml:2: harness.engine: unknown value 'tone'. "
         "Did you mean 'tune'? Known: local, ray, tune"),
        ("harness: {adress: auto}\n", "c.yaml:1: harness: unknown key 'adress'. Did you mean 'address'? "
         "Known: address, cpus, engine, gpus, grow, logical_gpus, name, ship"),
        ("harness: tune\n", "c.yaml:1: harness: 'tune' is text, not a mapping of keys to values."),
        ("harness: {cpus: 0}\n", "c.yaml:1: harness.cpus: 0 is below 1, the least allowed."),
        ("harness: {gpus: 0.5}\n", "c.yaml:1: harness.gpus: a cluster has whole GPUs, not 0.5. "
         "Shares belong to resources: in the study."),
        ("harness:\n  engine: local\n  address: auto\n", "c.yaml:3: harness.address: engine: local has no "
         "cluster to join. Drop one of the two."),
        ("harness: {address: auto, cpus: 4}\n", "c.yaml:1: harness.cpus: the cluster at 'auto' has "
         "its own size. Drop cpus, or the address."),
        ("metadata: {annotations: {harness: {engine: tune}}}\n", "c.yaml:1: harness: is a mapping, not text: "
         "'{engine: ray, address: auto}'."),
        ("metadata: {annotations: {harness: '{engine: tone}'}}\n", "c.yaml:1: harness.engine: unknown "
         "value 'tone'. Did you mean 'tune'? Known: local, ray, tune"),
    ],
)  # fmt: skip
def test_bad_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(text)
    with pytest.raises(StudyFileError) as caught:
        load_cluster("c.yaml")
    assert str(caught.value) == line


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(
        StudyFileError, match=r"cluster 'slrum': there is no such file. Did you mean 'slurm'\?"
    ):
        load_cluster("slrum")
    with pytest.raises(StudyFileError, match="there is no such file"):
        load_cluster("a\0b")
