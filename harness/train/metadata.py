"""What a row records of the machine and the software."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path

import torch

from harness.contracts.choices import cpu_name

NUMBER_PACKAGES = (
    "torch",
    "torchvision",
    "spikingjelly",
    "numba",
    "numpy",
    "optuna",
    "scipy",
)
NUMBER_ROOMS = (
    "contracts",
    "datasets",
    "events",
    "layers",
    "models",
    "neurons",
    "pipelines",
    "train",
)


@functools.cache
def packages() -> dict[str, str]:
    """Versions of Python and of the packages that change numbers."""
    found = {"python": platform.python_version()}
    for name in NUMBER_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def git_state(study: str = "") -> str:
    """Commits, with ``+dirty``, of the harness's checkout and of the one the file ``study`` lies in.

    ``harness 1a2b..``, or ``harness 1a2b.., study 3c4d..+dirty`` where the study's is another; "" where
    neither lies in a checkout of its own.
    """
    package = Path(__file__).resolve().parent.parent
    checkout = (package.parent / "pyproject.toml").is_file()  # not the one that holds a virtual environment
    found = [f"harness {state}"] if checkout and (state := _state(package)) else []
    if study:
        folder = Path(study).resolve().parent
        other = _state(folder)
        if other and not (checkout and _top(folder) == _top(package)):
            found.append(f"study {other}")
    return ", ".join(found)


def _top(folder: Path) -> str:
    try:
        return _git(folder, "rev-parse", "--show-toplevel")
    except (OSError, subprocess.SubprocessError):
        return ""


def _state(folder: Path) -> str:
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        return commit + ("+dirty" if _git(folder, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def device_name(device: torch.device) -> str:
    """The hardware class: times compare within one only."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return cpu_name()


@functools.cache
def code_version() -> str:
    """A hash of the harness's sources that make a trial's numbers: rows of one hash compare."""
    package = Path(__file__).resolve().parent.parent
    hashed = hashlib.sha256()
    for path in sorted(path for room in NUMBER_ROOMS for path in (package / room).rglob("*.py")):
        hashed.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return hashed.hexdigest()[:12]
