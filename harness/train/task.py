"""What a worker is given to run one attempt."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.trial import Resources, TrialSpec

# Reasons of an end that are more than a failure of the trial.
OUT_OF_MEMORY = "out-of-memory"
ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt of one trial: plain values, so that it crosses process and node borders.

    ``root`` is the results root for checkpoints and artifacts. ``checkpoint_every`` 0 turns checkpoints off;
    ``timeout_s`` 0 sets no limit. ``logical_gpus``: GPUs are only counted, the trial trains on the CPU.
    ``keep``: whether a final trial's network is kept; its card names the study's ``fingerprint``.
    ``choices`` of measured alternatives that the study's rows hold: :mod:`harness.contracts.choices`.
    """

    study: str
    cell: str
    spec: TrialSpec
    number: int
    attempt: int
    root: str
    resources: Resources = field(default_factory=Resources)
    exclusive: bool = False
    checkpoint_every: int = 5
    timeout_s: float = 0.0
    legacy_test_curve: bool = False
    plugins: tuple[tuple[str, str], ...] = ()
    logical_gpus: bool = False
    keep: bool = False
    fingerprint: str = ""
    choices: tuple[tuple[str, str], ...] = ()
