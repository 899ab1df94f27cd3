"""Networks for other programs: NIR in snnTorch, ONNX in onnxruntime, torch without the harness."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.contracts.pipeline import neuron_spec
from harness.errors import IncompatibleError
from harness.kept.network import KeptModel, open_model
from harness.kept.nir_graph import nir_graph
from harness.models.network import neurons_of, switch
from harness.store.models import Models
from harness.store.results import ResultStore
from tests.cli.conftest import Cli

DIRECT, ANN = "kept/digits[pixels=8]/direct", "kept/digits[pixels=8]/ann"
SAMPLES = 32
FOREIGN = """
import sys
sys.modules["harness"] = None  # whatever asks for it fails
import numpy, torch
model = torch.export.load(sys.argv[1]).module()
x = torch.from_numpy(numpy.load(sys.argv[2]))
numpy.save(sys.argv[3], model(x).detach().numpy())
assert not [name for name in sys.modules if name.startswith("harness.")]
"""


def kept(cell: str) -> KeptModel:
    models = Models("results", "kept")
    card = next(card for card in map(models.card, models.trials()) if f"kept/{card.cell}" == cell)
    return open_model(ResultStore("results"), card)


def spikes_here(model: KeptModel, x_tb: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The spikes (T, B, ...) of every neuron layer, and the logits."""
    seen: list[torch.Tensor] = []
    handles = [
        n.register_forward_hook(lambda *a: seen.append(a[2].clone())) for n in neurons_of(model.network)
    ]
    with torch.no_grad():
        logits = model.network(x_tb)
    for handle in handles:
        handle.remove()
    return seen, logits


def spikes_in_snntorch(path: Path, x_tb: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The same by snnTorch, from the file."""
    nir, snntorch = pytest.importorskip("nir"), pytest.importorskip("snntorch")
    from snntorch.import_nir import import_from_nir

    net = import_from_nir(nir.read(str(path)))
    layers = [module for module in net.modules() if isinstance(module, snntorch.Leaky)]
    seen: list[list[torch.Tensor]] = [[] for _ in layers]
    for at, layer in enumerate(layers):
        layer.register_forward_hook(lambda m, i, out, at=at: seen[at].append(out.detach().clone()))
    outputs, state = [], None
    with torch.no_grad():
        for x_b in x_tb:
            out, state = net(x_b, state) if state is not None else net(x_b)
            outputs.append(out)
    return [torch.stack(one) for one in seen], torch.stack(outputs).mean(0).flatten(1)


@pytest.mark.parametrize("neuron", ["lif", "plif"])
@pytest.mark.parametrize("topology", ["mlp", "vgg", "resnet"])
def test_snntorch_fires_the_same_spikes(here: Path, tmp_path: Path, neuron: str, topology: str) -> None:
    pytest.importorskip("snntorch", reason="the extra 'export' is not installed")
    model = kept(DIRECT)
    with torch.no_grad():
        network = other_topology(model, topology, neuron)
        model.network = network
        path = tmp_path / "net.nir"
        import nir

        nir.write(str(path), nir_graph(model))
        x_b = torch.rand(SAMPLES, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2
        x_tb = x_b.expand(4, *x_b.shape)
        ours, logits = spikes_here(model, x_tb)
        flat = x_tb.flatten(2) if topology == "mlp" else x_tb
        theirs, readout = spikes_in_snntorch(path, flat)
    assert len(ours) == len(theirs) >= 2
    for a, b in zip(ours, theirs, strict=True):
        assert 0.0 < float(a.mean()) < 1.0
        assert torch.equal(a.flatten(2), b.flatten(2))
    assert torch.allclose(logits, readout, atol=1e-5)


def other_topology(model: KeptModel, topology: str, neuron: str) -> Any:
    """A network of two hidden layers with statistics that are no identity."""
    from harness.models.build import NetworkParams, build

    spec = neuron_spec({"name": neuron, "tau": 2.3, "v_threshold": 0.6})
    params = NetworkParams(name=topology, width=6, depth=2, hidden=20, layers=2)  # type: ignore[arg-type]
    network = build(params, (1, 8, 8), 10, spec.build, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)  # type: ignore[union-attr]
            module.running_var.uniform_(0.3, 0.6, generator=generator)  # type: ignore[union-attr]
            module.bias.uniform_(0.0, 0.3, generator=generator)
    return network.eval()


def test_a_resnet_and_if_have_a_graph(here: Path) -> None:
    pytest.importorskip("nir", reason="the extra 'export' is not installed")
    model = kept(DIRECT)
    graph = nir_graph(model)
    assert {type(node).__name__ for node in graph.nodes.values()} == {"Input", "Conv2d", "LIF", "Output"}
    assert graph.metadata["outside"].startswith("input code 'direct' for 3 steps")
    switch(model.network, neuron_spec({"name": "if", "v_threshold": 1.0}).build)
    kinds = [type(node).__name__ for node in nir_graph(model).nodes.values()]
    assert "IF" in kinds
    assert "LIF" not in kinds


def test_what_nir_lacks_is_named(cli: Cli, here: Path, tmp_path: Path) -> None:
    pytest.importorskip("nir", reason="the extra 'export' is not installed")
    model = kept(DIRECT)
    switch(model.network, neuron_spec({"name": "lif", "reset": "soft"}).build)
    with pytest.raises(IncompatibleError, match=r"neuron\.reset 'soft' cannot be expressed"):
        nir_graph(model)
    switch(model.network, neuron_spec({"name": "liaf"}).build)
    with pytest.raises(IncompatibleError, match="it has no neuron 'liaf'; lif, plif and if can"):
        nir_graph(model)
    out = ("--out", tmp_path / "x")
    assert "no neuron 'relu'" in cli("export", ANN, "--to", "nir", *out).line
    assert (
        "its Delay is one a neuron, not one a synapse"
        in cli("export", "kept/vowels/delays", "--to", "nir", *out).line
    )
    assert "ONNX: it has no neuron 'lif'" in cli("export", DIRECT, "--to", "onnx", *out).line
    assert "unknown export 'coreml'" in cli("export", "kept", "--to", "coreml", *out).line


def test_onnx_answers_alike(cli: Cli, here: Path, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    path = tmp_path / "ann.onnx"
    assert cli("export", ANN, "--to", "onnx", "--out", path).code == 0
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).random((SAMPLES, 1, 8, 8), dtype=np.float32)
    (found,) = session.run(None, {"x": x})
    card = Models("results", "kept")
    best = max(
        (c for c in map(card.card, card.trials()) if f"kept/{c.cell}" == ANN), key=lambda c: c.values[0]
    )
    with torch.no_grad():
        wanted = open_model(ResultStore("results"), best)(torch.from_numpy(x))
    assert np.allclose(found, wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("cell", [DIRECT, ANN, "kept/own.npz/direct"])
def test_torch_runs_without_the_harness(cli: Cli, here: Path, tmp_path: Path, cell: str) -> None:
    path = tmp_path / "net.pt2"
    said = cli("export", cell, "--to", "torch", "--out", path)
    assert said.code == 0, said.err
    assert "batches of any size" in said.out
    models = Models("results", "kept")
    mine = [c for c in map(models.card, models.trials()) if f"kept/{c.cell}" == cell]
    best = max(mine, key=lambda c: (c.values[0], -c.seed))
    model = open_model(ResultStore("results"), best)
    x = torch.rand(SAMPLES, *model.data.shape)
    np.save(tmp_path / "x.npy", x.numpy())
    command = [sys.executable, "-c", FOREIGN, *map(str, (path, tmp_path / "x.npy", tmp_path / "y.npy"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        assert np.allclose(np.load(tmp_path / "y.npy"), model(x).numpy(), atol=1e-5)
