"""Where data files are, and whether they are the right ones."""

import hashlib
import importlib.util
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.contracts.data import Arrays
from harness.errors import DataError, MissingDataError

VARIABLE: Final = "HARNESS_DATA"
_CHUNK: Final = 1 << 20


def data_root() -> Path:
    """The folder of downloaded data: $HARNESS_DATA, else ~/.cache/harness/data."""
    root = os.environ.get(VARIABLE)
    return Path(root) if root else Path.home() / ".cache" / "harness" / "data"


def data_path(dataset: str, file: str, *, origin: str, sha256: str = "") -> Path:
    """The path of a data set's file or folder. Raises MissingDataError where it is absent."""
    path = data_root() / file
    if not path.exists():
        raise MissingDataError(dataset, path, origin=origin, sha256=sha256)
    return path


def packaged(dataset: str, file: str, sha256: str) -> Path:
    """A small file that this package brings; `packaged/README.md` says where each is from.

    Raises MissingDataError where the installation lost it and DataError where its bytes are others.
    """
    path = Path(__file__).parent / "packaged" / file
    if not path.is_file():
        raise MissingDataError(dataset, path, origin="this package: install it again", sha256=sha256)
    return verify(dataset, path, sha256)


def package_path(dataset: str, package: str, path: str) -> Path:
    """A file or folder that an installed package brings; the package itself is not imported.

    Raises MissingDataError where the package or the path is absent.
    """
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        found = Path(place) / path
        if found.exists():
            return found
    origin = f"PyPI, package {package}, which the extra [data] of this project brings"
    raise MissingDataError(dataset, f"{package}/{path}", origin=origin)


def verify(dataset: str, path: Path, sha256: str) -> Path:
    """The path itself, once its bytes have the digest. Raises DataError where they have another."""
    found = file_sha256(path)
    if found != sha256:
        raise DataError(
            f"data set '{dataset}': {path} is not the file expected: its sha256 is {found}, "
            f"wanted {sha256}. Fetch it again."
        )
    return path


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal; read once a process while the file is unchanged."""
    stat = path.stat()
    return _file_sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _file_sha256(path: Path, size: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def arrays_sha256(arrays: Arrays) -> str:
    """The SHA-256 of arrays: names in order, dtype, shape and little-endian C-ordered bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def guard(dataset: str, arrays: Arrays, sha256: str) -> Arrays:
    """The arrays themselves, once their digest is the one expected.

    Raises DataError where it is another: the code that makes them computes others now.
    """
    found = arrays_sha256(arrays)
    if found != sha256:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in sorted(arrays.items()))
        raise DataError(
            f"data set '{dataset}': the embedded arrays ({shapes}) have sha256 {found}, "
            f"wanted {sha256}: what makes them has changed. Install the versions that "
            "pyproject.toml names; corrected data needs a new name."
        )
    return arrays


def load_npz(dataset: str, path: Path, keys: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The named arrays of an .npz file; nothing is unpickled.

    Raises DataError where the file is no .npz, lacks a key or holds Python objects.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            missing = [key for key in keys if key not in file.files]
            if missing:
                raise DataError(
                    f"data set '{dataset}': {path} has no array {', '.join(map(repr, missing))}; "
                    f"it holds {', '.join(sorted(file.files)) or 'nothing'}"
                )
            return {key: file[key] for key in keys}
    except DataError:
        raise
    except Exception as error:  # zip, zlib, header and pickle errors are many types
        raise DataError(f"data set '{dataset}': {path} cannot be read: {error}") from error
