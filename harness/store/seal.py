"""A checksum inside a Parquet file, so that one flipped byte is seen by every command, whatever it reads.

Parquet finds its footer from the end and its columns by offsets, so eight bytes before the footer disturb
no reader: ``HCRC`` and the CRC-32 of everything else. Files without them (schema 1) are taken as they are.
"""

from __future__ import annotations

import zlib

MARK = b"HCRC"
_TAIL = 8  # length of the footer, PAR1


def seal(data: bytes) -> bytes:
    """Parquet bytes with their checksum in front of the footer."""
    at = _footer(data)
    body, footer = data[:at], data[at:]
    return b"".join((body, MARK, zlib.crc32(footer, zlib.crc32(body)).to_bytes(4, "little"), footer))


def sealed(data: bytes) -> bool | None:
    """True for a file as it was written, False for a damaged one, None for one without a checksum."""
    at = _footer(data)
    if at < 8 or data[at - 8 : at - 4] != MARK:
        return None
    found = zlib.crc32(memoryview(data)[at:], zlib.crc32(memoryview(data)[: at - 8]))
    return found == int.from_bytes(data[at - 4 : at], "little")


def _footer(data: bytes) -> int:
    return len(data) - _TAIL - int.from_bytes(data[-_TAIL:-4], "little")
