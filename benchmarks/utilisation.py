"""How much of two slots is training: trials of half a second on the pool, search, commits and all.

    python benchmarks/utilisation.py [--trials 60] [--seconds 0.5]

Training time over (slots x wall time) from the first attempt's end on (start-up apart): at least 0.97.
The trials sleep, so that the figure is the harness's and not that of a shared processor.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from harness.engine.pool import RayEngine
from harness.store.results import ResultStore
from harness.study import Study
from harness.studyfile.load import load_study
from harness.studyfile.values import ClusterSpec

SLOTS, EPOCHS = 2, 4
PLUGIN = Path(__file__).with_name("trivial.py")
STUDY = """
name: utilisation
plugins: [{plugin}]
cells: [{{dataset: bench-eight, pipelines: [bench-trivial]}}]
space:
  x: {{float: [-5.0, 5.0]}}
  y: {{float: [-5.0, 5.0]}}
fixed: {{pause_s: {pause}}}
objective: [loss min]
search: {{sampler: tpe, pruner: none, trials: {trials}, epochs: 4}}
confirm: {{top: 1, seeds: 0}}
final: {{seeds: 1}}
"""


def main() -> None:
    """Run once to start the workers, once to measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    with RayEngine(ClusterSpec(cpus=SLOTS)) as engine, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "utilisation.yaml"
        file.write_text(STUDY.format(plugin=PLUGIN, trials=args.trials, pause=float(args.seconds / EPOCHS)))
        root = Path(folder) / "results"
        begun = time.perf_counter()
        Study(load_study(file), root).run(engine)
        whole = time.perf_counter() - begun
        rows = ResultStore(root).trials("utilisation")
    search = rows[rows["phase"] == "search"].sort_values("finished_at")
    share = report("without start-up", search, search["finished_at"].iloc[SLOTS - 1])
    print(f"without start-up: {share:.3f} (at least 0.97: {'met' if share >= 0.97 else 'NOT MET'})")
    report("with start-up", search, search["started_at"].min())
    print(f"the whole run of {len(rows)} trials of {args.seconds:g} s on {SLOTS} slots took {whole:.1f} s")


def report(name: str, rows: object, since: object) -> float:
    """Training seconds of the trials that ended after a moment, over what the slots had since."""
    import pandas as pd

    assert isinstance(rows, pd.DataFrame)
    counted = rows[rows["finished_at"] > since]
    last_of_each = counted["finished_at"].iloc[-SLOTS]  # after it a slot is idle for want of trials
    counted = counted[counted["finished_at"] <= last_of_each]
    wall = (last_of_each - since).total_seconds()
    share = counted["train_s"].sum() / (SLOTS * wall)
    print(f"{name:26s} {counted['train_s'].sum():7.1f} s of training in {SLOTS} x {wall:.1f} s: {share:.3f}")
    return float(share)


if __name__ == "__main__":
    main()
