"""The recipes of CONTRIBUTING.md, copied out and run as a reader would run them."""

from __future__ import annotations

import re
from pathlib import Path

from harness.engine.local import LocalEngine
from harness.study import Study
from harness.studyfile.load import load_study
from tests.tables import assert_whole

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
BLOCK = re.compile(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", re.DOTALL)


def test_the_recipes_run(tmp_path: Path) -> None:
    found = dict(BLOCK.findall(TEXT))
    assert set(found) == {"neuron.py", "dataset.py", "pipeline.py", "study.yaml"}
    for name, text in found.items():
        (tmp_path / name).write_text(text)
    spec = load_study(tmp_path / "study.yaml")
    summary = Study(spec, tmp_path / "results").run(LocalEngine())
    assert summary.failed == 0
    assert_whole(tmp_path / "results", 2 * (3 + 2), "recipe")


def test_recipes_are_short() -> None:
    for section in TEXT.split("\n## Add ")[1:]:
        steps = [line for line in section.splitlines() if re.match(r"\d\. ", line)]
        assert 2 <= len(steps) <= 8
