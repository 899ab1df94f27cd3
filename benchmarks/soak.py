"""One driver for a large cluster: 1,000 virtual slots, 50,000 trials of 20 epochs, killed in the middle.

    python benchmarks/soak.py                     # about a quarter of an hour
    python benchmarks/soak.py --trials 2000 --slots 100

The real searcher (random), pruner (Hyperband), director and store run in virtual time; nothing is trained.
Prints, each bound beside its figure, and exits 1 if one is missed: epoch reports a second, peak memory, its
growth over the second half, the time from a start after SIGKILL to the first new trial, and the counts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

EPOCHS = 20
STUDY = """
name: soak
plugins: [{plugin}]
cells: [{{dataset: bench-eight, pipelines: [bench-trivial]}}]
space:
  x: {{float: [-5.0, 5.0]}}
  y: {{float: [-5.0, 5.0]}}
  lr: {{float: [1.0e-3, 1.0], log: true}}
objective: [loss min]
search: {{sampler: random, pruner: {pruner}, trials: {trials}, epochs: 20}}
confirm: {{top: 1, seeds: 0}}
final: {{seeds: 5}}
"""


def resident_mib() -> float:
    """Resident memory of this process now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def drive(folder: Path, slots: int) -> None:
    """The driver's process: run the study; print a line of measurements every second."""
    from harness.engine.base import Director
    from harness.engine.simulated import SimulatedEngine
    from harness.study import Study
    from harness.study.replay import SyntheticCurves
    from harness.studyfile.load import load_study
    from harness.train.task import Task

    began = time.monotonic()
    spec = load_study(folder / "soak.yaml", ())

    class Watched(SimulatedEngine):
        first, said = 0.0, 0.0

        def run(self, director: Director) -> None:
            original = director.next_task

            def next_task() -> Task | None:
                task = original()
                if task is not None and not self.first:
                    self.first = time.monotonic()
                    print("first", self.first - began, flush=True)
                if time.monotonic() - self.said > 1.0:
                    self.said = time.monotonic()
                    print("at", self.said - self.first, self.reports, resident_mib(), flush=True)
                return task

            director.next_task = next_task  # type: ignore[method-assign]
            super().run(director)
            print("end", time.monotonic() - self.first, self.reports, resident_mib(), flush=True)

    Study(replace(spec), folder / "results").run(Watched(SyntheticCurves(spec), slots=slots))


def start(folder: Path, slots: int, kill_at: int | None) -> list[list[str]]:
    """Run a driver's process to its end, or until that many reports; what it printed."""
    command = [sys.executable, __file__, "--drive", str(folder), "--slots", str(slots)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.split())
        if kill_at is not None and lines[-1][0] == "at" and int(lines[-1][2]) >= kill_at:
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.wait()
    return lines


def check(name: str, value: float, bound: float, unit: str, *, least: bool = False) -> bool:
    """Print a figure beside its bound; whether it is met."""
    met = value >= bound if least else value <= bound
    sign = ">=" if least else "<="
    print(f"{name:<42}{value:>12,.1f} {unit:<10} bound {sign} {bound:,.0f}  {'met' if met else 'MISSED'}")
    return met


def main() -> None:
    """Run both halves and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50_000)
    parser.add_argument("--slots", type=int, default=1_000)
    parser.add_argument("--pruner", default="none", help="none runs every epoch of every trial")
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        drive(options.drive, options.slots)
        return
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    plugin = Path(__file__).with_name("trivial.py")
    text = STUDY.format(plugin=plugin, trials=options.trials, pruner=options.pruner)
    (folder / "soak.yaml").write_text(text)
    try:
        half = options.trials * EPOCHS // 2 if options.pruner == "none" else options.trials * 2
        first = start(folder, options.slots, half)
        second = start(folder, options.slots, None)
        sys.exit(0 if judge(first, second, folder, options.trials) else 1)
    finally:
        shutil.rmtree(folder)


def judge(first: list[list[str]], second: list[list[str]], folder: Path, trials: int) -> bool:
    """Print every figure beside its bound; whether all are met."""
    from harness.store.results import ResultStore

    steps = [line for line in first if line[0] == "at"]
    rate = float(steps[-1][2]) / float(steps[-1][1])
    end = second[-1]
    memory = [float(line[3]) for line in second if line[0] in ("at", "end")]
    late = memory[len(memory) // 2 :]
    good = [
        check("epoch reports a second, first half", rate, 1000, "1/s", least=True),
        check("epoch reports a second, second half", float(end[2]) / float(end[1]), 1000, "1/s", least=True),
        check("peak resident memory", max(memory), 2048, "MiB"),
        check("growth over the last quarter", max(late) - late[0], 0.1 * late[0], "MiB"),
        check("SIGKILL to first new trial", float(second[0][1]), 10, "s"),
    ]
    store = ResultStore(folder / "results")
    rows = store.trials("soak", ["trial_id", "state", "epochs"])
    ended = rows[rows["state"].isin(["COMPLETE", "PRUNED", "FAILED"])]
    print(f"rows {len(rows):,}, interrupted {int((rows['state'] == 'INTERRUPTED').sum()):,}")
    good += [
        check("trials lost", trials + 5 - ended["trial_id"].nunique(), 0, ""),
        check("trials doubled", len(ended) - ended["trial_id"].nunique(), 0, ""),
    ]
    epochs = store.epochs("soak", ["trial_id", "attempt", "epoch"])
    double = int(epochs.duplicated(["trial_id", "attempt", "epoch"]).sum())
    good.append(check("epoch rows doubled", double, 0, ""))
    return all(good)


if __name__ == "__main__":
    main()
