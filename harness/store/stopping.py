"""A request to a driver, wherever it runs, to stop: a small file beside its lock, seen within a beat."""

from __future__ import annotations

import json
import logging

from harness.errors import StoreError
from harness.store.files import Files

log = logging.getLogger("harness.store")
_SIZE = 256


def request_stop(files: Files, study: str, *, now: bool) -> None:
    """Ask a study's driver to begin no further trial, or (``now``) to stop. Raises StoreError, OSError."""
    files.write(_name(study), json.dumps({"now": now}).encode())


def requested_stop(files: Files, study: str) -> bool | None:
    """Whether a stop is asked for now (True) or after the running trials (False); None if none is.

    Whatever stands in the file means a stop after the running trials.
    """
    try:
        data = files.read(_name(study), _SIZE)
    except (OSError, StoreError):
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("now") is True


def clear_stop(files: Files, study: str) -> None:
    """Forget a request. Raises StoreError, OSError."""
    try:
        files.delete(_name(study))
    except FileNotFoundError:
        return


def _name(study: str) -> str:
    return f"studies/{study}/.stop.json"
