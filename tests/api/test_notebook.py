"""The notebook that ships runs from its first cell to its last, in under two minutes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_study.ipynb"
LIMIT_S = 120
RUN = """
import sys, nbformat
from nbclient import NotebookClient
book, place = nbformat.read(sys.argv[1], 4), sys.argv[2]
NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": place}}).execute()
nbformat.write(book, place + "/done.ipynb")
"""


def test_it_is_rendered() -> None:
    nbformat = pytest.importorskip("nbformat", reason="the extra 'notebook' is not installed")
    book = nbformat.read(NOTEBOOK, 4)
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert any("vega" in str(output.get("data", {}).get("text/html", "")) for output in outputs)
    assert not [output for output in outputs if output.output_type == "error"]


@pytest.mark.slow
def test_it_runs(tmp_path: Path) -> None:
    for package in ("nbclient", "ipykernel"):
        pytest.importorskip(package, reason="the extra 'notebook' is not installed")
    begun = time.monotonic()
    command = [sys.executable, "-c", RUN, str(NOTEBOOK), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert time.monotonic() - begun <= LIMIT_S
    import nbformat

    text = (tmp_path / "done.ipynb").read_text()
    outputs = [o for cell in nbformat.read(tmp_path / "done.ipynb", 4).cells for o in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    assert "study first" in text
    assert "adaptive" in text
