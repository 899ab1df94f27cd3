"""Slow, literal forms of the generators: what the vectorised ones must equal."""

import numpy as np
from numpy.typing import NDArray

X = (1, 0, 2, 1, 0, 2, 1, 1, 2)
Y = (0, 2, 1, 0, 1, 2, 0, 1, 1)


def odg_loop(
    value_hw: NDArray[np.float64], window: tuple[int, int] | None
) -> tuple[list[list[int]], list[list[int]]]:
    """ODG step by step as the paper's generator does it, one pixel at a time."""
    height, width = value_hw.shape
    pos: list[list[int]] = []
    neg: list[list[int]] = []
    last = paste(value_hw, 0)
    for t in range(1, 9):
        new = paste(value_hw, t)
        dirty_rows = borders(X[t - 1], X[t], height)
        dirty_cols = borders(Y[t - 1], Y[t], width)
        for row in range(height + 4):
            for col in range(width + 4):
                change = new[row, col] - last[row, col]
                if row in dirty_rows or col in dirty_cols:
                    continue
                if window and not (window[0] < row < window[1] and window[0] < col < window[1]):
                    continue
                if change > 0.18:
                    pos.append([row, col, t])
                elif change < -0.18:
                    neg.append([row, col, t])
        last = new
    return pos, neg


def paste(value_hw: NDArray[np.float64], t: int) -> NDArray[np.float64]:
    height, width = value_hw.shape
    canvas = np.zeros((height + 4, width + 4))
    canvas[X[t] : X[t] + height, Y[t] : Y[t] + width] = value_hw
    return canvas


def borders(before: int, after: int, size: int) -> set[int]:
    edge = range(min(before, after), max(before, after))
    return {*edge, *(i + size for i in edge)}
