"""ResultStore: append-only Parquet parts, one row an attempt, read back as whole tables.

``trials/<study>/<trial>-<attempt>.parquet`` is written RUNNING when an attempt starts and replaced when it
ends: that rename is the commit. ``epochs/<study>/`` holds the same names, written before. Finished parts are
merged into ``all-<n>.parquet`` every :data:`MERGE_AT` commits; a merged file lists the parts it stands for,
so that a crash between writing it and deleting them counts nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from harness.errors import ForeignFileError, StoreError
from harness.store import tables
from harness.store.files import Files
from harness.store.schemas import TABLES
from harness.trial import State

MERGE_AT = 256
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SUFFIX = ".parquet"


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that cannot be read: where it is and why."""

    name: str
    why: str


class ResultStore:
    """The tables below one root. ``problems`` collects unreadable files met so far; the others are read."""

    def __init__(self, root: str | Path) -> None:
        self.files = Files(root)
        self.problems: list[Problem] = []
        self._fresh: dict[str, list[str]] = {}

    # -- writing ------------------------------------------------------------------------------------

    def start(self, row: Mapping[str, Any]) -> None:
        """Record that an attempt runs; a power cut may lose this, a killed process does not."""
        data = tables.to_bytes(tables.to_table("trials", [row]))
        self.files.write(_part("trials", row), data, durable=False)

    def commit(self, row: Mapping[str, Any], epochs: Sequence[Mapping[str, Any]]) -> None:
        """Commit the end of an attempt: its epochs first, then its row. Raises StoreError."""
        if epochs:
            self.flush(row, epochs)
        self.files.write(_part("trials", row), tables.to_bytes(tables.to_table("trials", [row])))
        fresh = self._fresh.setdefault(str(row["study"]), [])
        fresh.append(f"{row['trial_id']}-{row['attempt']}{_SUFFIX}")
        if len(fresh) >= MERGE_AT:
            self._merge_parts(str(row["study"]), list(fresh))
            fresh.clear()

    def flush(self, row: Mapping[str, Any], epochs: Sequence[Mapping[str, Any]]) -> None:
        """Replace the epoch rows of one attempt, finished or not."""
        keys = {name: row[name] for name in ("study", "cell", "trial_id", "attempt")}
        table = tables.to_table("epochs", [{**keys, **epoch} for epoch in epochs])
        self.files.write(_part("epochs", row), tables.to_bytes(table))

    def launch(self, row: Mapping[str, Any]) -> None:
        """Record a launch of a study."""
        name = f"studies/{row['study']}/launch-{row['launch']:04d}{_SUFFIX}"
        self.files.write(name, tables.to_bytes(tables.to_table("studies", [row])))

    # -- reading ------------------------------------------------------------------------------------

    def study_names(self) -> list[str]:
        """The names of all studies in the store."""
        return self.files.folders("studies")

    def trials(self, study: str | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The trials table of one study or all."""
        return self._read("trials", study, columns)

    def epochs(self, study: str | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The epochs table of one study or all."""
        return self._read("epochs", study, columns)

    def studies(self, study: str | None = None) -> pd.DataFrame:
        """The launches of one study or all."""
        return self._read("studies", study, None)

    def _read(self, table: str, study: str | None, columns: Sequence[str] | None) -> pd.DataFrame:
        studies = self.files.folders(table) if study is None else [study]
        parts = [part for name in studies for part in self._parts(table, name, columns)[1]]
        frame: pd.DataFrame = tables.concat(table, parts, columns).to_pandas(
            strings_to_categorical=False, self_destruct=True
        )
        return frame

    def _parts(
        self, table: str, study: str, columns: Sequence[str] | None = None
    ) -> tuple[list[str], list[pa.Table]]:
        """The names and contents of the files that count: merged ones and parts they do not stand for."""
        for _ in range(3):  # a driver may merge and delete parts between listing and reading
            kept, parts, vanished = self._parts_once(table, study, columns)
            if not vanished:
                break
        return kept, parts

    def _parts_once(
        self, table: str, study: str, columns: Sequence[str] | None
    ) -> tuple[list[str], list[pa.Table], bool]:
        folder = f"{table}/{study}"
        names = self.files.names(folder, _SUFFIX)
        merged = [name for name in names if name.startswith("all-")]
        kept, parts, gone = [], [], set()
        for name, part in self._load(table, folder, merged, columns):
            kept.append(name)
            parts.append(part)
            gone.update(tables.replaced(part))
        rest = [name for name in names if not name.startswith("all-") and name not in gone]
        for name, part in self._load(table, folder, rest, columns):
            kept.append(name)
            parts.append(part)
        unreadable = {problem.name for problem in self.problems}
        expected = [n for n in (*merged, *rest) if f"{folder}/{n}" not in unreadable]
        return kept, parts, len(kept) < len(expected)

    def _load(
        self, table: str, folder: str, names: Sequence[str], columns: Sequence[str] | None
    ) -> list[tuple[str, pa.Table]]:
        def one(name: str) -> tuple[str, pa.Table | Problem]:
            path = f"{folder}/{name}"
            try:
                return name, tables.from_bytes(table, self.files.read(path), self.files.path(path), columns)
            except FileNotFoundError:  # merged and deleted by a driver since the listing
                return name, Problem("", "")
            except (OSError, ForeignFileError) as error:
                return name, Problem(path, str(error))

        if len(names) > 8:
            with ThreadPoolExecutor(4) as pool:
                loaded = list(pool.map(one, names))
        else:
            loaded = [one(name) for name in names]
        good = []
        for name, part in loaded:
            if isinstance(part, Problem):
                if part.name and part not in self.problems:
                    self.problems.append(part)
            else:
                good.append((name, part))
        return good

    # -- housekeeping ---------------------------------------------------------------------------------

    def compact(self, study: str) -> int:
        """Merge everything finished of a study into one file a table; the number of files now gone."""
        return self._merge_parts(study, self.files.names(f"trials/{study}", _SUFFIX))

    def _merge_parts(self, study: str, candidates: Sequence[str]) -> int:
        wanted = set(candidates)
        names, parts = self._parts("trials", study)
        chosen = [
            (name, part)
            for name, part in zip(names, parts, strict=True)
            if name in wanted and not set(part["state"].to_pylist()) & {State.RUNNING.value}
        ]
        if len(chosen) < 2:
            return 0
        picked = [name for name, _ in chosen]
        self._merge_table("epochs", study, picked)
        self._merge_table("trials", study, picked)
        return len(picked)

    def _merge_table(self, table: str, study: str, picked: Sequence[str]) -> None:
        names, parts = self._parts(table, study)
        chosen = [(n, p) for n, p in zip(names, parts, strict=True) if n in set(picked)]
        if not chosen:
            return
        folder = f"{table}/{study}"
        taken = [int(n[4 : -len(_SUFFIX)]) for n in names if re.fullmatch(r"all-\d+\.parquet", n)]
        target = f"all-{max(taken, default=0) + 1:06d}{_SUFFIX}"
        merged = tables.concat(table, [part for _, part in chosen])
        replaces = [name for name, _ in chosen]
        self.files.write(f"{folder}/{target}", tables.to_bytes(merged, replaces))
        for name in replaces:
            self.files.delete(f"{folder}/{name}")

    def quarantine(self) -> list[Problem]:
        """Read every file; move unreadable ones to ``quarantine/`` and return them."""
        self.problems = []
        for table in TABLES:
            for study in self.files.folders(table):
                self._parts(table, study)
        for problem in self.problems:
            self.files.move(problem.name, f"quarantine/{problem.name}")
        return list(self.problems)

    def require_readable(self, study: str) -> None:
        """Raise ForeignFileError naming the first unreadable file of a study, if there is one."""
        mine = [problem for problem in self.problems if f"/{study}/" in problem.name]
        if mine:
            more = f" (and {len(mine) - 1} more)" if len(mine) > 1 else ""
            raise ForeignFileError(
                f"{mine[0].why}{more} Run 'harness verify' to set it aside, "
                "then resume: its trial runs again."
            )

    def merge_from(self, others: Iterable[ResultStore]) -> int:
        """Copy what other stores have and this one lacks; the number of rows copied.

        A study here and there must have one fingerprint. Raises StoreError and ForeignFileError.
        """
        copied = 0
        for other in others:
            names = other.study_names()
            if not names:
                raise StoreError(f"{other.files.root} holds no study of the harness.")
            for study in names:
                copied += self._merge_study(other, study)
        return copied

    def _merge_study(self, other: ResultStore, study: str) -> int:
        theirs, mine = other.studies(study), self.studies(study)
        if len(mine) and not set(theirs["fingerprint"]) & set(mine["fingerprint"]):
            raise StoreError(
                f"study '{study}' in {other.files.root} has another fingerprint than here: "
                "it is another study under the same name. Merge it into a store of its own."
            )
        other.trials(study), other.epochs(study)
        other.require_readable(study)
        have = set(zip(*(self.trials(study)[c] for c in ("trial_id", "attempt")), strict=True))
        final = set(self.trials(study).query("state in ['COMPLETE', 'PRUNED', 'FAILED']")["trial_id"])
        rows = other.trials(study)
        new = [
            row
            for row in rows.to_dict("records")
            if (row["trial_id"], row["attempt"]) not in have and row["trial_id"] not in final
        ]
        new = [row for row in new if row["state"] != State.RUNNING.value]
        if not len(mine):
            for launch in theirs.to_dict("records"):
                self.launch(_plain(launch))
        if not new:
            return 0
        keys = {(row["trial_id"], row["attempt"]) for row in new}
        epochs = other.epochs(study)
        mask = [key in keys for key in zip(epochs["trial_id"], epochs["attempt"], strict=True)]
        self._append("epochs", study, epochs[mask].to_dict("records"))
        self._append("trials", study, [_plain(row) for row in new])
        return len(new)

    def _append(self, table: str, study: str, rows: Sequence[Mapping[Any, Any]]) -> None:
        if not rows:
            return
        names = self.files.names(f"{table}/{study}", _SUFFIX)
        taken = [int(n[4 : -len(_SUFFIX)]) for n in names if re.fullmatch(r"all-\d+\.parquet", n)]
        name = f"{table}/{study}/all-{max(taken, default=0) + 1:06d}{_SUFFIX}"
        self.files.write(name, tables.to_bytes(tables.to_table(table, rows)))


def _part(table: str, row: Mapping[str, Any]) -> str:
    return f"{table}/{row['study']}/{row['trial_id']}-{row['attempt']}{_SUFFIX}"


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A pandas record with None for every missing value."""
    return {str(key): None if _missing(value) else value for key, value in row.items()}


def _missing(value: Any) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and value != value)
