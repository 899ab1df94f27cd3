"""How numba compiles the loops of neurons: without the interpreter's lock, for one thread, kept on disk.

Machine code lies below the cache of the node, under a name made of the loops' sources, numba's version
and the processor: code of other sources is never found, whatever stopped the process that wrote it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba.core import config as _config

from harness.paths import cache_root

config: Any = _config
SOURCES = ("_machine.py", "_lif_loops.py", "_ts_lif_loops.py")


@cache
def folder() -> Path:
    """Where machine code of these sources for this processor lies."""
    texts = [(Path(__file__).parent / name).read_bytes() for name in SOURCES]
    processor = f"{numba.__version__} {llvmlite.binding.get_host_cpu_name()}".encode()
    return cache_root() / f"compiled-{hashlib.sha256(b'|'.join([*texts, processor])).hexdigest()[:16]}"


def compiled(function: Callable[..., Any], signature: str, fastmath: frozenset[str] = frozenset()) -> Any:
    """Machine code of ``function`` for the types of ``signature``; from disk where it was made before.

    Where nothing can be written (read-only, full) it is compiled in every process.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
    before = config.CACHE_DIR
    try:
        config.CACHE_DIR = str(folder())
        return numba.njit(signature, cache=True, **options)(function)
    except (OSError, RuntimeError):  # numba's RuntimeError: no folder that it can write to
        return numba.njit(signature, cache=False, **options)(function)
    finally:
        config.CACHE_DIR = before
