"""The traps of YAML 1.1, refused where they stand: ``no``, ``010``, ``10:30``, dates, infinities."""

from __future__ import annotations

import math
import re
from typing import Any

from harness.errors import StudyFileError
from harness.space import Scalar

MAX_INT = 2**53
MAX_ECHO = 60


def file_error(location: str, key: str, message: str) -> StudyFileError:
    """The error of a leaf: ``file:line: key: what, what was allowed, what to do``."""
    return StudyFileError(f"{location}: {key}: {message}" if key else f"{location}: {message}")


def echo(value: object) -> str:
    """A value as an error repeats it, cut where it is long, on one line."""
    text = {True: "true", False: "false"}.get(value, "") if isinstance(value, bool) else repr(value)
    return text if len(text) <= MAX_ECHO else text[: MAX_ECHO - 3] + "..."


def read_scalar(node: Any, location: str, path: str) -> Scalar | None:
    """The value of a composed scalar. Raises StudyFileError for what YAML reads as something else."""
    raw, kind = str(node.value), node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        if raw.lower() in ("true", "false"):
            return raw.lower() == "true"
        value = echo(raw.lower() in ("yes", "on"))
        raise file_error(location, path, f"YAML reads {raw} as {value}. Write {value}, or '{raw}' for text.")
    if kind == "timestamp":
        raise file_error(location, path, f"YAML reads {raw} as a date. Write '{raw}' for text.")
    if kind in ("int", "float"):
        return _number(raw, kind, location, path)
    return raw


def _number(raw: str, kind: str, location: str, path: str) -> int | float | str:
    digits = raw.replace("_", "").lstrip("+-")
    if ":" in raw:
        whole = echo(_base60(raw)) if kind == "int" else "a number"
        message = f"YAML reads {raw} as {whole} (base 60). Write a plain number, or '{raw}' for text."
        raise file_error(location, path, message)
    if kind == "int" and re.fullmatch(r"0[0-9]+", digits):
        plain = digits.lstrip("0") or "0"
        message = f"YAML reads {raw} as {int(digits, 8)} (base 8). Write {plain}, or '{raw}' for text."
        raise file_error(location, path, message)
    if len(digits) > MAX_ECHO:
        raise file_error(location, path, f"the number {digits[:20]}... is too long.")
    try:
        number = int(raw.replace("_", ""), 0) if kind == "int" else _float(raw)
    except ValueError:  # "0x_" and the like: a number to YAML's pattern only
        return raw
    if not math.isfinite(number):
        raise file_error(location, path, f"{raw} is not a finite number.")
    if isinstance(number, int) and abs(number) > MAX_INT:
        raise file_error(location, path, f"the whole number {raw} is beyond 2^53.")
    return number


def _float(raw: str) -> float:
    text = raw.replace("_", "").lower()
    return math.inf if text.endswith(("inf", "nan")) else float(text)


def _base60(raw: str) -> int:
    sign = -1 if raw.startswith("-") else 1
    total = 0
    for part in raw.lstrip("+-").replace("_", "").split(":"):
        total = total * 60 + int(part)
    return sign * total
