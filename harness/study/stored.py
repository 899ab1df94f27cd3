"""A study as the store knows it: its file where that is still there, else the text that was kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError, UnknownNameError
from harness.store.results import ResultStore
from harness.studyfile.load import load_stored, load_study
from harness.studyfile.values import StudySpec


def stored_spec(
    store: ResultStore, study: str, overrides: Sequence[str] = (), *, trusted: bool = False
) -> StudySpec:
    """The study as it was last launched, with its own overrides and then these.

    Relative paths begin in the folder that the study file lay in, wherever this is called from. Raises
    UnknownNameError where the store has no such study, and StudyFileError as :func:`load_study` does.
    """
    launches = store.studies(study)
    if launches.empty:
        raise UnknownNameError(f"study in {store.files.root}", study, store.study_names())
    launch = launches.sort_values("launch").iloc[-1]
    path = Path(str(launch["folder"])) / Path(str(launch["protocol"]["path"] or f"{study}.yaml")).name
    said = (*(launch["overrides"] or ()), *overrides)
    if path.is_file():
        spec = load_study(path, said, trusted=trusted)
    else:
        plugins = dict(launch["plugins"] or {})
        try:
            spec = load_stored(str(launch["text"]), path, said, plugins, trusted=trusted)
        except HarnessError as error:
            raise HarnessError(f"the study file {path} is gone, and its stored text says: {error}") from None
    if spec.name != study:
        raise HarnessError(
            f"{path}, the study file of '{study}', now describes '{spec.name}'. Name the right one."
        )
    return spec
