"""`vowels`: Japanese vowels, nine speakers, sequences of 12 cepstral channels (sktime's copy)."""

from typing import ClassVar, Final

import numpy as np

from harness.contracts.data import Arrays, ArraySplit, Dataset, DatasetCard, Split, SplitName
from harness.datasets._files import guard, load_npz, packaged
from harness.datasets._splits import with_valid

STEPS: Final = 29
CHANNELS: Final = 12
VALID_FRACTION: Final = 0.2
FILE_SHA256: Final = "0f8bf5454c409939517a29a75800433378f1655f800fdd4499cb2850819983a3"
SHA256: Final = "c25cc53ba676f71facd81b9fbd485a1f90355750dd1a110cc8428bbf4bf554b0"


class Vowels(Dataset):
    """Which of nine speakers says /ae/: (29, 12), zero padded, `length` counts the valid steps.

    Each utterance's mean over time is taken from every channel: with it, time hardly matters.
    """

    name: ClassVar[str] = "vowels"

    def card(self) -> DatasetCard:
        """The card; no file is needed."""
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
        path = packaged(self.name, "vowels.npz", FILE_SHA256)
        arrays = load_npz(self.name, path, ("x", "y", "length", "test"))
        return guard(self.name, arrays, SHA256)

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The official test split; train and valid are drawn from the official train split."""
        y = arrays["y"]
        chosen = with_valid(y, np.asarray(arrays["test"]), VALID_FRACTION, self.name, "splits", 1)
        return ArraySplit(arrays["x"], y, chosen[name], length=arrays["length"])
