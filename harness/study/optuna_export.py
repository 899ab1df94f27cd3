"""The search of a study as an Optuna storage file, a study a cell, for optuna-dashboard."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.errors import HarnessError, StoreError
from harness.store.results import ResultStore
from harness.study.cell_phases import CellRun
from harness.study.ledger import read_ledger
from harness.studyfile.load import load_study
from harness.studyfile.values import StudySpec


def export_optuna(store: ResultStore, study: str, path: Path, *, trusted: bool = False) -> list[str]:
    """Write the file; the names of the Optuna studies in it. Raises StoreError if the file exists.

    ``.db`` and ``.sqlite`` are SQLite; any other suffix is Optuna's journal, which is written faster.
    """
    if path.exists():
        raise StoreError(f"{path} exists. Choose another --out or remove it.")
    spec = stored_spec(store, study, trusted=trusted)
    ledger = read_ledger(store, spec)
    storage = f"sqlite:///{path}" if path.suffix in (".db", ".sqlite", ".sqlite3") else str(path)
    names = []
    for cell in spec.cells:
        run = CellRun(spec, cell)
        run.load(trial for trial in ledger.trials.get(cell.name, ()))
        name = f"{study}: {cell.name}"
        run.search.to_optuna(name=name, storage=storage)
        names.append(name)
    return names


def stored_spec(store: ResultStore, study: str, *, trusted: bool = False) -> StudySpec:
    """The study as it was last launched: from its file, or from the text in the tables if that is gone."""
    launch = store.studies(study).sort_values("launch").iloc[-1]
    path = Path(json.loads(str(launch["protocol"]))["path"])
    text = str(launch["text"])
    overrides = [line[len("# --set ") :] for line in text.splitlines() if line.startswith("# --set ")]
    if path.is_file():
        return load_study(path, overrides, trusted=trusted)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_text(text, encoding="utf-8")
        try:
            return load_study(copy, overrides, trusted=trusted)
        except HarnessError as error:
            raise HarnessError(f"the study file {path} is gone, and its stored text says: {error}") from None
