"""Readings of test after the final phase: a small file each, so that nobody counts them by memory."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.store.files import Files


class Readings:
    """``readings/<study>/<time>-<id>.json``: which cell's networks read test again, when and where."""

    def __init__(self, root: str | Path, study: str) -> None:
        self.files, self._folder = Files(root), f"readings/{study}"

    def add(self, cell: str, trials: Sequence[str], what: str) -> None:
        """Record a reading. Raises StoreError where the root cannot be written."""
        now = datetime.now(UTC)
        said = {"cell": cell, "trials": list(trials), "what": what, "at": now.isoformat()}
        name = f"{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}.json"
        data = json.dumps({**said, "host": socket.gethostname()}).encode()
        self.files.write(f"{self._folder}/{name}", data)

    def count(self, cell: str = "") -> int:
        """How many readings there were, of a cell or of all; what cannot be read counts for each cell."""
        found = 0
        for name in self.files.names(self._folder, ".json"):
            try:
                said = json.loads(self.files.read(f"{self._folder}/{name}"))
                found += not cell or said["cell"] == cell
            except (OSError, ValueError, KeyError, TypeError):
                found += 1
        return found
