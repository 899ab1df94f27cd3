"""Small camera files in the real formats, written from events."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]


def events(count: int, side: int, seed: int = 0, span_us: int = 300_000) -> Columns:
    """Random events in order of time: t, x, y, p."""
    rng = np.random.default_rng(seed)
    return {
        "t": np.sort(rng.integers(0, span_us, count)),
        "x": rng.integers(0, side, count),
        "y": rng.integers(0, side, count),
        "p": rng.integers(0, 2, count),
    }


def write_atis(path: Path, e: Columns) -> None:
    """N-MNIST: x, y, then p in the highest of 24 bits of time."""
    rows = [e["x"], e["y"], (e["p"] << 7) | (e["t"] >> 16), (e["t"] >> 8) & 255, e["t"] & 255]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.stack(rows, axis=1).astype(np.uint8).tobytes())


def write_aedat2(path: Path, e: Columns) -> None:
    """CIFAR10-DVS: the picture is turned and the polarity inverted in the file."""
    address = ((127 - e["y"]) << 1) | ((127 - e["x"]) << 8) | (1 - e["p"])
    words = np.stack([address, e["t"]], axis=1).astype(">u4")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n" + words.tobytes())


def write_aedat3(path: Path, e: Columns, packet: int = 100) -> None:
    """DVS128 Gesture: packets of polarity events, with a packet of another kind between."""
    out = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"
    out += header(kind=0, number=1) + bytes(8)
    for start in range(0, len(e["t"]), packet):
        part = slice(start, start + packet)
        data = (e["x"][part] << 17) | (e["y"][part] << 2) | (e["p"][part] << 1) | 1
        words = np.stack([data, e["t"][part]], axis=1).astype("<u4")
        out += header(kind=1, number=len(words)) + words.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out)


def header(kind: int, number: int) -> bytes:
    """A packet's header of 28 bytes."""
    first = np.array([kind, 1], dtype="<u2").tobytes()
    return first + np.array([8, 4, 0, number, number, number], dtype="<u4").tobytes()
