"""Numbers as text: as many digits as their interval carries, one unit a column."""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.scoring.stats import Ratio, Summary

DASH = "–"
TIME_UNITS = ((2 * 3600.0, 3600.0, "h"), (300.0, 60.0, "min"), (0.0, 1.0, "s"))


def decimals(half: float) -> int:
    """Decimals that show an interval's half width with two significant digits (0 to 6)."""
    if not math.isfinite(half) or half <= 0:
        return 2
    return min(max(1 - math.floor(math.log10(half)), 0), 6)


def fixed(value: float, digits: int) -> str:
    """A number with fixed decimals; a dash for NaN, the sign for infinity."""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def score(summary: Summary, scale: float, digits: int | None = None) -> str:
    """``94.10 ± 0.46``; the mean alone for one seed, a dash for none, ``± 0`` where nothing varies."""
    if digits is None:
        digits = score_digits([summary], scale)
    mean = fixed(summary.mean * scale, digits)
    if math.isnan(summary.half):
        return mean
    return f"{mean} ± {fixed(summary.half * scale, digits) if summary.half > 0 else 0}"


def score_digits(summaries: Iterable[Summary], scale: float) -> int:
    """One number of decimals for a column: what its narrowest interval needs, four at most."""
    halves = [s.half * scale for s in summaries if s.half > 0]
    least, usual = (0, 2) if scale == 100 else (3, 4)
    return max(least, min(decimals(min(halves)), 4)) if halves else usual


def rank(found: tuple[int, int] | None) -> str:
    """``2`` or ``1-3``; a dash where the row is not ranked."""
    if found is None:
        return DASH
    return str(found[0]) if found[0] == found[1] else f"{found[0]}-{found[1]}"


def time_unit(seconds: Iterable[float]) -> tuple[float, str]:
    """(divisor, name) of the unit that suits the largest finite time."""
    largest = max((s for s in seconds if math.isfinite(s)), default=0.0)
    return next((divisor, name) for least, divisor, name in TIME_UNITS if largest >= least)


def significant(value: float, digits: int = 3) -> str:
    """A number with that many significant digits, never in exponential form below a million."""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞"
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(places, 0), 6)}f}"


def quantity(value: float) -> str:
    """A count with a prefix: ``214k``, ``11.7M``; whole numbers below ten thousand as they are."""
    if math.isnan(value):
        return DASH
    for size, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return significant(value / (1e3 if name == "k" else size)) + name
    return f"{value:,.0f}" if float(value).is_integer() else significant(value)


def ratio(found: Ratio | None) -> str:
    """``0.46 (0.41 to 0.52)``."""
    if found is None:
        return DASH
    return f"{fixed(found.value, 2)} ({fixed(found.low, 2)} to {fixed(found.high, 2)})"
