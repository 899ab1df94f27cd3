"""Where a node keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """The folder of prepared data and compiled loops: ``$HARNESS_CACHE`` or ``~/.cache/snn-harness``."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "snn-harness"
    return Path(os.environ.get("HARNESS_CACHE", default))
