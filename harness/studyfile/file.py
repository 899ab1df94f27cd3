"""The sections of a study file as pydantic models: names, types, bounds and defaults of every key."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from harness.studyfile.validation import FileModel
from harness.studyfile.values import (
    ConfirmPlan,
    FinalPlan,
    Keep,
    PrunerName,
    SamplerName,
    SearchPlan,
    TrackerName,
)

_SEARCH, _CONFIRM, _FINAL = SearchPlan(), ConfirmPlan(), FinalPlan()
_MANY = 10**6
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _study_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name[:60]!r} cannot name a folder of results. Use letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit, at most 100."
        )
    return name


def _fraction(value: Any) -> Any:
    """``1/4`` as a number; anything else as it is."""
    match = re.fullmatch(r"1/([1-9][0-9]{0,3})", value) if isinstance(value, str) else None
    return 1 / int(match[1]) if match else value


def _share(gpus: float) -> float:
    """A share of one GPU is 1/n, more than one is whole."""
    if gpus >= 1 or gpus == 0:
        if gpus != int(gpus):
            whole = int(gpus)
            raise ValueError(f"{gpus:g} GPUs: above one, whole GPUs only. Write {whole} or {whole + 1}.")
        return gpus
    n = round(1 / gpus) if gpus > 1e-4 else 10_000
    if abs(gpus * n - 1) > 1e-3:
        low, high = 1 / (n + 1), 1 / max(n - 1, 1)
        raise ValueError(
            f"{gpus:g} of a GPU is not 1/n, so shares would not fill it. "
            f"Write 1/{n} ({1 / n:.4g}), or nearby {low:.4g} or {high:.4g}."
        )
    return 1 / n


class StopFile(FileModel):
    """``search.stop``: when to stop asking before the trials are used up."""

    hours: float = Field(default=_SEARCH.hours, ge=0, allow_inf_nan=False)
    plateau: int = Field(default=_SEARCH.plateau, ge=0, le=_MANY)


class SearchFile(FileModel):
    """``search``."""

    sampler: SamplerName = _SEARCH.sampler
    pruner: PrunerName = _SEARCH.pruner
    trials: int = Field(default=_SEARCH.trials, ge=1, le=_MANY)
    epochs: int = Field(default=_SEARCH.epochs, ge=1, le=_MANY)
    startup: int = Field(default=_SEARCH.startup, ge=0, le=_MANY)
    stop: StopFile = StopFile()


class ConfirmFile(FileModel):
    """``confirm``; ``seeds: 0`` skips the phase."""

    top: int = Field(default=_CONFIRM.top, ge=1, le=_MANY)
    seeds: int = Field(default=_CONFIRM.seeds, ge=0, le=1000)


class FinalFile(FileModel):
    """``final``; ``seeds: 0`` leaves the test split unread."""

    seeds: int = Field(default=_FINAL.seeds, ge=0, le=1000)
    epochs: int = Field(default=_FINAL.epochs, ge=0, le=_MANY)
    legacy_test_curve: bool = _FINAL.legacy_test_curve


class ResourcesFile(FileModel):
    """``resources`` of one trial."""

    cpus: int = Field(default=1, ge=1, le=4096)
    gpus: Annotated[float, Field(ge=0, le=4096), AfterValidator(_share), BeforeValidator(_fraction)] = 0.0
    fused: int = Field(default=1, ge=1, le=64)


BudgetName = Literal["paper", "lab", "smoke"]
"""What a full-size study can be run at: the paper's own protocol, a search for a lab, a look at all parts."""


class StudyFile(FileModel):
    """A study file. ``Any`` marks sections whose leaves are checked where names are known."""

    name: Annotated[str, AfterValidator(_study_name)]
    cells: Any
    space: Any = None
    fixed: Any = None
    start: Any = None
    objective: Any = None
    limits: dict[str, float] = Field(default_factory=dict)
    search: SearchFile = SearchFile()
    confirm: ConfirmFile = ConfirmFile()
    final: FinalFile = FinalFile()
    resources: ResourcesFile = ResourcesFile()
    exclusive: Literal["device", "node"] = "device"
    seed: int = Field(default=0, ge=0, lt=2**31)
    target: float | None = None
    baseline: str | None = None
    checkpoint_every: int = Field(default=5, ge=1, le=_MANY)
    timeout_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    keep: Keep = "finals"
    report_to: tuple[TrackerName, ...] = ()
    plugins: tuple[str, ...] = ()
    budget: dict[BudgetName, dict[str, int | float | str | bool | list[Any] | dict[str, Any]]] = Field(
        default_factory=dict
    )


class PipelineFile(FileModel):
    """An entry of ``pipelines``."""

    name: str
    label: str | None = None
    set: Any = None


class CellFile(FileModel):
    """An entry of ``cells``."""

    dataset: Any
    pipelines: Any


class FloatLeaf(FileModel):
    """``{float: [low, high], log: .., step: .., when: {..}}``."""

    range: tuple[float, float] = Field(alias="float")
    log: bool = False
    step: float | None = None
    when: Any = None


class IntLeaf(FileModel):
    """``{int: [low, high], log: .., step: .., when: {..}}``."""

    range: tuple[int, int] = Field(alias="int")
    log: bool = False
    step: int = 1
    when: Any = None


class ChoiceLeaf(FileModel):
    """``{choice: [..], when: {..}}``."""

    options: tuple[Any, ...] = Field(alias="choice")
    when: Any = None
