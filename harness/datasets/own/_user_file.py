"""A user's own file: arrays by name, nothing unpickled, every error with the file's name."""

import zipfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from harness.errors import DataError, UnknownNameError


class UserFile(ABC):
    """Arrays by name. The constructor raises DataError where the file is absent or another kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        self.keys = self._keys()

    def header(self, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype of an array without reading it. Raises DataError."""
        if key not in self.keys:
            raise DataError(f"{self.path}: {UnknownNameError('array', key, self.keys)}")
        try:
            shape, dtype = self._header(key)
        except Exception as error:  # what a damaged file raises is of many types
            raise DataError(f"{self.path}: array '{key}' cannot be read: {error}") from None
        if dtype.hasobject:
            raise DataError(
                f"{self.path}: array '{key}' holds Python objects, which need unpickling: refused. "
                "Save numbers; sequences of different lengths padded, with their lengths beside them"
            )
        return shape, dtype

    def read(self, key: str) -> NDArray[Any]:
        """An array. Raises DataError."""
        self.header(key)
        try:
            return self._read(key)
        except Exception as error:  # truncated members raise zip, zlib, value and operating errors
            raise DataError(f"{self.path}: array '{key}' cannot be read: {error}") from error

    @abstractmethod
    def _keys(self) -> list[str]: ...

    @abstractmethod
    def _header(self, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]: ...

    @abstractmethod
    def _read(self, key: str) -> NDArray[Any]: ...


class NpzFile(UserFile):
    """An .npz file."""

    def _keys(self) -> list[str]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                return [name.removesuffix(".npy") for name in archive.namelist()]
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{self.path}: not an .npz file ({error}); write it with numpy.savez") from None

    def _header(self, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with zipfile.ZipFile(self.path) as archive, archive.open(f"{key}.npy") as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(file)
        return shape, dtype

    def _read(self, key: str) -> NDArray[Any]:
        with self.path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            array: NDArray[Any] = file[key]
        return array


class H5File(UserFile):
    """An HDF5 file; arrays in groups are named `group/array`."""

    def _keys(self) -> list[str]:
        from harness.datasets._hdf5 import open_hdf5  # needed only where such files are read

        found: list[str] = []
        try:
            with open_hdf5(self.path) as file:
                file.visititems(lambda name, item: found.append(name) if hasattr(item, "dtype") else None)
        except OSError as error:
            raise DataError(f"{self.path}: not an HDF5 file ({error})") from None
        return found

    def _header(self, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        import h5py

        from harness.datasets._hdf5 import open_hdf5

        with open_hdf5(self.path) as file:
            text = h5py.check_string_dtype(file[key].dtype) is not None
            return file[key].shape, np.dtype("S1") if text else file[key].dtype

    def _read(self, key: str) -> NDArray[Any]:
        from harness.datasets._hdf5 import open_hdf5

        with open_hdf5(self.path) as file:
            array = np.asarray(file[key][()])
            return array.astype(np.bytes_) if array.dtype == object else array
