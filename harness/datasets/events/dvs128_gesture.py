"""`dvs128-gesture`: IBM's recordings, `dvs128-gesture/<user>.aedat` and `<user>_labels.csv`."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from harness.contracts.data import Arrays, Dataset, DatasetCard, EventSplit, Split, SplitName
from harness.datasets._files import data_path
from harness.datasets._splits import Splits, check
from harness.datasets.events._recordings import Recordings, listing_sha256
from harness.errors import DataError
from harness.events.readers import read_aedat3
from harness.ids import derive_seed

ORIGIN: Final = "research.ibm.com/dvsgesture (DvsGesture.tar.gz, unpacked)"
FOLDER: Final = "dvs128-gesture"
SHAPE: Final = (2, 128, 128)
CLASSES: Final = 11
DURATION_US: Final = 6_000_000
"""The usual length of a gesture; what comes later falls in no bin."""
LISTS: Final = {"train": "trials_to_train.txt", "test": "trials_to_test.txt"}
VALID_USERS: Final = 5


class Dvs128Gesture(Dataset):
    """Eleven gestures, (2, 128, 128), channel 1 = ON; one sample a line of the label files.

    Test is the authors' list of users; five users of the training list are the validation split.
    """

    name: ClassVar[str] = "dvs128-gesture"

    def card(self) -> DatasetCard:
        """The card, from the lists and label files. Raises MissingDataError, DataError."""
        root = data_path(self.name, FOLDER, origin=ORIGIN)
        names = [trial for part in LISTS for trial in _trials(root, part)]
        files = [root / name for name in names] + [_labels_path(root, name) for name in names]
        for path in files:
            if not path.is_file():
                raise DataError(f"{path}: named by {root / 'trials_to_*.txt'} but missing")
        samples = [
            (name, part) for part in LISTS for name in _trials(root, part) for _ in _gestures(root, name)
        ]
        splits = _splits(
            np.array([_user(name) for name, _ in samples]),
            np.array([part == "test" for _, part in samples]),
        )
        sha256 = listing_sha256(files, root)
        return DatasetCard(
            name=self.name,
            revision=sha256[:12],
            task="classification",
            layout="events",
            shape=SHAPE,
            counts=(len(splits["train"]), len(splits["valid"]), len(splits["test"])),
            classes=CLASSES,
            duration_ms=DURATION_US / 1000,
            sha256=sha256,
            licence="CC BY 4.0",
            citation="Amir et al., A low power, fully event-based gesture recognition system, 2017",
            origin=ORIGIN,
            notes="no user is in two splits; sha256 is of names and sizes",
        )

    def prepare(self) -> Arrays:
        """`time_us`, `unit`, `offset`, `y`, `user`, `test`. Raises MissingDataError, DataError."""
        root = data_path(self.name, FOLDER, origin=ORIGIN)
        users, tests = list[int](), list[bool]()
        with Recordings(SHAPE) as recordings:
            for part in LISTS:
                for name in _trials(root, part):
                    events = read_aedat3(root / name)
                    for label, start, stop in _gestures(root, name):
                        recordings.add(events.between(start, stop), label, root / name)
                        users.append(_user(name))
                        tests.append(part == "test")
            return recordings.arrays() | {"user": np.array(users), "test": np.array(tests)}

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """Users apart."""
        index = _splits(np.asarray(arrays["user"]), np.asarray(arrays["test"]))[name]
        return EventSplit(arrays, index, shape=SHAPE, duration_us=DURATION_US)


def _splits(user: NDArray[np.int64], test: NDArray[np.bool_]) -> Splits:
    among = np.unique(user[~test])
    count = min(VALID_USERS, len(among) // 2)
    rng = np.random.default_rng(derive_seed("dvs128-gesture", "splits", 1))
    valid = np.isin(user, rng.permutation(among)[:count]) & ~test
    parts = {"train": ~valid & ~test, "valid": valid, "test": test}
    return check("dvs128-gesture", {name: np.flatnonzero(part) for name, part in parts.items()})  # type: ignore[misc]


def _trials(root: Path, part: str) -> list[str]:
    path = root / LISTS[part]
    if not path.is_file():
        raise DataError(f"{path}: no such list of trials")
    return path.read_text(encoding="utf-8").split()


def _gestures(root: Path, trial: str) -> Iterator[tuple[int, int, int]]:
    """Label 0..10, start and end in microseconds, of each line of a trial's label file."""
    path = _labels_path(root, trial)
    for number, line in enumerate(path.read_text(encoding="utf-8").split()[1:], 2):
        fields = line.split(",")
        if len(fields) != 3 or not all(field.isdigit() for field in fields):
            raise DataError(f"{path}:{number}: '{line}': expected class,start,end in microseconds")
        label, start, stop = (int(field) for field in fields)
        if not 1 <= label <= CLASSES or stop <= start:
            raise DataError(f"{path}:{number}: '{line}': class 1..{CLASSES}, end after start")
        yield label - 1, start, stop


def _labels_path(root: Path, trial: str) -> Path:
    return root / f"{Path(trial).stem}_labels.csv"


def _user(trial: str) -> int:
    digits = trial[4:6]
    if not trial.startswith("user") or not digits.isdigit():
        raise DataError(f"trial '{trial}': expected a name of the form user<NN>_<light>.aedat")
    return int(digits)
