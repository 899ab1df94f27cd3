"""Classes of a notebook's cells: gathered with what they need, registered once, run by workers."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from typing import Any

import pytest

import harness
from harness.api import register
from harness.contracts import registry
from harness.contracts.neuron import NEURONS
from harness.engine.pool import RayEngine
from harness.errors import HarnessError
from harness.study import Study as Runner

NEURON = """
@harness.neuron
class Cell(Neuron):
    name = "cell-{name}"
    Params = Constants

    def step(self, x_b: Tensor, state: tuple[Tensor, ...]) -> Any:
        v_b = keep(state[0]) + x_b
        out_b = spike(v_b - self.params.v_threshold)
        return out_b, (v_b * (1.0 - out_b.detach()),)
"""
EARLIER = """
%matplotlib inline
import math
from typing import Any
import harness
from harness.contracts import Neuron, ParamsModel, param
from spikingjelly.activation_based.surrogate import ATan
from torch import Tensor

HALF = 0.5
spike = ATan()


class Constants(ParamsModel):
    \"\"\"Constants.\"\"\"

    v_threshold: float = param(1.0, "firing threshold", low=0.01, high=10.0)


def keep(v_b):
    return HALF * v_b + 0.0 * math.pi
"""


class Notebook:
    """Cells, run one after another as IPython does: text by file name, inputs in ``In``."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "In": []}

    def run(self, text: str) -> None:
        """Run a cell."""
        file = f"<cell {len(self.names['In'])} of {id(self)}>"
        plain = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
        linecache.cache[file] = (len(plain), None, plain.splitlines(keepends=True), file)
        self.names["In"].append(text)
        exec(compile(plain, file, "exec"), self.names)


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    yield Notebook()
    for _, name in list(register._TEXTS):
        NEURONS.forget(name)
    register._TEXTS.clear()


def study(name: str) -> dict[str, Any]:
    return {
        "name": "own",
        "cells": [{"dataset": {"name": "digits", "pixels": 8}, "pipelines": ["direct"]}],
        "space": {"neuron.v_threshold": {"float": [0.5, 1.0]}},
        "fixed": {
            "neuron.name": name,
            "network.width": 2,
            "network.depth": 1,
            "timesteps": 2,
            "batch_size": 50,
        },
        "search": {"trials": 1, "epochs": 1, "startup": 1},
        "confirm": {"seeds": 0},
        "final": {"seeds": 1},
    }


def test_what_a_class_needs_comes_along_and_runs_again(notebook: Notebook, tmp_path: Any) -> None:
    notebook.run(EARLIER)
    notebook.run(NEURON.format(name="a"))
    text = register._TEXTS[("neuron", "cell-a")]
    assert "spike = ATan()" in text
    assert "HALF = 0.5" in text
    assert "@harness" not in text
    assert notebook.names["Cell"] is registry.neuron("cell-a")
    loaded = harness.Study.load(study("cell-a"))
    assert dict(loaded.spec.plugins) == {"cell-a.notebook.py": text}
    results = loaded.run(results=tmp_path, progress=False)
    assert results.board("own").groups[0].rows[0].score.n == 1
    assert results.model("own").card.plugins.keys() == {"cell-a.notebook.py"}
    assert harness.Study.load("quickstart").spec.plugins == ()


def test_workers_get_it(notebook: Notebook, tmp_path: Any, ray_engine: RayEngine) -> None:
    notebook.run(EARLIER)
    notebook.run(NEURON.format(name="b"))
    summary = Runner(harness.Study.load(study("cell-b")).spec, tmp_path).run(ray_engine)
    assert (summary.finished, summary.failed) == (2, 0)


def test_a_cell_that_is_run_twice(notebook: Notebook) -> None:
    notebook.run(EARLIER)
    notebook.run(NEURON.format(name="c"))
    first = notebook.names["Cell"]
    notebook.run(NEURON.format(name="c"))
    assert notebook.names["Cell"] is first
    changed = NEURON.format(name="c").replace("+ x_b", "+ 2 * x_b")
    with pytest.raises(HarnessError, match=r"neuron 'cell-c' is registered already.*replace=True"):
        notebook.run(changed)
    notebook.run(changed.replace("@harness.neuron", "@harness.neuron(replace=True)"))
    assert notebook.names["Cell"] is not first
    assert registry.neuron("cell-c") is notebook.names["Cell"]


def test_a_name_that_the_harness_has(notebook: Notebook) -> None:
    notebook.run(EARLIER)
    with pytest.raises(HarnessError, match="two neurons are named 'lif'"):
        notebook.run(NEURON.replace("cell-{name}", "lif"))


def test_what_no_worker_has_is_said(notebook: Notebook) -> None:
    notebook.run(EARLIER)
    notebook.names["table"] = object()
    with pytest.raises(HarnessError, match="Cell uses 'table', which is a object that no worker has"):
        notebook.run(NEURON.format(name="d").replace("x_b\n        out", "x_b * len(table)\n        out"))
    with pytest.raises(HarnessError, match="Cell uses 'tabel', which is not defined"):
        notebook.run(NEURON.format(name="d").replace("x_b\n        out", "x_b * len(tabel)\n        out"))
