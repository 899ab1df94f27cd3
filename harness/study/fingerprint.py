"""What makes two launches one study: everything that changes numbers, part by part."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness import __version__
from harness.errors import ResumeError
from harness.ids import content_id
from harness.studyfile.values import StudySpec
from harness.train.metadata import packages

# Budgets may grow and placement may change between launches; the rest may not.
_FREE_SEARCH = ("trials", "hours", "plateau")


def parts(spec: StudySpec) -> dict[str, Any]:
    """Named parts of the fingerprint: flat, JSON values, in the words of the study file."""
    found: dict[str, Any] = {"harness": __version__, "seed": spec.seed}
    for name, version in packages().items():
        found[f"packages.{name}"] = version
    for name, value in asdict(spec.search).items():
        if name not in _FREE_SEARCH:
            found[f"search.{name}"] = value
    found["final.epochs"] = spec.final.epochs
    found["objective"] = [str(objective) for objective in spec.objectives]
    found["limits"] = [list(limit) for limit in spec.limits]
    for filename, text in spec.plugins:
        found[f"plugins.{filename.rsplit('/', 1)[-1]}"] = hashlib.sha256(text.encode()).hexdigest()[:12]
    for cell in spec.cells:
        found[f"cells.{cell.name}"] = {"pipeline": cell.pipeline, **cell.dataset.content()}
        found[f"cells.{cell.name}.set"] = dict(cell.variant)
        found[f"cells.{cell.name}.fixed"] = dict(cell.fixed)
        found[f"cells.{cell.name}.start"] = [dict(point) for point in cell.start]
        for parameter in cell.space:
            kind = type(parameter.domain).__name__
            domain = {"kind": kind, **asdict(parameter.domain)}
            when = [[name, list(allowed)] for name, allowed in parameter.when]
            found[f"cells.{cell.name}.space.{parameter.name}"] = {**domain, "when": when}
    return found


def digest(found: dict[str, Any]) -> str:
    """The fingerprint."""
    return content_id(found)


def validate_unchanged(study: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise ResumeError with every difference between two fingerprints' parts, given as flat texts."""
    missing = "(absent)"
    changed = [
        f"  {name}: {before.get(name, missing)} -> {now.get(name, missing)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name, missing) != now.get(name, missing)
    ]
    if changed:
        shown = "\n".join(changed[:12]) + (f"\n  and {len(changed) - 12} more" if len(changed) > 12 else "")
        raise ResumeError(
            f"study '{study}' was begun with other settings, and its numbers would not compare:\n{shown}\n"
            "Restore them, or start a new study from this one with --fork NAME."
        )


def validate_trials(study: str, trials: set[str], now: str) -> None:
    """Raise ResumeError if trials are there and none has this fingerprint."""
    if trials and now not in trials:
        raise ResumeError(
            f"study '{study}' has trials of other settings (fingerprint {min(trials)}, now {now}), and the "
            "launch row that names them is gone. Restore the settings, or launch under another name."
        )
