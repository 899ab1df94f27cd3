"""The search of a study as an Optuna storage file, a study a cell, for optuna-dashboard."""

from __future__ import annotations

from pathlib import Path

from harness.errors import StoreError
from harness.store.results import ResultStore
from harness.study.cell_phases import CellRun
from harness.study.ledger import read_ledger
from harness.study.stored import stored_spec


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
