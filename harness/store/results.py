"""ResultStore: append-only Parquet parts, one row an attempt, read back as whole tables.

``trials/<study>/<trial>-<attempt>.parquet`` is written RUNNING when an attempt starts and replaced when it
ends: that rename is the commit. ``epochs/<study>/`` holds the same names, written before. Finished parts are
merged into ``all-<n>.parquet`` every :data:`MERGE_AT` commits; a merged file lists the parts it stands for,
so that a crash between writing it and deleting them counts nothing twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import ForeignFileError
from harness.store import tables
from harness.store.files import Files
from harness.store.merging import plain
from harness.store.parts import SAFE_NAME, SUFFIX, Parts, Problem
from harness.trial import State

MERGE_AT = 256
STUDY_NAME = SAFE_NAME
_THEN = {"trials": ": its trial runs again", "epochs": "; its trial stands, without its curve", "studies": ""}


class ResultStore:
    """The tables below one root. ``problems`` collects unreadable files met so far; the others are read."""

    def __init__(self, root: str | Path) -> None:
        self.files = Files(root)
        self.parts = Parts(self.files)
        self._fresh: dict[str, list[str]] = {}

    @property
    def problems(self) -> list[Problem]:
        """The files that could not be read so far."""
        return self.parts.problems

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
            self.parts.sweep(study)
            names = self.parts.names("trials", study)
            fresh = self._fresh[study] = [name for name in names if not name.startswith("all-")]
        else:
            fresh.append(f"{row['trial_id']}-{row['attempt']}{SUFFIX}")
        if len(fresh) >= MERGE_AT:
            self.parts.merge_some(study, set(fresh))
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
        name = f"studies/{row['study']}/launch-{row['launch']:04d}{SUFFIX}"
        self.files.write(name, tables.to_bytes(tables.to_table("studies", [row])))

    # -- reading ------------------------------------------------------------------------------------

    def study_names(self) -> list[str]:
        """The names of all studies in the store."""
        return self.parts.studies("studies")

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
        studies = self.parts.studies(table) if study is None else [study]
        parts = [part for name in studies for _, part in self.parts.counted(table, name, wanted)]
        return tables.to_frame(table, tables.concat(table, parts, wanted.columns))

    # -- housekeeping ---------------------------------------------------------------------------------

    def compact(self, study: str) -> int:
        """Merge everything finished of a study into one file a table; the number of files now gone."""
        return self.parts.merge_all(study)

    def quarantine(self) -> list[Problem]:
        """Read every file; move unreadable ones to ``quarantine/`` and return them."""
        return self.parts.quarantine()

    def require_readable(self, study: str) -> None:
        """Raise ForeignFileError naming the first unreadable file of a study, if there is one."""
        mine = [problem for problem in self.problems if f"/{study}/" in problem.name]
        if mine:
            more = f" (and {len(mine) - 1} more)" if len(mine) > 1 else ""
            what = _THEN[mine[0].name.split("/")[0]]
            raise ForeignFileError(
                f"{mine[0].why}{more} Run 'harness verify --results {self.files.root}' to set it aside, "
                f"then resume{what}."
            )


def _part(table: str, row: Mapping[str, Any]) -> str:
    return f"{table}/{row['study']}/{row['trial_id']}-{row['attempt']}{SUFFIX}"
