"""Files from the net to the data folder: resumed after a cut, checked, unpacked aside, whole or not there."""

import hashlib
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final, cast

from harness.datasets._sources import Source
from harness.errors import DataError

CHUNK: Final = 1 << 20
TRIES: Final = 4
TIMEOUT_S: Final = 60.0
Said = Callable[[str, int, int], None]
"""Hears a file's name, bytes so far, and bytes in all (0: unknown)."""


def download(source: Source, root: Path, said: Said, *, pause_s: float = 2.0) -> None:
    """Fetch a source below the data folder; what is there already is left alone.

    A cut download goes on where it was cut, in this call up to :data:`TRIES` times or in a later one. Raises
    DataError for a server that refuses, a checksum that differs, an archive that is unsafe, a full disk.
    """
    done = root / f".{source.into or 'file'}-{source.file}.done"
    if done.exists() if source.into else (root / source.file).exists():
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        part = root / f".{source.file}.part"
        _fetch(source, part, said, pause_s)
        _validate(source, part)
        if source.into:
            _unpack(source, part, root / source.into)
            done.touch()
            part.unlink()
        else:
            os.replace(part, root / source.file)
    except OSError as error:
        raise DataError(
            f"{source.file}: {error.strerror or error}, below {root}. Set HARNESS_DATA."
        ) from None


def _fetch(source: Source, part: Path, said: Said, pause_s: float) -> None:
    """The whole file at ``part``, with what an earlier call left of it."""
    for number in range(TRIES):
        try:
            if _attempt(source, part, said):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code == 416:  # nothing is left to send
                return
            reason = f"{error.code} {error.reason}"
            if error.code < 500:
                break
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", None) or error or type(error).__name__)
        if number + 1 < TRIES:
            time.sleep(pause_s * 2**number)
    raise DataError(
        f"{source.url} cannot be fetched: {reason}. What came is kept: run the command again to go on, or "
        f"put {source.file} into {part.parent} by hand."
    )


def _attempt(source: Source, part: Path, said: Said) -> bool:
    """One request for what is missing; whether it all came."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(source.url, headers={"User-Agent": "snn-harness"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as found:
        answer = cast(HTTPResponse, found)
        if answer.status != 206:  # it sends everything again
            have = 0
        rest = int(answer.headers.get("Content-Length") or 0)
        _validate_room(part.parent, rest, source.file)
        with part.open("ab" if have else "wb") as file:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                have, rest = have + len(chunk), rest - len(chunk)
                said(source.file, have, have + max(rest, 0))
    return rest <= 0


def _validate_room(folder: Path, needs: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if needs > free:
        raise DataError(
            f"{what} needs {needs / 2**20:.0f} MiB and {folder} has {free / 2**20:.0f} MiB left. Make room, "
            "or set HARNESS_DATA to a folder that has it."
        )


def _validate(source: Source, part: Path) -> None:
    if not source.digest:
        return
    hashed = hashlib.new("md5" if len(source.digest) == 32 else "sha256", usedforsecurity=False)
    with part.open("rb") as file:
        while chunk := file.read(CHUNK):
            hashed.update(chunk)
    if hashed.hexdigest() != source.digest:
        part.unlink()
        raise DataError(
            f"{source.url}: its {hashed.name} is {hashed.hexdigest()}, wanted {source.digest}; the file was "
            "deleted. Run the command again; if it comes again, the source has changed."
        )


def _unpack(source: Source, archive: Path, into: Path) -> None:
    """The archive's content in a folder beside, then moved, so that no half of it is ever seen."""
    aside = into.with_name(f".{into.name}.{os.getpid()}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        if source.file.endswith(".zip"):
            _unzip(archive, aside, source.file)
        else:
            with tarfile.open(archive) as tar:
                _validate_room(aside, sum(member.size for member in tar), source.file)
                tar.extractall(aside, filter="data")
        into.mkdir(parents=True, exist_ok=True)
        for item in sorted(aside.iterdir()):
            target = into / item.name
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(item, target)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        archive.unlink()
        raise DataError(
            f"{source.file} cannot be unpacked: {error}; it was deleted, fetch it again."
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unzip(archive: Path, into: Path, what: str) -> None:
    """Plain files below the folder, none elsewhere. Raises BadZipFile."""
    with zipfile.ZipFile(archive) as file:
        _validate_room(into, sum(item.file_size for item in file.infolist()), what)
        for item in file.infolist():
            target = (into / item.filename).resolve()
            if not target.is_relative_to(into.resolve()):
                raise zipfile.BadZipFile(f"'{item.filename}' leads out of the folder")
            file.extract(item, into)
