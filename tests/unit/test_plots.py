"""The plots: what is drawn, and where, read back from the SVG."""

import re
from dataclasses import replace
from itertools import combinations

import comparisons
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from driver.report.page import page
from driver.report.plots import drawing, labels, pareto, rows

TIMED = list(comparisons.FIGURES)


def marks(svg):
    """The names in the titles of the marks."""
    return [title.partition(":")[0] for title in re.findall(r'class="mark"><title>([^<]*)', svg)]


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def every_plot(made):
    seconds = comparisons.seconds(made)
    return {
        "accuracy-latency": pareto.latency(made)[0],
        "accuracy-size": pareto.size(made)[0],
        "latency": rows.latency(made, seconds),
        "calibration": rows.calibration(made),
    }


@pytest.fixture(scope="module")
def drawn():
    return every_plot(comparisons.comparison())


def test_the_fronts_of_the_default_run():
    made = comparisons.comparison()
    assert pareto.latency(made)[1] == ["onnx.u8s8", "onnx.fp32"]
    assert pareto.size(made)[1] == ["onnx.uint8", "onnx.u8s8", "onnx.fp32"]


@pytest.mark.parametrize("plot", ["accuracy-latency", "accuracy-size", "latency", "calibration"])
def test_each_variant_has_one_mark_and_its_name(drawn, plot):
    assert marks(drawn[plot]) == TIMED
    assert sorted(text for text in texts(drawn[plot]) if text in TIMED) == sorted(TIMED)


def test_a_mark_tells_its_figures(drawn):
    assert "<title>onnx.u8s8: 88.32 % at 0.129</title>" in drawn["accuracy-latency"]
    assert "<title>onnx.u8s8: 88.32 % at 106</title>" in drawn["accuracy-size"]
    assert "<title>onnx.u8s8: p50 0.129 ms, p90 0.144 ms, p99 0.245 ms</title>" in drawn["latency"]


def test_the_calls_beyond_the_axis_are_counted(drawn):
    assert sum(text.startswith("+ 4 up to ") for text in texts(drawn["latency"])) >= 1


def test_a_plot_takes_its_colours_from_the_page_and_fetches_nothing(drawn):
    for svg in drawn.values():
        assert not re.findall(r"#[0-9a-f]{6}\b", svg)
        assert "http" not in svg
        assert "<style" not in svg
        assert "var(--ink)" in svg


def test_plots_in_one_page_share_no_name_but_for_the_same_thing(drawn):
    defined = {}
    for svg in drawn.values():
        for name in re.findall(r' id="([^"]*)"', svg):
            assert f"#{name}" in svg
            assert defined.setdefault(name, svg) is svg


def test_the_same_data_gives_the_same_bytes(drawn):
    assert every_plot(comparisons.comparison()) == drawn


def test_what_is_not_ok_is_not_drawn():
    made = comparisons.troubled()
    ok = [row.name for row in made.variants if row.status == "ok"]
    assert marks(pareto.size(made)[0]) == ok


def test_nothing_to_draw_is_no_plot():
    made = comparisons.nothing()
    assert every_plot(made) == dict.fromkeys(every_plot(made), "")
    assert pareto.latency(made) == ("", [])


def test_of_many_variants_only_those_that_matter_are_labelled():
    made = comparisons.hundred()
    svg, best = pareto.latency(made)
    assert len(marks(svg)) == 100
    labelled = {text for text in texts(svg) if "." in text and not re.fullmatch(r"[0-9.]+", text)}
    assert labelled == {*best, "keras.fp32", "onnx.r00"}


@pytest.mark.parametrize("right", [0, 1])
def test_one_image_is_enough(right):
    for svg in every_plot(comparisons.of(right, 1)).values():
        assert marks(svg) == TIMED


def test_a_clock_that_stood_still():
    made = comparisons.comparison()
    svg = rows.latency(made, {"onnx.int8": (0.0003,) * 20, "onnx.u8s8": (0.0002,)})
    assert marks(svg) == ["onnx.int8", "onnx.u8s8"]
    assert "nan" not in svg


def crowd(count):
    """Axes with many marks in one place, as of recipes that hardly differ."""
    axes = Figure((6.5, 5.5), dpi=72).add_axes((0.1, 0.1, 0.85, 0.85))
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 10)
    return axes, [(5 + 0.02 * number, 5 - 0.03 * number) for number in range(count)]


def boxes(axes: Axes) -> list[Bbox]:
    return [text.get_window_extent() for text in axes.texts]


def test_labels_cover_neither_each_other_nor_a_mark():
    axes, points = crowd(12)
    assert labels.place(axes, points, [f"torch.recipe{number}" for number in range(12)]) == []
    found = boxes(axes)
    assert len(found) == 12
    assert not [pair for pair in combinations(found, 2) if pair[0].overlaps(pair[1])]
    centres = axes.transData.transform(points)
    assert not [1 for box in found for x, y in centres if box.contains(x, y)]
    assert all(axes.bbox.contains(*corner) for box in found for corner in box.corners())


def test_a_label_without_room_is_left_out_and_told():
    axes, points = crowd(1)
    assert labels.place(axes, points, ["x" * 200]) == ["x" * 200]
    assert boxes(axes) == []


def test_names_are_no_formulas():
    row = replace(comparisons.variant("onnx.int8"), name="onnx.$x$<b>")
    svg, _ = pareto.size(comparisons.comparison(variants=(row,)))
    assert "onnx.$x$&lt;b&gt;" in svg
    assert "<b>" not in svg


def test_every_colour_of_the_plots_is_one_of_the_page():
    defined = set(re.findall(r"(--\w+):", (page.TEMPLATES / "style.css").read_text()))
    assert set(drawing.VARIABLES.values()) <= defined
