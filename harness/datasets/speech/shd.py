"""`shd`: Spiking Heidelberg Digits, 20 spoken digits on 700 cochlear channels, the real files."""

from pathlib import Path
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from harness.contracts.data import Arrays, Dataset, DatasetCard, EventSplit, Index, Split, SplitName
from harness.contracts.data import NoOptions as Frozen
from harness.datasets._files import data_path
from harness.datasets._splits import Splits, counts, missing_classes, with_valid
from harness.datasets.speech import _spike_h5
from harness.errors import DataError

CLASSES: Final = 20
DURATION_US: Final = 1_400_000
"""The longest recording lasts 1.37 s."""
FILES: Final = ("shd_train.h5", "shd_test.h5")
ORIGIN: Final = (
    "zenkelab.org/datasets, shd_train.h5.zip (md5 f3252aeb598ac776c1b526422d90eecb) and "
    "shd_test.h5.zip (md5 1503a5064faa34311c398fb0a1ed0a6f), unpacked into the folder shd"
)


class ShdOptions(Frozen):
    """Which recordings validate: the file has no such split.

    ``random20``: a fixed stratified 20 % of train (comparable with DelRec and SE-adLIF); ``speaker``: two
    of the train speakers, stricter, as the test set holds speakers that train has not; ``none``: train
    keeps everything, and the validation figures are those of training samples (for parity runs).
    """

    valid: Literal["random20", "speaker", "none"] = "random20"


class Shd(Dataset):
    """8,156 train and 2,264 test recordings; test speakers 4 and 5 are absent from train."""

    name: ClassVar[str] = "shd"
    published_counts: ClassVar[tuple[int, int] | None] = (8156, 2264)
    published_counts = (8156, 2264)
    Options: ClassVar[type[BaseModel]] = ShdOptions

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError and DataError."""
        heads = self._heads()
        splits = self._splits(heads)
        return DatasetCard(
            name=self.name,
            revision="1",
            task="classification",
            layout="events",
            shape=(_spike_h5.CHANNELS,),
            counts=counts(splits),
            classes=CLASSES,
            duration_ms=DURATION_US / 1000,
            licence="CC BY 4.0",
            citation="Cramer, Stradmann, Schemmel and Zenke, IEEE TNNLS 33(7):2744-2757, 2022",
            origin=ORIGIN,
            notes=f"no official validation split; valid: {self.options.valid}; order of the h5 file",
            remarks=missing_classes(heads["y"], splits),
        )

    def prepare(self) -> Arrays:
        """`time_us`, `unit` (events,), `offset`, `y`, `speaker`, `part` (0 train, 1 test)."""
        return _spike_h5.join([_spike_h5.read(path, CLASSES) for path in self._paths()])

    def cache_key(self) -> tuple[str, ...]:
        """The files' sizes: other files are prepared anew."""
        return tuple(f"{path.name}:{path.stat().st_size}" for path in self._paths())

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The test file; train and valid by the option."""
        index = self._splits({key: np.asarray(arrays[key]) for key in ("y", "speaker", "part")})[name]
        return EventSplit(arrays, index, shape=(_spike_h5.CHANNELS,), duration_us=DURATION_US)

    def held_counts(self) -> tuple[int, int]:
        """Recordings of the two files."""
        test = self._heads()["part"] == 1
        return int((~test).sum()), int(test.sum())

    def _paths(self) -> tuple[Path, ...]:
        return tuple(data_path(self.name, f"shd/{file}", origin=ORIGIN) for file in FILES)

    def _heads(self) -> dict[str, NDArray[np.int64]]:
        parts = [_spike_h5.heads(path, CLASSES) for path in self._paths()]
        heads = {key: np.concatenate([part[key] for part in parts]) for key in ("y", "speaker")}
        heads["part"] = np.repeat(np.arange(len(parts)), [len(part["y"]) for part in parts])
        return heads

    def _splits(self, heads: dict[str, NDArray[np.int64]]) -> Splits:
        y, test = heads["y"], heads["part"] == 1
        splits = with_valid(y, test, 0.2, self.name, "splits", 1)
        if self.options.valid == "none":
            both = np.sort(np.concatenate([splits["train"], splits["valid"]]))
            return {**splits, "train": both}
        if self.options.valid == "speaker":
            return {**splits, **by_speaker(self.name, heads["speaker"], ~test)}
        return splits


def by_speaker(name: str, speaker: NDArray[np.int64], among: NDArray[np.bool_]) -> dict[SplitName, Index]:
    """Train and valid of which no speaker is in both: the two speakers nearest to 10 % of samples each.

    Raises DataError where fewer than three speakers are known.
    """
    known, number = np.unique(speaker[among], return_counts=True)
    if len(known) < 3 or known[0] < 0:
        raise DataError(
            f"data set '{name}': valid 'speaker' needs extra/speaker with at least 3 train speakers, found "
            f"{', '.join(map(str, known))}. Use valid: random20."
        )
    order = np.argsort(np.abs(number - 0.1 * number.sum()), kind="stable")
    held = np.isin(speaker, known[order[:2]])
    return {"train": np.flatnonzero(among & ~held), "valid": np.flatnonzero(among & held)}
