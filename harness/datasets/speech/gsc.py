"""`gsc` and `gsc-mel`: Google Speech Commands v0.02, 35 words, as log-mel frames from wav folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray

from harness.contracts.data import Arrays, ArraySplit, Dataset, DatasetCard, Split, SplitName
from harness.datasets._files import data_path
from harness.errors import DataError
from harness.events.mel import AS_CODED, CORRECTED, FrontEnd, log_mel

FOLDER: Final = "speech_commands_v0.02"
ORIGIN: Final = "download.tensorflow.org/data/speech_commands_v0.02.tar.gz, unpacked into that folder"
LISTS: Final = {"valid": "validation_list.txt", "test": "testing_list.txt"}
SAMPLES: Final = 16_000
PARTS: Final[tuple[SplitName, ...]] = ("train", "valid", "test")
_CHUNK: Final = 256


class Gsc(Dataset):
    """One-second words as the released code hears them: 8 kHz, 140 mel bands up to 14 kHz, 53 constant.

    84,843 train, 9,981 validation and 11,005 test recordings by the set's own lists.
    """

    name: ClassVar[str] = "gsc"
    published_counts: ClassVar[tuple[int, int] | None] = (84_843 + 9981, 11_005)
    front_end: ClassVar[FrontEnd] = AS_CODED
    notes: ClassVar[str] = (
        "as in the released code: 53 of 140 bands lie above the resampled sound's 4 kHz and are constant; "
        "decibels, stored as float16"
    )

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError where the folder is absent and DataError for its content."""
        files = self._files()
        counts = tuple(sum(part == name for _, _, part in files) for name in PARTS)
        return DatasetCard(
            name=self.name,
            revision="1",
            task="classification",
            layout="ntc",
            shape=(self.front_end.frames(SAMPLES), self.front_end.bands),
            counts=(counts[0], counts[1], counts[2]),
            classes=len({word for word, _, _ in files}),
            duration_ms=1000.0,
            licence="CC BY 4.0",
            citation="Warden, Speech Commands, arXiv 1804.03209, 2018",
            origin=ORIGIN,
            notes=self.notes,
        )

    def prepare(self) -> Arrays:
        """`x` (N, 101, 140) float16 decibels, `y`, `part` (0 train, 1 valid, 2 test). Raises DataError."""
        files = self._files()
        words = sorted({word for word, _, _ in files})
        shape = (len(files), self.front_end.frames(SAMPLES), self.front_end.bands)
        x = np.empty(shape, dtype=np.float16)
        for start, waves in self._waves([path for _, path, _ in files]):
            x[start : start + len(waves)] = log_mel(torch.from_numpy(waves), self.front_end).numpy()
        return {
            "x": x,
            "y": np.array([words.index(word) for word, _, _ in files], dtype=np.int64),
            "part": np.array([PARTS.index(part) for _, _, part in files], dtype=np.int64),
        }

    def cache_key(self) -> tuple[str, ...]:
        """How many files and lists there are: another folder is prepared anew."""
        files = self._files()
        return (str(len(files)), *(str(sum(part == name for _, _, part in files)) for name in PARTS))

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The set's own lists; what is on neither trains."""
        index = np.flatnonzero(np.asarray(arrays["part"]) == PARTS.index(name))
        return ArraySplit(arrays["x"], arrays["y"], index)

    def _files(self) -> list[tuple[str, Path, SplitName]]:
        """(word, file, split), sorted by path. Raises MissingDataError and DataError."""
        root = data_path(self.name, FOLDER, origin=ORIGIN)
        listed: dict[str, SplitName] = {}
        for part, file in LISTS.items():
            lines = data_path(self.name, f"{FOLDER}/{file}", origin=ORIGIN).read_text().split()
            listed |= dict.fromkeys(lines, "valid" if part == "valid" else "test")
        files: list[tuple[str, Path, SplitName]] = []
        for path in sorted(root.glob("[a-z]*/*.wav")):
            key = path.relative_to(root).as_posix()
            files.append((path.parent.name, path, listed.get(key, "train")))
        if not files:
            raise DataError(f"data set '{self.name}': {root} has no folders of words with .wav files.")
        return files

    def _waves(self, paths: list[Path]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Chunks of sounds (n, 16000) in -1..1, zero padded or cut, and where each begins."""
        for start in range(0, len(paths), _CHUNK):
            chunk = paths[start : start + _CHUNK]
            waves = np.zeros((len(chunk), SAMPLES), dtype=np.float32)
            for row, path in zip(waves, chunk, strict=True):
                wave = read_wave(path)[:SAMPLES]
                row[: len(wave)] = wave
            yield start, waves


class GscMel(Gsc):
    """The same recordings heard at 16 kHz with 140 bands up to 8 kHz, none of them empty."""

    name: ClassVar[str] = "gsc-mel"
    front_end: ClassVar[FrontEnd] = CORRECTED
    notes: ClassVar[str] = "not the paper's front end: 16 kHz, 25 ms windows, bands up to 8 kHz; float16"


def read_wave(path: Path) -> NDArray[np.float32]:
    """A 16-bit mono wav at 16 kHz as float32 in -1..1. Raises DataError."""
    from scipy.io import wavfile

    try:
        rate, samples = wavfile.read(path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read as wav: {error}") from None
    wave: NDArray[Any] = np.asarray(samples)
    if rate != 16_000 or wave.dtype != np.int16 or wave.ndim != 1:
        raise DataError(
            f"{path}: {rate} Hz, {wave.dtype}, {wave.ndim} axes; expected 16-bit mono at 16000 Hz."
        )
    return wave.astype(np.float32) / 32768.0
