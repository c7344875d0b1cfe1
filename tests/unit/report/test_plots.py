"""The plots: what is drawn, and where, read back from the SVG."""

import re
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import comparisons
import pytest
import thorough
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from driver.analysis.results import Assessment
from driver.report.page import page
from driver.report.plots import cross_cpu, drawing, draws, labels, layers, pareto, rows

TIMED = list(comparisons.FIGURES)


def marks(svg):
    """The names in the titles of the marks."""
    return [title.partition(":")[0] for title in re.findall(r'class="mark"><title>([^<]*)', svg)]


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def every_plot(comparison):
    seconds = comparisons.seconds(comparison)
    return {
        "accuracy-latency": pareto.latency(comparison)[0],
        "accuracy-size": pareto.size(comparison)[0],
        "latency": rows.latency(comparison, seconds),
        "calibration": rows.calibration(comparison),
    }


@pytest.fixture(scope="module")
def drawn():
    """Of variants that are not assessed: the metric itself."""
    return every_plot(comparisons.unassessed())


def test_the_fronts_of_the_default_run():
    for comparison in (comparisons.comparison(), comparisons.unassessed()):
        assert pareto.latency(comparison)[1] == ["onnx.u8s8", "onnx.fp32"]
        assert pareto.size(comparison)[1] == ["onnx.uint8", "onnx.u8s8", "onnx.fp32"]


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


@pytest.mark.usefixtures("draw_anew")
def test_the_same_data_gives_the_same_bytes(drawn):
    assert every_plot(comparisons.unassessed()) == drawn


def test_what_is_not_ok_is_not_drawn():
    comparison = comparisons.troubled()
    ok = [row.name for row in comparison.variants if row.status == "ok"]
    assert marks(pareto.size(comparison)[0]) == ok


def test_nothing_to_draw_is_no_plot():
    comparison = comparisons.nothing()
    assert every_plot(comparison) == dict.fromkeys(every_plot(comparison), "")
    assert pareto.latency(comparison) == ("", [])


def test_of_many_variants_only_those_that_matter_are_labelled():
    comparison = comparisons.hundred()
    svg, best = pareto.latency(comparison)
    assert len(marks(svg)) == 100
    names = {row.name for row in comparison.variants}
    assert names & set(texts(svg)) == {*best, "keras.fp32", "onnx.r00"}


@pytest.mark.parametrize("right", [0, 1])
def test_one_image_is_enough(right):
    for svg in every_plot(comparisons.of(right, 1)).values():
        assert marks(svg) == TIMED


def test_a_clock_that_stood_still():
    comparison = comparisons.comparison()
    svg = rows.latency(comparison, {"onnx.int8": (0.0003,) * 20, "onnx.u8s8": (0.0002,)})
    assert marks(svg) == ["onnx.int8", "onnx.u8s8"]
    assert "nan" not in svg


NARROW_PLOTS = {
    "latency": lambda comparison: rows.latency(comparison, comparisons.seconds(comparison), narrow=True),
    "calibration": lambda comparison: rows.calibration(comparison, narrow=True),
    "draws": lambda comparison: draws.strip(comparison, narrow=True),
    "curve": lambda comparison: draws.curve(comparison, narrow=True),
    "cpus": lambda comparison: cross_cpu.draw(comparison, narrow=True)[0],
    "layers": lambda _: layers.draw(thorough.explained()["onnx.u8s8"], narrow=True),
}


@pytest.mark.parametrize("name", NARROW_PLOTS)
def test_a_plot_for_a_phone_has_the_same_rows_in_a_phone_s_width(name):
    svg = NARROW_PLOTS[name](thorough.comparison())
    wide = every_plot(thorough.comparison()) | every_thorough_plot(thorough.comparison())
    other = wide["layers-onnx.u8s8" if name == "layers" else name]
    assert re.search(r'viewBox="0 0 (\d+) ', svg)[1] == "320"
    assert re.search(r'data-plot="([^"]*)"', svg)[1].endswith("-narrow")
    assert marks(svg) == marks(other) != []
    assert set(marks(svg)) <= set(texts(svg)), "the names"


@pytest.mark.parametrize("name", NARROW_PLOTS)
def test_no_text_is_smaller_than_eleven_pixels(name):
    """Sizes that the page's own style doesn't set."""
    for svg in (NARROW_PLOTS[name](thorough.comparison()), pareto.latency(comparisons.assessed(), narrow=True)[0]):
        assert all(float(size) >= 11 for size in re.findall(r"font-size:\s*([0-9.]+)px", svg))


# the loss against what it costs


@pytest.fixture(scope="module")
def loss():
    return pareto.latency(comparisons.assessed())[0]


def test_the_loss_is_drawn_with_its_bound_and_the_tolerance(loss):
    assert "loss of accuracy against keras.fp32, pp" in texts(loss)
    assert "tolerated: 0.88 pp" in texts(loss)
    assert "<title>onnx.u8s8: loss 0.05 pp, at most 0.45 pp, at 0.129</title>" in loss
    assert "<title>keras.fp32: 0.00 pp at 0.796</title>" in loss


def test_what_is_shown_is_told_apart_by_form_and_colour(loss):
    """Each kind has a mark of its own shape: `use` elements refer to it."""
    kinds = {}
    for name in ("onnx.u8s8", "onnx.uint8", "keras.fp32"):
        mark = loss[loss.index(f"<title>{name}:") :]
        mark = mark[: mark.index("</g>")]
        kinds[name] = re.search(r'href="#([^"]*)"', mark)[1], re.search(r"stroke:var\((--\w+)\)", mark)[1]
    assert len({shape for shape, _ in kinds.values()}) == 3
    assert [colour for _, colour in kinds.values()] == ["--good", "--warn", "--ink"]
    words = texts(loss)
    assert {"shown good enough", "not shown", "shown worse than tolerated", "reference", "shipped"} <= set(words)


def test_a_loss_far_beyond_the_tolerance_is_told_and_squeezes_no_other(loss):
    assert "onnx.int8 (10.60 pp)" in texts(loss)
    ticks = [float(text.replace("−", "-")) for text in texts(loss) if re.fullmatch(r"−?\d\.\d+", text)]
    assert max(ticks) <= 1.15 * pareto.BEYOND * 0.884


def test_a_bound_that_ends_beyond_the_axes_leaves_the_drawing_whole():
    """Of a single sample nothing is known: the marks at the ends of the bounds lie outside, and are not drawn."""
    svg = pareto.latency(comparisons.of(1, 1))[0]
    root = ElementTree.fromstring(svg)
    assert [each for each in root.iter("g") if not each.attrib or not len(each)] == []
    assert marks(svg) == TIMED


def test_a_narrow_plot_has_numbers_and_tells_what_they_stand_for():
    comparison = comparisons.assessed()
    svg, _ = pareto.latency(comparison, narrow=True)
    names = pareto.list_numbered(comparison, pareto.get_latency)
    assert names[:2] == ["onnx.u8s8", "onnx.fp32"], "from left to right"
    assert sorted(names) == sorted(TIMED)
    assert {str(number) for number in range(1, len(names) + 1)} <= set(texts(svg))
    assert not set(names) & set(texts(svg))


def test_without_an_assessment_the_metric_is_drawn(drawn):
    assert "top-1, %" in texts(drawn["accuracy-latency"])
    assert "tolerated" not in drawn["accuracy-latency"]


def test_a_distance_from_the_reference_is_drawn_with_what_is_asked_for():
    bound = Assessment("here", "good_enough", "accuracy", "value", 0.88, 0.875, 0.9, 0.87, 400, 5)
    rows = [
        replace(row, assessments=(bound,)) if row.name == "onnx.int8" else row
        for row in comparisons.unassessed().variants
    ]
    svg, _ = pareto.latency(comparisons.comparison(variants=tuple(rows)))
    assert "at least: 87.00 %" in texts(svg)
    assert "top-1, %" in texts(svg)


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
    label_boxes = boxes(axes)
    assert len(label_boxes) == 12
    assert not [pair for pair in combinations(label_boxes, 2) if pair[0].overlaps(pair[1])]
    centres = axes.transData.transform(points)
    assert not [1 for box in label_boxes for x, y in centres if box.contains(x, y)]
    assert all(axes.bbox.contains(*corner) for box in label_boxes for corner in box.corners())


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
    defined = set(re.findall(r"(--[\w-]+):", (page.TEMPLATES / "style.css").read_text()))
    assert set(drawing.VARIABLES.values()) <= defined


# a thorough experiment: draws, calibration sizes, other CPUs, layers


DRAWN = [name for name in comparisons.FIGURES if not name.endswith("fp32")]


def every_thorough_plot(comparison):
    return {
        "draws": draws.strip(comparison),
        "curve": draws.curve(comparison),
        "cpus": cross_cpu.draw(comparison)[0],
        **{f"layers-{name}": layers.draw(sensitivity) for name, sensitivity in thorough.explained().items()},
    }


@pytest.fixture(scope="module")
def drawn_thorough():
    return every_thorough_plot(thorough.comparison())


def test_each_row_has_one_mark(drawn_thorough):
    assert marks(drawn_thorough["draws"]) == DRAWN
    assert sorted(marks(drawn_thorough["curve"])) == sorted(thorough.CURVES)
    assert marks(drawn_thorough["cpus"]) == [
        f"{name} on {run.cpu}" for name in DRAWN for run in thorough.RUNS.get(name, ())
    ]
    few = thorough.explained()["onnx.u8s8"]
    assert marks(drawn_thorough["layers-onnx.u8s8"]) == [layer.name for layer in few.layers]


def test_a_mark_tells_its_figures_in_a_thorough_experiment(drawn_thorough):
    assert "<title>onnx.int8: 87.79 ± 0.04 % over 5 draws</title>" in drawn_thorough["draws"]
    assert "<title>onnx.u8s8: 25 images 87.20 %, 50 images 87.80 %, " in drawn_thorough["curve"]
    assert "<title>onnx.u8s8 on haswell: 88.00 % here, 84.20 % there</title>" in drawn_thorough["cpus"]
    assert (
        "<title>model/conv2d_6/Conv2D: 88.00 % with it in float, KL divergence 0.0726</title>"
        in drawn_thorough["layers-onnx.u8s8"]
    )


def test_what_loses_is_said_in_words(drawn_thorough):
    assert [text for text in texts(drawn_thorough["cpus"]) if "loss" in text or "loses" in text] == [
        "no loss",
        "no loss",
        "▼ loses 3.80 pp",
        "no loss",
    ]


def test_sizes_are_the_ticks_of_the_curve(drawn_thorough):
    assert {"25", "100", "1,000", "5,000"} < set(texts(drawn_thorough["curve"]))


def test_layers_of_a_large_model_are_all_there_under_short_names(drawn_thorough):
    svg = drawn_thorough["layers-onnx.int8"]
    assert len(marks(svg)) == 60
    shown = [text for text in texts(svg) if text.startswith("functional_1")]
    assert len(set(shown)) == 60
    assert max(map(len, shown)) == layers.NAME


@pytest.mark.usefixtures("draw_anew")
def test_the_same_data_gives_the_same_bytes_in_a_thorough_experiment(drawn_thorough):
    assert every_thorough_plot(thorough.comparison()) == drawn_thorough


def test_plots_share_no_name_but_for_the_same_thing(drawn_thorough):
    defined = [name for svg in drawn_thorough.values() for name in re.findall(r' id="([^"]*)"', svg)]
    assert len(defined) == len(set(defined))


def test_a_plot_takes_its_colours_from_the_page(drawn_thorough):
    for svg in drawn_thorough.values():
        assert not re.findall(r"#[0-9a-f]{6}\b", svg)


@pytest.mark.parametrize("comparison", [comparisons.comparison(), comparisons.nothing()])
def test_nothing_to_draw_is_no_plot_in_a_thorough_experiment(comparison):
    assert (draws.strip(comparison), draws.curve(comparison), cross_cpu.draw(comparison)) == ("", "", ("", 0))
    assert layers.draw(replace(thorough.explained()["onnx.u8s8"], layers=())) == ""


def test_of_many_runs_those_that_lose_most_are_drawn():
    svg, count = cross_cpu.draw(thorough.hundred())
    assert count == len(marks(svg)) == cross_cpu.MOST
    assert "no loss" not in texts(svg)


@pytest.mark.parametrize(
    ("wanted", "spots"),
    [([10, 50], [10, 50]), ([10, 12, 50], [10, 25, 50]), ([90, 95, 99], [70, 85, 100]), ([50], [50])],
)
def test_names_at_the_curves_ends_are_apart_and_inside(wanted, spots):
    assert draws.spread(wanted, 100) == spots


def test_a_plot_alone_is_a_drawing_of_its_own_size_in_light_and_dark():
    svg = layers.alone(thorough.explained()["onnx.u8s8"])
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    style = root[0].text
    used = set(re.findall(r"var\((--[\w-]+)\)", svg))
    assert used
    for scheme in style.split("@media"):
        assert {name for name in used - {"--sans"} if f"{name}:" not in scheme} == set()


def test_one_layer_without_a_loss():
    sensitivity = thorough.explained()["onnx.u8s8"]
    only = replace(sensitivity.layers[0], kept_kl=0.0, only_weights=None)
    svg = layers.draw(replace(sensitivity, float_kl=0.0, layers=(only,)))
    assert marks(svg) == ["model/conv2d_6/Conv2D"]
    assert "nan" not in svg
