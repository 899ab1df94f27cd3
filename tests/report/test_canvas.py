"""What figures share: intervals that end where a metric ends, names of files, legends that cover nothing."""

from __future__ import annotations

import itertools
import math

import pytest

from harness.report.canvas import file_name, legend_below, new_figure, style, whiskers
from harness.report.layout import ROW, legend_layout, legend_rows


def test_intervals_end_where_the_metric_ends():
    assert whiskers(0.5, 0.9, 1.0, "r2") == (0.9, 0.5)
    assert whiskers(0.5, 0.9, 1.0, "r2_variate_mean") == (0.9, 0.5)
    assert whiskers(0.5, 0.9, 1.0, "rse") == (0.9, 0.9)
    assert whiskers(95.0, 9.0, 100.0, "accuracy") == (9.0, 5.0)
    assert whiskers(0.5, math.nan, 1.0, "r2") == (0.0, 0.0)


def test_curves_of_one_colour_differ_in_line_and_marker():
    looks = [style(i) for i in range(24)]
    for one, other in itertools.combinations(looks, 2):
        if one[0] == other[0]:
            assert one[1] != other[1]
            assert one[2] != other[2]


def test_file_names_have_no_brackets():
    assert file_name("learning", "ett-h1[eval_stride=7,stride=5]") == "learning-ett-h1-eval_stride-7-stride-5"


@pytest.mark.parametrize("cells", [2, 17])
def test_a_long_legend_makes_the_figure_higher(cells):
    figure, (axes,) = new_figure(4.6, 3.4)
    for i in range(cells):
        axes.plot([0, 1], [i, i], label=f"a neuron with a long name, {i} (5 seeds)")
    legend_below(figure, axes)
    assert bool(figure.get_figheight() > 3.4) == (cells > 3)


def test_a_page_leaves_room_for_every_row_of_a_legend():
    names = [f"a neuron with a long name, {i} (5 seeds)" for i in range(9)]
    assert legend_rows(names[:1]) == 1
    data = [{"name": name} for name in names] + [{"name": "hidden", "showlegend": False}]
    plot = {"data": data, "layout": {"height": 430, "margin": {"b": 95}}}
    more = (legend_rows(names) - 1) * ROW
    layout = legend_layout(plot)["layout"]
    assert layout["height"] == 430 + more > 430
    assert layout["margin"]["b"] == 95 + more
