"""Trackers with a service behind them: MLflow and Weights & Biases. Their own variables say where."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.trackers.run import Run, place

_KEY = "harness.key"
_MOST = 500  # characters of a parameter that MLflow's servers take
_BATCH = 900  # metrics of one call


class MlflowTracker:
    """One MLflow run a trial, experiment ``study``; ``MLFLOW_TRACKING_URI``, else files by the results."""

    def __init__(self, root: str) -> None:
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if not uri:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            uri = place(root, "mlflow").absolute().as_uri()
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.tracking import MlflowClient

        self._metric, self._param, self._tag = Metric, Param, RunTag
        self._client: Any = MlflowClient(tracking_uri=uri)
        self._experiments: dict[str, str] = {}

    def _experiment(self, study: str) -> str:
        if study not in self._experiments:
            found = self._client.get_experiment_by_name(study)
            made = found.experiment_id if found is not None else self._client.create_experiment(study)
            self._experiments[study] = str(made)
        return self._experiments[study]

    def has(self, run: Run) -> bool:
        """Whether a finished run has its key."""
        wanted = f"tags.`{_KEY}` = '{run.key}' and attributes.status = 'FINISHED'"
        return bool(self._client.search_runs([self._experiment(run.study)], wanted, max_results=1))

    def write(self, run: Run) -> None:
        """Create the run, log all of it, and say that it is finished last."""
        made = self._client.create_run(self._experiment(run.study), run_name=run.name, tags={_KEY: run.key})
        run_id = made.info.run_id
        values = [(f"result/{name}", 0, value) for name, value in run.results.items()]
        metrics = [self._metric(_name(name), value, 0, step) for name, step, value in (*run.curves, *values)]
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
        params = [self._param(name, str(value)[:_MOST]) for name, value in run.params.items()]
        tags = [self._tag(name, value) for name, value in run.tags.items()]
        self._client.log_batch(run_id, params=params[:100], tags=tags)
        for start in range(100, len(params), 100):
            self._client.log_batch(run_id, params=params[start : start + 100])
        self._client.set_terminated(run_id, "FINISHED")


class WandbTracker:
    """One W&B run a trial in project ``study``; without ``WANDB_API_KEY`` offline, for ``wandb sync``."""

    def __init__(self, root: str) -> None:
        import wandb

        self._wandb: Any = wandb
        self._folder = place(root, "wandb")
        self._mode = os.environ.get("WANDB_MODE") or (
            "online" if os.environ.get("WANDB_API_KEY") else "offline"
        )

    def _done(self, run: Run) -> Path:
        return self._folder / "done" / run.study / run.key

    def has(self, run: Run) -> bool:
        """Whether it was finished from here."""
        return self._done(run).is_file()

    def write(self, run: Run) -> None:
        """One run with its curves, then a mark that it is whole."""
        self._folder.mkdir(parents=True, exist_ok=True)
        begun = self._wandb.init(
            project=run.study,
            id=run.key,
            name=run.name,
            group=run.cell,
            config=run.params,
            tags=[run.tags[name] for name in ("phase", "state") if run.tags.get(name)],
            notes=", ".join(f"{name} {value}" for name, value in run.tags.items()),
            dir=str(self._folder),
            mode=self._mode,
            reinit="create_new",
            settings=self._wandb.Settings(silent=True, console="off"),
        )
        by_epoch: dict[int, dict[str, float]] = {}
        for name, epoch, value in run.curves:
            by_epoch.setdefault(epoch, {})[name] = value
        for epoch in sorted(by_epoch):
            begun.log(by_epoch[epoch], step=epoch)
        begun.summary.update(run.results)
        begun.finish()
        done = self._done(run)
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()


def _name(metric: str) -> str:
    """A name that MLflow takes."""
    return "".join(c if c.isalnum() or c in "_-./ " else "_" for c in metric)
