"""ResultStore: append-only Parquet parts, one row an attempt, read back as whole tables.

``trials/<study>/<trial>-<attempt>.parquet`` is written RUNNING when an attempt starts and replaced when it
ends: that rename is the commit. ``epochs/<study>/`` holds the same names, written before. Finished parts are
merged into ``all-<n>.parquet`` every :data:`MERGE_AT` commits; a merged file lists the parts it stands for,
so that a crash between writing it and deleting them counts nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from harness.errors import ForeignFileError, StoreError
from harness.store import merging, tables
from harness.store.files import Files
from harness.store.lock import StudyLock
from harness.store.merging import plain
from harness.store.schemas import TABLES
from harness.trial import State

MERGE_AT = 256
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SUFFIX = ".parquet"
_THEN = {"trials": ": its trial runs again", "epochs": "; its trial stands, without its curve", "studies": ""}


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
        study = str(row["study"])
        fresh = self._fresh.get(study)
        if fresh is None:  # what earlier drivers left unmerged counts, too
            names, _ = self._parts("trials", study, tables.Wanted(["state"]))
            fresh = self._fresh[study] = [name for name in names if not name.startswith("all-")]
        else:
            fresh.append(f"{row['trial_id']}-{row['attempt']}{_SUFFIX}")
        if len(fresh) >= MERGE_AT:
            self._merge_fresh(study, sorted(set(fresh)))
            fresh.clear()

    def flush(self, row: Mapping[str, Any], epochs: Sequence[Mapping[str, Any]]) -> None:
        """Replace the epoch rows of one attempt, finished or not."""
        keys = {name: row[name] for name in ("study", "cell", "trial_id", "attempt")}
        table = tables.to_table("epochs", [{**keys, **epoch} for epoch in epochs])
        self.files.write(_part("epochs", row), tables.to_bytes(table))

    def close_stale(self, study: str, reason: str) -> int:
        """End the attempts that a dead driver left RUNNING as INTERRUPTED; only for who holds the lock."""
        if State.RUNNING.value not in set(self.trials(study, ["state"])["state"]):
            return 0
        rows = self.trials(study)
        stale = rows[rows["state"] == State.RUNNING.value].to_dict("records")
        for row in stale:
            closed = {**plain(row), "state": State.INTERRUPTED.value, "reason": reason}
            data = tables.to_bytes(tables.to_table("trials", [closed]))
            self.files.write(_part("trials", closed), data)
        return len(stale)

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
        return self._read("trials", study, tables.Wanted(columns))

    def epochs(
        self,
        study: str | None = None,
        columns: Sequence[str] | None = None,
        *,
        only: Mapping[str, Collection[str]] | None = None,
    ) -> pd.DataFrame:
        """The epochs table of one study or all; ``only`` names values of text columns to read."""
        return self._read("epochs", study, tables.Wanted(columns, only or {}))

    def studies(self, study: str | None = None) -> pd.DataFrame:
        """The launches of one study or all."""
        return self._read("studies", study, tables.ALL)

    def _read(self, table: str, study: str | None, wanted: tables.Wanted) -> pd.DataFrame:
        studies = self.files.folders(table) if study is None else [study]
        parts = [part for name in studies for part in self._parts(table, name, wanted)[1]]
        found: pd.DataFrame = tables.concat(table, parts, wanted.columns).to_pandas(
            strings_to_categorical=False, self_destruct=True
        )
        return found

    def _parts(
        self, table: str, study: str, wanted: tables.Wanted = tables.ALL
    ) -> tuple[list[str], list[pa.Table]]:
        """The names and contents of the files that count: merged ones and parts they do not stand for."""
        for _ in range(3):  # a driver may merge and delete parts between listing and reading
            kept, parts, vanished = self._parts_once(table, study, wanted)
            if not vanished:
                break
        return kept, parts

    def _parts_once(
        self, table: str, study: str, wanted: tables.Wanted
    ) -> tuple[list[str], list[pa.Table], bool]:
        folder = f"{table}/{study}"
        names = self.files.names(folder, _SUFFIX)
        merged = [name for name in names if name.startswith("all-")]
        kept, parts, gone = [], [], set()
        loaded = self._load(table, folder, merged, wanted)
        for _, part in loaded:
            gone.update(tables.replaced(part))
        for name, part in loaded:
            if name not in gone:  # a crash came between a later merge and its deletions
                kept.append(name)
                parts.append(part)
        rest = [name for name in names if not name.startswith("all-") and name not in gone]
        for name, part in self._load(table, folder, rest, wanted):
            kept.append(name)
            parts.append(part)
        unreadable = {problem.name for problem in self.problems}
        counted = [name for name in merged if name not in gone] + rest
        expected = [name for name in counted if f"{folder}/{name}" not in unreadable]
        return kept, parts, len(kept) < len(expected)

    def _load(
        self, table: str, folder: str, names: Sequence[str], wanted: tables.Wanted = tables.ALL
    ) -> list[tuple[str, pa.Table]]:
        def one(name: str) -> tuple[str, pa.Table | Problem]:
            path = f"{folder}/{name}"
            try:
                return name, tables.from_bytes(table, self.files.read(path), self.files.path(path), wanted)
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
        trials = list(zip(*self._parts("trials", study), strict=True))
        running = {name for name, part in trials if _runs(part)}
        epochs = zip(*self._parts("epochs", study), strict=True)
        self._merge("epochs", study, [(name, part) for name, part in epochs if name not in running])
        return self._merge("trials", study, [(name, part) for name, part in trials if name not in running])

    def _merge_fresh(self, study: str, names: Sequence[str]) -> None:
        """Merge these parts; only they are read, so the cost does not grow with the study."""
        found = self._load("trials", f"trials/{study}", names)
        trials = [(name, part) for name, part in found if not _runs(part)]
        ended = [name for name, _ in trials]
        self._merge("epochs", study, self._load("epochs", f"epochs/{study}", ended))
        self._merge("trials", study, trials)

    def _merge(self, table: str, study: str, chosen: Sequence[tuple[str, pa.Table]]) -> int:
        """Write one file for several, then delete them and what a crash left of earlier ones."""
        folder = f"{table}/{study}"
        here = set(self.files.names(folder, _SUFFIX))
        earlier = {name for _, part in chosen for name in tables.replaced(part)}
        gone = sorted(here & earlier)
        if len(chosen) > 1:
            gone = [name for name, _ in chosen] + gone
            merged = tables.concat(table, [part for _, part in chosen])
            self.files.write(f"{folder}/{_next_name(here)}", tables.to_bytes(merged, gone))
        for name in gone:
            self.files.delete(f"{folder}/{name}")
        return len(gone)

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
            what = _THEN[mine[0].name.split("/")[0]]
            raise ForeignFileError(
                f"{mine[0].why}{more} Run 'harness verify' to set it aside, then resume{what}."
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
        theirs_ended, theirs_epochs = other.trials(study), other.epochs(study)
        other.require_readable(study)
        with StudyLock(self.files, study):
            have = self.epochs(study, ["trial_id", "attempt"])
            new = dict(merging.adopt(self.trials(study), theirs_ended))
            self.require_readable(study)
            if not len(mine):
                for launch in theirs.to_dict("records"):
                    self.launch(plain(launch))
            known = set(merging.keys(have))  # a merge that was cut left epochs without their row
            epochs = [
                {**plain(record), "attempt": new[key]["attempt"]}
                for key, record in zip(
                    merging.keys(theirs_epochs), theirs_epochs.to_dict("records"), strict=True
                )
                if key in new and (key[0], new[key]["attempt"]) not in known
            ]
            self._append("epochs", study, epochs)
            self._append("trials", study, list(new.values()))
        return len(new)

    def _append(self, table: str, study: str, rows: Sequence[Mapping[Any, Any]]) -> None:
        if not rows:
            return
        name = _next_name(self.files.names(f"{table}/{study}", _SUFFIX))
        self.files.write(f"{table}/{study}/{name}", tables.to_bytes(tables.to_table(table, rows)))


def _next_name(names: Iterable[str]) -> str:
    taken = [int(n[4 : -len(_SUFFIX)]) for n in names if re.fullmatch(r"all-\d+\.parquet", n)]
    return f"all-{max(taken, default=0) + 1:06d}{_SUFFIX}"


def _runs(part: pa.Table) -> bool:
    """Whether an attempt in a part of the trials table is RUNNING."""
    return State.RUNNING.value in part["state"].to_pylist()


def _part(table: str, row: Mapping[str, Any]) -> str:
    return f"{table}/{row['study']}/{row['trial_id']}-{row['attempt']}{_SUFFIX}"
