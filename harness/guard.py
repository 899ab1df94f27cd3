"""What a stranger's file or text may not do: hang a reader, fill memory, steer a terminal, be a formula."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
# C0 without tab and line feed, DEL, C1, line and paragraph separators, what reverses text, half characters.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_FORMULA = "=+-@"


def read_regular(path: str | Path, most: int | None = None) -> bytes:
    """The bytes of a regular file, of at most ``most`` bytes; never waits for a writer.

    Raises OSError for anything else that has a name: FIFO, device, socket, folder, loop of links.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "something else")
            raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
        data = file.read() if most is None else file.read(most + 1)
    if most is not None and len(data) > most:
        raise OSError(errno.EFBIG, f"it is longer than {most} bytes", str(path))
    return data


def printable(text: str) -> str:
    """Text without what steers a terminal or reverses reading: each such character becomes ``\ufffd``.

    Tabs and line feeds stay.

    >>> printable("a\\x1b[31mb\\u202ec")
    'a\ufffd[31mb\ufffdc'
    """
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """:func:`printable` text on one line.

    >>> one_line("a\\n  b\\tc")
    'a b c'
    """
    return re.sub(r"\s*[\n\t]\s*", " ", printable(text))


def csv_text(text: str) -> str:
    """Text for a cell of CSV: printable, and never a formula to a spreadsheet. Numbers stay as they are.

    >>> csv_text("=1+1"), csv_text("-0.5;-0.25"), csv_text("-1+1"), csv_text("a")
    ("'=1+1", '-0.5;-0.25', "'-1+1", 'a')
    """
    clean = printable(text)
    if clean.lstrip()[:1] in tuple(_FORMULA) and not all(map(_number, clean.split(";"))):
        return f"'{clean}"
    return clean


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
