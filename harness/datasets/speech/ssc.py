"""`ssc`: Spiking Speech Commands, 35 words on 700 cochlear channels, the real files."""

from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from harness.contracts.data import Arrays, Dataset, DatasetCard, EventSplit, Split, SplitName
from harness.datasets._files import data_path
from harness.datasets.speech import _spike_h5

CLASSES: Final = 35
DURATION_US: Final = 1_000_000
PARTS: Final[tuple[SplitName, ...]] = ("train", "valid", "test")
ORIGIN: Final = (
    "zenkelab.org/datasets, ssc_train.h5.zip (md5 d102be95e7144fcc0553d1f45ba94170), ssc_valid.h5.zip (md5 "
    "b4eee3516a4a90dd0c71a6ac23a8ae43) and ssc_test.h5.zip (md5 a35ff1e9cffdd02a20eb850c17c37748), unpacked "
    "into the folder ssc"
)


class Ssc(Dataset):
    """75,466 train, 9,981 validation and 20,382 test recordings, split as the files are."""

    name: ClassVar[str] = "ssc"
    published_counts: ClassVar[tuple[int, int] | None] = (75_466 + 9981, 20_382)

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError and DataError."""
        train, valid, test = (len(_spike_h5.heads(path, CLASSES)["y"]) for path in self._paths())
        return DatasetCard(
            name=self.name,
            revision="1",
            task="classification",
            layout="events",
            shape=(_spike_h5.CHANNELS,),
            counts=(train, valid, test),
            classes=CLASSES,
            duration_ms=DURATION_US / 1000,
            licence="CC BY 4.0",
            citation="Cramer, Stradmann, Schemmel and Zenke, IEEE TNNLS 33(7):2744-2757, 2022",
            origin=ORIGIN,
            notes="official splits; order and labels of the h5 files",
        )

    def prepare(self) -> Arrays:
        """`time_us`, `unit` (events,), `offset`, `y`, `speaker`, `part` (0 train, 1 valid, 2 test)."""
        return _spike_h5.join([_spike_h5.read(path, CLASSES) for path in self._paths()])

    def cache_key(self) -> tuple[str, ...]:
        """The files' sizes: other files are prepared anew."""
        return tuple(f"{path.name}:{path.stat().st_size}" for path in self._paths())

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The recordings of one file."""
        index = np.flatnonzero(np.asarray(arrays["part"]) == PARTS.index(name))
        return EventSplit(arrays, index, shape=(_spike_h5.CHANNELS,), duration_us=DURATION_US)

    def _paths(self) -> tuple[Path, ...]:
        return tuple(data_path(self.name, f"ssc/ssc_{part}.h5", origin=ORIGIN) for part in PARTS)
