"""Charts as values: what is drawn, in whose colour, on which axis; and as files."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from harness.report.charts import board, curves, lines, search
from harness.report.charts.chart import Chart, library, write
from harness.report.charts.look import Looks, file_name, whiskers
from harness.scoring.curves import Line, LinePoint, LineSet, time_curves
from harness.scoring.leaderboard import leaderboard
from harness.scoring.search import History
from harness.scoring.values import Group
from tests.scoring.synthetic import Tables, cell, failed, race, trial

LOOKS = Looks(("direct", "pipe-s", "ann"))


def rows_of(chart: Chart, form: int = 0) -> list[dict[str, Any]]:
    """All rows of all layers of one form."""
    _, spec = chart.specs()[form]
    return [row for rows in spec["datasets"].values() for row in rows]


def encodings(chart: Chart, form: int = 0) -> list[dict[str, Any]]:
    _, spec = chart.specs()[form]
    return [layer["encoding"] for layer in spec.get("layer", [spec])]


def group_of(tables: Tables) -> Group:
    return leaderboard(*tables.as_tables(), study="demo").groups[0]


def test_intervals_end_where_the_metric_ends() -> None:
    assert whiskers(0.5, 0.9, 1.0, "r2") == (0.9, 0.5)
    assert whiskers(0.5, 0.9, 1.0, "rse") == (0.9, 0.9)
    assert whiskers(95.0, 10.0, 100.0) == (10.0, 5.0)
    assert whiskers(4.0, 10.0, 100.0) == (4.0, 10.0)
    assert whiskers(0.5, math.nan, 1.0, "r2") == (0.0, 0.0)


def test_looks_of_one_colour_differ_in_dash_and_shape() -> None:
    looks = Looks(tuple(f"cell {i}" for i in range(24)))
    for one, other in itertools.combinations(looks.labels, 2):
        if looks.colour(one) == looks.colour(other):
            assert looks.dash(one) != looks.dash(other)
            assert looks.shape(one) != looks.shape(other)


def test_file_names_have_no_brackets() -> None:
    assert file_name("learning", "ett-h1[eval_stride=7,stride=5]") == "learning-ett-h1-eval_stride-7-stride-5"


def test_time_accuracy_has_each_clock_and_scale() -> None:
    (found,) = time_curves(*race(seeds=3).as_tables(), study="demo")
    chart = curves.time_accuracy(found, LOOKS)
    assert [label for label, _ in chart.forms] == [
        "pretraining included, linear time",
        "pretraining included, logarithmic time",
        "without pretraining, linear time",
        "without pretraining, logarithmic time",
    ]
    axes = [encodings(chart, i)[1]["x"] for i in range(4)]
    assert [axis["scale"]["type"] for axis in axes] == ["linear", "log", "linear", "log"]
    assert "without pretraining" in axes[2]["title"]
    ends = [{row["cell"]: row["x"] for row in rows_of(chart, form) if "m" in row} for form in (0, 2)]
    moved = [name for name in ends[0] if ends[0][name] > ends[1][name]]
    assert len(moved) == sum(curve.total != curve.snn for curve in found.curves) > 0


def test_a_label_keeps_its_colour_in_every_chart() -> None:
    tables = race(seeds=3)
    (found,) = time_curves(*tables.as_tables(), study="demo")
    group = group_of(tables)
    looks = Looks(tuple(row.label for row in group.rows))
    for chart in (
        curves.time_accuracy(found, looks),
        board.seeds(group, looks),
        curves.learning(found, looks),
    ):
        scales = [e["color"]["scale"] for e in encodings(chart) if "scale" in e.get("color", {})]
        assert scales
        for scale in scales:
            for name, colour in zip(scale["domain"], scale["range"], strict=True):
                assert colour == looks.colour(name.partition(" (")[0])


def test_targets_are_lines_with_words() -> None:
    (found,) = time_curves(*race(seeds=3).as_tables(), study="demo", target=0.5)
    texts = {row["t"] for row in rows_of(curves.time_accuracy(found, LOOKS)) if "t" in row}
    assert texts == {"target 50.00 %"}


def test_failed_seeds_are_crosses() -> None:
    tables = Tables(cells=[cell()])
    for seed in range(3):
        tables.add(trial(seed=seed, test_value=0.8), [0.5, 0.6])
    tables.add(failed(seed=9))
    found = [row for row in rows_of(board.seeds(group_of(tables), LOOKS)) if "seed" in row]
    assert [(row["seed"], row["failed"]) for row in found] == [(0, False), (1, False), (2, False), (9, True)]


def test_the_front_pales_what_another_cell_beats() -> None:
    tables = Tables(
        cells=[cell("digits/a", label="a"), cell("digits/b", label="b"), cell("digits/c", label="c")]
    )
    for name, value, synops in (("a", 0.9, 100.0), ("b", 0.8, 200.0), ("c", 0.7, 50.0)):
        for seed in range(3):
            row = trial(
                cell=f"digits/{name}", label=name, seed=seed, test_value=value + seed / 100, synops=synops
            )
            tables.add(row, [0.5, 0.6])
    chart = board.fronts(group_of(tables), Looks(("a", "b", "c")))
    assert chart is not None
    form = [label for label, _ in chart.forms].index("synaptic operations a sample")
    assert {row["cell"]: row["pale"] for row in rows_of(chart, form)} == {"a": False, "b": True, "c": False}


def test_a_long_history_is_thinned_and_keeps_its_end() -> None:
    many = History(
        "digits/a", "a", tuple(range(9001)), (0.5,) * 9001, (0.5,) * 9001, ("COMPLETE",) * 9001, 9001
    )
    found = rows_of(search.history([many], "digits", "accuracy", 100.0, Looks(("a",))))
    assert len(found) <= search.POINTS + 1
    assert found[-1]["x"] == 9000
    assert found[0]["cell"].endswith("of 9001 shown)")


def test_histograms_are_steps_about_their_values() -> None:
    points = tuple(LinePoint(float(x), 0.25, math.nan, 1) for x in range(4))
    found = LineSet(
        "shd", "shd", "delay (timesteps)", "delay_share/layer", "validation", 1.0, (Line("a", points),)
    )
    xs = [row["x"] for row in rows_of(lines.lines(found, Looks(("a",))))]
    assert xs == [-0.5, 0.5, 1.5, 2.5, 3.5]


def test_files_are_whole_and_repeat_to_the_byte(tmp_path: Path) -> None:
    (found,) = time_curves(*race(seeds=2).as_tables(), study="demo")
    chart = curves.time_accuracy(found, LOOKS)
    first, again = (write([chart], tmp_path / name) for name in ("a", "b"))
    assert [path.suffix for path in first] == [".svg", ".pdf", ".png"]
    assert first[2].read_bytes()[:4] == b"\x89PNG"
    assert first[1].read_bytes()[:5] == b"%PDF-"
    assert first[0].read_bytes() == again[0].read_bytes()
    assert chart.title in "".join(ElementTree.parse(first[0]).getroot().itertext())


@pytest.mark.parametrize(("style", "inches"), [("paper", 3.3), ("screen", None)])
def test_paper_charts_are_as_wide_as_a_column(tmp_path: Path, style: Any, inches: float | None) -> None:
    (found,) = time_curves(*race(seeds=2).as_tables(), study="demo")
    (path,) = write([curves.learning(found, LOOKS)], tmp_path, ["svg"], style)
    width = float(ElementTree.parse(path).getroot().attrib["width"])
    assert abs(width / 72 - inches) < 0.4 if inches else width > 500


def test_the_library_is_kept(tmp_path: Path) -> None:
    library.cache_clear()
    text = library(tmp_path)
    (kept,) = tmp_path.glob("vega-*.js")
    assert kept.read_text(encoding="utf-8") == text
    kept.write_text("kept")
    library.cache_clear()
    assert library(tmp_path) == "kept"
    library.cache_clear()
