"""The real command in this process, and a finished toy study to ask about."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli import main
from harness.engine.local import LocalEngine
from harness.study import Study
from harness.studyfile.load import load_study
from tests.conftest import STUDY, TOY

SMALL = ("search.trials=3", "search.epochs=2", "confirm.seeds=0", "final.seeds=3", "search.pruner=none")


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an error."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert "Traceback" not in self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("error: ")
        return self.err.strip()


Cli = Callable[..., Said]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """Run ``harness`` with arguments through its ``main``."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.delenv("COLUMNS", raising=False)  # as in a pipe, whatever runs the tests

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        return Said(int(stop.value.code or 0), said.out, said.err)

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results root with the toy study, run to its end by the local engine. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    os.environ.setdefault("HARNESS_CACHE", str(folder / "cache"))
    file = folder / "toy.yaml"
    file.write_text(STUDY.format(plugin=TOY, trials=3, epochs=2, pruner="none"))
    Study(load_study(file, SMALL), folder / "results").run(LocalEngine())
    return folder / "results"


@pytest.fixture
def results(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private copy of the finished toy study in ``results`` of the working folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, tmp_path / "results")
    return tmp_path / "results"
