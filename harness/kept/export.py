"""A kept network as a file for other programs: NIR, ONNX, or a torch program that needs no harness."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from harness.contracts import Neuron
from harness.errors import HarnessError, IncompatibleError
from harness.guard import one_line
from harness.kept.network import KeptModel
from harness.kept.nir_graph import write_nir
from harness.models.network import neurons_of

BATCH = 4
SUFFIXES = {"nir": ".nir", "onnx": ".onnx", "torch": ".pt2"}


def write(model: KeptModel, to: str, path: Path) -> str:
    """Write a network in one of the forms of :data:`SUFFIXES`; says in words what was written.

    Raises IncompatibleError naming what the form cannot hold, HarnessError where its package is missing.
    """
    forms: Mapping[str, Callable[[KeptModel, Path], str]] = {"nir": write_nir, "onnx": _onnx, "torch": _torch}
    path.parent.mkdir(parents=True, exist_ok=True)
    return forms[to](model, path)


def _sample(model: KeptModel) -> Tensor:
    """Samples of the data's shape, in [0, 1]."""
    data = model.data
    if data.layout == "events" or -1 in data.shape:
        what = "events" if data.layout == "events" else "sequences of any length"
        raise IncompatibleError(
            f"'{data.name}' has {what}, which no exported program takes: bin them first, or use harness "
            "predict."
        )
    generator = torch.Generator().manual_seed(0)
    return torch.rand((BATCH, *data.shape), generator=generator)


def _onnx(model: KeptModel, path: Path) -> str:
    """By torch's exporter, opset 17; checked by onnx and against the network. Batches of any size."""
    try:
        import onnx
    except ImportError:
        raise HarnessError("ONNX needs its package: pip install 'snn-harness[export]'.") from None
    spiking = sorted({neuron.name for neuron in neurons_of(model.network) if neuron.spiking})
    if spiking:
        raise IncompatibleError(
            f"ONNX: it has no neuron '{spiking[0]}'; networks without spikes can be exported (pipeline "
            "ann). Spiking "
            "ones go --to nir or --to torch."
        )
    axes = {"x": {0: "batch"}, "y": {0: "batch"}}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the exporter is an old one
            torch.onnx.export(
                model,
                (_sample(model),),
                str(path),
                dynamo=False,
                opset_version=17,
                input_names=["x"],
                output_names=["y"],
                dynamic_axes=axes,
            )
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        raise IncompatibleError(f"ONNX: {model.card.name}: {_first(error)}") from None
    onnx.checker.check_model(str(path))
    return "input x, output y, batches of any size"


def _torch(model: KeptModel, path: Path) -> str:
    """By ``torch.export``, neurons as passes of torch; batches of any size where the network allows it."""
    x = _sample(model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    size = torch.export.Dim("batch", min=2, max=1 << 16)
    with torch.no_grad(), _stepping(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program, said = (
                torch.export.export(model, (x,), dynamic_shapes=({0: size},), strict=False),
                "any size",
            )
        except Exception as error:  # what a program cannot hold is said by many types
            try:
                program, said = torch.export.export(model, (x[:1],), strict=False), "one sample"
            except Exception:
                raise IncompatibleError(
                    f"torch: {model.card.name} cannot be exported: {_first(error)}"
                ) from None
        torch.export.save(program, str(path))
    return f"torch.export.load(path).module()(x), batches of {said}"


@contextmanager
def _stepping(model: KeptModel) -> Iterator[None]:
    """Neurons as their equations, step by step, instead of compiled loops; the same spikes."""
    changed = [n for n in neurons_of(model.network) if n.spiking and type(n).step is not Neuron.step]
    try:
        for neuron in changed:
            neuron.forward = types.MethodType(Neuron.forward, neuron)  # type: ignore[method-assign]
        yield
    finally:
        for neuron in changed:
            vars(neuron).pop("forward", None)


def _first(error: Exception) -> str:
    return one_line((str(error).strip().splitlines() or [type(error).__name__])[0])[:300]
