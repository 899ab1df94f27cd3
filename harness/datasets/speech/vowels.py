"""`vowels`: Japanese vowels, nine speakers, sequences of 12 cepstral channels (sktime's copy)."""

from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from harness.contracts.data import Arrays, ArraySplit, Dataset, DatasetCard, Split, SplitName
from harness.datasets._files import guard, package_path
from harness.datasets._splits import with_valid
from harness.errors import DataError

STEPS: Final = 29
CHANNELS: Final = 12
VALID_FRACTION: Final = 0.2
SHA256: Final = "c25cc53ba676f71facd81b9fbd485a1f90355750dd1a110cc8428bbf4bf554b0"
_FOLDER: Final = ("sktime", "datasets/data/JapaneseVowels")


class Vowels(Dataset):
    """Which of nine speakers says /ae/: (29, 12), zero padded, `length` counts the valid steps.

    Each utterance's mean over time is taken from every channel: with it, time hardly matters.
    """

    name: ClassVar[str] = "vowels"

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError where sktime is not installed."""
        package_path(self.name, *_FOLDER)
        return DatasetCard(
            name=self.name,
            revision="1",
            task="classification",
            layout="ntc",
            shape=(STEPS, CHANNELS),
            counts=(216, 54, 370),
            classes=9,
            sha256=SHA256,
            licence="CC BY 4.0",
            citation="Kudo, Toyama and Shimbo, Pattern Recognition Letters 20 (1999) 1103-1111",
            origin="the data folder of the sktime package",
            notes="official test split; validation cut from train, stratified; channel means of "
            "each utterance removed; 7 to 29 steps, zero padded",
        )

    def prepare(self) -> Arrays:
        """`x` (640, 29, 12) float32, `length`, `y` and `test` (640,). Raises DataError."""
        folder = package_path(self.name, *_FOLDER)
        parts = [_read(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST")]
        series = [sample for samples, _ in parts for sample in samples]
        x = np.zeros((len(series), STEPS, CHANNELS), dtype=np.float32)
        for row, sample in zip(x, series, strict=True):
            row[: len(sample)] = sample - sample.mean(axis=0)
        arrays = {
            "x": x,
            "y": np.concatenate([labels for _, labels in parts]),
            "length": np.array([len(sample) for sample in series], dtype=np.int64),
            "test": np.repeat([False, True], [len(samples) for samples, _ in parts]),
        }
        return guard(self.name, arrays, SHA256)

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The official test split; train and valid are drawn from the official train split."""
        y = arrays["y"]
        chosen = with_valid(y, np.asarray(arrays["test"]), VALID_FRACTION, self.name, "splits", 1)
        return ArraySplit(arrays["x"], y, chosen[name], length=arrays["length"])


def _read(path: Path) -> tuple[list[NDArray[np.float64]], NDArray[np.int64]]:
    """Samples (steps, 12) and labels 0..8 of a .ts file: channels split by ':', label last."""
    samples, labels = [], []
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise DataError(f"{path}: no line '@data': not a .ts file")
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip():
            continue
        *channels, label = line.split(":")
        values = [np.array(channel.split(","), dtype=np.float64) for channel in channels]
        if len({len(v) for v in values}) != 1 or len(values) != CHANNELS:
            raise DataError(f"{path}:{number}: expected {CHANNELS} channels of one length")
        samples.append(np.stack(values, axis=1))
        labels.append(int(label) - 1)
    return samples, np.array(labels, dtype=np.int64)
