"""Commands that plan and run studies: check, launch, resume, list, doctor."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.table import Table
from rich.text import Text

from harness.cli.console import console
from harness.cli.display import watching
from harness.cli.options import (
    DEFAULT_RESULTS,
    Budget,
    Cluster,
    EngineKind,
    Results,
    Set,
    StudyFile,
    Trust,
)
from harness.errors import HarnessError, StudyFileError, UnknownNameError

if TYPE_CHECKING:
    from harness.engine.base import Engine
    from harness.study import Study, StudySummary
    from harness.study.director import StudyDirector
    from harness.studyfile.values import ClusterSpec, StudySpec


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: harness check searchspaces/quickstart.yaml")(check)
    app.command(epilog="Example: harness launch searchspaces/quickstart.yaml --cluster clusters/local.yaml")(
        launch
    )
    app.command(epilog="Example: harness resume quickstart --set search.trials=40")(resume)
    app.command(name="list", epilog="Example: harness list neurons")(list_)
    app.command(epilog="Example: harness doctor")(doctor)


def check(
    file: StudyFile,
    set_: Set = None,
    results: Results = DEFAULT_RESULTS,
    budget: Budget = "",
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Take some steps of every cell: time, memory, disk, device-hours."),
    ] = False,
    cluster: Annotated[str, typer.Option("--cluster", help="Measure there; empty is this process.")] = "",
    slots: Annotated[int, typer.Option("--slots", min=1, help="Trials at once, for the wall time.")] = 1,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.01, help="Steps of a stage take so long.")
    ] = 2.0,
) -> None:
    """Read a study and print its plan: cells, trials, parameters, seeds, cost. Runs nothing.

    With --measure a few steps of each cell's first configuration say what it costs; no table is written.
    """
    from harness.store.results import ResultStore
    from harness.studyfile.costs import past_costs
    from harness.studyfile.data_checks import data_notes
    from harness.studyfile.load import load_study
    from harness.studyfile.plan_rendering import describe_plan, render_plan

    spec = load_study(file, _overrides(file, budget, set_))
    store = ResultStore(results)
    plan = describe_plan(spec, past_costs(store.trials(), spec.name))
    render_plan(plan, console)
    for note in data_notes(spec):
        console.print(Text(f"data: {note}", style="yellow"), soft_wrap=True)
    if measure:
        from harness.cli.measured import measure as run

        run(spec, plan, cluster, slots, seconds)


def launch(
    file: StudyFile,
    cluster: Cluster = "local",
    results: Results = DEFAULT_RESULTS,
    set_: Set = None,
    fork: Annotated[
        str | None, typer.Option("--fork", help="Run under this new name, keeping trials that still fit.")
    ] = None,
    engine: EngineKind = "",
    budget: Budget = "",
) -> None:
    """Run a study. Launched again it runs what is missing; trials are a total."""

    def load() -> StudySpec:
        from harness.studyfile.load import load_study
        from harness.studyfile.plan_building import missing_baselines

        spec = load_study(file, overrides)
        for line in missing_baselines(spec):  # not after hours of training: cells cannot be added later
            raise StudyFileError(f"{file}: cells: {line}")
        return spec

    overrides = _overrides(file, budget, set_)
    _validate_form(file, overrides)
    _run(load, cluster, results, engine, fork=fork, early="torch" not in sys.modules)


def resume(
    study: Annotated[str, typer.Argument(help="The name of a study in the store, or its file.")],
    cluster: Cluster = "local",
    results: Results = DEFAULT_RESULTS,
    set_: Set = None,
    engine: EngineKind = "",
    trust: Trust = False,
    retry: Annotated[
        str, typer.Option("--retry", help="'failed' runs every failed trial again; a trial's id that one.")
    ] = "",
) -> None:
    """Go on with a study: interrupted trials run again with the same parameters."""
    from harness.store.results import ResultStore
    from harness.study.stored import stored_spec
    from harness.studyfile.load import load_study

    path = Path(study)
    if path.is_file():
        spec = load_study(path, set_ or ())
    elif path.suffix in (".yaml", ".yml"):
        raise HarnessError(f"there is no study file {study}.")
    else:
        spec = stored_spec(ResultStore(results), study, set_ or (), trusted=trust)
    _run(lambda: spec, cluster, results, engine, retry=retry)


def _overrides(file: Path, budget: str, given: Sequence[str] | None) -> tuple[str, ...]:
    """Those of the study's budget, then those of the command line."""
    if not budget:
        return tuple(given or ())
    from harness.shipped import find_shipped
    from harness.studyfile.overrides import budget_overrides
    from harness.studyfile.yaml_lines import read_yaml

    path = file if os.path.lexists(file) else find_shipped(str(file), "searchspaces") or file
    return (*budget_overrides(read_yaml(path)[0], budget, str(file)), *(given or ()))


def _validate_form(file: Path, overrides: Sequence[str]) -> None:
    """What can be said of a study file in a moment, before torch is imported and Ray starts."""
    from harness.shipped import find_shipped
    from harness.studyfile.file import StudyFile as Form
    from harness.studyfile.overrides import apply_overrides
    from harness.studyfile.validation import check
    from harness.studyfile.yaml_lines import read_yaml

    if not os.path.lexists(file):  # the name of a study that ships
        file = find_shipped(str(file), "searchspaces") or file
    check(Form, apply_overrides(read_yaml(file)[0], overrides), "")


def _run(
    load: Callable[[], StudySpec],
    cluster: str,
    results: str,
    engine: str,
    *,
    fork: str | None = None,
    retry: str = "",
    early: bool = False,
) -> None:
    """Run a study; ``early`` starts Ray while the study is read, which takes as long."""
    from harness.studyfile.cluster import load_cluster
    from harness.studyfile.values import EngineName

    where = load_cluster(cluster)
    kinds = get_args(EngineName)
    if engine not in ("", *kinds):
        raise UnknownNameError("engine", engine, kinds)
    kind = engine or where.engine
    early = early and kind == "ray"
    if fork is not None:
        _study_name(fork)
    with ExitStack() as stack:
        if early:
            ray = stack.enter_context(_engine(kind, where))
        spec = load()
        from harness.study import Study  # with torch: while Ray starts

        if kind != "local":
            console.print(f"starting Ray ({where.address or 'on this machine'}) ...")
        runs = ray if early else stack.enter_context(_engine(kind, where))
        fork_of = None
        if fork is not None:
            fork_of, spec = spec.name, replace(spec, name=fork)
        again = _again(spec.name, cluster, results, engine)
        summary = _drive(Study(spec, results), runs, fork_of, retry, again)
        if summary.stopped:
            console.print(f"stopped as asked; go on with: {again}", soft_wrap=True)
    _print_summary(spec, summary, results)


def _again(study: str, cluster: str, results: str, engine: str) -> str:
    """The command that goes on with a study."""
    cluster_part = "" if cluster == "local" else f" --cluster {cluster}"
    engine_part = f" --engine {engine}" if engine else ""
    return f"harness resume {study} --results {results}{cluster_part}{engine_part}"


def _drive(study: Study, runs: Engine, fork_of: str | None, retry: str, again: str) -> StudySummary:
    """Run a study with its display; a stop says what is safe and how to go on."""
    name, results = study.spec.name, study.store.files.root
    for line in study.before():
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    show = Display(name)
    try:
        return study.run(runs, fork_of=fork_of, retry=retry, watch=show.watch)
    except KeyboardInterrupt:
        console.print(
            f"\nstopped. {show.finished} finished trials of '{name}' are safe in {results}; interrupted "
            f"ones run again from their last checkpoint.\nresume with: {again}",
            soft_wrap=True,
        )
        raise


def _engine(kind: str, where: ClusterSpec) -> AbstractContextManager[Engine]:
    """The engine of a kind; only now is Ray imported, if it is needed."""
    if kind == "local":
        from harness.engine.local import LocalEngine

        return nullcontext(LocalEngine())
    if kind == "tune":
        from harness.engine.tune import TuneEngine

        return TuneEngine(where)
    from harness.engine.pool import RayEngine

    return RayEngine(where)


class Display:
    """The live display of one run; remembers what was finished for the last word."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._director: StudyDirector | None = None

    @property
    def finished(self) -> int:
        """Trials finished so far."""
        return 0 if self._director is None else self._director.snapshot().finished

    def watch(self, director: StudyDirector) -> AbstractContextManager[None]:
        """A context in which progress is shown."""
        self._director = director
        return watching(console, self._name, director.snapshot)


def _study_name(name: str) -> str:
    from harness.store.results import STUDY_NAME

    if not STUDY_NAME.fullmatch(name):
        raise HarnessError(f"study name '{name}': use letters, digits, '.', '_' and '-' only.")
    return name


def _print_summary(spec: StudySpec, summary: StudySummary, results: str) -> None:
    from harness.cli.boards import print_first, write_page
    from harness.cli.results import say_failures

    if summary.forked.copied or summary.forked.left:
        left = "".join(f"; left out: {count} {why}" for why, count in summary.forked.left)
        console.print(f"fork: {summary.forked.copied} trials copied{left}.", soft_wrap=True)
    failed = f", {summary.failed} failed" if summary.failed else ""
    console.print(
        f"{spec.name}: {summary.finished} trials finished{failed} ({summary.ran} in this run).\n",
        soft_wrap=True,
    )
    say_failures(spec.name, results)
    if summary.finished and summary.failed == summary.finished:
        raise typer.Exit(1)
    problem: HarnessError | None = None
    try:
        write_page(spec.name, results, None)
    except HarnessError as error:  # hours of training end with a board, page or not
        problem = error
    print_first(spec.name, results)
    tables = f"{results}/trials/{spec.name}  {results}/epochs/{spec.name}"
    console.print(f"tables                {tables}", style="dim", soft_wrap=True)
    if problem is not None:
        raise problem


def list_(
    kind: Annotated[str, typer.Argument(help="datasets, pipelines, neurons, samplers or pruners.")] = "",
) -> None:
    """List what there is: data sets, pipelines, neurons, samplers, pruners."""
    from harness import contracts
    from harness.studyfile.values import PrunerName, SamplerName

    known = {
        "datasets": contracts.datasets,
        "pipelines": contracts.pipelines,
        "neurons": contracts.neurons,
    }
    names = {"samplers": get_args(SamplerName), "pruners": get_args(PrunerName)}
    if kind and kind not in known and kind not in names:
        raise UnknownNameError("list", kind, (*known, *names))
    for group, registry in known.items():
        if kind in ("", group):
            table = Table("name", "what it is", title=group, title_justify="left", box=None)
            for name, value in sorted(registry().items()):
                table.add_row(name, (value.__doc__ or "").strip().splitlines()[0])
            console.print(table)
    for group, options in names.items():
        if kind in ("", group):
            console.print(f"{group}: {', '.join(options)}")


def doctor() -> None:
    """Say what this machine offers, and time for seconds what a study would use beside what it could."""
    import os

    import torch

    from harness.contracts import choices
    from harness.neurons.kernels import compiled
    from harness.paths import cache_root
    from harness.train import metadata
    from harness.train.alternatives import measure

    console.print(f"python packages  {metadata.packages()}", soft_wrap=True)
    console.print(f"processor        {choices.cpu_name()}, {os.cpu_count()} cores")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    console.print(f"GPUs             {', '.join(gpus) or 'none: everything runs on the CPU'}")
    console.print(f"prepared data    {cache_root()}")
    console.print(f"HARNESS_DATA     {os.environ.get('HARNESS_DATA', 'not set')}")
    console.print(compiled.explain(), soft_wrap=True)
    device = torch.device("cuda" if gpus else "cpu")
    for line in choices.explain(device):
        console.print(line, soft_wrap=True, highlight=False)
    console.print(f"measured here, on {metadata.device_name(device)}:")
    for measured in measure(device):
        console.print(f"  {measured}", soft_wrap=True, highlight=False)
