"""The check of a GPU, rehearsed without one: every part runs, or says why not, and one JSON holds it all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU it is no rehearsal: run make gpu-check")
def test_the_dry_form(tmp_path: Path) -> None:
    out = tmp_path / "gpu-check.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "-o", str(out)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert "figures say nothing" in found["machine"]["device"]
    for part in ("neurons", "shd", "tests", "resnet", "fused", "pretrain"):
        assert "failed" not in found[part], found[part]
    assert found["pretrain"]["ends"] == {"direct": "COMPLETE", "pipe-s": "COMPLETE"}
    assert found["tests"]["exit"] == 0
