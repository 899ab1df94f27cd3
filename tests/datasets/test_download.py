"""Downloads from a server on loopback: resumed after a cut, checked, whole or not there."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.datasets import _download
from harness.datasets._download import download
from harness.datasets._sources import SOURCES, Source
from harness.errors import DataError

CONTENT = bytes(range(256)) * 4000


class Served:
    """Files by path, what was asked for, and how many answers are cut in the middle."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges: list[str] = []
        self.cuts = 0
        self.whole_only = False


@pytest.fixture
def server() -> Iterator[tuple[str, Served]]:
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = served.files.get(self.path)
            if body is None:
                self.send_error(404, "Not Found")
                return
            asked = self.headers.get("Range", "")
            served.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").removesuffix("-") or 0) if not served.whole_only else 0
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            rest = body[start:]
            if served.cuts:
                served.cuts -= 1
                rest = rest[: len(rest) // 2]
            self.wfile.write(rest)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as here:
        thread = threading.Thread(target=here.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{here.server_port}", served
        here.shutdown()
        thread.join()


def fetch(source: Source, root: Path) -> list[tuple[str, int, int]]:
    heard: list[tuple[str, int, int]] = []
    download(source, root, lambda *said: heard.append(said), pause_s=0.0)
    return heard


def test_a_cut_download_goes_on_where_it_was_cut(server: tuple[str, Served], tmp_path: Path) -> None:
    address, served = server
    served.files["/a"], served.cuts = CONTENT, 2
    source = Source(f"{address}/a", "a.bin", hashlib.sha256(CONTENT).hexdigest())
    heard = fetch(source, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert served.ranges == ["", f"bytes={half}-", f"bytes={half + half // 2}-"]
    assert heard[-1] == ("a.bin", len(CONTENT), len(CONTENT))
    fetch(source, tmp_path)
    assert len(served.ranges) == 3, "what is there is not fetched again"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_later_call_goes_on_and_a_server_without_ranges_starts_anew(
    server: tuple[str, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, served = server
    served.files["/a"], served.cuts = CONTENT, 1
    source = Source(f"{address}/a", "a.bin")
    monkeypatch.setattr(_download, "TRIES", 1)
    with pytest.raises(DataError, match="What came is kept: run the command again"):
        fetch(source, tmp_path)
    assert not (tmp_path / "a.bin").exists()
    served.whole_only = True
    fetch(source, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_another_checksum_is_refused_and_the_file_is_gone(server: tuple[str, Served], tmp_path: Path) -> None:
    address, served = server
    served.files["/a"] = CONTENT
    with pytest.raises(DataError, match=r"its md5 is [0-9a-f]{32}, wanted 0{32}; the file was deleted"):
        fetch(Source(f"{address}/a", "a.bin", "0" * 32), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_before_anything_is_written(
    server: tuple[str, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, served = server
    served.files["/a"] = CONTENT
    usage = _download.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(_download.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(DataError, match=r"needs 1 MiB and .* has 0 MiB left. Make room"):
        fetch(Source(f"{address}/a", "a.bin"), tmp_path)
    assert not (tmp_path / "a.bin").exists()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives_are_unpacked_whole(server: tuple[str, Served], tmp_path: Path, kind: str) -> None:
    address, served = server
    sink = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr("Train/0/1.bin", b"one")
    else:
        with tarfile.open(fileobj=sink, mode="w:gz") as tar:
            info = tarfile.TarInfo("Train/0/1.bin")
            info.size = 3
            tar.addfile(info, io.BytesIO(b"one"))
    served.files["/a"] = sink.getvalue()
    source = Source(f"{address}/a", f"a.{kind}", into="set")
    fetch(source, tmp_path)
    assert (tmp_path / "set" / "Train" / "0" / "1.bin").read_bytes() == b"one"
    fetch(source, tmp_path)
    assert len(served.ranges) == 1
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["set"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "Train/../../evil"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_leads_out_of_its_folder_is_refused(
    server: tuple[str, Served], tmp_path: Path, kind: str, name: str
) -> None:
    address, served = server
    sink = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), b"evil")
    else:
        with tarfile.open(fileobj=sink, mode="w") as tar:
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"evil"))
    served.files["/a"] = sink.getvalue()
    root = tmp_path / "data"
    source = Source(f"{address}/a", f"a.{kind}", into="set")
    if (kind, name) == ("tar", "/evil"):  # tarfile drops the slash
        fetch(source, root)
        assert (root / "set" / "evil").exists()
        return
    with pytest.raises(DataError, match="cannot be unpacked"):
        fetch(source, root)
    assert not list(tmp_path.rglob("evil"))
    assert not (root / "set").exists()


def test_what_the_server_refuses_is_one_line(server: tuple[str, Served], tmp_path: Path) -> None:
    address, _ = server
    with pytest.raises(DataError, match=r"/gone cannot be fetched: 404 Not Found"):
        fetch(Source(f"{address}/gone", "gone"), tmp_path)


def test_a_set_through_the_command(
    server: tuple[str, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from harness.cli.app import app

    address, served = server
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    (known,) = SOURCES["ett-h2"]
    served.files["/h2"] = b"date,HUFL\n2016-07-01 00:00:00,1.0\n"
    monkeypatch.setitem(SOURCES, "ett-h2", (replace(known, url=f"{address}/h2"),))
    ran = CliRunner().invoke(app, ["data", "download", "ett-h2"])
    assert ran.exit_code == 0, ran.output
    assert (tmp_path / "ETTh2.csv").exists()
    by_hand = CliRunner().invoke(app, ["data", "download", "forecast-metr-la"])
    assert "metr-la.h5 is missing. Get it from" in str(by_hand.exception)
