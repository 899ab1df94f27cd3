"""Small files in the layouts of SHD, SSC and GSC, of random content."""

from pathlib import Path

import h5py
import numpy as np
from scipy.io import wavfile


def write(path: Path, count: int = 40, classes: int = 20, speakers: int = 5, **changes: object) -> Path:
    """A file in SHD's layout; `changes` replace what it holds."""
    rng = np.random.default_rng(count)
    number = rng.integers(1, 30, count)
    number[0] = 0
    values: dict = {
        "times": [np.sort(rng.random(n)).astype(np.float16) for n in number],
        "units": [rng.integers(0, 700, n).astype(np.uint16) for n in number],
        "labels": (np.arange(count) % classes).astype(np.uint16),
        "speaker": (np.arange(count) % speakers).astype(np.uint16),
    }
    values |= changes
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, dtype in (("times", np.float16), ("units", np.uint16)):
            if values[key] is not None:
                data = file.create_dataset(f"spikes/{key}", (len(values[key]),), dtype=h5py.vlen_dtype(dtype))
                for i, row in enumerate(values[key]):
                    data[i] = row
        if values["labels"] is not None:
            file["labels"] = values["labels"]
        if values["speaker"] is not None:
            file["extra/speaker"] = values["speaker"]
    return path


def write_words(root: Path, words: tuple[str, ...]) -> Path:
    """GSC's folders: four sounds a word, the first of them short; lists of the first two words."""
    rng = np.random.default_rng(0)
    folder = root / "speech_commands_v0.02"
    for word in words:
        (folder / word).mkdir(parents=True)
        for i in range(4):
            samples = rng.integers(-3000, 3000, 16_000 if i else 9_000).astype(np.int16)
            wavfile.write(folder / word / f"{i}.wav", 16_000, samples)
    first, second = words[:2]
    (folder / "validation_list.txt").write_text(f"{first}/1.wav\n{second}/1.wav\n")
    (folder / "testing_list.txt").write_text(f"{first}/2.wav\n")
    return folder
