"""Folders that come with the package: beside it in a checkout, within it in a wheel."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped_folders(name: str) -> tuple[Path, ...]:
    """The folders of this name (``clusters``) that are there: the working folder's, then the package's."""
    checkout = (_PACKAGE.parent / "pyproject.toml").is_file()  # site-packages may hold a stranger's folder
    own = (_PACKAGE.parent if checkout else _PACKAGE / "_shipped") / name
    return tuple(folder for folder in (Path(name), own) if folder.is_dir())


def find_shipped(name: str, folder: str) -> Path | None:
    """The YAML file of a plain name (``quickstart``) in a shipped folder, None if there is none.

    A path (anything with ``/``, or a suffix) is never looked up.
    """
    if not name or "/" in name or name.startswith(".") or name.endswith((".yaml", ".yml")):
        return None
    files = (place / f"{name}.yaml" for place in shipped_folders(folder))
    return next((file for file in files if os.path.isfile(file)), None)
