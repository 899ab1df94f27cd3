"""Overhead a trial: the harness beside Ray Tune with OptunaSearch and a bare Ray actor pool, in one run.

    python benchmarks/overhead.py [--trials 300] [--peer-trials 20]

Every side runs 2 slots, Optuna's TPE on three parameters and trials of three trivial epochs. The harness also
commits every trial to disk. The pool's actors run the same attempts (`run_attempt`) or, as "pool, empty",
return three numbers and do nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import optuna
import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from harness.engine.pool import RayEngine
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
    """Ray Tune with OptunaSearch, everything else at its defaults."""

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
    """Two actors, ask and tell by hand."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    plugins = ((str(PLUGIN), PLUGIN.read_text()),)
    with tempfile.TemporaryDirectory() as root:
        begun = time.perf_counter()  # starting the workers counts, as it does for the harness
        workers = [Worker.remote() for _ in range(SLOTS)]
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


def main() -> None:
    """Interleave the sides and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--peer-trials", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    sides: dict[str, list[float]] = {"harness": [], "pool, same attempts": [], "pool, empty": [], "tune": []}
    with RayEngine(ClusterSpec(cpus=SLOTS)) as engine:
        harness_side(engine, 10)  # workers import torch
        for _ in range(args.rounds):
            sides["harness"].append(harness_side(engine, args.trials))
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


if __name__ == "__main__":
    main()
