"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Results = Annotated[
    str,
    typer.Option("--results", envvar="HARNESS_RESULTS", help="Folder or URI (s3://...) of the tables."),
]
Cluster = Annotated[
    str, typer.Option("--cluster", help="A cluster file or its name; 'local' is this machine through Ray.")
]
EngineKind = Annotated[
    str,
    typer.Option(
        "--engine",
        help="'ray' (a pool of workers), 'tune' (through Ray Tune) or 'local' (one trial at a time in this "
        "process, without Ray); the cluster file's if not given.",
    ),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="key=value on top of the study file; may be repeated.")
]
Budget = Annotated[
    str,
    typer.Option("--budget", help="paper, lab or smoke: a study's own set of overrides; --set comes after."),
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Run plug-ins that the store names and that never ran here.")
]
StudyFile = Annotated[Path, typer.Argument(help="A study file, or the name of one that ships: quickstart.")]
StudyName = Annotated[str, typer.Argument(help="The name of a study in the store.")]

DEFAULT_RESULTS = "results"
