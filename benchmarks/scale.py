"""A study of 10,000 finished trials of 20 epochs in one cell: how soon it goes on, and how soon it answers.

    python benchmarks/scale.py                  # about three minutes
    python benchmarks/scale.py --trials 1000

Prints, each with wall and processor seconds and the peak memory of its own process (at most 1,024 MiB), the
bounds and whether they are met; exits 1 where one is not:

- reading: all three tables into memory;
- resume: from the start of ``Study.run`` until the engine gets its first new trial (at most 5 s);
- leaderboard: reading and ranking, the whole command, on merged files as they lie after a run (at most 5 s)
  and compacted (2 s);
- asking: what each further proposal costs as the cell grows to that size (no faster than linearly).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

PLUGIN = Path(__file__).with_name("trivial.py")
EPOCHS, FINALS = 20, 5
MOST_MIB = 1024.0
STUDY = """
name: scale
plugins: [{plugin}]
cells: [{{dataset: bench-eight, pipelines: [bench-trivial]}}]
space:
  x: {{float: [-5.0, 5.0]}}
  y: {{float: [-5.0, 5.0]}}
  lr: {{float: [1.0e-3, 1.0], log: true}}
objective: [loss min]
search: {{sampler: {sampler}, pruner: {pruner}, trials: {trials}, epochs: 20}}
confirm: {{top: 1, seeds: 0}}
final: {{seeds: 5}}
"""


def study_file(folder: Path, trials: int, sampler: str = "tpe", pruner: str = "hyperband") -> Path:
    """Write the study with a budget."""
    path = folder / "scale.yaml"
    path.write_text(STUDY.format(plugin=PLUGIN, trials=trials, sampler=sampler, pruner=pruner))
    return path


def make_rows(file: Path, trials: int) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Rows of finished trials as a run writes them, final phase included, without running them."""
    from harness.contracts import registry
    from harness.study import fingerprint as prints
    from harness.study import trial_rows as make
    from harness.study.cell_phases import CellRun
    from harness.studyfile.load import load_study
    from harness.train.task import Task
    from harness.trial import EpochRow, Phase, State, TrialEnd, freeze

    spec = load_study(file)
    run = CellRun(spec, spec.cells[0])
    registry.pipeline("bench-trivial")
    fingerprint, rng, found = prints.digest(prints.parts(spec)), np.random.default_rng(0), []
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(trials + FINALS):
        final = number >= trials
        point = {"x": rng.uniform(-5, 5), "y": rng.uniform(-5, 5), "lr": float(10 ** rng.uniform(-3, 0))}
        if final:
            point = {"x": 0.0, "y": 0.0, "lr": 0.1}
        phase, seed = (Phase.FINAL, 1000 + number) if final else (Phase.SEARCH, 1)
        trial = run.spec(point, phase, seed)
        order = number - trials if final else number
        task = Task(spec.name, spec.cells[0].name, trial, order, 1, "", exclusive=final)
        start = make.start_row(task, label="trivial", searched=dict(freeze(point)), fingerprint=fingerprint)
        value = point["x"] ** 2 + point["y"] ** 2
        metrics = (("train", "loss"), ("valid", "loss"), ("valid", "accuracy"), ("valid", "firing_rate"))
        epochs = [
            EpochRow(epoch, "train", split, metric, value + 1 / epoch, 0.1 * epoch, 0.1 * epoch, 0.0, 0.2)
            for epoch in range(1, EPOCHS + 1)
            for split, metric in metrics
        ]
        metadata = {"device": "cpu", "device_name": "a processor", "parameters": 4, "best_train_s": 2.0}
        test = {"loss": value, "accuracy": 0.9} if final else {}
        end = TrialEnd(
            State.COMPLETE,
            epochs=EPOCHS,
            best_epoch=EPOCHS,
            values=(value,),
            test=test,
            train_s=2.0,
            train_cpu_s=2.0,
            metadata=metadata,
        )
        row = make.end_row(start, end, ())
        row |= {
            "started_at": begun + timedelta(seconds=number),
            "finished_at": begun + timedelta(seconds=number + 2),
        }
        row["test_value"] = make.test_value(phase, test, "loss")
        found.append((row, make.epoch_records(epochs)))
    return found


def fill(root: Path, file: Path, trials: int) -> None:
    """A store as a run leaves it: merged files of 256 trials and the rest in parts."""
    from harness.store import tables
    from harness.store.results import MERGE_AT, ResultStore
    from harness.study import Study
    from harness.studyfile.load import load_study

    store = ResultStore(root)
    Study(load_study(file), root)._record_launch(_found(file), store.studies("scale"))
    rows = make_rows(file, trials)
    whole = len(rows) // MERGE_AT * MERGE_AT
    for at in range(0, whole, MERGE_AT):
        chunk = rows[at : at + MERGE_AT]
        name = f"all-{at // MERGE_AT + 1:06d}.parquet"
        epochs = [_with_keys(row, epoch) for row, records in chunk for epoch in records]
        for table, records in (("epochs", epochs), ("trials", [row for row, _ in chunk])):
            store.files.write(f"{table}/scale/{name}", tables.to_bytes(tables.to_table(table, records)))
    for row, records in rows[whole:]:
        store.commit(row, records)


def _found(file: Path) -> dict[str, Any]:
    from harness.study import fingerprint as prints
    from harness.studyfile.load import load_study

    return prints.parts(load_study(file))


def _with_keys(row: dict[str, Any], epoch: dict[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in ("study", "cell", "trial_id", "attempt")}, **epoch}


class FirstTask:
    """An engine that stops at its first new trial, or after some, and notes when each came."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.times: list[tuple[float, float]] = []

    def capacity(self) -> Any:
        """One slot."""
        from harness.engine.base import Capacity

        return Capacity(((1.0, 0.0),))

    def run(self, director: Any) -> None:
        """Ask; leave what was handed out to be closed."""
        for _ in range(self.count):
            if director.next_task() is None:
                raise RuntimeError("nothing left to ask")
            self.times.append((time.perf_counter(), time.process_time()))


def resume(file: Path, root: Path, trials: int, asks: int) -> dict[str, float]:
    """Seconds from the start of Study.run to the first new trial, and between further ones."""
    from harness.study import Study
    from harness.studyfile.load import load_study

    spec = load_study(file, [f"search.trials={trials + asks + 1}"])
    engine = FirstTask(asks)
    wall, cpu = time.perf_counter(), time.process_time()
    Study(spec, root).run(engine)
    first, last = engine.times[0], engine.times[-1]
    found = {"wall": first[0] - wall, "cpu": first[1] - cpu}
    if asks > 1:
        found |= {"ask": (last[1] - first[1]) / (asks - 1)}
    return found | {"mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def read(root: Path) -> dict[str, float]:
    """Read all three tables."""
    from harness.store.results import ResultStore

    wall, cpu, store = time.perf_counter(), time.process_time(), ResultStore(root)
    held = store.trials("scale"), store.epochs("scale"), store.studies("scale")
    found = {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "rows": sum(map(len, held)),
    }
    return found | {"mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def in_process(*arguments: object) -> dict[str, Any]:
    """Run one measurement of this file in a process of its own."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def command(*arguments: str) -> dict[str, float]:
    """Wall seconds, processor seconds and peak memory of a whole harness command."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "harness", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"harness {' '.join(arguments)} ended with {status}")
    cpu = usage.ru_utime + usage.ru_stime
    return {"wall": time.perf_counter() - begun, "cpu": cpu, "mib": usage.ru_maxrss / 1024}


def line(what: str, found: dict[str, float], most_s: float = math.inf) -> bool:
    """Print one measurement with its bounds; whether they are met."""
    met = found["wall"] <= most_s and found["mib"] <= MOST_MIB
    bound = (
        f"at most {most_s:g} s and {MOST_MIB:,.0f} MiB"
        if most_s < math.inf
        else f"at most {MOST_MIB:,.0f} MiB"
    )
    figures = f"{found['wall']:6.2f} s wall  {found['cpu']:6.2f} s cpu {found['mib']:6.0f} MiB"
    print(f"{what:38s} {figures}   {bound}: {'met' if met else 'NOT MET'}", flush=True)
    return met


def main() -> None:
    """Make the stores and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--keep", type=Path, help="make the store here and leave it")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fill", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--resume", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fill:
        root, file, trials = args.fill
        fill(Path(root), Path(file), int(trials))
        print("{}")
        return
    if args.resume:
        file, root, trials, asks = args.resume
        print(json.dumps(resume(Path(file), Path(root), int(trials), int(asks))))
        return
    if args.read:
        print(json.dumps(read(args.read)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        met = measure(args.keep or Path(scratch), args.trials, args.sampler)
    sys.exit(0 if met else 1)


def measure(folder: Path, trials: int, sampler: str) -> bool:
    """Print the table; whether all bounds are met."""
    folder.mkdir(parents=True, exist_ok=True)
    file = study_file(folder, trials, sampler)
    loose, merged = folder / "loose", folder / "merged"
    if not loose.exists():
        in_process("--fill", loose, file, trials)
    shutil.rmtree(merged, ignore_errors=True)
    shutil.copytree(loose, merged)
    command("compact", "scale", "--results", str(merged))
    files = len(list((loose / "trials" / "scale").glob("*.parquet")))
    print(f"{trials} trials of {EPOCHS} epochs in one cell, sampler {sampler}")
    met = [line("reading, compacted", in_process("--read", merged))]
    met.append(
        line(f"leaderboard, {files} files", command("leaderboard", "scale", "--results", str(loose)), 5)
    )
    met.append(line("leaderboard, compacted", command("leaderboard", "scale", "--results", str(merged)), 2))
    met.append(line("status, compacted", command("status", "scale", "--results", str(merged))))
    for name, root in ((f"resume to first trial, {files} files", loose), ("resume, compacted", merged)):
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(root, copy)
        met.append(line(name, in_process("--resume", file, copy, trials, 1), 5))
    curve(folder, trials, sampler)
    return all(met)


def curve(folder: Path, trials: int, sampler: str) -> None:
    """What a proposal costs in the whole study, at several sizes."""
    sizes = [size for size in (300, 1000, 3000, 10_000) if size <= trials]
    costs = []
    for size in sizes:
        root = folder / f"curve-{size}"
        shutil.rmtree(root, ignore_errors=True)
        file = study_file(folder, size, sampler)
        in_process("--fill", root, file, size)
        costs.append(in_process("--resume", file, root, size, 11)["ask"])
        print(f"asking at {size:6d} trials {1000 * costs[-1]:8.2f} ms a trial")
    if len(sizes) > 2:
        power = np.log(costs[-1] / costs[1]) / np.log(sizes[-1] / sizes[1])
        print(f"from {sizes[1]} to {sizes[-1]} trials the cost grows as trials ** {power:.2f}")


if __name__ == "__main__":
    main()
