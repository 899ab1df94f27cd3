"""Everything that a page shows, computed before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from harness.scoring.curves import CurveSet, LineSet
from harness.scoring.importance import Shares
from harness.scoring.search import History, Importance
from harness.scoring.tables import StudyView
from harness.scoring.values import Board


@dataclass(frozen=True)
class Content:
    """Frozen values of one study. ``importance`` are rank correlations of cells that have no ``shares``."""

    view: StudyView
    board: Board
    curves: tuple[CurveSet, ...]
    lines: tuple[LineSet, ...]
    histories: tuple[History, ...]
    importance: Importance
    shares: Shares
    hardware: tuple[str, ...]
