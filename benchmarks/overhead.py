"""Overhead a trial: the harness beside Ray Tune with OptunaSearch and a bare Ray actor pool, in one run.

    python benchmarks/overhead.py [--trials 300] [--peer-trials 20] [--first]

Bounds: at most 25 ms a trial, and 1.15 x the bare pool with the same attempts (median over rounds).
``--first`` instead: the first trial of `harness launch` begins within 1.5 x what `import torch` and Ray's own
start take together.

Every side runs 2 slots, TPE on three parameters and trials of three trivial epochs. The harness also
commits every trial to disk. Workers are warm on both sides (``--first`` is start-up). The actors run the
same attempts (`run_attempt`) or, as "pool, empty", return three numbers and do nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import optuna
import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from harness.engine.pool import RayEngine
from harness.store.results import ResultStore
from harness.study import Study
from harness.studyfile.load import load_study
from harness.studyfile.values import ClusterSpec, StudySpec
from harness.train.attempt import run_attempt
from harness.train.task import Task
from harness.trial import DatasetRef, Objective, Phase, TrialSpec, freeze

SLOTS, EPOCHS = 2, 3
PLUGIN = Path(__file__).with_name("trivial.py")
STUDY = """
name: overhead
plugins: [{plugin}]
cells: [{{dataset: bench-eight, pipelines: [bench-trivial]}}]
space:
  x: {{float: [-5.0, 5.0]}}
  y: {{float: [-5.0, 5.0]}}
  lr: {{float: [1.0e-3, 1.0], log: true}}
objective: [loss min]
search: {{sampler: tpe, pruner: none, trials: {trials}, epochs: 3}}
confirm: {{top: 1, seeds: 0}}
final: {{seeds: 1}}
"""


def study_spec(trials: int, folder: Path) -> StudySpec:
    """The study of trivial trials."""
    path = folder / "overhead.yaml"
    path.write_text(STUDY.format(plugin=PLUGIN, trials=trials))
    return load_study(path)


def harness_side(engine: RayEngine, trials: int) -> float:
    """Seconds a trial, everything included."""
    with tempfile.TemporaryDirectory() as folder:
        spec = study_spec(trials, Path(folder))
        begun = time.perf_counter()
        summary = Study(spec, Path(folder) / "results").run(engine)
        spent = time.perf_counter() - begun
        if summary.failed or summary.finished != trials + 1:
            raise RuntimeError(f"{summary}")
        return spent / summary.finished


def tune_side(trials: int) -> float:
    """Ray Tune with OptunaSearch, everything else at its defaults; it starts a process a trial."""

    def objective(config: dict[str, Any]) -> None:
        for _ in range(EPOCHS):
            tune.report({"loss": config["x"] ** 2 + config["y"] ** 2})

    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            objective,
            param_space={
                "x": tune.uniform(-5, 5),
                "y": tune.uniform(-5, 5),
                "lr": tune.loguniform(1e-3, 1),
            },
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearch(), metric="loss", mode="min", num_samples=trials
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        begun = time.perf_counter()
        tuner.fit()
        return (time.perf_counter() - begun) / trials


@ray.remote(num_cpus=1)
class Worker:
    """An actor of the bare pool."""

    def run(self, task: Task | None, x: float, y: float) -> list[float]:
        """The curve of one trial."""
        if task is None:
            return [x**2 + y**2] * EPOCHS
        attempt, curve = run_attempt(task), []
        try:
            report = next(attempt)
            while True:
                curve += [row.value for row in report.rows if row.metric == "loss" and row.split == "valid"]
                report = attempt.send(True)
        except StopIteration:
            return curve


def pool_side(trials: int, *, real: bool) -> float:
    """Two warm actors, ask and tell by hand."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    plugins = ((str(PLUGIN), PLUGIN.read_text()),)
    with tempfile.TemporaryDirectory() as root:
        workers = [Worker.remote() for _ in range(SLOTS)]
        task = _task(-1, root, {"x": 0.0, "y": 0.0, "lr": 0.1}, plugins) if real else None
        ray.get([worker.run.remote(task, 0.0, 0.0) for worker in workers])  # they import torch
        begun = time.perf_counter()
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
        running, free, asked, told = {}, list(workers), 0, 0
        while told < trials:
            while free and asked < trials:
                trial = study.ask()
                x, y = trial.suggest_float("x", -5, 5), trial.suggest_float("y", -5, 5)
                lr = trial.suggest_float("lr", 1e-3, 1, log=True)
                worker = free.pop()
                task = _task(asked, root, {"x": x, "y": y, "lr": lr}, plugins) if real else None
                running[worker.run.remote(task, x, y)] = (worker, trial)
                asked += 1
            for ref in ray.wait(list(running))[0]:
                worker, trial = running.pop(ref)
                study.tell(trial, ray.get(ref)[-1])
                free.append(worker)
                told += 1
        spent = (time.perf_counter() - begun) / trials
    for worker in workers:
        ray.kill(worker)
    return spent


def _task(number: int, root: str, params: dict[str, float], plugins: Any) -> Task:
    spec = TrialSpec(
        dataset=DatasetRef("bench-eight", "1"),
        pipeline="bench-trivial",
        params=freeze({"batch_size": 8, "pause_s": 0.0, **params}),
        seed=1,
        phase=Phase.SEARCH,
        epochs=EPOCHS,
        objectives=(Objective("loss", False),),
    )
    return Task("pool", "cell", spec, number, 1, root, plugins=plugins)


def first_trial(rounds: int) -> None:
    """Seconds from `harness launch` to its first trial, beside what cannot be avoided."""
    torch_s, ray_s, ours = [], [], []
    for _ in range(rounds):
        torch_s.append(_spent(f"import sys; sys.path[:0] = {sys.path!r}; import torch"))
        ray_s.append(_spent("import ray; ray.init(address='local', num_cpus=2, include_dashboard=False)"))
        with tempfile.TemporaryDirectory() as folder:
            study_spec(4, Path(folder))
            begun = datetime.now(UTC)
            command = [sys.executable, "-m", "harness", "launch", "overhead.yaml", "--results", "r"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            rows = ResultStore(Path(folder) / "r").trials("overhead")
            ours.append((rows["started_at"].min() - begun).total_seconds())
    middle = {name: statistics.median(all_) for name, all_ in (("t", torch_s), ("r", ray_s), ("o", ours))}
    bound = 1.5 * (middle["t"] + middle["r"])
    print(f"import torch {middle['t']:.2f} s, Ray's start {middle['r']:.2f} s, median of {rounds} rounds")
    print(f"first trial of `harness launch` after {verdict(middle['o'], bound, ' s')}")


def _spent(code: str) -> float:
    """Seconds until a fresh process has run some code; its end is not counted."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; print('there', flush=True)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        while "there" not in process.stdout.readline():
            pass
        return time.perf_counter() - begun


def verdict(figure: float, bound: float, unit: str = "") -> str:
    """A figure beside its bound."""
    return f"{figure:.2f}{unit} (at most {bound:.2f}{unit}: {'met' if figure <= bound else 'NOT MET'})"


def main() -> None:
    """Interleave the sides and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--peer-trials", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--first", action="store_true", help="time to the first trial of a launch")
    args = parser.parse_args()
    if args.first:
        first_trial(args.rounds)
        return
    sides: dict[str, list[float]] = {"harness": [], "pool, same attempts": [], "pool, empty": [], "tune": []}
    with RayEngine(ClusterSpec(cpus=SLOTS), keep=True) as engine:
        for _ in range(args.rounds):
            harness_side(engine, 10)  # workers import torch
            sides["harness"].append(harness_side(engine, args.trials))
            engine.release()
            sides["pool, same attempts"].append(pool_side(args.trials, real=True))
            sides["pool, empty"].append(pool_side(args.trials, real=False))
            if args.peer_trials:
                sides["tune"].append(tune_side(args.peer_trials))
    ours = statistics.median(sides["harness"])
    print(f"{args.trials} trials of {EPOCHS} trivial epochs, {SLOTS} slots, median of {args.rounds} rounds")
    for name, seconds in sides.items():
        if seconds:
            middle = statistics.median(seconds)
            each = ", ".join(f"{1000 * s:.1f}" for s in seconds)
            print(
                f"{name:22s} {1000 * middle:8.1f} ms a trial ({each})   {middle / ours:6.2f} x the harness's"
            )
    ratio = statistics.median(
        a / b for a, b in zip(sides["harness"], sides["pool, same attempts"], strict=True)
    )
    print(f"a trial of the harness: {verdict(1000 * ours, 25.0, ' ms')}")
    print(f"beside the bare pool:   {verdict(ratio, 1.15, ' x')}")


if __name__ == "__main__":
    main()
