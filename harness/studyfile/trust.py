"""Whose code runs: plug-ins that this user has run before, by the hash of their text.

A study file that a user names may bring any plug-in, as any program may. A row of a store may not: whoever
gave away the store wrote it.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

from harness.errors import StudyFileError
from harness.paths import cache_root


def trust(text: str) -> None:
    """Remember that this user has run a plug-in; a cache folder that cannot be written forgets it."""
    with suppress(OSError):
        path = cache_root() / "trusted" / _digest(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def validate_trusted(name: str, text: str) -> None:
    """Raise StudyFileError for a plug-in that this user has never run."""
    if not (cache_root() / "trusted" / _digest(text)).is_file():
        raise StudyFileError(
            f"plug-in {name} (sha256 {_digest(text)[:16]}) is code that the store names, not you, and "
            "that has never run here. Read it, then say --trust, or name the study file itself."
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
