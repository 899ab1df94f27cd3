"""Camera files to events: N-MNIST .bin, AEDAT 2.0 (CIFAR10-DVS), AEDAT 3.1 (DVS128 Gesture).

Vectorised; SpikingJelly's readers give the same events (a test compares) but take one Python step an
event for AEDAT 3.1.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

_ATIS_BYTES: Final = 5
_AEDAT2_BYTES: Final = 8
_PACKET_HEADER: Final = np.dtype(
    [
        ("type", "<u2"), ("source", "<u2"), ("size", "<u4"), ("offset", "<u4"),
        ("overflow", "<u4"), ("capacity", "<u4"), ("number", "<u4"), ("valid", "<u4"),
    ]
)  # fmt: skip
_POLARITY_EVENT: Final = 1


@dataclass(frozen=True, slots=True)
class RawEvents:
    """Events (N,) of one file: microseconds as stored, row, column, polarity (1 = ON)."""

    time_us: NDArray[np.int64]
    row: NDArray[Any]
    col: NDArray[Any]
    polarity: NDArray[Any]

    def __len__(self) -> int:
        return len(self.time_us)

    def between(self, start_us: int, stop_us: int) -> "RawEvents":
        """Events with start <= time < stop, times from start. Times must be in order."""
        first, last = np.searchsorted(self.time_us, [start_us, stop_us])
        part = slice(first, last)
        return RawEvents(self.time_us[part] - start_us, self.row[part], self.col[part], self.polarity[part])


def read_atis_bin(path: Path) -> RawEvents:
    """N-MNIST: 40 bits an event: column, row, polarity and 23 bits of microseconds, big-endian.

    Raises DataError where the file is absent or is not whole events.
    """
    raw = _bytes(path)
    if len(raw) % _ATIS_BYTES:
        raise DataError(f"{path}: {len(raw)} bytes are not whole events of {_ATIS_BYTES} bytes")
    col, row, high, middle, low = np.frombuffer(raw, np.uint8).reshape(-1, _ATIS_BYTES).T
    time = ((high & 127).astype(np.int64) << 16) | (middle.astype(np.int64) << 8) | low
    return RawEvents(time, row, col, high >> 7)


def read_aedat2_dvs128(path: Path) -> RawEvents:
    """AEDAT 2.0 of a DVS128 as CIFAR10-DVS has it: address and time, 32 bits each, big-endian.

    Bits 1..7 are x, 8..14 are y, bit 0 the polarity, inverted; the picture is turned as
    SpikingJelly does: column 127 - y, row 127 - x. Raises DataError.
    """
    raw = _bytes(path)
    start = _after_comments(raw)
    if (len(raw) - start) % _AEDAT2_BYTES:
        raise DataError(f"{path}: {len(raw) - start} bytes after the header are not whole events")
    words = np.frombuffer(raw, ">u4", offset=start).astype(np.int64).reshape(-1, 2)
    address, time = words[:, 0], words[:, 1]
    x, y = (address >> 1) & 0x7F, (address >> 8) & 0x7F
    return RawEvents(time, 127 - x, 127 - y, 1 - (address & 1))


def read_aedat3(path: Path) -> RawEvents:
    """AEDAT 3.1: packets with a header of 28 bytes; polarity events are kept, others skipped.

    Raises DataError for another file and for a packet that is cut off.
    """
    raw = _bytes(path)
    mark = b"#!END-HEADER\r\n"
    place = raw.find(mark)
    if not raw.startswith(b"#!AER-DAT3") or place < 0:
        raise DataError(f"{path}: no AEDAT 3 header")
    at, parts = place + len(mark), []
    while at < len(raw):
        if at + _PACKET_HEADER.itemsize > len(raw):
            raise DataError(f"{path}: cut off in a packet's header")
        header = np.frombuffer(raw, _PACKET_HEADER, 1, at)[0]
        at += _PACKET_HEADER.itemsize
        size, capacity, number = int(header["size"]), int(header["capacity"]), int(header["number"])
        if at + size * number > len(raw) or size < _AEDAT2_BYTES or number > capacity:
            raise DataError(f"{path}: cut off in a packet of {number} events")
        if header["type"] == _POLARITY_EVENT:
            body = np.frombuffer(raw, np.uint8, size * number, at).reshape(number, size)
            words = np.ascontiguousarray(body[:, :8]).view("<u4").astype(np.int64)
            parts.append(np.stack([words[:, 0], words[:, 1] | int(header["overflow"]) << 31]))
        at += size * capacity
    data, time = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), np.int64)
    return RawEvents(time, (data >> 2) & 0x7FFF, (data >> 17) & 0x7FFF, (data >> 1) & 1)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _after_comments(raw: bytes) -> int:
    """Where the lines that begin with # end."""
    at = 0
    while raw[at : at + 1] == b"#":
        end = raw.find(b"\n", at)
        if end < 0:
            return len(raw)
        at = end + 1
    return at
