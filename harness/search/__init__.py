"""Search: which point comes next and which trial stops, rebuilt from rows and never pickled."""

from harness.search.cell_search import CellSearch
from harness.search.history import Record

__all__ = ["CellSearch", "Record"]
