"""How numba compiles the loops of neurons: without the interpreter's lock, kept on disk, for one thread."""

from __future__ import annotations

from typing import Any

from numba import njit


def _nothing() -> None:
    """Whether numba finds a folder for its cache is known once it is asked for a function."""


def _options() -> dict[str, Any]:
    options: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}
    try:
        njit("void()", **options)(_nothing)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        options["cache"] = False
    return options


OPTIONS = _options()
