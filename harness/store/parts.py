"""The Parquet files of a table: which of them count, how many become one, what is set aside.

A file ``all-<n>`` stands for the files that it names; those count no longer, whether or not they are deleted
yet. So a merge may be cut anywhere. It stands for nothing whose attempts it does not hold, whatever it says.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import pyarrow as pa

from harness.errors import ForeignFileError
from harness.guard import one_line
from harness.store import tables
from harness.store.files import Files
from harness.store.schemas import TABLES
from harness.store.sound import Check
from harness.trial import State

SUFFIX = ".parquet"
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PENDING = f".pending{SUFFIX}"
Named = tuple[str, pa.Table]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that cannot be read: where it is and why."""

    name: str
    why: str


class Parts:
    """The files of all tables below a root. ``problems`` collects those that cannot be read."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.problems: list[Problem] = []
        self._passed: dict[str, int] = {}  # the checksums of files whose rows were looked at

    def studies(self, table: str) -> list[str]:
        """The studies that a table has a folder of."""
        return [name for name in self.files.folders(table) if SAFE_NAME.fullmatch(name)]

    def names(self, table: str, study: str) -> list[str]:
        """Every file of a study's table, whether it counts or not."""
        return self.files.names(f"{table}/{study}", SUFFIX)

    # -- reading --------------------------------------------------------------------------------------

    def counted(self, table: str, study: str, wanted: tables.Wanted = tables.ALL) -> list[Named]:
        """The files that count, with what is wanted of them."""
        for _ in range(3):  # a driver may merge and delete files between listing and reading
            found, vanished = self._counted_once(table, study, wanted)
            if not vanished:
                break
        return found

    def _counted_once(self, table: str, study: str, wanted: tables.Wanted) -> tuple[list[Named], bool]:
        names = self.names(table, study)
        merged = self.load(table, study, [name for name in names if name.startswith("all-")], wanted)
        gone = self._stood_for(table, study, merged, set(names))
        rest = [name for name in names if not name.startswith("all-") and name not in gone]
        found = [(name, part) for name, part in merged if name not in gone]
        found += self.load(table, study, rest, wanted)
        unreadable = {problem.name for problem in self.problems}
        expected = [n for n in names if n not in gone and f"{table}/{study}/{n}" not in unreadable]
        return found, len(found) < len(expected)

    def stood_for(self, table: str, study: str) -> set[str]:
        """The files that are still there and count no longer: a merge was cut before it deleted them."""
        names = self.names(table, study)
        keys = tables.Wanted(tables.KEYS[table])
        merged = self.load(table, study, [name for name in names if name.startswith("all-")], keys)
        return self._stood_for(table, study, merged, set(names))

    def _stood_for(self, table: str, study: str, merged: Sequence[Named], here: set[str]) -> set[str]:
        gone: set[str] = set()
        for name, part in merged:
            claimed = (here & set(tables.replaced(part))) - {name} - gone
            if claimed:  # a merge was cut: what is left holds nothing that the merged file lacks
                keys = tables.Wanted(tables.KEYS[table])
                held = self._keys(table, self.load(table, study, [name], keys))
                left = self.load(table, study, sorted(claimed), keys)
                gone |= {other for other, its in left if tables.keys_of(table, its) <= held}
        return gone

    def load(
        self, table: str, study: str, names: Sequence[str], wanted: tables.Wanted = tables.ALL
    ) -> list[Named]:
        """Files by name; those that cannot be read become problems, those that vanished are left out."""

        def one(name: str) -> tuple[str, pa.Table | Problem | None]:
            path = f"{table}/{study}/{name}"
            where = self.files.path(path)
            try:
                data = self.files.read(path)
                check = None if self._passed.get(path) == zlib.crc32(data) else Check(table, study, where)
                part = tables.from_bytes(table, data, where, wanted, check)
            except FileNotFoundError:  # merged and deleted by a driver since the listing
                return name, None
            except ForeignFileError as error:
                return name, Problem(path, one_line(str(error)))
            except (OSError, MemoryError) as error:
                reason = getattr(error, "strerror", None) or str(error) or "it is too large"
                return name, Problem(path, one_line(f"{where} cannot be read: {reason}."))
            if check is not None:
                checks[path] = (check, zlib.crc32(data))
            return name, part

        checks: dict[str, tuple[Check, int]] = {}
        if len(names) > 8:
            with ThreadPoolExecutor(4) as pool:
                loaded = list(pool.map(one, names))
        else:
            loaded = [one(name) for name in names]
        failed = self._check_together(checks)
        checks.clear()
        pa.default_memory_pool().release_unused()  # what was only looked at
        loaded = [(name, failed.get(f"{table}/{study}/{name}", part)) for name, part in loaded]
        for _, part in loaded:
            if isinstance(part, Problem) and part not in self.problems:
                self.problems.append(part)
        return [(name, part) for name, part in loaded if isinstance(part, pa.Table)]

    def _check_together(self, checks: Mapping[str, tuple[Check, int]]) -> dict[str, Problem]:
        """Check the rows of many small files at once; one by one only if something is wrong."""
        failed: dict[str, Problem] = {}
        if Check.together([check for check, _ in checks.values()]):
            self._passed.update((path, crc) for path, (_, crc) in checks.items())
            return failed
        for path, (check, crc) in checks.items():
            try:
                check.now()
                self._passed[path] = crc
            except ForeignFileError as error:
                failed[path] = Problem(path, one_line(str(error)))
        return failed

    # -- merging: for who holds the study's lock -----------------------------------------------------

    def sweep(self, study: str) -> None:
        """Finish what a killed driver began: delete what merged files stand for and what lies aside."""
        for table in TABLES:
            for name in self.stood_for(table, study):
                self.files.delete(f"{table}/{study}/{name}")
            self.files.remove_asides(f"{table}/{study}")
        self._finish_pending(study)

    def add(self, study: str, trials: Sequence[Row], epochs: Sequence[Row]) -> None:
        """Add attempts of another store with their epochs: all of them, wherever this is cut, or none."""
        if epochs:
            data = tables.to_bytes(tables.to_table("epochs", epochs))
            self.files.write(f"epochs/{study}/{PENDING}", data)
        if trials:
            data = tables.to_bytes(tables.to_table("trials", trials))
            self.files.write(f"trials/{study}/{next_name(self.names('trials', study))}", data)
        self._finish_pending(study)

    def _finish_pending(self, study: str) -> None:
        """Epochs wait under a dot name until the trials that they belong to are there."""
        folder = f"epochs/{study}"
        if PENDING not in self.files.names(folder, PENDING, hidden=True):
            return
        keys = tables.Wanted(tables.KEYS["trials"])
        have = self._keys("trials", self.counted("trials", study, keys))
        waiting = self._keys("epochs", self.load("epochs", study, [PENDING], keys))
        if waiting and waiting <= have:
            self.files.move(f"{folder}/{PENDING}", f"{folder}/{next_name(self.names('epochs', study))}")
        else:
            self.files.delete(f"{folder}/{PENDING}")

    @staticmethod
    def _keys(table: str, named: Sequence[Named]) -> set[tuple[object, ...]]:
        return set[tuple[object, ...]]().union(*(tables.keys_of(table, part) for _, part in named))

    def merge_all(self, study: str) -> int:
        """Merge the trials that ended and their epochs, one file a table; the number of files now gone."""
        self.sweep(study)
        trials = [(name, part) for name, part in self.counted("trials", study) if not _runs(part)]
        ended = self._keys("trials", trials)
        epochs = [
            (name, part)
            for name, part in self.counted("epochs", study)
            if name.startswith("all-") or tables.keys_of("epochs", part) <= ended
        ]
        self._merge("epochs", study, epochs, ended)
        return self._merge("trials", study, trials)

    def merge_some(self, study: str, names: Collection[str]) -> None:
        """Merge these parts; only they are read, so the cost does not grow with the study."""
        trials = [(n, part) for n, part in self.load("trials", study, sorted(names)) if not _runs(part)]
        self._merge("epochs", study, self.load("epochs", study, [name for name, _ in trials]))
        self._merge("trials", study, trials)

    def _merge(
        self, table: str, study: str, chosen: Sequence[Named], ended: Collection[tuple[object, ...]] = ()
    ) -> int:
        """Write one file for several, without what is there twice or of no attempt, then delete them."""
        whole = tables.concat(table, [part for _, part in chosen])
        once = tables.without_doubles(table, tables.of_attempts(whole, ended) if ended else whole)
        if len(chosen) < 2 and once.num_rows == whole.num_rows:
            return 0
        gone = [name for name, _ in chosen]
        path = f"{table}/{study}/{next_name(self.names(table, study))}"
        self.files.write(path, tables.to_bytes(once, gone))
        for name in gone:
            self.files.delete(f"{table}/{study}/{name}")
        return len(gone)

    # -- setting aside --------------------------------------------------------------------------------

    def quarantine(self) -> list[Problem]:
        """Read every file; move what cannot be read to ``quarantine/`` and return it."""
        self.problems = []
        for table in TABLES:
            for study in self.studies(table):
                self.counted(table, study)
        for problem in self.problems:
            folder, _, name = problem.name.rpartition("/")
            taken = self.files.names(f"quarantine/{folder}")
            free = next(n for n in chain([name], (f"{name}.{i}" for i in count(1))) if n not in taken)
            self.files.move(problem.name, f"quarantine/{folder}/{free}")
        return list(self.problems)


def next_name(names: Iterable[str]) -> str:
    """A name for a merged file that none of these has."""
    taken = [int(n[4 : -len(SUFFIX)]) for n in names if re.fullmatch(r"all-\d{1,12}\.parquet", n)]
    return f"all-{max(taken, default=0) + 1:06d}{SUFFIX}"


def _runs(part: pa.Table) -> bool:
    """Whether an attempt in a part of the trials table is RUNNING."""
    return State.RUNNING.value in part["state"].to_pylist()
