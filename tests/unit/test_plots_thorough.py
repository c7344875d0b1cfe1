"""The plots of a thorough experiment: draws, calibration sizes, other CPUs, layers; read back from the SVG."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import comparisons
import pytest
import thorough
from test_plots import marks, texts

from driver.report.plots import cross_cpu, draws, layers

DRAWN = [name for name in comparisons.FIGURES if not name.endswith("fp32")]


def every_plot(made):
    return {
        "draws": draws.strip(made),
        "curve": draws.curve(made),
        "cpus": cross_cpu.draw(made)[0],
        **{f"layers-{name}": layers.draw(found) for name, found in thorough.explained().items()},
    }


@pytest.fixture(scope="module")
def drawn():
    return every_plot(thorough.comparison())


def test_each_row_has_one_mark(drawn):
    assert marks(drawn["draws"]) == DRAWN
    assert sorted(marks(drawn["curve"])) == sorted(thorough.CURVES)
    assert marks(drawn["cpus"]) == [f"{name} on {run.cpu}" for name in DRAWN for run in thorough.RUNS.get(name, ())]
    few = thorough.explained()["onnx.u8s8"]
    assert marks(drawn["layers-onnx.u8s8"]) == [layer.name for layer in few.layers]


def test_a_mark_tells_its_figures(drawn):
    assert "<title>onnx.int8: 87.79 ± 0.04 % over 5 draws</title>" in drawn["draws"]
    assert "<title>onnx.u8s8: 25 images 87.20 %, 50 images 87.80 %, " in drawn["curve"]
    assert "<title>onnx.u8s8 on haswell: 88.00 % here, 84.20 % there</title>" in drawn["cpus"]
    assert (
        "<title>model/conv2d_6/Conv2D: 88.00 % with it in float, KL divergence 0.0726</title>"
        in drawn["layers-onnx.u8s8"]
    )


def test_what_loses_is_said_in_words(drawn):
    assert [text for text in texts(drawn["cpus"]) if "loss" in text or "loses" in text] == [
        "no loss",
        "no loss",
        "▼ loses 3.80 pp",
        "no loss",
    ]


def test_sizes_are_the_ticks_of_the_curve(drawn):
    assert {"25", "100", "1,000", "5,000"} < set(texts(drawn["curve"]))


def test_layers_of_a_large_model_are_all_there_under_short_names(drawn):
    svg = drawn["layers-onnx.int8"]
    assert len(marks(svg)) == 60
    shown = [text for text in texts(svg) if text.startswith("functional_1")]
    assert len(set(shown)) == 60
    assert max(map(len, shown)) == layers.NAME


def test_the_same_data_gives_the_same_bytes(drawn):
    assert every_plot(thorough.comparison()) == drawn


def test_plots_share_no_name_but_for_the_same_thing(drawn):
    defined = [name for svg in drawn.values() for name in re.findall(r' id="([^"]*)"', svg)]
    assert len(defined) == len(set(defined))


def test_a_plot_takes_its_colours_from_the_page(drawn):
    for svg in drawn.values():
        assert not re.findall(r"#[0-9a-f]{6}\b", svg)


@pytest.mark.parametrize("made", [comparisons.comparison(), comparisons.nothing()])
def test_nothing_to_draw_is_no_plot(made):
    assert (draws.strip(made), draws.curve(made), cross_cpu.draw(made)) == ("", "", ("", 0))
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
    found = thorough.explained()["onnx.u8s8"]
    only = replace(found.layers[0], kept_kl=0.0, only_weights=None)
    svg = layers.draw(replace(found, float_kl=0.0, layers=(only,)))
    assert marks(svg) == ["model/conv2d_6/Conv2D"]
    assert "nan" not in svg
