"""A study in Python: load it from a file or a dict, check it, run it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from harness.api.register import used_plugins
from harness.api.results import Results
from harness.cli.console import PlainConsole
from harness.cli.display import watching
from harness.errors import HarnessError, StudyFileError

if TYPE_CHECKING:
    from harness.engine.base import Engine
    from harness.study.director import StudyDirector
    from harness.studyfile.plan_building import Plan
    from harness.studyfile.values import StudySpec

EngineName = Literal["local", "ray", "tune"]


class Checked:
    """What a study would do: ``plan`` as values; as text what ``harness check`` prints."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __repr__(self) -> str:
        from harness.studyfile.plan_rendering import render_plan

        text = io.StringIO()
        render_plan(self.plan, PlainConsole(file=text, width=100, force_jupyter=False))
        return text.getvalue().rstrip()


class Study:
    """A study that has been read and checked; ``spec`` is it as frozen values.

    >>> study = Study.load({"name": "mine", "cells": [...], "space": {...}})     # doctest: +SKIP
    >>> results = study.run()                                                    # doctest: +SKIP
    """

    def __init__(self, spec: StudySpec) -> None:
        self.spec = spec

    @property
    def name(self) -> str:
        """The name of its folders of results."""
        return self.spec.name

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Study:
        """Read a study: a file, the name of one that ships, or its content as a mapping.

        ``overrides`` are ``key=value`` as with ``--set``. What the study names of plug-ins that cells
        registered goes with it. Paths in a mapping begin in the working folder. Raises StudyFileError
        naming the key.
        """
        from harness.shipped import find_shipped
        from harness.studyfile.load import load_stored, load_study
        from harness.studyfile.yaml_lines import read_yaml

        if isinstance(source, Mapping):
            path = Path.cwd() / f"{source.get('name', 'study')}.yaml"
            try:
                text = yaml.safe_dump(_plain(source), sort_keys=False)
            except yaml.YAMLError as error:
                raise StudyFileError(f"the study's mapping: {error}. Plain values only.") from None
        else:
            path = (
                Path(source)
                if Path(source).exists()
                else find_shipped(str(source), "searchspaces") or Path(source)
            )
            text = read_yaml(path)[1]
        used = used_plugins(text)
        if not used and not isinstance(source, Mapping):
            return cls(load_study(path, overrides))
        try:
            given = (yaml.safe_load(text) or {}).get("plugins") or []
        except (yaml.YAMLError, AttributeError):
            given = []  # the reader below says what is wrong, and where
        names = [*given, *(name for name in used if name not in given)]
        more = [f"plugins=[{', '.join(names)}]"] if used else []
        return cls(load_stored(text, path.absolute(), [*more, *overrides], used, trusted=True))

    def check(self) -> Checked:
        """The plan: cells, trials, parameters, seeds, epochs. Runs nothing."""
        from harness.studyfile.plan_building import describe_plan

        return Checked(describe_plan(self.spec))

    def run(
        self,
        engine: EngineName = "local",
        *,
        results: str | Path = "results",
        cluster: str = "local",
        retry: str = "",
        progress: bool = True,
    ) -> Results:
        """Run what is missing and return the results; called again, it goes on.

        ``local`` runs one trial after another in this process, ``ray`` on all cores or on ``cluster``.
        ``retry`` is ``failed`` or a failed trial's id. ``progress`` prints a line every quarter of a
        minute. Raises HarnessError as the command does; KeyboardInterrupt leaves what was committed safe.
        """
        from harness.study import Study as Runner
        from harness.studyfile.plan_building import missing_baselines

        for line in missing_baselines(self.spec):
            raise StudyFileError(f"{self.name}: cells: {line}")
        console = PlainConsole(force_jupyter=False)  # lines, not displays
        runner = Runner(self.spec, results)

        def watch(director: StudyDirector) -> AbstractContextManager[object]:
            return watching(console, self.name, director.snapshot) if progress else nullcontext()

        with _engine(engine, cluster) as runs:
            summary = runner.run(runs, retry=retry, watch=watch)
        if progress:
            failed = f", {summary.failed} failed" if summary.failed else ""
            console.print(f"{self.name}: {summary.finished} trials finished{failed} ({summary.ran} now)")
        return Results(results)

    def __repr__(self) -> str:
        return f"Study({self.name!r}, {len(self.spec.cells)} cells)"


def _engine(kind: str, cluster: str) -> AbstractContextManager[Engine]:
    from harness.studyfile.cluster import load_cluster

    if kind == "local":
        from harness.engine.local import LocalEngine

        return nullcontext(LocalEngine())
    where = load_cluster(cluster)
    if kind == "ray":
        from harness.engine.pool import RayEngine

        return RayEngine(where)
    if kind == "tune":
        from harness.engine.tune import TuneEngine

        return TuneEngine(where)
    raise HarnessError(f"engine {kind!r}: expected 'local', 'ray' or 'tune'.")


def _plain(value: Any) -> Any:
    """Mappings, sequences and scalars of Python's own types, as YAML writes them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value)
    return str(value) if isinstance(value, Path) else value
