"""Whole files or none: write aside under a dot name, fsync, rename. Local folders and object stores."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from pyarrow import fs

from harness.errors import StoreError
from harness.guard import read_regular

OBJECT_STORES = ("s3", "gcs", "abfs")


class Files:
    """A folder of whole files below a root: a local path or a URI such as ``s3://bucket/results``.

    Every name is relative to the root and uses ``/``. Raises StoreError where the root cannot be used.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self.local: Path | None = None
        if "://" in self.root:
            try:
                self._fs, base = fs.FileSystem.from_uri(self.root)
            except (OSError, ValueError) as error:
                raise StoreError(f"results root {self.root}: {error}") from None
            self._base = PurePosixPath(base)
            if isinstance(self._fs, fs.LocalFileSystem):  # file://
                self.local = Path(base)
        else:
            self.local = Path(root).expanduser().absolute()
            self._fs, self._base = fs.LocalFileSystem(), PurePosixPath(self.local.as_posix())

    def path(self, name: str) -> str:
        """The full path of a name, as the file system understands it.

        Raises StoreError for a name that leads outside the root, whatever row it was made of.
        """
        if "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise StoreError(f"{name!r} names nothing below {self.root}: it would lead outside of it.")
        return str(self._base / name)

    def write(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Write a whole file; ``durable`` waits for the disk. Raises StoreError; nothing is half written."""
        try:
            if self.local is None:
                self._write_remote(name, data)
            else:
                self._write_local(Path(self.path(name)), data, durable)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(
                f"cannot write {self.path(name)}: {reason}. What was committed before is safe; "
                "make room or choose another --results folder, then resume."
            ) from error

    def _write_local(self, path: Path, data: bytes, durable: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            with open(aside, "wb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        if durable:
            self._sync_folder(path)

    @staticmethod
    def _sync_folder(path: Path) -> None:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _write_remote(self, name: str, data: bytes) -> None:
        path = self.path(name)
        if self._fs.type_name in OBJECT_STORES:  # an object is whole when its stream closes
            with self._fs.open_output_stream(path) as stream:
                stream.write(data)
            return
        folder, _, last = path.rpartition("/")
        aside = f"{folder}/.{last}.{uuid.uuid4().hex[:8]}.tmp"
        self._fs.create_dir(folder, recursive=True)
        with self._fs.open_output_stream(aside) as stream:
            stream.write(data)
        self._fs.move(aside, path)

    def read(self, name: str, first: int | None = None) -> bytes:
        """The bytes of a regular file, or its first ones. Raises FileNotFoundError and OSError."""
        if self.local is not None:
            return read_regular(self.path(name))[:first]
        with self._fs.open_input_stream(self.path(name)) as stream:
            return bytes(stream.read(first))

    def names(self, folder: str, suffix: str = "", *, hidden: bool = False) -> list[str]:
        """The file names in a folder that are dot names or are not, sorted; [] if it is absent.

        Raises StoreError.
        """
        found = [name for name, is_folder in self._entries(folder) if not is_folder]
        return sorted(name for name in found if name.endswith(suffix) and name.startswith(".") == hidden)

    def folders(self, folder: str) -> list[str]:
        """The folder names in a folder, sorted; [] if it is absent. Raises StoreError."""
        return sorted(name for name, is_folder in self._entries(folder) if is_folder)

    def _entries(self, folder: str) -> list[tuple[str, bool]]:
        """(name, whether it is a folder) of what is in a folder; what is neither counts as a file."""
        path = self.path(folder)
        with _said("cannot list", path):
            if self.local is None:
                infos = self._fs.get_file_info(fs.FileSelector(path, allow_not_found=True))
                return [(info.base_name, info.type == fs.FileType.Directory) for info in infos]
            try:
                with os.scandir(path) as entries:
                    return [(entry.name, _is_folder(entry)) for entry in entries]
            except (FileNotFoundError, NotADirectoryError):
                return []

    def sizes(self, folder: str) -> dict[str, int]:
        """The bytes of the files in a folder by name, dot names left out. Raises StoreError."""
        names, path = self.names(folder), self.path(folder)
        with _said("cannot list", path):
            infos = self._fs.get_file_info([f"{path}/{name}" for name in names]) if names else []
        return {info.base_name: int(info.size or 0) for info in infos}

    def delete(self, name: str) -> None:
        """Delete a file; absent is fine. Raises StoreError."""
        with suppress(FileNotFoundError), _said("cannot delete", self.path(name)):
            self._fs.delete_file(self.path(name))

    def remove_asides(self, folder: str) -> None:
        """Delete what a killed writer left in a folder; for the only writer there. Raises StoreError."""
        if self.local is not None:
            for path in Path(self.path(folder)).glob(".*.????????.tmp"):
                with suppress(FileNotFoundError), _said("cannot delete", path):
                    path.unlink()

    def move(self, name: str, to: str) -> None:
        """Rename a file, making the folder it goes to. Raises StoreError."""
        with _said("cannot move", self.path(name)):
            self._fs.create_dir(str(PurePosixPath(self.path(to)).parent), recursive=True)
            self._fs.move(self.path(name), self.path(to))


@contextmanager
def _said(what: str, path: object) -> Iterator[None]:
    """An error of the file system as one line; what is absent stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise StoreError(f"{what} {path}: {reason}.") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False
