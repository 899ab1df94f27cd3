"""The site: its tutorial's and how-to's commands run, its reference is whole, its links lead somewhere."""

from __future__ import annotations

import logging
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest

from harness.contracts import neurons, pipelines
from harness.contracts.neuron import NEURONS
from tests.cli.conftest import Cli, cli  # noqa: F401 - a fixture
from tests.documents import script

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ELSEWHERE = ("--cluster",)  # what needs a cluster


def run(cli: Cli, doc: str) -> None:  # noqa: F811
    for kind, block in BLOCK.findall((ROOT / "docs" / doc).read_text(encoding="utf-8")):
        if kind == "python":
            path = Path("block.py")
            path.write_text(block)
            exec(compile(block, str(path.absolute()), "exec"), {"__name__": "__main__"})
        for line in block.splitlines() if kind == "sh" else ():
            words = shlex.split(line, comments=True)
            if words[:1] == ["harness"] and not set(words) & set(ELSEWHERE):
                said = cli(*words[1:])
                assert said.code == 0, f"{line}: {said.err} {said.out[-500:]}"


def test_the_tutorial_and_the_how_to_run(
    cli: Cli,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    run(cli, "tutorial.md")
    found = pd.read_parquet("answers.parquet")
    assert len(found) == 240
    assert (found["predicted"] == found["label"]).mean() > 0.5
    assert Path("rhythms.pt2").is_file()
    try:
        run(cli, "how-to.md")
    finally:
        NEURONS.forget("memory")
    assert Path("tables/trials.csv").is_file()


def test_the_reference_has_every_parameter() -> None:
    text = script("parameters").text()
    for name, kind in pipelines().items():
        part = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        group = kind.neuron_field()
        own = [info for info in kind.schema().infos if not info.name.startswith(f"{group}.")]
        assert all(f"| `{info.name}` |" in part for info in own)
    for name in neurons():
        assert f"\n## neuron {name}\n" in text
    assert "timesteps" in text
    assert "arXiv" in text


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    """Strict: a link that leads nowhere is an error."""
    pytest.importorskip("material", reason="the extra 'docs' is not installed")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    logging.getLogger("mkdocs").setLevel(logging.WARNING)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    config = load_config(str(tmp_path / "mkdocs.yml"), site_dir=str(tmp_path / "site"))
    build(config)
    assert "neuron lif" in (tmp_path / "site" / "parameters" / "index.html").read_text()
