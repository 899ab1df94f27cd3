"""Rows and stores for tests, without running anything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.store.results import ResultStore

START = datetime(2026, 1, 1, tzinfo=UTC)


def trial(number: int, *, state: str = "COMPLETE", attempt: int = 1, **more: Any) -> dict[str, Any]:
    """A row of the trials table; columns that are not named stay null."""
    return {
        "study": "s",
        "cell": "d/p",
        "phase": "search",
        "trial_id": f"{number:016x}",
        "number": number,
        "attempt": attempt,
        "seed": 1,
        "params": {"lr": float(number)},
        "searched": ["lr"],
        "state": state,
        "reason": "",
        "epochs_planned": 2,
        "value": 0.5 if state == "COMPLETE" else None,
        "values": [0.5] if state == "COMPLETE" else None,
        "constraints": [] if state == "COMPLETE" else None,
        "started_at": START,
        **more,
    }


def epochs(count: int = 2) -> list[dict[str, Any]]:
    """Rows of the epochs table of one attempt."""
    return [
        {
            "epoch": epoch,
            "stage": "train",
            "split": "valid",
            "metric": "accuracy",
            "value": 0.1 * epoch,
            "train_s": float(epoch),
        }
        for epoch in range(1, count + 1)
    ]


def launch(fingerprint: str = "f", number: int = 1, study: str = "s") -> dict[str, Any]:
    """A row of the studies table."""
    return {
        "study": study,
        "launch": number,
        "launched_at": START,
        "fingerprint": fingerprint,
        "parts": {},
        "cells": [],
        "protocol": {},
        "text": "",
    }


def filled(root: str | Path, numbers: range, fingerprint: str = "f") -> ResultStore:
    """A store with a launch and some finished trials of two epochs."""
    store = ResultStore(root)
    store.launch(launch(fingerprint))
    for number in numbers:
        store.commit(trial(number), epochs())
    return store


def numbers(root: str | Path) -> list[int]:
    """The numbers of all rows, read by a store of its own, in order."""
    return sorted(ResultStore(root).trials("s")["number"].tolist())
