"""What past rows say an epoch costs; free of torch, so that ``report`` may make it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PastCosts:
    """From past rows: mean wall seconds of one epoch by cell name, and how many trials say so."""

    epoch_s: tuple[tuple[str, float], ...] = ()
    trials: int = 0
